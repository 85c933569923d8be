/**
 * The inner step on every device that this machine has, beside the CPU in the same run; with products in fp16 where a GPU multiplies
 * so; and what it takes to bring parameters and state to where they are hashed.
 */
import { CotrainError } from "@cotrain/sdk/errors";

import { type Device, takesHalf } from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { benchmarkStep, type StepBenchmark } from "./engine.ts";
import { type BenchOptions, percent, type Row, whole } from "./report.ts";

const PRESETS = ["0.1m", "1m", "20m"] as const;

export async function benchmarkDevices({ quick, note }: BenchOptions): Promise<Row[]> {
  const seconds = quick ? 1 : 5;
  const rows: Row[] = [];
  for (const device of [devices.wasm, devices.webgpu, devices.cuda] satisfies Device[]) {
    const precisions = (await takesHalf(device)) ? (["fp32", "fp16"] as const) : (["fp32"] as const);
    try {
      for (const preset of quick ? (["0.1m"] as const) : PRESETS) {
        for (const threads of [1, 2].filter((count) => count <= device.threads())) {
          const beside = `${preset}, ${threads} thread${threads > 1 ? "s" : ""}`;
          note(`${beside}: ${device.name} beside the CPU`);
          const before = await benchmarkStep(preset, threads, seconds);
          for (const precision of precisions) {
            const own = await benchmarkStep(preset, threads, seconds, { device, precision });
            const after = await benchmarkStep(preset, threads, seconds);
            const name = precision === "fp16" ? `${device.name} in fp16` : device.name;
            rows.push({ what: `${beside}: ${name} over cpu`, result: compared(own, before, after) });
          }
        }
      }
    } catch (error) {
      // One that is missing is missing for every preset.
      if (!(error instanceof CotrainError)) throw error;
      rows.push({ what: `${device.name} over cpu`, result: error.message });
    }
  }
  return rows;
}

function compared(own: StepBenchmark, before: StepBenchmark, after: StepBenchmark): string {
  const mean = (of: (each: StepBenchmark) => number): number => (of(before) + of(after)) / 2;
  const speed = mean((each) => each.tokensPerSecond);
  const share = percent(own.tokensPerSecond / speed, 1);
  const perSecond = percent(mean((each) => each.cpuMillisecondsPerStep) / own.cpuMillisecondsPerStep, 1);
  const hashing = `${own.digestMilliseconds.toFixed(1)} ms to bring its state down and hash it (cpu ${mean((each) => each.digestMilliseconds).toFixed(1)}), ${own.millisecondsPerStep.toFixed(1)} a step`;
  return `${share} (${perSecond} per processor second): ${whole(own.tokensPerSecond)} of ${whole(speed)} tokens/s; ${hashing}`;
}
