/**
 * Renting from Shadeform. It can end a machine by itself, at a time and at a sum (`auto_delete`), which every order sets; billing
 * stops at `deleting`. VMs and bare metal get a start script, containers their image.
 */
import type { Api } from "../../base/api.ts";
import {
  createdBy,
  endedBy,
  instanceBy,
  instanceOr,
  instancesOf,
  momentOf,
  ordered,
  shellAt,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { argumentLineOf, rentBy, startScriptOf, told } from "../../base/orders.ts";
import type { Instance, InstanceState, Order, Renting } from "../../base/renting.ts";
import { fieldOf, listOf, type Row, rowOf } from "../../base/rows.ts";

const TITLE = "Shadeform";

const STATES: Readonly<Record<string, InstanceState>> = {
  creating: "creating",
  pending_provider: "creating",
  pending: "creating",
  active: "running",
  error: "failed",
  deleting: "ending",
  deleted: "gone",
};

const instanceOf = (row: Row): Instance =>
  instanceBy(row, STATES, {
    label: row.text("name"),
    perHour: row.money("hourly_price", "cents"),
    ssh: shellAt(row.text("ip"), row.whole("ssh_port"), row.text("ssh_user")),
    createdAt: momentOf(row, "created_at"),
  });

const launchOf = (order: Order) =>
  order.offer.kind === "container"
    ? {
        type: "docker",
        docker_configuration: {
          image: order.image,
          args: argumentLineOf(order),
          envs: Object.entries(order.environment).map(([name, value]) => ({ name, value })),
        },
      }
    : {
        type: "script",
        script_configuration: { base64_script: Buffer.from(startScriptOf(order)).toString("base64") },
      };

const bodyOf = (order: Order) => {
  const { offer, label, endsAt } = order;
  return {
    cloud: offer.upstream,
    region: told(offer, "dataCenter", TITLE),
    shade_instance_type: rentBy(offer, "type", TITLE),
    shade_cloud: true,
    name: label,
    tags: [label],
    launch_configuration: launchOf(order),
    ...(endsAt === undefined ? {} : { auto_delete: { delete_at: new Date(endsAt).toISOString() } }),
  };
};

const read = (api: Api, path: string): Promise<unknown> =>
  api({ method: "GET", path, endpoint: "read", repeatable: true });

export const shadeformRenting: Renting = {
  ...USUAL_TERMS,
  killWithin: 120_000,
  create: (api, order) =>
    createdBy(TITLE, async () => {
      const json = bodyOf(order);
      const made = await api({
        method: "POST",
        path: "/instances/create",
        json,
        endpoint: "create",
        repeatable: false,
      });
      return ordered(order, rowOf(made).requireText("id"));
    }),
  get: (api, id) =>
    instanceOr(TITLE, async () => instanceOf(rowOf(await read(api, `/instances/${encodeURIComponent(id)}/info`)))),
  list: (api) =>
    instancesOf(
      TITLE,
      async function* instances() {
        yield listOf(fieldOf(await read(api, "/instances"), "instances"), "instances");
      },
      instanceOf,
    ),
  terminate: (api, id) => endedBy(api, "POST", `/instances/${encodeURIComponent(id)}/delete`),
};
