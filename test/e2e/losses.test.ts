/**
 * The losses of every build beside the CPU's, step by step, within the bound that docs/operations.md states. A small model: where
 * SwiftShader stands in for a GPU, a step of 0.1m takes most of a second.
 */
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { buildPrograms, initialParameters, presetOf } from "../../offchain/src/engine/index.ts";
import { type DeviceName, devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { canRun } from "../needs.ts";
import { swiftShader } from "../swiftShader.ts";
import { textOf } from "./steps.ts";

beforeEach(() => {
  for (const [name, value] of Object.entries(swiftShader() ?? {})) vi.stubEnv(name, value);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Nats per token, seven times the largest difference that was measured (test/bench/README.md). */
const BOUND = 1e-4;
const STEPS = 200;
const model = { ...presetOf("0.1m").model, layers: 1, vocabulary: 128, sequence: 32 };
const microBatch = 2;
const { step } = buildPrograms(model, { microBatch });
const values = initialParameters(model, "losses").map(({ data }) => data);
const tokens = textOf("losses", STEPS * microBatch * (model.sequence + 1));

async function lossesOn(name: DeviceName): Promise<number[]> {
  const engine = await devices[name].open({ programs: { step: step.bytes }, threads: 1 });
  try {
    await engine.setParameters(values);
    return (await engine.train({ tokens, learningRate: 3e-3 })).map(({ loss }) => loss);
  } finally {
    await engine.close();
  }
}

const others: readonly DeviceName[] = ["wasm", ...(canRun("losses on WebGPU", "gpu") ? (["webgpu"] as const) : [])];

test(`${STEPS} steps on ${others.join(" and ")} have the CPU's losses`, async () => {
  const [due, ...found] = await Promise.all((["cpu", ...others] as const).map(lossesOn));
  expect(due!.at(-1)).toBeLessThan(due![0]! / 2);
  const apart = found.map((losses) => Math.max(...due!.map((loss, i) => Math.abs(loss - losses[i]!))));
  expect(Math.max(...apart)).toBeLessThan(BOUND);
  expect(Math.min(...apart)).toBeGreaterThan(0); // other devices did compute them
});
