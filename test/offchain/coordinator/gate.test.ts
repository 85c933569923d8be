/** What the coordinator measures for the loss gate: of a state that is no number, in the passes of a round, and what its log says. */
import { asDigest, outcomeCode, type ScreeningFile } from "@cotrain/sdk/protocol";
import { describe, expect, it, onTestFinished } from "vitest";

import type { Run } from "../../../offchain/src/coordinator/index.ts";
import { lossOf } from "../../../offchain/src/coordinator/screening.ts";
import { passHolds } from "../../../offchain/src/diloco/index.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { readManifest } from "../../../offchain/src/storage/index.ts";
import { openHarness, until } from "./harness.ts";

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

/** A round of two whose losses are these, one after the other. */
async function gated(losses: readonly number[]) {
  let asked = 0;
  const told: string[] = [];
  const logger = silentLogger();
  logger.warn = (...said: unknown[]): void => void told.push(String(said.at(-1)));
  const of = await openHarness({ logger, loss: () => losses[asked++] ?? NaN });
  onTestFinished(() => of.close());
  const workers = ["31", "32"].map((key) => of.worker(key)).toSorted((a, b) => (a.address < b.address ? -1 : 1));
  for (const worker of workers) await worker.join();
  for (const worker of workers) await worker.train();
  await until(() => of.run.driver.state.round === 1, "the round's end");
  const { checkpoint, outcomes } = of.run.driver.state;
  const { screening } = await readManifest(of.blobs, checkpoint.digest);
  const file = JSON.parse(new TextDecoder().decode(await of.blobs.get(asDigest(screening!), 1 << 20))) as ScreeningFile;
  return { gate: file.gate, outcomes: workers.map(({ address }) => outcomes[address]?.outcome), asked, told };
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
    expect(await gated(losses)).toMatchObject({ outcomes, asked: losses.length, told: [what] });
  });
});
