/** How fast a device takes inner steps, measured in seconds: what a machine is worth to a run before it joins one. */
import type { Hex } from "@cotrain/sdk/protocol";

import type { Clock } from "../base/core.ts";
import { type TransformerConfig, initialParameters } from "./config.ts";
import { stateAfter } from "./conformance.ts";
import type { OptimizerConfig } from "./optimizer.ts";
import { buildPrograms } from "./programs.ts";
import { type Adapter, type Device, memoryOf } from "./runtime/device.ts";
import { readSignature } from "./signature.ts";

export interface MeasuredSteps {
  /** Threads that it computed on. */
  readonly threads: number;
  readonly tokensPerSecond: number;
  /** Opening the program and the first step, which compiles on some devices, ms. */
  readonly startMs: number;
  /** Of the first steps, which every device takes from the same values: nearly the same on all that compute what they should. */
  readonly losses: readonly number[];
  /** What the device computes of the program: its conformance value. */
  readonly value: Hex;
}

interface MeasureOptions {
  /** How long steps are counted. */
  readonly milliseconds: number;
  readonly clock: Pick<Clock, "monotonic">;
  /** Default 1; at most as many as keep the program exact. */
  readonly threads?: number | undefined;
  /** Ends it at once. */
  readonly signal?: AbortSignal;
  /** Told what computes, where the system tells, before a step is taken; what it throws ends the measuring. */
  readonly opened?: (adapter: Adapter | undefined) => void;
  /** Told each time that the device has answered. */
  readonly answered?: () => void;
}

/** What is measured: a preset, for instance. */
interface Measured {
  readonly model: TransformerConfig;
  readonly microBatch: number;
  /** Micro-batches of a step; default 1. */
  readonly accumulation?: number | undefined;
  readonly optimizer?: OptimizerConfig | undefined;
}

/** Steps whose losses are told. */
const COMPARED = 3;
/** Handed over at once, at most, where a device takes many in a call. */
const TOGETHER = 32;

/**
 * Takes steps of a model for about so long after a first one, which is not counted, and then those whose state the conformance
 * value tells, which is read back.
 * @throws EngineError, EngineClosedError of a device that cannot
 */
export async function measureSteps(
  device: Device,
  { model, microBatch, accumulation = 1, optimizer }: Measured,
  { milliseconds, clock, threads = 1, signal, opened, answered }: MeasureOptions,
): Promise<MeasuredSteps> {
  const { step } = buildPrograms(model, { microBatch, accumulation, ...(optimizer && { optimizer }) });
  const batch = microBatch * accumulation;
  const most = readSignature(step.bytes, await memoryOf(device)).signature.maxThreads ?? 1;
  const used = Math.min(threads, most);
  const startedAt = clock.monotonic();
  const engine = await device.open({ programs: { step: step.bytes }, threads: used, signal });
  try {
    answered?.();
    opened?.(engine.pid === undefined ? undefined : await device.adapter?.(engine.pid));
    // Looking which driver it has took its time, and was not the device's.
    answered?.();
    await engine.setParameters(initialParameters(model, "measure").map(({ data }) => data));
    const size = batch * (model.sequence + 1);
    const losses: number[] = [];
    const take = async (count: number): Promise<void> => {
      const tokens = Int32Array.from({ length: count * size }, (_, i) => ((i % size) * 31) % model.vocabulary);
      for (const { loss } of await engine.train({ tokens, learningRate: 1e-4 })) losses.push(loss);
      answered?.();
    };
    await take(1);
    const firstAt = clock.monotonic();
    let [steps, elapsed, count] = [0, 0, 1];
    while (elapsed < milliseconds || losses.length < COMPARED) {
      await take(count);
      steps += count;
      elapsed = clock.monotonic() - firstAt;
      const fitting = Math.floor(((milliseconds - elapsed) * steps) / Math.max(1, elapsed));
      if (device.blockMs !== undefined) count = Math.max(1, Math.min(TOGETHER, fitting));
    }
    const tokens = batch * model.sequence * steps;
    await engine.resetOptimizer();
    const value = await stateAfter(engine);
    return {
      threads: used,
      tokensPerSecond: (1_000 * tokens) / elapsed,
      startMs: firstAt - startedAt,
      losses: losses.slice(0, COMPARED),
      value,
    };
  } finally {
    await engine.close();
  }
}
