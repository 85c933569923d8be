/**
 * Renting from Vast.ai. A create is a PUT on an ask; an instance whose bid is too low is paused, bills its disk and resumes by itself,
 * which is `stopped` here and to be destroyed. The owner may name a machine in an error of a create (`new_contract`).
 */
import type { Api } from "../../base/api.ts";
import {
  createdBy,
  instanceOr,
  instancesOf,
  ordered,
  shellAt,
  stateOf,
  terminatedBy,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { dockerFlagsOf } from "../../base/orders.ts";
import { byToken } from "../../base/pages.ts";
import { providerError } from "../../base/errors.ts";
import type { Instance, InstanceState, Order, Renting } from "../../base/renting.ts";
import { fieldOf, listOf, present, type Row, rowOf } from "../../base/rows.ts";
import { dollarsOf, type MicroUsd } from "../../money.ts";

const TITLE = "Vast.ai";
const PAGE = 25;

/** By `actual_status`, which is null before the host has heard of the instance. */
const STATES: Readonly<Record<string, InstanceState>> = {
  created: "creating",
  loading: "creating",
  scheduling: "creating",
  running: "running",
  exited: "stopped",
  stopped: "stopped",
  offline: "failed",
};

function stateNow(row: Row): Pick<Instance, "state" | "words"> {
  const [actual, intended, current] = [row.text("actual_status"), row.text("intended_status"), row.text("cur_state")];
  const words = [actual ?? "null", intended, current].filter((word) => word !== undefined).join(", ");
  const paused = intended === "stopped" || (current === "stopped" && actual !== undefined);
  return { words, state: paused ? "stopped" : actual === undefined ? "creating" : stateOf(STATES, actual) };
}

const instanceOf = (row: Row): Instance => ({
  id: row.requireText("id"),
  ...stateNow(row),
  ...present<Partial<Instance>>({
    label: row.text("label"),
    perHour: row.money("dph_total", "usd"),
    ssh: shellAt(row.text("ssh_host"), row.whole("ssh_port"), "root"),
    createdAt: row.whole("start_date", 1_000),
  }),
});

/** A bid is of the whole machine; who bids pays the bid, so that it is the offer's and not the highest. */
const bidOf = ({ offer, maximumPerHour }: Order): MicroUsd =>
  offer.price.perHour !== undefined && offer.price.perHour < maximumPerHour ? offer.price.perHour : maximumPerHour;

const bodyOf = (order: Order) => ({
  image: order.image,
  label: order.label,
  disk: order.diskGb,
  runtype: "ssh_direct",
  target_state: "running",
  // What cannot start now is not to wait in line for a machine that nobody counts on.
  cancel_unavail: true,
  env: dockerFlagsOf(order),
  onstart: order.script,
  ...(order.offer.price.charge === "spot" ? { price: dollarsOf(bidOf(order)) } : {}),
});

/** All pages, as many rows as the first said. */
async function* listing(api: Api): AsyncGenerator<readonly unknown[]> {
  let [seen, total] = [0, 0];
  const pages = byToken(TITLE, async (token) => {
    const query = {
      limit: PAGE,
      order_by: '[{"col":"id","dir":"asc"}]',
      ...(token === undefined ? {} : { after_token: token }),
    };
    const answer = await api({ method: "GET", path: "/v1/instances/", query, endpoint: "list", repeatable: true });
    const row = rowOf(answer);
    if (token === undefined) total = row.requireWhole("total_instances");
    if (row.flag("success") === false) throw providerError("unreadable", TITLE, "a page of a listing is no success");
    return { items: listOf(fieldOf(answer, "instances"), "instances"), next: row.text("next_token") };
  });
  for await (const page of pages) {
    seen += page.length;
    yield page;
  }
  if (seen < total) throw providerError("unreadable", TITLE, `a listing of ${total} ends after ${seen}`);
}

async function* charges(api: Api, from: number, to: number): AsyncGenerator<readonly unknown[]> {
  const filters = {
    day: { gte: Math.floor(from / 1_000), lte: Math.ceil(to / 1_000) },
    type: { in: ["instance"] },
  };
  yield* byToken(TITLE, async (token) => {
    const answer = await api({
      method: "GET",
      path: "/v0/charges/",
      query: {
        select_filters: JSON.stringify(filters),
        limit: 500,
        ...(token === undefined ? {} : { after_token: token }),
      },
      endpoint: "list",
      repeatable: true,
    });
    return { items: listOf(fieldOf(answer, "results"), "results"), next: rowOf(answer).text("next_token") };
  });
}

export const vastRenting: Renting = {
  ...USUAL_TERMS,
  create: (api, order) =>
    createdBy(TITLE, async () => {
      const answer = rowOf(
        await api({
          method: "PUT",
          path: `/v0/asks/${encodeURIComponent(order.offer.providerId)}/`,
          json: bodyOf(order),
          endpoint: "create",
          repeatable: false,
          named: "new_contract",
        }),
      );
      return ordered(order, answer.requireText("new_contract"));
    }),
  get: (api, id) =>
    instanceOr(TITLE, async () => {
      const path = `/v0/instances/${encodeURIComponent(id)}/`;
      const found = fieldOf(await api({ method: "GET", path, endpoint: "show", repeatable: true }), "instances");
      return found === null ? undefined : instanceOf(rowOf(found));
    }),
  list: (api) => instancesOf(TITLE, () => listing(api), instanceOf),
  terminate: (api, id) =>
    terminatedBy(async () => {
      const path = `/v0/instances/${encodeURIComponent(id)}/`;
      const answer = rowOf(await api({ method: "DELETE", path, endpoint: "terminate", repeatable: true }));
      return answer.flag("success") === true ? "accepted" : "not yet";
    }),
  bill: async (api, { id, createdAt }, now) => {
    if (createdAt === undefined) return undefined;
    let sum: MicroUsd | undefined;
    for await (const page of charges(api, createdAt, now))
      for (const row of page.map(rowOf))
        if (row.text("source") === `instance-${id}`) sum = (sum ?? 0n) + (row.money("amount", "usd") ?? 0n);
    return sum;
  },
  owner: async (api) =>
    rowOf(await api({ method: "GET", path: "/v0/users/current/", endpoint: "account", repeatable: true })).requireText(
      "id",
    ),
};
