/**
 * Renting from io.net: containers, paid by the hour before they begin, ended by themselves when the hours are over unless they are
 * extended. What was paid before stays paid when one ends earlier.
 */
import type { Api } from "../../base/api.ts";
import {
  createdBy,
  endedBy,
  instanceOr,
  instancesOf,
  momentOf,
  ordered,
  stateOf,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { argumentsOf } from "../../base/orders.ts";
import { eventLines } from "../../base/events.ts";
import { byPage, countedPage } from "../../base/pages.ts";
import { UserError } from "../../../base/index.ts";
import type { Instance, InstanceState, Order, Renting } from "../../base/renting.ts";
import { fieldOf, listOf, present, type Row, rowOf } from "../../base/rows.ts";

const TITLE = "io.net";
const HOUR = 3_600;
const PAGE = 100;
const MAX_HOURS = 720;

/** Words of the listing's own filter, and those that its clients show. */
const STATES: Readonly<Record<string, InstanceState>> = {
  "deployment requested": "creating",
  requested: "creating",
  pending: "creating",
  deploying: "creating",
  running: "running",
  stopped: "stopped",
  failed: "failed",
  error: "failed",
  "termination requested": "ending",
  terminating: "ending",
  completed: "gone",
  destroyed: "gone",
  terminated: "gone",
};

const instanceOf = (row: Row): Instance => {
  const words = row.requireText("status");
  return {
    id: row.requireText("id"),
    state: stateOf(STATES, words.toLowerCase()),
    words,
    ...present<Partial<Instance>>({ label: row.text("name"), createdAt: momentOf(row, "created_at") }),
  };
};

const bodyOf = (order: Order) => {
  const [hardware, count, place] = order.offer.providerId.split("/").map(Number);
  const [command, ...args] = argumentsOf(order);
  if (!Number.isSafeInteger(hardware) || !Number.isSafeInteger(count) || !Number.isSafeInteger(place))
    throw new UserError("ORDER", `${TITLE} is not sent this order: its offer ${order.offer.id} is none of a listing.`);
  return {
    resource_private_name: order.label,
    duration_hours: Math.min(MAX_HOURS, Math.max(1, Math.ceil((order.prepaidSeconds ?? HOUR) / HOUR))),
    gpus_per_container: count,
    hardware_id: hardware,
    location_ids: [place],
    container_config: { replica_count: 1, entrypoint: [command], args, secret_env_variables: order.environment },
    registry_config: { image_url: order.image },
  };
};

const detail = async (api: Api, id: string): Promise<Row> =>
  rowOf(
    fieldOf(
      await api({ method: "GET", path: `/deployment/${encodeURIComponent(id)}`, endpoint: "read", repeatable: true }),
      "data",
    ),
  );

export const ionetRenting: Renting = {
  ...USUAL_TERMS,
  visibleWithin: 120_000,
  killWithin: 120_000,
  minimumSeconds: HOUR,
  prepaidSeconds: HOUR,
  create: (api, order) => {
    const json = bodyOf(order);
    return createdBy(TITLE, async () => {
      const made = await api({ method: "POST", path: "/deploy", json, endpoint: "create", repeatable: false });
      return ordered(order, rowOf(made).requireText("deployment_id"));
    });
  },
  get: (api, id) => instanceOr(TITLE, async () => instanceOf(await detail(api, id))),
  list: (api) =>
    instancesOf(
      TITLE,
      () =>
        byPage(TITLE, async (page) => {
          const query = { page, page_size: PAGE };
          const answer = await api({ method: "GET", path: "/deployments", query, endpoint: "read", repeatable: true });
          return countedPage(fieldOf(answer, "data"), "deployments", "total");
        }),
      instanceOf,
    ),
  terminate: (api, id) => endedBy(api, "DELETE", `/deployment/${encodeURIComponent(id)}`),
  bill: async (api, { id }) => (await detail(api, id)).money("amount_paid", "usd") ?? 0n,
  logs: async (api, id) => {
    const path = `/deployment/${encodeURIComponent(id)}`;
    const found = await api({ method: "GET", path: `${path}/containers`, endpoint: "read", repeatable: true });
    const [worker] = listOf(fieldOf(fieldOf(found, "data"), "workers"), "workers");
    if (worker === undefined) return "";
    const container = encodeURIComponent(rowOf(worker).requireText("container_id"));
    const log = `${path}/log/${container}`;
    return eventLines(
      String(await api({ method: "GET", path: log, endpoint: "read", repeatable: true, stream: true })),
    );
  },
  extend: async (api, id, hours) => {
    const path = `/deployment/${encodeURIComponent(id)}/extend`;
    await api({ method: "POST", path, json: { duration_hours: hours }, endpoint: "create", repeatable: false });
  },
};
