/** The steps that the tests of devices compare, the same everywhere: under Node, in browsers, in other engines of JavaScript. */
import { createRandom } from "../../offchain/src/base/index.ts";
import {
  buildPrograms,
  type Engine,
  initialParameters,
  type OpenEngine,
  presetOf,
} from "../../offchain/src/engine/index.ts";

const { model, microBatch } = presetOf("0.1m");
const { step, eval: evaluation, logits } = buildPrograms(model, { microBatch });
export const programs = { step: step.bytes, eval: evaluation.bytes, logits: logits.bytes };

export const { vocabulary } = model;
/** Tokens of one step. */
export const rows = microBatch * (model.sequence + 1);
export const values = initialParameters(model, 7).map(({ data }) => data);

/** A text of which there is something to learn, and never all: each of 97 words has four that may follow it. */
export function textOf(seed: string, length: number): Int32Array {
  const random = createRandom(seed);
  let word = 0;
  return Int32Array.from({ length }, () => (word = (word * 31 + 17 + 13 * random.below(4)) % 97));
}
export const tokens = textOf("text", 21 * rows);

/** An engine with these programs and parameters, closed after the call. */
export async function using<Result>(
  open: OpenEngine,
  threads: number,
  call: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  const engine = await open({ programs, threads });
  try {
    await engine.setParameters(values);
    return await call(engine);
  } finally {
    await engine.close();
  }
}

export const train = (engine: Engine, from: number, to: number): ReturnType<Engine["train"]> =>
  engine.train({ tokens: tokens.subarray(from * rows, to * rows), learningRate: 3e-3 });

/** The losses of the first steps. */
export const lossesOn = (open: OpenEngine, steps: number, threads = 1): Promise<number[]> =>
  using(open, threads, async (engine) => (await train(engine, 0, steps)).map(({ loss }) => loss));
