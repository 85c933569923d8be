/** From which round on a session says that a decision is in force, with stand-ins for chain and coordinator. */
import { defaultRunParams, type RunView, runParamsToWire } from "@cotrain/sdk/protocol";
import { expect, test, vi } from "vitest";

import { createManualClock, passTime } from "../manualClock.ts";
import type { LocalModel, ParamsDecision, ProposalProgress } from "../../../offchain/src/localnet/owners.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import { runSession } from "../../../offchain/src/localnet/session.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";

const stand = vi.hoisted(() => ({ innerSteps: 0, progress: ((): void => undefined) as (change: object) => void }));
vi.mock("../../../offchain/src/localnet/owners.ts", async (original) => ({
  ...(await original<object>()),
  claimAll: async () => new Map([["worker-1", { amount: 1n, transaction: "0x1" }]]),
  decide: async (_model: object, { params }: ParamsDecision, progress: (decision: object) => void) => {
    stand.innerSteps = params.innerSteps;
    stand.progress = (change) => progress({ ...params, ...change });
  },
}));

const params = runParamsToWire(defaultRunParams);

/** A round takes ten seconds; a parameter counts from the first round that opens after it was executed. */
async function appliedIn(executedAt: number): Promise<number | undefined> {
  const clock = createManualClock();
  let closed = Infinity;
  const run = async (): Promise<RunView> => {
    const now = clock.monotonic();
    if (now >= executedAt) stand.progress({ executed: "0x2" } satisfies Partial<ProposalProgress>);
    const round = Math.floor(Math.min(now, closed) / 10_000);
    const innerSteps = round * 10_000 >= executedAt ? stand.innerSteps : params.innerSteps;
    const current = now < closed ? { round, innerSteps, assigned: 3, received: 2 } : null;
    return {
      round,
      current,
      params,
      paramsVersion: 1,
      tokens: "0",
      phase: current ? "Training" : "Paused",
      checkpoint: { round },
      anchored: null,
      loss: { heldOut: null, heldOutFirst: null },
    } as unknown as RunView;
  };
  const control = async () => {
    closed = clock.monotonic() + 1_000;
    return { accepted: true };
  };
  const signal = new AbortController().signal;
  const prepared = { local: true, lost: signal, preset: "0.1m", coordinator: { run, control } };
  const model = { clock, signal, owners: [], announce: () => undefined } as unknown as LocalModel;
  const display = { update: () => undefined, announce: () => undefined, say: () => undefined };
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
