/** What is done for the wallets of a run that stays up after its session, with stand-ins for the chain. */
import { afterEach, expect, test, vi } from "vitest";

import type { LocalModel } from "../../../offchain/src/localnet/owners.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import { claimAtRest } from "../../../offchain/src/localnet/resting.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { createManualClock, passTime } from "../manualClock.ts";

const stand = vi.hoisted(() => ({ made: [] as string[], fails: false }));
vi.mock("../../../offchain/src/localnet/owners.ts", async (original) => ({
  ...(await original<object>()),
  claimAll: async ({ announce }: LocalModel) => {
    stand.made.push("claim");
    if (stand.fails) throw new Error("the chain is away");
    announce("newest claim: 700.00 shares by 1 wallet", "claims");
    return new Map();
  },
}));
vi.mock("../../../offchain/src/localnet/code.ts", () => ({
  followGrant: () => ({
    look: async (last = false) => void stand.made.push(last ? "grant, last" : "grant"),
    seek: () => undefined,
  }),
}));
vi.mock("../../../offchain/src/localnet/revenue.ts", () => ({
  followRevenue: () => ({
    pay: async () => void stand.made.push("payment"),
    claim: async () => void stand.made.push("revenue"),
    why: () => undefined,
  }),
}));
afterEach(() => void Object.assign(stand, { made: [], fails: false }));

/** A run at rest for half a minute. @returns what was told */
async function atRest(more: object): Promise<string[]> {
  const clock = createManualClock();
  const ending = new AbortController();
  const told: string[] = [];
  const announce = (line: string) => told.push(line);
  const model = { clock, signal: ending.signal, owners: [], announce } as unknown as LocalModel;
  const prepared = { local: true, owners: [], contributors: { author: {}, customer: {} }, ...more };
  void clock.sleep(30_000, ending.signal).then(() => ending.abort(new Error("stopped")));
  await passTime(clock, claimAtRest(prepared as unknown as Prepared, model, silentLogger()));
  return told;
}

test("what becomes due while a run stays up is claimed and told, and nothing else is done", async () => {
  const told = await atRest({});
  expect(told).toContain("newest claim: 700.00 shares by 1 wallet");
  expect(new Set(stand.made)).toEqual(new Set(["claim", "revenue", "grant"]));
  expect(stand.made.filter((each) => each === "claim").length).toBeGreaterThan(3);
});

test("a claim that fails keeps nobody from the others, and is tried again", async () => {
  stand.fails = true;
  await atRest({});
  expect(stand.made.slice(0, 4)).toEqual(["claim", "revenue", "grant", "claim"]);
});

test.each([
  ["without wallets beside the owners only these claim", { contributors: undefined }, ["claim"]],
  ["where a claim costs money nothing is sent", { local: false }, []],
])("%s", async (_, more, made) => {
  await atRest(more);
  expect([...new Set(stand.made)]).toEqual(made);
});
