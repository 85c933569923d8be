/** From which round on a session says that a decision is in force, with stand-ins for chain and coordinator. */
import { expect, test, vi } from "vitest";

import { createManualClock, passTime } from "../manualClock.ts";
import type { LocalModel, ParamsDecision, ProposalProgress } from "../../../offchain/src/localnet/owners.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import { runSession } from "../../../offchain/src/localnet/session.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { fakeRun, params, ROUND_MS } from "./fakeRun.ts";

const stand = vi.hoisted(() => ({ innerSteps: 0, progress: ((): void => undefined) as (change: object) => void }));
vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  // No file is what these tests are about.
  lossKeeper: () => async () => undefined,
}));
vi.mock("../../../offchain/src/localnet/owners.ts", async (original) => ({
  ...(await original<object>()),
  claimAll: async () => new Map([["worker-1", { amount: 1n, transaction: "0x1" }]]),
  decide: async (_model: object, { params }: ParamsDecision, progress: (decision: object) => void) => {
    stand.innerSteps = params.innerSteps;
    stand.progress = (change) => progress({ ...params, ...change });
  },
}));

/** A round takes ten seconds; a parameter counts from the first round that opens after it was executed. */
async function appliedIn(executedAt: number): Promise<number | undefined> {
  const clock = createManualClock();
  const { coordinator } = fakeRun(clock, (round) => {
    if (clock.monotonic() >= executedAt) stand.progress({ executed: "0x2" } satisfies Partial<ProposalProgress>);
    return {
      innerSteps: round * ROUND_MS >= executedAt ? stand.innerSteps : params.innerSteps,
      anchored: null,
      loss: { heldOut: null, heldOutFirst: null },
    };
  });
  const signal = new AbortController().signal;
  const prepared = { local: true, window: 4, lost: signal, preset: "0.1m", definition: { sequence: 128 }, coordinator };
  const model = { clock, signal, owners: [], announce: () => undefined } as unknown as LocalModel;
  const display = {
    update: () => undefined,
    announce: () => undefined,
    say: () => undefined,
    withdraw: () => undefined,
  };
  const options = { goal: 100_000, vote: true, logger: silentLogger() };
  const session = await passTime(clock, runSession(prepared as unknown as Prepared, model, display, options));
  return session.appliedInRound;
}

// Rounds are counted from 1: what is open from 30 s on is the fourth.
test.each([
  [22_000, 4],
  [30_000, 4],
  [30_500, 5],
  [1_000_000, undefined],
])("a decision that was executed after %i ms is in force from round %s on", async (executedAt, round) => {
  expect(await appliedIn(executedAt)).toBe(round);
});
