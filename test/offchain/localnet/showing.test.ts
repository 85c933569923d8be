/** When a session shows a dispute, and that it waits for it, with stand-ins for the chain and for what is played. */
import { afterEach, expect, test, vi } from "vitest";

import { createManualClock, passTime } from "../manualClock.ts";
import type { LocalModel, ParamsDecision, ProposalProgress } from "../../../offchain/src/localnet/owners.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import { SHOWN_WINDOW } from "../../../offchain/src/localnet/players.ts";
import { runSession, SETTLE_MS } from "../../../offchain/src/localnet/session.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { fakeRun } from "./fakeRun.ts";

const stand = vi.hoisted(() => ({
  /** How the decision ends. */
  decided: {} as Partial<ProposalProgress>,
  /** What it was told, in this order. */
  calls: [] as string[],
  now: (): number => 0,
  /** When it was told first that the session rests, ms of the clock. */
  restedAt: Infinity,
  /** Looks at rest until it is over. */
  takes: 3,
}));
vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  // No file is what these tests are about.
  lossKeeper: () => async () => undefined,
}));
vi.mock("../../../offchain/src/localnet/owners.ts", async (original) => ({
  ...(await original<object>()),
  claimAll: async () => new Map([["worker-1", { amount: 1n, transaction: "0x1" }]]),
  decide: async (_model: object, { title }: ParamsDecision, told: (progress: object) => void) =>
    told({ ...stand.decided, title }),
  executedMeanwhile: async () => undefined,
}));
vi.mock("../../../offchain/src/localnet/dispute.ts", () => ({
  followDispute: () => ({
    begin: () => void stand.calls.push("ready"),
    rest: () => {
      stand.calls.push("rest");
      stand.restedAt = Math.min(stand.restedAt, stand.now());
    },
    waitsFor: () => (stand.calls.filter((call) => call === "rest").length < stand.takes ? ["the dispute"] : []),
    seen: () => ({ vote: { voters: 1, for: 0n, against: 1n } }),
    why: () => undefined,
  }),
}));
afterEach(() => void Object.assign(stand, { decided: {}, calls: [], takes: 3, restedAt: Infinity }));

/** A session of a minute. @param anchoredAfter ms after the last round's close until its checkpoint is on-chain */
async function session({ players = true, vote = false, anchoredAfter = 0, usualWindow = false } = {}) {
  const clock = createManualClock();
  stand.now = () => clock.monotonic();
  const run = fakeRun(clock, (round) => ({
    innerSteps: 1,
    anchored: { round: clock.monotonic() >= run.closedAt() + anchoredAfter ? round : round - 1 },
    loss: { heldOut: { round }, heldOutFirst: { round: 0 } },
  }));
  const signal = new AbortController().signal;
  const reader = {
    headsSince: async () => [{ round: Infinity, anchoredAt: 0 }],
    epochOf: async () => 1,
    activeRoot: async () => ({ epoch: 1 }),
  };
  const prepared = {
    local: true,
    lost: signal,
    preset: "0.1m",
    definition: { sequence: 128 },
    coordinator: run.coordinator,
    reader,
    owners: [],
    players: players ? {} : undefined,
    window: players && !usualWindow ? SHOWN_WINDOW : 4,
  };
  const said: string[] = [];
  const model = { clock, signal, owners: [], announce: () => undefined } as unknown as LocalModel;
  const display = {
    update: ({ activity }: { activity?: string }) => activity && stand.calls.push(activity),
    announce: () => undefined,
    say: (lines: readonly string[]) => said.push(...lines),
    withdraw: () => undefined,
  };
  const options = { goal: 60_000, vote, logger: silentLogger() };
  const ended = await passTime(clock, runSession(prepared as unknown as Prepared, model, display, options));
  const after = stand.calls.slice(stand.calls.indexOf("Showing a dispute"));
  return { ended, said, after, adds: clock.monotonic() - run.closedAt(), closedAt: run.closedAt() };
}

test("without being asked to, a session shows none and says nothing of it", async () => {
  const { ended, said } = await session({ players: false });
  expect([ended.dispute, said]).toEqual([undefined, []]);
  expect(stand.calls).not.toContain("Showing a dispute");
});

test("one that shows a dispute says that it is played, and shows it when nothing is trained any more", async () => {
  const { ended, said, after } = await session();
  expect(said).toEqual([expect.stringContaining("plays a corrupt coordinator and validators (--demo dispute)")]);
  expect(after.filter((call) => call === "rest")).toHaveLength(stand.takes);
  expect(stand.calls.indexOf("rest")).toBeGreaterThan(stand.calls.indexOf("Showing a dispute"));
  expect(after).toContain("Settling");
  expect(after.lastIndexOf("rest")).toBeLessThan(after.indexOf("Settling"));
  expect(ended.dispute).toEqual({ play: { vote: { voters: 1, for: 0n, against: 1n } }, why: undefined });
});

test("in a model with the usual window it says that the false root may pay", async () => {
  const { said } = await session({ usualWindow: true });
  expect(said[1]).toContain("window of this directory's model is 4 seconds");
});

test("it makes ready while the session trains, and where there is a vote once that is carried out", async () => {
  await session();
  expect(stand.calls.slice(0, stand.calls.indexOf("Showing a dispute"))).toContain("ready");
  stand.calls = [];
  Object.assign(stand, { decided: { state: "queued" } });
  await session({ vote: true });
  expect(stand.calls.slice(0, stand.calls.indexOf("Showing a dispute"))).not.toContain("ready");
  Object.assign(stand, { calls: [], decided: { state: "executed", executed: "0x2", innerSteps: 0 } });
  await session({ vote: true });
  expect(stand.calls.slice(0, stand.calls.indexOf("Showing a dispute"))).toContain("ready");
});

test("the root that is due next pays for the last checkpoint: until that is on-chain nothing is falsified", async () => {
  const { closedAt } = await session({ anchoredAfter: 20_000 });
  expect(stand.restedAt - closedAt).toBeGreaterThanOrEqual(20_000);
  expect(stand.restedAt - closedAt).toBeLessThan(22_000);
});

test("a dispute that comes to no end is waited for no longer than two and a half minutes", async () => {
  stand.takes = Infinity;
  const { adds, after } = await session();
  expect(adds).toBeGreaterThanOrEqual(150_000);
  expect(adds).toBeLessThanOrEqual(150_000 + SETTLE_MS + (SHOWN_WINDOW - 4) * 1_000 + 2_000);
  expect(after).toContain("Settling");
});
