/**
 * What an engine computes with what it holds: inner steps, held-out loss, logits. A runtime may compute in this very thread, as
 * WebAssembly does, and answer before the thread has looked at anything else: after each call of a program it has its turn, so that
 * a page is held up for one step at a time, the last of a call included, since the next call may follow at once.
 */
import { turn } from "../base/core.ts";
import type { EvaluateInput, EvaluateResult, StepResult, Tokens, TrainInput, TrainOptions } from "./engine.ts";
import { EngineError, RuntimeError } from "./errors.ts";
import { bufferOf, type Buffers, checkValues, type Held } from "./held.ts";
import type { Loaded } from "./loadPrograms.ts";
import { LOOP_STEPS, toldBy } from "./loop.ts";
import type { DeviceBuffer, HostTensor } from "./runtime/port.ts";
import type { ProgramKind, ProgramOutline, Signature } from "./signature.ts";

export function programOf({ programs }: Held, kind: ProgramKind): Loaded {
  const loaded = programs[kind];
  if (loaded) return loaded;
  throw new EngineError("PROGRAM_MISSING", `This engine was opened without a ${kind} program.`);
}

/** Inner steps, as many as there are batches; fewer if they were stopped. */
export async function train(
  held: Held,
  { tokens, learningRate }: TrainInput,
  options: TrainOptions = {},
): Promise<StepResult[]> {
  const { outline } = programOf(held, "step");
  const ids = checkTokens(tokens, outline);
  const size = outline.batch * outline.tokensPerSequence;
  const steps = wholeBatches(ids.length, size, "train");
  const rates = typeof learningRate === "number" ? Array.from({ length: steps }, () => learningRate) : learningRate;
  if (rates.length !== steps || rates.some((rate) => !Number.isFinite(rate) || rate < 0)) {
    throw new EngineError(
      "LEARNING_RATE_INVALID",
      `${steps} steps need one finite learning rate from 0 each (or one for all).`,
    );
  }
  const results: StepResult[] = [];
  while (results.length < steps && !options.signal?.aborted) {
    const from = results.length;
    const to = from + stepsAtOnce(held, steps - from);
    const startedAt = performance.now();
    const block = await takeSteps(held, ids.subarray(from * size, to * size), rates.slice(from, to));
    held.stepMs = (performance.now() - startedAt) / (to - from);
    results.push(...block);
    options.progress?.(results.length, block);
    // A request to stop that came meanwhile is heard before the next block, not after it.
    await turn();
  }
  return results;
}

/**
 * How many of the steps that are due the next call of a loop takes: about as many as its time allows. A few more, rather than a call
 * for a small rest.
 * @param ms what a call may take
 * @param stepMs what the last steps took each
 */
export function stepsInCall(ms: number, stepMs: number, due: number): number {
  const fitting = Math.min(LOOP_STEPS, Math.max(1, Math.floor(ms / stepMs)));
  return Math.min(LOOP_STEPS, Math.ceil(due / Math.max(1, Math.round(due / fitting))));
}

/** The same of an engine: one where there is no loop, and while nobody knows what a step takes. */
const stepsAtOnce = ({ programs: { step }, stepMs }: Held, due: number): number =>
  step?.loop && stepMs !== undefined ? stepsInCall(step.loop.ms, stepMs, due) : 1;

/** One call of the step program, or of its loop for as many steps as there are rates. */
async function takeSteps(held: Held, tokens: BigInt64Array, rates: readonly number[]): Promise<StepResult[]> {
  const { current, spare, optimizerStep } = held;
  const { outline, executable, loop } = programOf(held, "step");
  const { signature, batch, tokensPerSequence, model } = outline;
  const carried = [...signature.parameters, ...signature.state];
  const inputOf = (name: string): string => loop?.inputOf(name) ?? name;
  const outputOf = (name: string): string => loop?.outputOf(name) ?? name;
  const stacked = (shape: readonly number[]): readonly number[] => (loop ? [rates.length, ...shape] : shape);
  const feeds = new Map<string, DeviceBuffer | HostTensor>();
  const into = new Map<string, DeviceBuffer>();
  for (const { name, input, output } of carried) {
    feeds.set(inputOf(input), bufferOf(current, name));
    into.set(outputOf(output), bufferOf(spare, name));
  }
  if (loop) feeds.set(loop.steps, { data: BigInt64Array.of(BigInt(rates.length)), shape: [] });
  feeds.set(inputOf(signature.tokens), { data: tokens, shape: stacked([batch, tokensPerSequence]) });
  for (const scalar of signature.scalars) {
    const data = Float32Array.from(rates, (rate, i) => fedTo(scalar, rate, optimizerStep + i + 1));
    feeds.set(inputOf(scalar.input), { data, shape: stacked(model.inputs.get(scalar.input)?.shape ?? []) });
  }
  const results = await executable.run(feeds, into, toldBy(signature).map(outputOf));
  held.current = spare;
  held.spare = current;
  held.optimizerStep += rates.length;
  const told = (name: string | undefined, step: number): number =>
    name === undefined
      ? Number.NaN
      : numberOf(results, outputOf(name), step * (model.outputs.get(name)?.elements ?? 1));
  return rates.map((_, i) => ({ loss: told(signature.loss, i), gradientNorm: told(signature.gradientNorm, i) }));
}

/** @param step the optimizer's own, from 1 */
function fedTo(scalar: Signature["scalars"][number], learningRate: number, step: number): number {
  if (scalar.feed === "learningRate") return learningRate;
  return scalar.feed === "optimizerStep" ? step : 1 - power(scalar.beta, step);
}

/** Mean loss of whole batches. */
export async function evaluate(held: Held, { tokens, parameters }: EvaluateInput): Promise<EvaluateResult> {
  const { parameterShapes, runtime } = held;
  const { outline, executable } = programOf(held, "eval");
  const { signature, batch, tokensPerSequence } = outline;
  const ids = checkTokens(tokens, outline);
  const size = batch * tokensPerSequence;
  const batches = wholeBatches(ids.length, size, "evaluate");
  let buffers = held.current;
  if (parameters) {
    checkValues(parameterShapes, parameters, "parameters");
    buffers = new Map(parameterShapes.map(({ name, shape }, i) => [name, runtime.buffer(shape, parameters[i])]));
  }
  const feeds = feedsOf(signature, buffers);
  const loss = signature.loss ?? "";
  let sum = 0;
  for (let i = 0; i < batches; i++) {
    feeds.set(signature.tokens, {
      data: ids.subarray(i * size, (i + 1) * size),
      shape: [batch, tokensPerSequence],
    });
    sum += numberOf(await executable.run(feeds, new Map(), [loss]), loss);
    await turn();
  }
  return { loss: sum / batches, tokens: batches * batch * (tokensPerSequence - 1) };
}

/** Logits of one sequence, filled up with zeros. */
export async function logits(held: Held, tokens: Tokens): Promise<Float32Array> {
  const { outline, executable } = programOf(held, "logits");
  const { signature, batch, tokensPerSequence } = outline;
  const size = batch * tokensPerSequence;
  if (tokens.length < 1 || tokens.length > size) {
    throw new EngineError("TOKENS_INVALID", `The logits program takes 1 to ${size} tokens, not ${tokens.length}.`);
  }
  const ids = new BigInt64Array(size);
  ids.set(checkTokens(tokens, outline));
  const feeds = feedsOf(signature, held.current);
  feeds.set(signature.tokens, { data: ids, shape: [batch, tokensPerSequence] });
  const name = signature.logits ?? "";
  const values = (await executable.run(feeds, new Map(), [name])).get(name);
  if (!values) throw new RuntimeError("RUNTIME_RESULT", "The logits are no float32.");
  return values;
}

const feedsOf = (signature: Signature, buffers: Buffers): Map<string, DeviceBuffer | HostTensor> =>
  new Map(signature.parameters.map(({ name, input }) => [input, bufferOf(buffers, name)]));

function numberOf(results: ReadonlyMap<string, Float32Array>, name: string, at = 0): number {
  const number = results.get(name)?.[at];
  if (number === undefined) throw new RuntimeError("RUNTIME_RESULT", `The program gave no number ${name}.`);
  return number;
}

/** base^exponent by squaring: multiplications alone, so the same bits in every JS engine (Math.pow may differ). */
function power(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

function wholeBatches(length: number, size: number, what: string): number {
  if (length > 0 && length % size === 0) return length / size;
  throw new EngineError("TOKENS_INVALID", `To ${what} needs whole batches of ${size} tokens, not ${length} tokens.`);
}

/** As int64, each in 0 … vocabulary − 1. */
function checkTokens(tokens: Tokens, { signature: { vocabulary } }: ProgramOutline): BigInt64Array {
  const ids = new BigInt64Array(tokens.length);
  for (let i = 0; i < tokens.length; i++) {
    const id = Number(tokens[i]);
    if (!(id >= 0 && id < vocabulary)) {
      throw new EngineError("TOKENS_INVALID", `Token ${id} at ${i} is outside the vocabulary, 0 to ${vocabulary - 1}.`);
    }
    ids[i] = BigInt(id);
  }
  return ids;
}
