/**
 * The losses that devices are compared by, and the held-out losses of rounds in which devices of all kinds train together. A small
 * model: where SwiftShader stands in for a GPU, a step of 0.1m takes most of a second.
 */
import { defaultRunParams, fragmentTable } from "@cotrain/sdk/protocol";

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
import {
  buildPrograms,
  type DeviceName,
  initialParameters,
  presetOf,
  tensorSpecs,
  type TransformerConfig,
} from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { textOf } from "./steps.ts";

/** Inner steps whose losses are compared. */
export const STEPS = 200;
const microBatch = 2;
const LEARNING_RATE = 3e-3;

/** 0.1m's width, with few words and short sequences. */
const modelOf = (layers: number): TransformerConfig => ({
  ...presetOf("0.1m").model,
  layers,
  vocabulary: 128,
  sequence: 32,
});

interface Trained {
  readonly layers: number;
  /** Of parameters and text. */
  readonly seed: string;
  /** Of each step; default: one for all. */
  readonly rates?: readonly number[];
}

/** Losses of {@link STEPS} steps, nats per token. */
export async function lossesOn(name: DeviceName, { layers, seed, rates }: Trained): Promise<number[]> {
  const model = modelOf(layers);
  const { step } = buildPrograms(model, { microBatch });
  const engine = await devices[name].open({ programs: { step: step.bytes }, threads: 1 });
  try {
    await engine.setParameters(initialParameters(model, seed).map(({ data }) => data));
    const tokens = textOf(seed, STEPS * microBatch * (model.sequence + 1));
    return (await engine.train({ tokens, learningRate: rates ?? LEARNING_RATE })).map(({ loss }) => loss);
  } finally {
    await engine.close();
  }
}

/** How far losses are apart at the most. */
export const apart = (due: readonly number[], found: readonly number[]): number =>
  Math.max(...due.map((loss, i) => Math.abs(loss - (found[i] ?? Number.NaN))));

/** Inner steps of three members in each round: the last one has the pace of a slow device. */
const PACES = [16, 16, 4] as const;
const ROUNDS = 6;
/** Tokens of which a held-out loss is the mean. */
const HELD_OUT = 1_024;

/** A run's rounds as its members and its coordinator compute them: the held-out loss before the first, and after each. */
export async function heldOutLosses(kinds: readonly DeviceName[]): Promise<number[]> {
  const model = modelOf(1);
  const rowOfTokens = microBatch * (model.sequence + 1);
  const heldOut = { tokens: textOf("held out", (HELD_OUT / model.sequence) * (model.sequence + 1)) };
  const { step, eval: evaluation } = buildPrograms(model, { microBatch });
  const openWith = (name: DeviceName, more: { readonly eval?: Uint8Array } = {}) =>
    devices[name].open({ programs: { step: step.bytes, ...more }, threads: 1 });
  const values = initialParameters(model, "losses").map(({ data }) => data);
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
        await engine.train({ tokens: data, learningRate: LEARNING_RATE });
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
