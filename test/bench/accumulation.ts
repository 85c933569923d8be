/** What a large batch takes as a whole and in micro-batches: memory of the engine's process, and time. */
import { buildPrograms, initialParameters, presetOf } from "../../offchain/src/engine/index.ts";
import { openEngineHost } from "../../offchain/src/engine/runtime/node/index.ts";
import { residentOf } from "./processTree.ts";
import { type BenchOptions, mebibytes, type Row, whole } from "./report.ts";

/** Three steps in a process of their own. */
async function stepsOf(preset: string, microBatch: number, accumulation: number) {
  const { model } = presetOf(preset);
  const { step } = buildPrograms(model, { microBatch, accumulation });
  const engine = await openEngineHost({ programs: { step: step.bytes }, threads: 1 });
  await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
  const size = microBatch * accumulation * (model.sequence + 1);
  const tokens = Int32Array.from({ length: 3 * size }, (_, i) => (i * 31) % model.vocabulary);
  const before = await engine.cpuTime();
  await engine.train({ tokens, learningRate: 1e-4 });
  const milliseconds = ((await engine.cpuTime()) - before) / 3;
  const { peak } = residentOf(engine.pid ?? process.pid);
  await engine.close();
  return { peak, milliseconds };
}

export async function benchmarkAccumulation({ quick, note }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [preset, microBatch, accumulation] of [
    ["1m", 8, 8] as const,
    ...(quick ? [] : [["20m", 4, 4] as const]),
  ]) {
    note(`${preset}: ${accumulation} micro-batches of ${microBatch}`);
    const one = await stepsOf(preset, microBatch, 1);
    const parts = await stepsOf(preset, microBatch, accumulation);
    const all = await stepsOf(preset, microBatch * accumulation, 1);
    const memory = `${mebibytes(parts.peak)} of ${mebibytes(all.peak)}, ${mebibytes(one.peak)} for one micro-batch`;
    const time = `${whole(parts.milliseconds)} of ${whole(all.milliseconds)} ms of processor time a step`;
    const what = `${preset}: ${accumulation} micro-batches of ${microBatch} beside all ${microBatch * accumulation} sequences at once`;
    rows.push({ what, result: `${memory}; ${time}` });
  }
  return rows;
}
