/** Many inner steps in one call beside as many calls: in turns, in one process, by the clock and by the processor. */
import ort from "onnxruntime-node";

import { buildPrograms, initialParameters, presetOf } from "../../offchain/src/engine/index.ts";
import { openEngine } from "../../offchain/src/engine/openEngine.ts";
import { sessionOptions } from "../../offchain/src/engine/runtime/node/cpu.ts";
import { onnxRuntime } from "../../offchain/src/engine/runtime/onnxRuntime.ts";
import type { Blocks } from "../../offchain/src/engine/runtime/port.ts";
import { type BenchOptions, median, percent, type Row } from "./report.ts";
import { ownTime } from "./timed.ts";

/** Of one call. */
const STEPS = 32;

const runtime = (blocks?: Blocks) =>
  onnxRuntime({
    ort,
    availableMemory: () => 2 ** 34,
    cpuTime: ownTime,
    blocks,
    writesInPlace: true,
    sessionOptions,
  });

async function compared(preset: string, threads: number, rounds: number): Promise<Row> {
  const { model, microBatch } = presetOf(preset);
  const { step } = buildPrograms(model, { microBatch });
  const tokens = Int32Array.from(
    { length: STEPS * microBatch * (model.sequence + 1) },
    (_, i) => (i * 31) % model.vocabulary,
  );
  const opened = async (blocks?: Blocks) => {
    const engine = await openEngine({ programs: { step: step.bytes }, threads }, runtime(blocks));
    await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
    // The first call of a loop has one step.
    await engine.train({ tokens: tokens.slice(0, tokens.length / STEPS), learningRate: 1e-4 });
    const measure = async () => {
      const [startedAt, before] = [performance.now(), ownTime()];
      await engine.train({ tokens, learningRate: 1e-4 });
      return { elapsed: performance.now() - startedAt, taken: ownTime() - before };
    };
    return { engine, measure };
  };
  const calls = await opened();
  const loop = await opened({ ms: Infinity, memory: Infinity });
  const [elapsed, taken]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const [first, second] = round % 2 === 0 ? [calls, loop] : [loop, calls];
    const [one, other] = [await first.measure(), await second.measure()];
    const [single, many] = first === calls ? [one, other] : [other, one];
    elapsed.push(many.elapsed / single.elapsed);
    taken.push(many.taken / single.taken);
  }
  const same = (await calls.engine.stateDigest()) === (await loop.engine.stateDigest());
  await calls.engine.close();
  await loop.engine.close();
  return {
    what: `${preset}, ${threads} ${threads === 1 ? "thread" : "threads"}: ${STEPS} steps in one call over ${STEPS} calls`,
    result: `${percent(median(elapsed))} of the time, ${percent(median(taken))} of the processor's; digests ${same ? "equal" : "DIFFER"}`,
  };
}

export async function benchmarkLoop({ quick, note }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const preset of ["0.1m", "1m"]) {
    for (const threads of [1, 2]) {
      note(`${preset}, ${threads} threads: steps in one call and one by one`);
      rows.push(await compared(preset, threads, quick ? 4 : 15));
    }
  }
  return rows;
}
