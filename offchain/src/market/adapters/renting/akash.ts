/**
 * Renting from Akash, through its console's API: a deployment asks, hosts bid, the cheapest bid within the limit is leased. Prices
 * are by the block in `uact`; a bid in anything else has no rate and is not taken. A deployment bears no name: whose it is only
 * the ledger knows. What was begun and not leased is closed; where that fails, the error names it. The console closes a deployment
 * when its time is over, which is set in hours from its lease on and can be raised; what is not used comes back.
 */
import { CotrainError } from "@cotrain/sdk/errors";

import type { Api } from "../../base/api.ts";
import { providerError } from "../../base/errors.ts";
import {
  createdBy,
  instanceOr,
  instancesOf,
  momentOf,
  stateOf,
  terminatedBy,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { byOffset } from "../../base/pages.ts";
import type { Instance, InstanceState, Order, Renting } from "../../base/renting.ts";
import { fieldOf, listOf, present, type Row, rowOf } from "../../base/rows.ts";
import { depositFor, dollarsOf, microUsdOfBid, type MicroUsd } from "../../money.ts";
import { sdlOf } from "./akashSdl.ts";

const TITLE = "Akash";
const PAGE = 100;
/** Bids come within a minute or so; asking is spaced by the limiter. */
const ASKS = 12;
/** The time that is set at first: the console's least. */
const FIRST_HOURS = 1;
const HOUR = 3_600;
/** The least that consoles took which close a deployment when what was put down is used, and know no time. */
const DEPOSIT: MicroUsd = 5_000_000n;

/** By the deployment's state. */
const STATES: Readonly<Record<string, InstanceState>> = { active: "running", closed: "gone" };

/** Of one in another unit nothing is known. */
const priceOf = (amount: string | undefined, denom: string | undefined): MicroUsd | undefined =>
  amount === undefined || denom !== "uact" ? undefined : microUsdOfBid(amount, denom);

function instanceOf(row: Row): Instance {
  const status = row.requireText("deployment.state");
  const leases = row.list("leases");
  const lease = leases.find((each) => each.text("state") === "active") ?? leases[0];
  const leased = lease?.text("state");
  const state = stateOf(STATES, status);
  return {
    id: row.requireText("deployment.id.dseq"),
    words: leased === undefined ? status : `${status}, lease ${leased}`,
    state: state !== "running" || leased === "active" ? state : leased === undefined ? "creating" : "failed",
    ...present<Partial<Instance>>({
      perHour: priceOf(lease?.text("price.amount"), lease?.text("price.denom")),
      createdAt: momentOf(row, "deployment.created_at"),
    }),
  };
}

const pathOf = (dseq: string): string => `/v1/deployments/${encodeURIComponent(dseq)}`;

const read = (api: Api, path: string, query?: Readonly<Record<string, string | number>>): Promise<unknown> =>
  api({ method: "GET", path, endpoint: "read", repeatable: true, ...(query === undefined ? {} : { query }) });

const close = (api: Api, dseq: string): Promise<unknown> =>
  api({ method: "DELETE", path: pathOf(dseq), endpoint: "terminate", repeatable: true });

const saysClosed = (answer: unknown): boolean => rowOf(answer).flag("data.success") === true;

/** The cheapest bid within the limit, once there is one. */
async function bidFor(api: Api, dseq: string, most: MicroUsd): Promise<Row> {
  for (let ask = 0; ask < ASKS; ask++) {
    const answer = await api({ method: "GET", path: "/v1/bids", query: { dseq }, endpoint: "bids", repeatable: true });
    const bids = listOf(fieldOf(answer, "data"), "data")
      .map((value) => rowOf(value))
      .filter((bid) => bid.text("bid.state") === "open")
      .flatMap((bid) => {
        const price = priceOf(bid.text("bid.price.amount"), bid.text("bid.price.denom"));
        return price === undefined || price > most ? [] : [{ bid, price }];
      })
      .toSorted((one, other) => (one.price < other.price ? -1 : 1));
    const [best] = bids;
    if (best !== undefined) return best.bid;
  }
  throw providerError("capacity", TITLE, "no host bid within the price");
}

const settingsOf = (dseq: string): string => `/v2/deployment-settings/${encodeURIComponent(dseq)}`;

/**
 * A console that knows no such time tops the deployment up for ever, whatever was put down.
 * @throws CotrainError `PROVIDER_REFUSED` where it has not what was asked for
 */
async function requireTime(api: Api, dseq: string, hours: number): Promise<void> {
  const row = rowOf(await read(api, settingsOf(dseq)));
  if (row.whole("data.runtimeLimitHours") === hours) return;
  throw providerError("validation", TITLE, "the console does not end a deployment by time, and nothing else would");
}

/** After its first step a deployment exists, whatever fails: it is closed, or the error names it. */
async function leaseOf(api: Api, order: Order, dseq: string, manifest: string): Promise<Instance> {
  let isLeasing = false;
  try {
    await requireTime(api, dseq, FIRST_HOURS);
    const bid = await bidFor(api, dseq, order.maximumPerHour);
    const lease = {
      dseq,
      gseq: bid.requireWhole("bid.id.gseq"),
      oseq: bid.requireWhole("bid.id.oseq"),
      provider: bid.requireText("bid.id.provider"),
    };
    isLeasing = true;
    const answer = await api({
      method: "POST",
      path: "/v1/leases",
      json: { manifest, leases: [lease] },
      endpoint: "create",
      repeatable: false,
    });
    return { ...instanceOf(rowOf(fieldOf(answer, "data"))), label: order.label };
  } catch (error) {
    const code = error instanceof CotrainError ? error.code : "";
    const words = error instanceof Error ? error.message : "";
    const isClosed =
      (code === "PROVIDER_CAPACITY" || (code === "PROVIDER_REFUSED" && !isLeasing)) &&
      (await close(api, dseq).then(saysClosed, () => false));
    throw isClosed ? error : providerError("ambiguous", TITLE, words, { instance: dseq });
  }
}

export const akashRenting: Renting = {
  ...USUAL_TERMS,
  keepsLabel: false,
  visibleWithin: 120_000,
  prepaidSeconds: HOUR,
  deposit: DEPOSIT,
  create: async (api, order) => {
    const { id, manifest } = await createdBy(TITLE, async () => {
      const deposit = dollarsOf(depositFor(order.maximumPerHour, HOUR, DEPOSIT));
      const json = { data: { sdl: sdlOf(order), runtimeLimitHours: FIRST_HOURS, deposit } };
      const made = await api({ method: "POST", path: "/v1/deployments", json, endpoint: "create", repeatable: false });
      const row = rowOf(made);
      return { id: row.requireText("data.dseq"), manifest: row.at("data.manifest") };
    });
    if (typeof manifest !== "string") throw providerError("ambiguous", TITLE, "no manifest came", { instance: id });
    return leaseOf(api, order, id, manifest);
  },
  get: (api, id) => instanceOr(TITLE, async () => instanceOf(rowOf(fieldOf(await read(api, pathOf(id)), "data")))),
  list: (api) =>
    instancesOf(
      TITLE,
      () =>
        byOffset(TITLE, async (skip) => {
          const row = rowOf(await read(api, "/v1/deployments", { skip, limit: PAGE }));
          return {
            items: listOf(row.at("data.deployments"), "deployments"),
            total: row.requireWhole("data.pagination.total"),
          };
        }),
      instanceOf,
    ),
  terminate: (api, id) => terminatedBy(async () => (saysClosed(await close(api, id)) ? "accepted" : "not yet")),
  bill: async (api, { id }) => {
    const answer = rowOf(await read(api, pathOf(id)));
    let sum: MicroUsd | undefined;
    for (const paid of answer.list("data.escrow_account.state.transferred"))
      // uact is a millionth of a dollar.
      if (paid.text("denom") === "uact") sum = (sum ?? 0n) + (paid.money("amount", "uact") ?? 0n);
    return sum;
  },
  owner: async (api) => rowOf(await read(api, "/v1/user/me")).requireText("data.userId"),
  // The new total, which cannot be lowered: what is sent twice is refused, so that it is sent once.
  extend: async (api, id, _, total) => {
    const json = { data: { runtimeLimitHours: total } };
    await api({ method: "PATCH", path: settingsOf(id), json, endpoint: "create", repeatable: false });
  },
};
