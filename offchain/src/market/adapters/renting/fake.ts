/** Renting from the fake provider, in its plain form. */
import type { Api } from "../../base/api.ts";
import {
  createdBy,
  instanceBy,
  instanceOr,
  instancesOf,
  momentOf,
  shellAt,
  terminatedBy,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { byPage, countedPage } from "../../base/pages.ts";
import type { Instance, InstanceState, Renting } from "../../base/renting.ts";
import { type Row, rowOf } from "../../base/rows.ts";
import { exactUsd } from "../../money.ts";

const TITLE = "The fake provider";
const STATES: Readonly<Record<string, InstanceState>> = {
  creating: "creating",
  running: "running",
  stopped: "stopped",
  ending: "ending",
  gone: "gone",
  failed: "failed",
};

const instanceOf = (row: Row): Instance =>
  instanceBy(
    row,
    STATES,
    {
      label: row.text("label"),
      perHour: row.money("usd_per_hour", "usd"),
      ssh: shellAt(row.text("host"), row.whole("port"), "root"),
      createdAt: momentOf(row, "created_at"),
    },
    "state",
  );

const get = (api: Api, path: string): Promise<unknown> =>
  api({ method: "GET", path, endpoint: "read", repeatable: true });

export const fakeRenting: Renting = {
  ...USUAL_TERMS,
  visibleWithin: 10_000,
  killWithin: 5_000,
  deletableWhileCreating: false,
  create: (api, order) =>
    createdBy(TITLE, async () =>
      instanceOf(
        rowOf(
          await api({
            method: "POST",
            path: "/instances",
            json: {
              label: order.label,
              offer: order.offer.providerId,
              disk_gb: order.diskGb,
              image: order.image,
              script: order.script,
              environment: order.environment,
              maximum_usd_per_hour: exactUsd(order.maximumPerHour),
              ends_at: order.endsAt,
            },
            endpoint: "create",
            repeatable: false,
            named: "instance",
          }),
        ),
      ),
    ),
  get: (api, id) =>
    instanceOr(TITLE, async () => instanceOf(rowOf(await get(api, `/instances/${encodeURIComponent(id)}`)))),
  list: (api) =>
    instancesOf(
      TITLE,
      () =>
        byPage(TITLE, async (page) =>
          countedPage(
            await api({ method: "GET", path: "/instances", query: { page }, endpoint: "read", repeatable: true }),
            "instances",
            "total",
          ),
        ),
      instanceOf,
    ),
  terminate: (api, id) =>
    terminatedBy(async () => {
      const answer = await api({
        method: "DELETE",
        path: `/instances/${encodeURIComponent(id)}`,
        endpoint: "terminate",
        repeatable: true,
      });
      return rowOf(answer).flag("accepted") === true ? "accepted" : "not yet";
    }),
  bill: async (api, { id }) =>
    rowOf(await get(api, `/instances/${encodeURIComponent(id)}/bill`)).money("usd", "usd") ?? 0n,
  logs: async (api, id, lines) => {
    const path = `/instances/${encodeURIComponent(id)}/log`;
    const query = { lines };
    return String(await api({ method: "GET", path, query, endpoint: "read", repeatable: true, stream: true }));
  },
  owner: async (api) => rowOf(await get(api, "/account")).requireText("owner"),
};
