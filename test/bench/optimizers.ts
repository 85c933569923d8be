/** The inner step with each optimizer beside AdamW, all in turns: time, processor time, numbers of state. */
import { presetOf, stateElements, tensorSpecs } from "../../offchain/src/engine/index.ts";
import { benchmarkStep } from "./engine.ts";
import { optimizers } from "./likeness.ts";
import { type BenchOptions, median, percent, type Row } from "./report.ts";

export async function benchmarkOptimizers({ quick, note }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const preset of quick ? (["0.1m"] as const) : (["1m", "20m"] as const)) {
    const { model } = presetOf(preset);
    const tensors = tensorSpecs(model);
    const ratios = { sgd: [] as Ratio[], muon: [] as Ratio[] };
    note(`${preset} with each optimizer`);
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const seconds = quick ? 1 : 4;
      const adamw = await benchmarkStep(preset, 1, seconds, { optimizer: optimizers.adamw });
      for (const kind of ["sgd", "muon"] as const) {
        const own = await benchmarkStep(preset, 1, seconds, { optimizer: optimizers[kind] });
        ratios[kind].push({
          time: own.millisecondsPerStep / adamw.millisecondsPerStep,
          processor: own.cpuMillisecondsPerStep / adamw.cpuMillisecondsPerStep,
        });
      }
    }
    for (const kind of ["sgd", "muon"] as const) {
      const [time, processor] = (["time", "processor"] as const).map((of) =>
        median(ratios[kind].map((each) => each[of])),
      );
      const state = stateElements(optimizers[kind], tensors) / stateElements(optimizers.adamw, tensors);
      rows.push({
        what: `${preset}, 1 thread: a step with ${kind} over one with adamw`,
        result: `${percent(time!)} of the time, ${percent(processor!)} of the processor's; ${percent(state)} of the state`,
      });
    }
  }
  return rows;
}

interface Ratio {
  readonly time: number;
  readonly processor: number;
}
