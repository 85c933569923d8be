/**
 * Speed of the inner step beside the speed of a bare product in the same runtime. Times are wall-clock; processor time
 * stands beside them, because on a machine that others use the first says little.
 *
 * Alone: node --conditions=cotrain-source test/bench/engine.ts [preset …]
 */
import "../../offchain/src/engine/runtime/node/noTelemetry.ts";
import ort from "onnxruntime-node";

import {
  buildPrograms,
  conformance,
  type Device,
  halfStep,
  initialParameters,
  presetNames,
  presetOf,
  readSignature,
  type TransformerConfig,
  type PresetName,
} from "../../offchain/src/engine/index.ts";
import type { OptimizerConfig } from "../../offchain/src/engine/optimizer.ts";
import { stepGraph } from "../../offchain/src/engine/programs.ts";
import { availableMemory, devices, openEngineHost } from "../../offchain/src/engine/runtime/node/index.ts";
import { createGraph, input, output } from "../../offchain/src/engine/graph.ts";
import { writeModel } from "../../offchain/src/engine/onnx.ts";
import { gemm } from "../../offchain/src/engine/ops.ts";
import { residentOf } from "./processTree.ts";
import { ownTime, timed } from "./timed.ts";

export interface StepBenchmark {
  readonly preset: PresetName;
  readonly threads: number;
  readonly steps: number;
  readonly tokensPerSecond: number;
  readonly millisecondsPerStep: number;
  /** Processor time of a step, all threads together. */
  readonly cpuMillisecondsPerStep: number;
  /** Products alone (forward and backward), per wall-clock second. */
  readonly gflops: number;
  /** The same per second of processor time. */
  readonly gflopsPerCpuSecond: number;
  /** Resident bytes of its process at the fullest; 0 where that cannot be read. */
  readonly resident: number;
  /** To bring parameters and state to where they are hashed, and to hash them. */
  readonly digestMilliseconds: number;
}

export interface PeakBenchmark {
  readonly threads: number;
  readonly gflops: number;
  readonly gflopsPerCpuSecond: number;
}

/** Floating-point operations of the products in one inner step: what a machine's peak can be compared with. */
export function productFlops(config: TransformerConfig, microBatch: number): number {
  const { products } = stepGraph(config, { microBatch, recompute: false }).graph;
  return products.reduce((sum, { m, n, k, batch }) => sum + 2 * m * n * k * batch, 0);
}

/** A batch of a preset. */
export function tokensOf(preset: PresetName, microBatch = presetOf(preset).microBatch): Int32Array {
  const { model } = presetOf(preset);
  return Int32Array.from({ length: microBatch * (model.sequence + 1) }, (_, i) => (i * 31) % model.vocabulary);
}

/** What a step has that is not the preset's. */
interface StepOptions {
  readonly device?: Device;
  readonly recompute?: boolean;
  readonly optimizer?: OptimizerConfig;
  readonly precision?: "fp32" | "fp16";
  readonly microBatch?: number;
}

/** Inner steps of a preset per second, in a process of their own as workers' are. */
export async function benchmarkStep(
  preset: PresetName,
  threads: number,
  seconds = 5,
  {
    device = devices.cpu,
    recompute,
    optimizer,
    precision = "fp32",
    microBatch = presetOf(preset).microBatch,
  }: StepOptions = {},
): Promise<StepBenchmark> {
  const { model } = presetOf(preset);
  const options = { microBatch, ...(recompute !== undefined && { recompute }), ...(optimizer && { optimizer }) };
  const { bytes } = precision === "fp16" ? halfStep(model, options) : buildPrograms(model, options).step;
  const engine = await device.open({ programs: { step: bytes }, threads });
  await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
  const tokens = tokensOf(preset, microBatch);
  const { calls, ...time } = await timed(
    seconds,
    () => engine.step({ tokens, learningRate: 1e-4 }),
    () => engine.cpuTime(),
  );
  const resident = process.platform === "linux" && engine.pid !== undefined ? residentOf(engine.pid).peak : 0;
  const hashing = performance.now();
  await engine.stateDigest();
  const digestMilliseconds = performance.now() - hashing;
  await engine.close();
  const flops = productFlops(model, microBatch) * calls;
  return {
    preset,
    threads,
    steps: calls,
    tokensPerSecond: (calls * microBatch * model.sequence) / time.seconds,
    millisecondsPerStep: (time.seconds * 1000) / calls,
    cpuMillisecondsPerStep: (time.cpuSeconds * 1000) / calls,
    gflops: flops / time.seconds / 1e9,
    gflopsPerCpuSecond: flops / time.cpuSeconds / 1e9,
    resident,
    digestMilliseconds,
  };
}

/** A square product of 1,024 in ONNX Runtime: what the step's products could reach at best. */
export async function gemmPeak(threads: number, seconds = 2): Promise<PeakBenchmark> {
  const size = 1024;
  const graph = createGraph("peak");
  const [a, b] = [input(graph, "a", [size, size]), input(graph, "b", [size, size])];
  output("c", gemm(a, b));
  const session = await ort.InferenceSession.create(writeModel(graph, {}), {
    intraOpNumThreads: threads,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  const matrix = (): ort.Tensor =>
    new ort.Tensor(
      "float32",
      Float32Array.from({ length: size * size }, (_, i) => (i % 7) - 3),
      [size, size],
    );
  const feeds = { a: matrix(), b: matrix() };
  const fetches = { c: matrix() };
  const { calls, ...time } = await timed(seconds, () => session.run(feeds, fetches), ownTime);
  await session.release();
  const flops = calls * 2 * size ** 3;
  return { threads, gflops: flops / time.seconds / 1e9, gflopsPerCpuSecond: flops / time.cpuSeconds / 1e9 };
}

export interface ExactnessResult {
  readonly preset: PresetName;
  /** State digest after three steps by number of threads; all equal where the rules of products.ts hold. */
  readonly digests: ReadonlyMap<number, string>;
  readonly exact: boolean;
}

/** Whether a preset's whole step gives the same bits on all numbers of threads that its program allows. */
export async function exactness(
  preset: PresetName,
  threads: readonly number[] = [1, 2, 3, 7, 16, 32, 64, 128],
): Promise<ExactnessResult> {
  const { model, microBatch } = presetOf(preset);
  const { step } = buildPrograms(model, { microBatch });
  const { maxThreads = 1 } = readSignature(step.bytes, availableMemory()).signature;
  const digests = new Map<number, string>();
  for (const count of threads.filter((count) => count <= maxThreads)) {
    digests.set(count, await conformance(openEngineHost, step.bytes, count));
  }
  return { preset, digests, exact: new Set(digests.values()).size === 1 };
}

if (import.meta.main) {
  const asked = process.argv.slice(2);
  const names = presetNames.filter((name) => (asked.length > 0 ? asked.includes(name) : ["1m", "3.5m"].includes(name)));
  for (const name of names) process.stdout.write(`${name} exact: ${(await exactness(name)).exact}\n`);
  for (const threads of [1, 2]) {
    const peak = await gemmPeak(threads);
    process.stdout.write(`${JSON.stringify(peak)}\n`);
    for (const name of names) {
      const result = await benchmarkStep(name, threads);
      const share = Math.round((100 * result.gflopsPerCpuSecond) / peak.gflopsPerCpuSecond);
      process.stdout.write(`${JSON.stringify(result)} ${share}% of the peak\n`);
    }
  }
}
