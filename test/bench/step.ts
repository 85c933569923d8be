/** The inner step beside the runtime's own peak in the same run, and its bits over repeats and threads. */
import { presetOf } from "../../offchain/src/engine/index.ts";
import { benchmarkStep, exactness, gemmPeak, productFlops } from "./engine.ts";
import { type BenchOptions, percent, type Row, whole } from "./report.ts";

const PRESETS = ["1m", "3.5m", "20m"] as const;
/** d_model 256, which the goal speaks of. */
const GOAL = "3.5m";

/** Peak and steps are measured in turns, so that a neighbour on the machine disturbs both alike. */
export async function benchmarkSteps({ quick, note }: BenchOptions): Promise<Row[]> {
  const seconds = quick ? 1 : 4;
  const rounds = quick ? 1 : 3;
  const rows: Row[] = [];
  for (const threads of [1, 2]) {
    for (const preset of PRESETS) {
      note(`${preset} beside a bare product, ${threads} threads`);
      const shares: number[] = [];
      const cpuShares: number[] = [];
      const speeds: number[] = [];
      const peaks: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const before = await gemmPeak(threads, seconds / 2);
        const step = await benchmarkStep(preset, threads, seconds);
        const after = await gemmPeak(threads, seconds / 2);
        const peak = (before.gflops + after.gflops) / 2;
        shares.push(step.gflops / peak);
        cpuShares.push((2 * step.gflopsPerCpuSecond) / (before.gflopsPerCpuSecond + after.gflopsPerCpuSecond));
        speeds.push(step.tokensPerSecond);
        peaks.push(peak);
      }
      const share = median(shares);
      const { model, microBatch } = presetOf(preset);
      const flops = productFlops(model, microBatch) / (microBatch * model.sequence);
      rows.push({
        what: `engine alone, ${preset} (d_model ${model.width}), ${threads} thread${threads > 1 ? "s" : ""}: share of the GEMM peak`,
        result: `${percent(share)} (${percent(median(cpuShares))} per processor second): ${whole((median(speeds) * flops) / 1e9)} of ${whole(median(peaks))} GFLOP/s, ${whole(median(speeds))} tokens/s`,
        ...(preset === GOAL ? { goal: "≥ 60%", met: share >= 0.6 } : {}),
      });
    }
  }
  return rows;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Digest of the whole state after three steps, twice on each number of threads. */
export async function benchmarkExactness({ quick, note }: BenchOptions): Promise<Row[]> {
  const presets = quick ? (["1m"] as const) : PRESETS;
  const rows: Row[] = [];
  for (const preset of presets) {
    note(`digests of ${preset} from repeated runs`);
    const runs = [await exactness(preset), await exactness(preset)];
    // Where threads differ, it matters whether it is the number of threads or the run.
    const byThreads = (threads: number): string[] => [
      ...new Set(runs.flatMap(({ digests }) => digests.get(threads) ?? [])),
    ];
    const counts = [...(runs[0]?.digests.keys() ?? [])];
    const describe = (chosen: readonly number[]): Row => {
      const groups = Map.groupBy(chosen, (threads) => byThreads(threads).join(" and "));
      const different = [...groups].map(([digest, threads]) => `${digest.slice(0, 10)} on ${threads.join(", ")}`);
      const same = groups.size === 1 && chosen.every((threads) => byThreads(threads).length === 1);
      return {
        what: `digests of ${preset}'s state after 3 steps, two runs each on ${chosen.join(", ")} threads`,
        goal: "identical",
        result: same ? `identical, ${[...groups.keys()][0]?.slice(0, 10)}…` : different.join("; "),
        met: same,
      };
    };
    rows.push(describe(counts.filter((threads) => threads <= 2)), describe(counts));
  }
  return rows;
}
