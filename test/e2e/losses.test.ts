/**
 * The losses of every build beside the CPU's, step by step, within the bound that docs/operations.md states, and round by round where
 * devices of all kinds train together.
 */
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { DeviceName } from "../../offchain/src/engine/index.ts";
import { canRun } from "../needs.ts";
import { swiftShader } from "../swiftShader.ts";
import { apart, heldOutLosses, lossesOn, STEPS } from "./deviceLosses.ts";

beforeEach(() => {
  for (const [name, value] of Object.entries(swiftShader() ?? {})) vi.stubEnv(name, value);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Nats per token, twice the largest difference that was measured, of two layers (test/bench/README.md). */
const BOUND = 1e-4;

const others: readonly DeviceName[] = ["wasm", ...(canRun("losses on WebGPU", "gpu") ? (["webgpu"] as const) : [])];

test(`${STEPS} steps on ${others.join(" and ")} have the CPU's losses`, async () => {
  const [due = [], ...found] = await Promise.all(
    (["cpu", ...others] as const).map((name) => lossesOn(name, { layers: 1, seed: "losses" })),
  );
  expect(due.at(-1)).toBeLessThan(due[0]! / 2);
  const worst = found.map((losses) => apart(due, losses));
  expect(Math.max(...worst)).toBeLessThan(BOUND);
  expect(Math.min(...worst)).toBeGreaterThan(0); // other devices did compute them
});

/** Nats per token that a held-out loss of a mixed run may be off that of CPUs alone, seven times the most that was measured. */
const HELD_OUT_BOUND = 3e-4;

test(`held-out loss of a run on cpu and ${others.join(" and ")} falls as with CPUs alone`, async () => {
  const mixed = ["cpu", others[0]!, others.at(-1)!] as const;
  const [due, found] = [await heldOutLosses(["cpu", "cpu", "cpu"]), await heldOutLosses(mixed)];
  expect(due.at(-1)).toBeLessThan(due[0]! - 1);
  expect(apart(due, found)).toBeLessThan(HELD_OUT_BOUND);
  expect(due.at(-1)).not.toBe(found.at(-1));
});
