/** What a session does with its one proposal's grant, and with its purchase, with stand-ins for the chain. */
import { EmissionOverBudgetError } from "@cotrain/sdk/errors";
import { afterEach, expect, test, vi } from "vitest";

import { createManualClock, passTime } from "../manualClock.ts";
import type { LocalModel, ParamsDecision, ProposalProgress } from "../../../offchain/src/localnet/owners.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import { runSession, SETTLE_MS, UNCLAIMED } from "../../../offchain/src/localnet/session.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { fakeRun } from "./fakeRun.ts";

type Told = (progress: Partial<ProposalProgress>) => void;
const stand = vi.hoisted(() => ({
  decided: [] as ParamsDecision[],
  decide: (async () => undefined) as (decision: ParamsDecision, told: Told) => Promise<void>,
  executed: undefined as object | undefined,
  offer: {} as object,
  offers: 0,
  looks: [] as string[],
  pending: [] as string[],
  fails: false,
}));
vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  // No file is what these tests are about.
  lossKeeper: () => async () => undefined,
}));
vi.mock("../../../offchain/src/localnet/owners.ts", async (original) => ({
  ...(await original<object>()),
  claimAll: async () => new Map([["worker-1", { amount: 1n, transaction: "0x1" }]]),
  decide: async (_model: object, decision: ParamsDecision, told: (progress: object) => void) => {
    stand.decided.push(decision);
    await stand.decide(decision, (progress) => told({ ...progress, title: decision.title }));
  },
  executedMeanwhile: async (_model: object, decision: object) => stand.executed && { ...decision, ...stand.executed },
}));
vi.mock("../../../offchain/src/localnet/capital.ts", () => ({
  followPurchase: () => ({
    look: async () => {
      stand.looks.push("purchase");
      if (stand.fails) throw new Error("a settlement that reverts");
    },
    pending: () => stand.pending,
    why: () => undefined,
  }),
}));
vi.mock("../../../offchain/src/localnet/code.ts", () => ({
  offerGrant: async () => {
    stand.offers += 1;
    return stand.offer;
  },
  followGrant: () => ({
    look: async (last = false) => void stand.looks.push(last ? "grant, last" : "grant"),
    seek: () => void stand.looks.push("sought"),
  }),
}));

vi.mock("../../../offchain/src/localnet/revenue.ts", () => ({
  followRevenue: () => ({
    pay: async () => void stand.looks.push("payment"),
    claim: async () => void stand.looks.push("revenue"),
    why: () => undefined,
  }),
}));
vi.mock("../../../offchain/src/localnet/stake.ts", () => ({
  followStake: () => ({ stake: async () => void stand.looks.push("stake"), why: () => undefined }),
}));

const offered = { id: "0x9", call: { to: "0x8", data: "0x7" }, words: "50.00 shares for commit 89a309f0c2d1" };
afterEach(() => {
  Object.assign(stand, {
    decided: [],
    decide: async () => undefined,
    executed: undefined,
    offer: offered,
    offers: 0,
    looks: [],
    pending: [],
    fails: false,
  });
});
Object.assign(stand, { offer: offered });

/** A session of a minute. @returns it, what was told, and ms between the last round's close and its end */
async function session(vote = true) {
  const clock = createManualClock();
  const { coordinator, closedAt } = fakeRun(clock, (round) => ({
    innerSteps: 1,
    anchored: { round },
    loss: { heldOut: { round }, heldOutFirst: { round: 0 } },
  }));
  const signal = new AbortController().signal;
  const client = { account: { address: `0x${"a".repeat(40)}` } };
  const contributors = {
    buyer: { name: "buyer", client },
    author: { name: "author", client },
    customer: { name: "customer", client },
  };
  const reader = {
    headsSince: async () => [{ round: Infinity, anchoredAt: 0 }],
    epochOf: async () => 1,
    activeRoot: async () => ({ epoch: 1 }),
  };
  const prepared = {
    local: true,
    window: 4,
    lost: signal,
    preset: "0.1m",
    definition: { sequence: 128 },
    coordinator,
    reader,
    contributors,
    owners: [{ name: "worker-1", client }],
  };
  const told: string[] = [];
  const waited = new Set<string>();
  const model = { clock, signal, owners: [], announce: (line: string) => told.push(line) } as unknown as LocalModel;
  const update = ({ waitsFor = [] }: { waitsFor?: readonly string[] }) => waitsFor.forEach((what) => waited.add(what));
  const display = { update, announce: () => undefined, say: () => undefined, withdraw: () => undefined };
  const options = { goal: 60_000, vote, logger: silentLogger() };
  const ended = await passTime(clock, runSession(prepared as unknown as Prepared, model, display, options));
  return { ended, told, waited: [...waited], adds: clock.monotonic() - closedAt() };
}

test("the session's proposal grants shares for code beside the parameters, and says both", async () => {
  stand.decide = async (_, told) => told({ state: "executed", executed: "0x2", innerSteps: 0 });
  const { ended } = await session();
  expect(stand.decided).toHaveLength(1);
  expect(stand.decided[0]).toMatchObject({ more: [offered.call] });
  expect(stand.decided[0]?.title).toMatch(
    /^\d+ → \d+ inner steps per round, and 50\.00 shares for commit 89a309f0c2d1, proposed in round \d+$/,
  );
  // What was granted is looked for from then on.
  expect(stand.looks).toContain("sought");
  expect(ended.noCode).toBeUndefined();
});

test("a grant that there cannot be is left out, and why is kept", async () => {
  stand.offer = { why: "there is no clone" };
  stand.decide = async (_, told) => told({ state: "executed", executed: "0x2", innerSteps: 0 });
  const { ended } = await session();
  expect(stand.decided).toMatchObject([{ more: [] }]);
  expect(stand.decided[0]?.title).not.toContain("shares");
  expect(ended.noCode).toBe("there is no clone");
});

test("where the grant makes the proposal fail when it is carried out, the next one is of the parameters alone", async () => {
  const refused = new EmissionOverBudgetError([50n * 10n ** 18n, 10n ** 18n]);
  stand.decide = async ({ more }, told) => {
    if (more.length === 0) return told({ state: "executed", executed: "0x2", innerSteps: 0 });
    told({ state: "queued" });
    throw refused;
  };
  const { ended } = await session();
  expect(stand.decided.map(({ more }) => more.length)).toEqual([1, 0]);
  expect(ended).toMatchObject({ noCode: refused.message, decision: { state: "executed" } });
});

test("a proposal that fails before it is carried out, or for another reason, is made again with the grant", async () => {
  stand.decide = async (_, told) => {
    told({ state: stand.decided.length === 1 ? "active" : "queued" });
    if (stand.decided.length === 1) throw new EmissionOverBudgetError([50n * 10n ** 18n, 10n ** 18n]);
    if (stand.decided.length === 2) throw new Error("the chain was away");
  };
  await session();
  expect(stand.decided.map(({ more }) => more.length)).toEqual([1, 1, 1]);
});

test("a proposal that was carried out though nobody could tell it is not decided once more, the other way round", async () => {
  stand.decide = async (_, told) => {
    told({ state: "queued", innerSteps: 0 });
    stand.executed = { state: "executed", executed: "0x2" };
    throw new Error("the chain was away");
  };
  const { ended } = await session();
  expect(stand.decided).toHaveLength(1);
  expect(ended.decision).toMatchObject({ state: "executed", executed: "0x2" });
});

test("without a vote nothing is offered; shares are bought all the same", async () => {
  const { ended } = await session(false);
  expect([stand.decided.length, stand.offers]).toEqual([0, 0]);
  expect(ended.noCode).toMatch(/--no-vote/);
  expect(stand.looks).toContain("purchase");
});

test("a session waits for what it bought, by name, and no longer than settling takes", async () => {
  stand.pending = ["the sale of epoch 3"];
  const { adds, told, waited } = await session(false);
  expect(waited).toContain("the sale of epoch 3");
  expect(adds).toBeGreaterThanOrEqual(SETTLE_MS);
  expect(adds).toBeLessThanOrEqual(SETTLE_MS + 2_000);
  expect(told.at(-1)).toBe(UNCLAIMED);
});

test("a purchase that fails is tried again for as long as settling takes, and ends no session", async () => {
  stand.fails = true;
  const { adds, told } = await session(false);
  expect(stand.looks.filter((look) => look === "purchase").length).toBeGreaterThan(20);
  expect(adds).toBeLessThanOrEqual(SETTLE_MS + 2_000);
  expect(told.at(-1)).toBe(UNCLAIMED);
});

test("at its end a session has the author paid what is due by then", async () => {
  const { adds } = await session(false);
  expect(stand.looks.findLast((look) => look.startsWith("grant"))).toBe("grant, last");
  expect(adds).toBeLessThan(SETTLE_MS);
});

test("a customer pays once somebody holds shares, a worker stakes, and all claim what was shared until the end", async () => {
  const { adds } = await session(false);
  expect(stand.looks).toContain("payment");
  expect(stand.looks.indexOf("stake")).toBeLessThan(stand.looks.indexOf("payment"));
  expect(stand.looks.filter((look) => look === "revenue").length).toBeGreaterThan(2);
  expect(adds).toBeLessThan(SETTLE_MS);
});
