/**
 * Renting from Lambda. It takes exactly one SSH key, by the name under which the account keeps it; nothing can be stopped; what can be
 * terminated now the instance says itself. A preempted machine is destroyed, not gone: its end is asked for.
 */
import type { Api } from "../../base/api.ts";
import {
  createdBy,
  instanceBy,
  instanceOr,
  instancesOf,
  keySides,
  ordered,
  shellAt,
  sideBy,
  terminatedBy,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { cloudInitOf, keyNameOf, sameKey, sshKeyOf, told } from "../../base/orders.ts";
import { providerError } from "../../base/errors.ts";
import type { Instance, InstanceState, Order, Renting } from "../../base/renting.ts";
import { fieldOf, listOf, type Row, rowOf } from "../../base/rows.ts";

const TITLE = "Lambda";

const STATES: Readonly<Record<string, InstanceState>> = {
  booting: "creating",
  active: "running",
  unhealthy: "failed",
  preempted: "failed",
  terminating: "ending",
  terminated: "gone",
};

const instanceOf = (row: Row): Instance =>
  instanceBy(row, STATES, {
    label: row.text("name"),
    perHour: row.money("instance_type.price_cents_per_hour", "cents"),
    ssh: shellAt(row.text("ip"), 22, "ubuntu"),
  });

const read = async (api: Api, path: string): Promise<unknown> =>
  fieldOf(await api({ method: "GET", path, endpoint: "read", repeatable: true }), "data");

const keysOf = async (api: Api): Promise<readonly Row[]> => listOf(await read(api, "/ssh-keys"), "data").map(rowOf);

/** The name of an order's key in the account, where it is put unless it is there. */
const keyName = (api: Api, order: Order): Promise<string> =>
  sideBy(TITLE, async () => {
    const key = sshKeyOf(order, TITLE);
    const found = (await keysOf(api)).find((row) => sameKey(row.longText("public_key") ?? "", key));
    if (found !== undefined) return found.requireText("name");
    const name = keyNameOf(order);
    await api({
      method: "POST",
      path: "/ssh-keys",
      json: { name, public_key: key },
      endpoint: "read",
      repeatable: false,
    });
    return name;
  });

export const lambdaRenting: Renting = {
  ...USUAL_TERMS,
  nameMax: 64,
  killWithin: 120_000,
  deletableWhileCreating: false,
  create: async (api, order) => {
    const { offer, label } = order;
    const key = await keyName(api, order);
    return createdBy(TITLE, async () => {
      const answer = await api({
        method: "POST",
        path: "/instance-operations/launch",
        json: {
          region_name: told(offer, "dataCenter", TITLE),
          instance_type_name: told(offer, "upstreamId", TITLE),
          ssh_key_names: [key],
          name: label,
          user_data: cloudInitOf(order),
          tags: [{ key: "cotrain", value: label }],
        },
        endpoint: "launch",
        repeatable: false,
      });
      const [id, ...more] = listOf(rowOf(answer).at("data.instance_ids"), "data.instance_ids");
      if (typeof id !== "string" || more.length > 0)
        throw providerError("ambiguous", TITLE, "it launched other than one machine");
      return ordered(order, id);
    });
  },
  get: (api, id) =>
    instanceOr(TITLE, async () => instanceOf(rowOf(await read(api, `/instances/${encodeURIComponent(id)}`)))),
  list: (api) =>
    instancesOf(
      TITLE,
      async function* instances() {
        yield listOf(await read(api, "/instances"), "data");
      },
      instanceOf,
    ),
  terminate: (api, id) =>
    terminatedBy(async () => {
      const row = rowOf(await read(api, `/instances/${encodeURIComponent(id)}`));
      if (row.flag("actions.terminate.available") === false) return "not yet";
      const answer = await api({
        method: "POST",
        path: "/instance-operations/terminate",
        json: { instance_ids: [id] },
        endpoint: "read",
        repeatable: true,
      });
      const ended = rowOf(answer).list("data.terminated_instances");
      return ended.some((each) => each.text("id") === id) ? "accepted" : "not yet";
    }),
  sides: keySides(keysOf, "/ssh-keys/", "read"),
};
