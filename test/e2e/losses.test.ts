/**
 * The losses of every build beside the CPU's, step by step, within the bound that docs/operations.md states, and round by round where
 * devices of all kinds train together. A small model: where SwiftShader stands in for a GPU, a step of 0.1m takes most of a second.
 */
import { defaultRunParams, fragmentTable } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  codecOf,
  fragmentLayouts,
  gatherFragment,
  outerOptimizerOf,
  pseudoGradient,
  reduceFragment,
  sourceOf,
  tensorViews,
} from "../../offchain/src/diloco/index.ts";
import { buildPrograms, initialParameters, presetOf, tensorSpecs } from "../../offchain/src/engine/index.ts";
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
const { step, eval: evaluation } = buildPrograms(model, { microBatch });
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

/** Inner steps of three members in each round: the last one has the pace of a slow device. */
const PACES = [16, 16, 4] as const;
const ROUNDS = 6;
/** Nats per token that a held-out loss of a mixed run may be off that of CPUs alone, seven times the most that was measured. */
const HELD_OUT_BOUND = 3e-4;
/** Tokens of which it is the mean. */
const HELD_OUT = 1_024;

const rowOfTokens = microBatch * (model.sequence + 1);
const heldOut = { tokens: textOf("held out", (HELD_OUT / model.sequence) * (model.sequence + 1)) };

const openWith = (name: DeviceName, more: { readonly eval?: Uint8Array } = {}) =>
  devices[name].open({ programs: { step: step.bytes, ...more }, threads: 1 });

/** A run's rounds as its members and its coordinator compute them: the held-out loss before the first, and after each. */
async function heldOutLosses(kinds: readonly DeviceName[]): Promise<number[]> {
  const table = fragmentTable(tensorSpecs(model), 1);
  const layouts = fragmentLayouts(table);
  const { codec, outerOptimizer } = defaultRunParams;
  let states = layouts.map((layout) => {
    const params = gatherFragment(new Map(table.map(({ name }, i) => [name, values[i]!])), layout);
    return { params, outer: outerOptimizerOf(outerOptimizer).init(params.length) };
  });
  const globals = (): Float32Array[] =>
    tensorViews(
      states.map(({ params }) => params),
      layouts,
      table,
    );
  await using opened = new AsyncDisposableStack();
  const members = await Promise.all(kinds.map((name) => openWith(name)));
  const judge = await openWith("cpu", { eval: evaluation.bytes });
  for (const engine of [...members, judge]) opened.defer(() => engine.close());
  const judged = async (): Promise<number> => (await judge.evaluate({ ...heldOut, parameters: globals() })).loss;
  const residuals = kinds.map(() => layouts.map(({ elements }) => new Float32Array(elements)));
  const losses = [await judged()];
  for (let round = 0; round < ROUNDS; round++) {
    const local = await Promise.all(
      members.map(async (engine, i) => {
        await engine.setParameters(globals());
        const data = textOf(`round ${round} of ${i}`, PACES[i]! * rowOfTokens);
        await engine.train({ tokens: data, learningRate: 3e-3 });
        return new Map((await engine.parameters()).map(({ name, data: own }) => [name, own]));
      }),
    );
    states = await Promise.all(
      states.map((state, fragment) => {
        const payloads = local.map((own, i) => {
          const delta = pseudoGradient(state.params, gatherFragment(own, layouts[fragment]!));
          const { bytes, nextResidual } = codecOf(codec).encode(delta, residuals[i]![fragment]);
          residuals[i]![fragment] = nextResidual;
          const worker = `0x${String(i).repeat(40)}` as const;
          return { worker, tokens: PACES[i]! * microBatch * model.sequence, steps: PACES[i]!, source: sourceOf(bytes) };
        });
        return reduceFragment({ state, payloads, rules: { ...defaultRunParams, rampRounds: 0 }, round });
      }),
    );
    losses.push(await judged());
  }
  return losses;
}

test(`held-out loss of a run on cpu and ${others.join(" and ")} falls as with CPUs alone`, async () => {
  const mixed = ["cpu", others[0]!, others.at(-1)!] as const;
  const [due, found] = [await heldOutLosses(["cpu", "cpu", "cpu"]), await heldOutLosses(mixed)];
  expect(due.at(-1)).toBeLessThan(due[0]! - 1);
  const apart = due.map((loss, round) => Math.abs(loss - found[round]!));
  expect(Math.max(...apart)).toBeLessThan(HELD_OUT_BOUND);
  expect(apart.at(-1)).toBeGreaterThan(0);
});
