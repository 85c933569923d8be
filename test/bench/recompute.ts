/** What it costs and saves to compute activations again: both programs in turns, each in a process of its own. */
import { presetOf, stepSize } from "../../offchain/src/engine/index.ts";
import { benchmarkStep } from "./engine.ts";
import { type BenchOptions, mebibytes, percent, type Row } from "./report.ts";

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

export async function benchmarkRecompute({ quick, note }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const preset of ["3.5m", "20m"] as const) {
    note(`${preset} with activations kept and computed again`);
    const times: number[] = [];
    const resident: Record<"kept" | "again", number[]> = { kept: [], again: [] };
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const kept = await benchmarkStep(preset, 1, quick ? 1 : 4, { recompute: false });
      const again = await benchmarkStep(preset, 1, quick ? 1 : 4, { recompute: true });
      times.push(again.cpuMillisecondsPerStep / kept.cpuMillisecondsPerStep);
      resident.kept.push(kept.resident);
      resident.again.push(again.resident);
    }
    const counted = (recompute: boolean): number => {
      const { model, microBatch } = presetOf(preset);
      return stepSize(model, { microBatch, recompute }).memory.total;
    };
    rows.push({
      what: `${preset}, activations computed again: processor time of a step, memory of its process (counted for its tensors)`,
      result:
        `${percent(median(times))} of the time; ${mebibytes(median(resident.again))} instead of ${mebibytes(median(resident.kept))} ` +
        `(${mebibytes(counted(true))} instead of ${mebibytes(counted(false))})`,
    });
  }
  return rows;
}
