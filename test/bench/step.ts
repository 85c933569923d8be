/**
 * The inner step beside the runtime's own peak and beside its own products alone, in the same run; and its bits over repeats and
 * threads.
 */
import { presetOf } from "../../offchain/src/engine/index.ts";
import { benchmarkStep, exactness, gemmPeak, productFlops } from "./engine.ts";
import { benchmarkProducts } from "./products.ts";
import { type BenchOptions, median, percent, type Row, times, whole } from "./report.ts";

const PRESETS = ["1m", "3.5m", "20m"] as const;
/** d_model 256, which the goal speaks of. */
const GOAL = "3.5m";
/** A step's time over that of its own products, at most. */
const OVERHEADS: Readonly<Record<(typeof PRESETS)[number], number>> = { "1m": 1.45, "3.5m": 1.25, "20m": 1.15 };

/** Peak, products and steps are measured in turns, so that a neighbour on the machine disturbs all alike. */
export async function benchmarkSteps({ quick, note }: BenchOptions): Promise<Row[]> {
  const seconds = quick ? 1 : 2;
  const rows: Row[] = [];
  for (const threads of [1, 2]) {
    for (const preset of PRESETS) {
      note(`${preset} beside bare products, ${threads} threads`);
      const turns: Turn[] = [];
      for (let round = 0; round < (quick ? 1 : 3); round++) turns.push(await turn(preset, threads, seconds));
      const middle = (of: (turn: Turn) => number): number => median(turns.map(of));
      const { model, microBatch } = presetOf(preset);
      const flops = productFlops(model, microBatch) / (microBatch * model.sequence);
      const speed = middle((each) => each.tokensPerSecond);
      const share = middle((each) => each.share);
      const what = `engine alone, ${preset} (d_model ${model.width}), ${threads} thread${threads > 1 ? "s" : ""}`;
      rows.push({
        what: `${what}: share of the GEMM peak`,
        result: `${percent(share)} (${percent(middle((each) => each.cpuShare))} per processor second): ${whole((speed * flops) / 1e9)} of ${whole(middle((each) => each.peak))} GFLOP/s, ${whole(speed)} tokens/s`,
        ...(preset === GOAL ? { goal: "≥ 60%", met: share >= 0.6 } : {}),
      });
      const overhead = middle((each) => each.overhead);
      rows.push({
        what: `${what}: a step over its own products alone`,
        goal: `≤ ${times(OVERHEADS[preset])}`,
        result: `${times(overhead)} (${times(middle((each) => each.cpuOverhead))} in processor time): ${middle((each) => each.step).toFixed(1)} of ${middle((each) => each.products).toFixed(1)} ms`,
        met: overhead <= OVERHEADS[preset],
      });
    }
  }
  return rows;
}

type Turn = Readonly<
  Record<"share" | "cpuShare" | "tokensPerSecond" | "peak" | "overhead" | "cpuOverhead" | "step" | "products", number>
>;

async function turn(preset: (typeof PRESETS)[number], threads: number, seconds: number): Promise<Turn> {
  const before = await gemmPeak(threads, seconds / 2);
  const products = benchmarkProducts(preset, threads, seconds);
  const step = await benchmarkStep(preset, threads, seconds);
  const after = await gemmPeak(threads, seconds / 2);
  const peak = (before.gflops + after.gflops) / 2;
  return {
    share: step.gflops / peak,
    cpuShare: (2 * step.gflopsPerCpuSecond) / (before.gflopsPerCpuSecond + after.gflopsPerCpuSecond),
    tokensPerSecond: step.tokensPerSecond,
    peak,
    overhead: step.millisecondsPerStep / products.milliseconds,
    cpuOverhead: step.cpuMillisecondsPerStep / products.cpuMilliseconds,
    step: step.millisecondsPerStep,
    products: products.milliseconds,
  };
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
