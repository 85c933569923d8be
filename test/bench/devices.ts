/** The inner step on every device that this machine has, beside the CPU in the same run. */
import { CotrainError } from "@cotrain/sdk/errors";

import type { Device } from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { benchmarkStep } from "./engine.ts";
import { type BenchOptions, percent, type Row, whole } from "./report.ts";

const PRESETS = ["0.1m", "1m", "20m"] as const;

export async function benchmarkDevices({ quick, note }: BenchOptions): Promise<Row[]> {
  const seconds = quick ? 1 : 5;
  const rows: Row[] = [];
  for (const device of [devices.wasm, devices.webgpu] satisfies Device[]) {
    for (const preset of quick ? (["0.1m"] as const) : PRESETS) {
      for (const threads of [1, 2].filter((count) => count <= device.threads())) {
        note(`${preset} on ${device.name} beside the CPU, ${threads} thread${threads > 1 ? "s" : ""}`);
        const what = `${preset}, ${threads} thread${threads > 1 ? "s" : ""}: ${device.name} over cpu`;
        try {
          const before = await benchmarkStep(preset, threads, seconds);
          const own = await benchmarkStep(preset, threads, seconds, { device });
          const after = await benchmarkStep(preset, threads, seconds);
          const mean = (before.tokensPerSecond + after.tokensPerSecond) / 2;
          const cpuTime = (before.cpuMillisecondsPerStep + after.cpuMillisecondsPerStep) / 2;
          const share = percent(own.tokensPerSecond / mean, 1);
          const perSecond = percent(cpuTime / own.cpuMillisecondsPerStep, 1);
          rows.push({
            what,
            result: `${share} (${perSecond} per processor second): ${whole(own.tokensPerSecond)} of ${whole(mean)} tokens/s`,
          });
        } catch (error) {
          if (!(error instanceof CotrainError)) throw error;
          rows.push({ what, result: error.message });
        }
      }
    }
  }
  return rows;
}
