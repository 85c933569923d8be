/** What the coordinator measures for the loss gate: of a state that is no number, in the passes of a round, and what its log says. */
import {
  asDigest,
  commitmentLeaves,
  EXACT_SEGMENT_STEPS,
  outcomeCode,
  type ReceiptsFile,
  type ScreeningFile,
  type ScreeningRules,
  weightingCode,
} from "@cotrain/sdk/protocol";
import { describe, expect, it, onTestFinished } from "vitest";

import type { Run } from "../../../offchain/src/coordinator/index.ts";
import { lossOf } from "../../../offchain/src/coordinator/screening.ts";
import { passHolds } from "../../../offchain/src/diloco/index.ts";
import { problemOfScreening } from "../../../offchain/src/run/index.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { readManifest } from "../../../offchain/src/storage/index.ts";
import { openHarness, params, until } from "./harness.ts";

let measured = 0;
let kept = 0;
const loss = async (parameters: readonly Float32Array[]): Promise<number> => {
  measured += 1;
  kept = parameters.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  return 1_000_000;
};
const run = { gate: { loss } } as unknown as Run;
const good = { params: Float32Array.of(1, 2), outer: Float32Array.of(0, 0) };

// foundation 2
describe("a next checkpoint that is not finite", () => {
  it.each([
    ["NaN among its parameters", [good, { ...good, params: Float32Array.of(1, Number.NaN) }]],
    ["an infinite parameter", [{ ...good, params: Float32Array.of(-Infinity, 1) }, good]],
    ["an outer state that overflowed", [good, { ...good, outer: Float32Array.of(0, Infinity) }]],
  ])("with %s has no loss, is not even measured, and does not stand", async (_, states) => {
    measured = 0;
    const loss = await lossOf(run, states, [0]);
    expect({ loss, measured }).toEqual({ loss: null, measured: 0 });
    expect(passHolds(1_000_000, loss, { gateBound: 2 ** 32 - 1 })).toBe(false);
  });

  it("is told from one that is", async () => {
    expect(await lossOf(run, [good, good], [0])).toBe(1_000_000);
  });

  it("is told from one whose outer state is not there any more when it is measured", async () => {
    const shard = new Float32Array(4);
    await lossOf(run, [{ params: shard.subarray(0, 2), outer: shard.subarray(2) }], [0]);
    expect(kept).toBe(8);
  });
});

interface Played {
  readonly screening?: Partial<ScreeningRules>;
  readonly weighting?: number;
  /** Those of the first worker; default all of its assignment, as the second takes. */
  readonly steps?: number;
}

/** Rounds of two whose losses are these, one after the other; of each its gate, outcomes and what a verifier says of its record. */
async function gated(losses: readonly number[], rounds = 1, { screening = {}, weighting = 0, steps }: Played = {}) {
  let asked = 0;
  const told: string[] = [];
  const logger = silentLogger();
  logger.warn = (...said: unknown[]): void => void told.push(String(said.at(-1)));
  const of = await openHarness({
    logger,
    screening,
    params: { weighting, rampRounds: 0 },
    loss: () => losses[asked++] ?? NaN,
  });
  onTestFinished(() => of.close());
  const workers = ["31", "32"].map((key) => of.worker(key)).toSorted((a, b) => (a.address < b.address ? -1 : 1));
  for (const worker of workers) await worker.join();
  const read = async <T>(digest: string | null): Promise<T> =>
    JSON.parse(new TextDecoder().decode(await of.blobs.get(asDigest(digest ?? ""), 1 << 20))) as T;
  const past: ScreeningFile[] = [];
  const problems: string[] = [];
  for (let round = 1; round <= rounds; round++) {
    // Who has trained a part alone hands it in once half of the time is over.
    const sent = await Promise.all(workers.map(async (worker) => worker.prepare(await worker.assigned())));
    for (let seconds = 0; seconds < (steps === undefined ? 0 : 40); seconds += 10) {
      await of.clock.advance(10_000);
      for (const worker of workers) await worker.work();
    }
    for (const [i, worker] of workers.entries()) {
      const prepared = sent[i]!;
      const own = i === 0 && steps !== undefined ? { steps, leaves: commitmentLeaves(steps, EXACT_SEGMENT_STEPS) } : {};
      await worker.upload(prepared);
      await worker.submit({ ...prepared, receipt: { ...prepared.receipt, ...own } });
    }
    await until(() => of.run.driver.state.round === round, "the round's end");
    const manifest = await readManifest(of.blobs, of.run.driver.state.checkpoint.digest);
    const file = await read<ScreeningFile>(manifest.screening);
    const receipts = await read<ReceiptsFile>(manifest.receipts);
    const { definition } = of.run;
    const due = { ...params, weighting };
    problems.push(problemOfScreening({ definition, params: due, paramsVersion: 1, file, receipts, past: [...past] }));
    past.unshift(file);
  }
  const [newest] = past;
  const outcomes = newest!.workers.map(({ outcome }) => outcome);
  return { gate: newest!.gate, outcomes, problems, asked, told };
}

describe("a round that does not hold at once", () => {
  const { aggregated, lossHarm, roundDiscarded } = outcomeCode;

  // foundation 2
  it("is held against one loss of its checkpoint in all passes, also where that has none", async () => {
    // The checkpoint's, the aggregate's and the momentum's are none. Another machine would measure one of the checkpoint.
    const { gate, asked } = await gated([Infinity, Infinity, Infinity, 1, 1]);
    expect(gate).toMatchObject({
      before: null,
      passes: [
        { after: null, tried: [{ count: 0, loss: null }] },
        { after: 1_000_000, tried: [] },
      ],
    });
    expect(asked).toBe(4);
  });

  it.each([
    [
      "goes on without its momentum, which alone would raise the held-out loss",
      [1, 9, 9, 1],
      [aggregated, aggregated],
      "a round goes on without its momentum, which alone would raise the held-out loss",
    ],
    [
      "goes on without who does harm",
      [1, 9, 1, 9, 1, 1],
      [lossHarm, aggregated],
      "payloads that would raise the held-out loss are left out of a round",
    ],
    [
      "is discarded",
      [1, 9, 1, 9, 9],
      [roundDiscarded, roundDiscarded],
      "a round that would raise the held-out loss is discarded, with nobody to blame",
    ],
  ])("is told as one that %s", async (_, losses, outcomes, what) => {
    expect(await gated(losses)).toMatchObject({ outcomes, asked: losses.length, told: [what], problems: [""] });
  });

  // foundation 2
  it("after one that was discarded is searched beyond the losses that a round may take, as its record is read", async () => {
    // Two losses find nobody alone: of two that weigh alike neither is to blame for the sum. A round later all are taken that it takes.
    const first = [1, 9, 1, 9, 9];
    const second = [1, 9, 1, 9, 1, 1];
    const { gate, outcomes, problems, asked } = await gated([...first, ...second], 2, { screening: { gateTrials: 2 } });
    expect(gate.passes[0]!.tried.map(({ count, without }) => [count, without])).toEqual([
      [0, false],
      [1, false],
      [1, false],
    ]);
    expect({ outcomes, problems, asked }).toEqual({ outcomes: [lossHarm, aggregated], problems: ["", ""], asked: 11 });
  });

  // foundation 2
  it.each(Object.entries(weightingCode))("is searched by what payloads weigh: %s", async (name, weighting) => {
    // Without the first the others are far better off, and it does harm alone: it is to blame where it has less than half of all weight.
    const losses = [2, 2.06, 2, 2.01, 2.01, 1.9, 2.05, 2.5, 1];
    const light = name === "tokens";
    const { outcomes, problems, asked } = await gated(losses, 1, { weighting, steps: 4, screening: { copySteps: 4 } });
    expect({ outcomes, problems, asked }).toEqual({
      outcomes: light ? [lossHarm, aggregated] : [roundDiscarded, roundDiscarded],
      problems: [""],
      asked: light ? losses.length : 7,
    });
  });
});
