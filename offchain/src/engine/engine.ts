/**
 * The engine: ONNX Runtime sessions of a run's programs around one training state. It is driven by the programs'
 * signatures alone and knows no model. Other rooms reach it through `host/host.ts` alone, which runs it in a process of its
 * own behind the same interface.
 */
import "./noTelemetry.ts";

import type { Hex } from "@cotrain/sdk/protocol";
import ort from "onnxruntime-node";

import type { NamedTensor } from "./config.ts";
import { EngineClosedError, EngineError, RuntimeError } from "./errors.ts";
import { elements } from "./graph.ts";
import { readSignature, type ProgramKind, type ProgramOutline, type Signature } from "./signature.ts";
import { digestState, type OptimizerState, type TrainingState } from "./state.ts";

/** Token ids, [B, S + 1] or [B, S] row by row. */
export type Tokens = Uint16Array | Int32Array | BigInt64Array;

export interface StepInput {
  /** B · (S + 1) ids: each sequence with the token that follows it. */
  readonly tokens: Tokens;
  readonly learningRate: number;
}

export interface StepResult {
  /** Mean loss before the step, nats per token. */
  readonly loss: number;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
}

export interface EvaluateInput {
  /** Any whole number of batches of B · (S + 1) ids. */
  readonly tokens: Tokens;
  /** Evaluate these parameters instead of the engine's own. */
  readonly parameters?: readonly Float32Array[];
}

export interface EvaluateResult {
  /** Mean loss, nats per token. */
  readonly loss: number;
  /** Predicted tokens that the mean is over. */
  readonly tokens: number;
}

export interface TrainInput {
  /** Tokens of all steps, one batch after the other; their number says how many steps. */
  readonly tokens: Tokens;
  /** One rate per step, or one for all. */
  readonly learningRate: number | readonly number[];
}

export interface TrainOptions {
  /** Told of each finished step: how many of this call are done, and its result. */
  readonly progress?: ((done: number, result: StepResult) => void) | undefined;
  /** Ends the call after the step that is running; what is done stays done. */
  readonly signal?: AbortSignal | undefined;
}

export interface EngineOptions {
  /** ONNX bytes by kind; the first given one says what the parameters are, and all must agree. */
  readonly programs: Readonly<Partial<Record<ProgramKind, Uint8Array>>>;
  readonly threads: number;
  /** Bytes that a program may take; default what the machine has left. */
  readonly memory?: number | undefined;
  /** In a process of its own it takes only what nobody else wants of the processor. */
  readonly yields?: boolean | undefined;
}

/** Shape of a program's calls. */
export interface BatchShape {
  readonly batch: number;
  /** Ids per row: S + 1 in step and eval, S in logits. */
  readonly tokensPerSequence: number;
  readonly vocabulary: number;
}

export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * One model in training. Calls run one after the other in the order in which they are made. Arrays that it returns are
 * copies, arrays that it takes are copied, so that nobody sees a state between two steps.
 */
export interface Engine {
  /** Call shapes of the programs that were opened. */
  readonly shapes: Readonly<Partial<Record<ProgramKind, BatchShape>>>;
  /** Parameters in order. */
  readonly tensors: readonly TensorShape[];
  /** The process that it runs in, where that is another one. */
  readonly pid?: number | undefined;
  /** One inner step. */
  step(input: StepInput): Promise<StepResult>;
  /** Several inner steps; fewer results than steps if it was stopped by a signal. */
  train(input: TrainInput, options?: TrainOptions): Promise<StepResult[]>;
  evaluate(input: EvaluateInput): Promise<EvaluateResult>;
  /** Logits [S, V] of one sequence; fewer than S ids are filled up, which causality makes harmless. */
  logits(tokens: Tokens): Promise<Float32Array>;
  parameters(): Promise<NamedTensor[]>;
  /** All parameters, in order. Optimizer state stays. */
  setParameters(values: readonly Float32Array[]): Promise<void>;
  optimizerState(): Promise<OptimizerState>;
  setOptimizerState(state: { readonly step: number; readonly tensors: readonly Float32Array[] }): Promise<void>;
  /** Zero moments, step 0. */
  resetOptimizer(): Promise<void>;
  /** Parameters and optimizer state, to go on from later or in a replay. */
  save(): Promise<TrainingState>;
  restore(state: TrainingState): Promise<void>;
  /** BLAKE3 of the training state, the caller's residual and the optimizer's step; see `digestState`. */
  stateDigest(residual?: readonly Float32Array[]): Promise<Hex>;
  /** Processor time that its process has taken, ms. */
  cpuTime(): Promise<number>;
  /** Ends after the calls made before it (stop a long `train` by its signal); later calls reject with EngineClosedError. */
  close(): Promise<void>;
}

interface Loaded {
  readonly outline: ProgramOutline;
  readonly session: ort.InferenceSession;
}

/** Parameters and optimizer state, as tensors that the session reads or writes in place. */
type Buffers = ReadonlyMap<string, ort.TypedTensor<"float32">>;

/**
 * Opens programs on the CPU. Parameters start as zeros: set them.
 * @throws EngineError PROGRAM_*, SIGNATURE_*, PROGRAMS_DIFFER, THREADS_INVALID
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const programs = await loadPrograms(options);
  const first = programs.step ?? programs.eval ?? programs.logits;
  if (!first) throw new EngineError("PROGRAM_MISSING", "An engine needs at least one program.");
  const parameterShapes = first.outline.parameters;
  const stateShapes = programs.step?.outline.state ?? [];

  // Two sets that trade places each step: a buffer that is input and output of one call is silently corrupted.
  let current = allocate([...parameterShapes, ...stateShapes]);
  let spare = programs.step ? allocate([...parameterShapes, ...stateShapes]) : current;
  let optimizerStep = 0;
  let closed = false;

  const program = (kind: ProgramKind): Loaded => {
    const loaded = programs[kind];
    if (loaded) return loaded;
    throw new EngineError("PROGRAM_MISSING", `This engine was opened without a ${kind} program.`);
  };
  /** The engine's own arrays, for looking only: the next step reuses them. */
  const live = (shapes: readonly TensorShape[]): NamedTensor[] =>
    shapes.map(({ name, shape }) => ({ name, shape, data: tensorOf(current, name).data }));
  const copyOf = (shapes: readonly TensorShape[]): NamedTensor[] =>
    live(shapes).map((tensor) => ({ ...tensor, data: tensor.data.slice() }));
  const write = (shapes: readonly TensorShape[], values: readonly Float32Array[], what: string): void => {
    checkValues(shapes, values, what);
    for (const [i, { name }] of shapes.entries()) {
      const value = values[i];
      if (value) tensorOf(current, name).data.set(value);
    }
  };

  const oneStep = async (tokens: BigInt64Array, learningRate: number): Promise<StepResult> => {
    const { outline, session } = program("step");
    const { signature } = outline;
    const feeds: Record<string, ort.Tensor> = parametersFor(signature, current);
    for (const { name, input } of signature.state) feeds[input] = tensorOf(current, name);
    feeds[signature.tokens] = new ort.Tensor("int64", tokens, [outline.batch, outline.tokensPerSequence]);
    for (const scalar of signature.scalars) {
      const value = {
        learningRate: () => learningRate,
        optimizerStep: () => optimizerStep + 1,
        biasCorrection: () => ("beta" in scalar ? 1 - power(scalar.beta, optimizerStep + 1) : 1),
      }[scalar.feed]();
      const shape = outline.model.inputs.get(scalar.input)?.shape ?? [];
      feeds[scalar.input] = new ort.Tensor("float32", new Float32Array([value]), shape);
    }
    const fetches: Record<string, ort.Tensor | null> = {};
    for (const { name, output } of [...signature.parameters, ...signature.state]) {
      fetches[output] = tensorOf(spare, name);
    }
    for (const name of [signature.loss, signature.gradientNorm]) if (name !== undefined) fetches[name] = null;
    const results = await run(session, feeds, fetches, "step");
    [current, spare] = [spare, current];
    optimizerStep++;
    return { loss: numberOf(results, signature.loss), gradientNorm: numberOf(results, signature.gradientNorm) };
  };

  const work = {
    train: async ({ tokens, learningRate }: TrainInput, options: TrainOptions = {}): Promise<StepResult[]> => {
      const { outline } = program("step");
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
        const result = await oneStep(ids.subarray(i * size, (i + 1) * size), rate);
        results.push(result);
        options.progress?.(i + 1, result);
      }
      return results;
    },
    evaluate: async ({ tokens, parameters }: EvaluateInput): Promise<EvaluateResult> => {
      const { outline, session } = program("eval");
      const { signature, batch, tokensPerSequence } = outline;
      const ids = checkTokens(tokens, outline);
      const size = batch * tokensPerSequence;
      const batches = wholeBatches(ids.length, size, "evaluate");
      let buffers = current;
      if (parameters) {
        checkValues(parameterShapes, parameters, "parameters");
        buffers = new Map(
          parameterShapes.map(({ name, shape }, i) => [name, float32(parameters[i] ?? new Float32Array(), shape)]),
        );
      }
      let sum = 0;
      for (let i = 0; i < batches; i++) {
        const batchTokens = new ort.Tensor("int64", ids.subarray(i * size, (i + 1) * size), [batch, tokensPerSequence]);
        const feeds = { ...parametersFor(signature, buffers), [signature.tokens]: batchTokens };
        sum += numberOf(await run(session, feeds, { [signature.loss ?? ""]: null }, "eval"), signature.loss);
      }
      return { loss: sum / batches, tokens: batches * batch * (tokensPerSequence - 1) };
    },
    logits: async (tokens: Tokens): Promise<Float32Array> => {
      const { outline, session } = program("logits");
      const { signature, batch, tokensPerSequence } = outline;
      const size = batch * tokensPerSequence;
      if (tokens.length < 1 || tokens.length > size) {
        throw new EngineError("TOKENS_INVALID", `The logits program takes 1 to ${size} tokens, not ${tokens.length}.`);
      }
      const ids = new BigInt64Array(size);
      ids.set(checkTokens(tokens, outline));
      const feeds = {
        ...parametersFor(signature, current),
        [signature.tokens]: new ort.Tensor("int64", ids, [batch, tokensPerSequence]),
      };
      const { [signature.logits ?? ""]: logits } = await run(
        session,
        feeds,
        { [signature.logits ?? ""]: null },
        "logits",
      );
      if (!(logits?.data instanceof Float32Array))
        throw new RuntimeError("RUNTIME_RESULT", "The logits are no float32.");
      return logits.data;
    },
  };

  // One call at a time: the next starts when the one before it has ended, well or badly.
  let tail: Promise<unknown> = Promise.resolve();
  const queued = <Result>(call: () => Result | Promise<Result>): Promise<Result> => {
    const result = tail.then(() => {
      if (closed) throw new EngineClosedError();
      return call();
    });
    tail = result.catch(() => undefined);
    return result;
  };
  const state = (): TrainingState => ({
    parameters: copyOf(parameterShapes),
    optimizer: { step: optimizerStep, tensors: copyOf(stateShapes) },
  });
  const setOptimizer = (step: number, tensors: readonly Float32Array[]): void => {
    checkStep(step);
    write(stateShapes, tensors, "optimizer tensors");
    optimizerStep = step;
  };

  return {
    shapes: Object.fromEntries(
      Object.entries(programs).map(([kind, { outline }]) => [
        kind,
        {
          batch: outline.batch,
          tokensPerSequence: outline.tokensPerSequence,
          vocabulary: outline.signature.vocabulary,
        },
      ]),
    ),
    tensors: parameterShapes,
    step: ({ tokens, learningRate }) =>
      queued(async () => {
        const { batch, tokensPerSequence } = program("step").outline;
        const size = batch * tokensPerSequence;
        if (tokens.length !== size) {
          throw new EngineError("TOKENS_INVALID", `A step takes ${size} tokens, not ${tokens.length}.`);
        }
        const [result] = await work.train({ tokens, learningRate });
        if (!result) throw new RuntimeError("RUNTIME_RESULT", "A step gave no result.");
        return result;
      }),
    train: (input, options) => queued(() => work.train(input, options)),
    evaluate: (input) => queued(() => work.evaluate(input)),
    logits: (tokens) => queued(() => work.logits(tokens)),
    parameters: () => queued(() => copyOf(parameterShapes)),
    setParameters: (values) => queued(() => write(parameterShapes, values, "parameters")),
    optimizerState: () => queued(() => state().optimizer),
    setOptimizerState: ({ step, tensors }) => queued(() => setOptimizer(step, tensors)),
    resetOptimizer: () =>
      queued(() => {
        for (const { name } of stateShapes) tensorOf(current, name).data.fill(0);
        optimizerStep = 0;
      }),
    save: () => queued(state),
    restore: ({ parameters, optimizer }) =>
      queued(() => {
        const values = parameters.map(({ data }) => data);
        checkValues(parameterShapes, values, "parameters"); // before anything is written
        setOptimizer(
          optimizer.step,
          optimizer.tensors.map(({ data }) => data),
        );
        write(parameterShapes, values, "parameters");
      }),
    stateDigest: (residual) =>
      queued(() => {
        const optimizer = { step: optimizerStep, tensors: live(stateShapes) };
        return digestState({ parameters: live(parameterShapes), optimizer }, residual);
      }),
    cpuTime: () =>
      queued(() => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1_000;
      }),
    close: async () => {
      if (closed) return;
      await queued(async () => {
        closed = true;
        for (const { session } of Object.values(programs)) await session.release();
      });
    },
  };
}

async function loadPrograms({
  programs,
  threads,
  memory,
}: EngineOptions): Promise<Partial<Record<ProgramKind, Loaded>>> {
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new EngineError("THREADS_INVALID", `The number of threads must be a positive whole number, not ${threads}.`);
  }
  const loaded: Partial<Record<ProgramKind, Loaded>> = {};
  let layout: string | undefined;
  for (const kind of ["step", "eval", "logits"] as const) {
    const bytes = programs[kind];
    if (!bytes) continue;
    const outline = readSignature(bytes, memory);
    const { signature } = outline;
    if (signature.kind !== kind) {
      throw new EngineError("PROGRAMS_DIFFER", `The ${kind} program says that it is a ${signature.kind} program.`);
    }
    const own = JSON.stringify([signature.vocabulary, outline.parameters]);
    if (layout !== undefined && own !== layout) {
      throw new EngineError("PROGRAMS_DIFFER", `The ${kind} program has other parameters than the programs beside it.`);
    }
    layout = own;
    const { maxThreads } = signature;
    if (maxThreads !== undefined && threads > maxThreads) {
      throw new EngineError(
        "THREADS_INVALID",
        `The ${kind} program is bit-exact up to ${maxThreads} threads; ${threads} are too many.`,
      );
    }
    loaded[kind] = { outline, session: await openSession(bytes, threads, kind, outline.model.peak) };
  }
  return loaded;
}

/**
 * Programs that need more than this give memory back after each call. ONNX Runtime's arena keeps what it ever took, in steps of
 * powers of two: a step of 20m held 1.6 GB for 0.9 GB of use. Without it a call costs about 6% more time.
 */
const ARENA_BYTES = 256 << 20;

/** A session with threads that sleep when idle: spinning ones halve the speed beside a busy neighbour. */
async function openSession(
  bytes: Uint8Array,
  threads: number,
  kind: ProgramKind,
  peak: number,
): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(bytes, {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      logSeverityLevel: 3,
      enableCpuMemArena: peak <= ARENA_BYTES,
      extra: {
        session: { intra_op: { allow_spinning: "0" } },
        // It would turn products back that the builder turned round to be exact (products.ts).
        optimization: { disable_specified_optimizers: "GemmTransposeFusion" },
      },
    });
  } catch (cause) {
    throw new EngineError("PROGRAM_REFUSED", `ONNX Runtime refuses the ${kind} program.`, { cause });
  }
}

async function run(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  fetches: Record<string, ort.Tensor | null>,
  kind: ProgramKind,
): Promise<ort.InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetches);
  } catch (cause) {
    throw new RuntimeError("RUNTIME_FAILED", `ONNX Runtime failed in the ${kind} program.`, { cause });
  }
}

function tensorOf(buffers: Buffers, name: string): ort.TypedTensor<"float32"> {
  const tensor = buffers.get(name);
  if (!tensor) throw new RuntimeError("BUFFER_MISSING", `The engine holds no tensor ${name}.`);
  return tensor;
}

const parametersFor = (signature: Signature, buffers: Buffers): Record<string, ort.Tensor> =>
  Object.fromEntries(signature.parameters.map(({ name, input }) => [input, tensorOf(buffers, name)]));

function checkStep(step: number): number {
  if (Number.isSafeInteger(step) && step >= 0) return step;
  throw new EngineError("STATE_INVALID", `The optimizer's step must be a whole number from 0, not ${step}.`);
}

const float32 = (data: Float32Array, shape: readonly number[]): ort.TypedTensor<"float32"> =>
  new ort.Tensor("float32", data, shape);

const allocate = (shapes: readonly TensorShape[]): Buffers =>
  new Map(shapes.map(({ name, shape }) => [name, float32(new Float32Array(elements(shape)), shape)]));

function numberOf(results: ort.InferenceSession.ReturnType, name: string | undefined): number {
  if (name === undefined) return Number.NaN;
  const value = results[name];
  const [number] = value && "data" in value && value.data instanceof Float32Array ? value.data : [];
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

function checkValues(shapes: readonly TensorShape[], values: readonly Float32Array[], what: string): void {
  if (values.length !== shapes.length) {
    throw new EngineError("STATE_INVALID", `The program has ${shapes.length} ${what}, not ${values.length}.`);
  }
  for (const [i, { name, shape }] of shapes.entries()) {
    if (values[i]?.length !== elements(shape)) {
      throw new EngineError("STATE_INVALID", `${name} has ${elements(shape)} values, not ${values[i]?.length}.`);
    }
  }
}
