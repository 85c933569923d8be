/** What an engine computes with what it holds: inner steps, held-out loss, logits. */
import type { EvaluateInput, EvaluateResult, StepResult, Tokens, TrainInput, TrainOptions } from "./engine.ts";
import { EngineError, RuntimeError } from "./errors.ts";
import { bufferOf, type Buffers, checkValues, type Held } from "./held.ts";
import type { Loaded } from "./loadPrograms.ts";
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
  for (const [i, rate] of rates.entries()) {
    if (options.signal?.aborted) break;
    const result = await oneStep(held, ids.subarray(i * size, (i + 1) * size), rate);
    results.push(result);
    options.progress?.(i + 1, result);
  }
  return results;
}

async function oneStep(held: Held, tokens: BigInt64Array, learningRate: number): Promise<StepResult> {
  const { current, spare, optimizerStep } = held;
  const { outline, executable } = programOf(held, "step");
  const { signature } = outline;
  const feeds = feedsOf(signature, current);
  for (const { name, input } of signature.state) feeds.set(input, bufferOf(current, name));
  feeds.set(signature.tokens, { data: tokens, shape: [outline.batch, outline.tokensPerSequence] });
  for (const scalar of signature.scalars) {
    const value = {
      learningRate: () => learningRate,
      optimizerStep: () => optimizerStep + 1,
      biasCorrection: () => ("beta" in scalar ? 1 - power(scalar.beta, optimizerStep + 1) : 1),
    }[scalar.feed]();
    const shape = outline.model.inputs.get(scalar.input)?.shape ?? [];
    feeds.set(scalar.input, { data: new Float32Array([value]), shape });
  }
  const into = new Map<string, DeviceBuffer>();
  for (const { name, output } of [...signature.parameters, ...signature.state]) into.set(output, bufferOf(spare, name));
  const wanted = [signature.loss, signature.gradientNorm].filter((name) => name !== undefined);
  const results = await executable.run(feeds, into, wanted);
  held.current = spare;
  held.spare = current;
  held.optimizerStep++;
  return { loss: numberOf(results, signature.loss), gradientNorm: numberOf(results, signature.gradientNorm) };
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
  const wanted = [signature.loss ?? ""];
  let sum = 0;
  for (let i = 0; i < batches; i++) {
    feeds.set(signature.tokens, {
      data: ids.subarray(i * size, (i + 1) * size),
      shape: [batch, tokensPerSequence],
    });
    sum += numberOf(await executable.run(feeds, new Map(), wanted), signature.loss);
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

function numberOf(results: ReadonlyMap<string, Float32Array>, name: string | undefined): number {
  if (name === undefined) return Number.NaN;
  const number = results.get(name)?.[0];
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
