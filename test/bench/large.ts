/** Inner steps of a model that is too large for the other sections, one sequence a step: time, and memory of the engine's process. */
import { presetOf } from "../../offchain/src/engine/index.ts";
import { benchmarkStep } from "./engine.ts";
import { type BenchOptions, mebibytes, type Row, whole } from "./report.ts";

export async function benchmarkLarge({ quick, note }: BenchOptions): Promise<Row[]> {
  const preset = quick ? "3.5m" : "150m";
  const rows: Row[] = [];
  for (const threads of [1, 2]) {
    note(`${preset}, a sequence a step, ${threads} threads`);
    const { resident, ...step } = await benchmarkStep(preset, threads, quick ? 1 : 30, { microBatch: 1 });
    const { model } = presetOf(preset);
    rows.push({
      what: `${preset}, a sequence of ${model.sequence} tokens a step, ${threads} thread${threads > 1 ? "s" : ""}`,
      result: `${(step.millisecondsPerStep / 1_000).toFixed(2)} s a step, ${step.tokensPerSecond.toFixed(1)} tokens/s, ${whole(step.gflops)} GFLOP/s in products; its process ${mebibytes(resident)}`,
    });
  }
  return rows;
}
