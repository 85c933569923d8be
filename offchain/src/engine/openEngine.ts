/**
 * The engine over a runtime: executables of a run's programs around one training state. It is driven by the programs' signatures
 * alone and knows no model.
 */
import { unlessAborted } from "../base/core.ts";
import { evaluate, logits, programOf, train } from "./calls.ts";
import type { BatchShape, Engine, EngineOptions, StepInput, StepResult } from "./engine.ts";
import { closedBy, EngineClosedError, EngineError, RuntimeError } from "./errors.ts";
import { checkValues, copyOf, type Held, hold, look, named, resetOptimizer, write, writeOptimizer } from "./held.ts";
import { type Loaded, type LoadedPrograms, loadPrograms } from "./loadPrograms.ts";
import type { Runtime } from "./runtime/port.ts";
import { digestState, type TrainingState } from "./state.ts";

/**
 * Opens programs. Parameters start as zeros: set them.
 * @throws EngineError PROGRAM_*, SIGNATURE_*, PROGRAMS_DIFFER, THREADS_INVALID; EngineClosedError where its signal ended it
 */
export async function openEngine(options: EngineOptions, runtime: Runtime): Promise<Engine> {
  const { signal } = options;
  if (signal?.aborted) throw closedBy(signal);
  const held = hold(await programsUnlessEnded(options, runtime), runtime);
  const { parameterShapes, stateShapes } = held;
  const { queued, close } = createQueue(() => releaseAll(held.programs), signal);
  return {
    shapes: Object.fromEntries(Object.entries(held.programs).map(([kind, program]) => [kind, shapeOf(program)])),
    tensors: parameterShapes,
    remark: held.programs.step?.remark,
    step: (input) => queued(() => step(held, input)),
    train: (input, given) => queued(() => train(held, input, { ...given, signal: either(given?.signal, signal) })),
    evaluate: (input) => queued(() => evaluate(held, input)),
    logits: (tokens) => queued(() => logits(held, tokens)),
    parameters: (names) => queued(() => copyOf(held, named(parameterShapes, names))),
    setParameters: (values) => queued(() => write(held, parameterShapes, values, "parameters")),
    optimizerState: () => queued(async () => (await stateOf(held)).optimizer),
    setOptimizerState: ({ step, tensors }) => queued(() => writeOptimizer(held, step, tensors)),
    resetOptimizer: () => queued(() => resetOptimizer(held)),
    save: () => queued(() => stateOf(held)),
    restore: (state) => queued(() => restore(held, state)),
    stateDigest: (residual) =>
      queued(async () => {
        const optimizer = { step: held.optimizerStep, tensors: await look(held, stateShapes) };
        return digestState({ parameters: await look(held, parameterShapes), optimizer }, residual);
      }),
    cpuTime: () => queued(() => runtime.cpuTime()),
    close,
  };
}

async function releaseAll(programs: LoadedPrograms): Promise<void> {
  for (const { executable } of Object.values(programs)) await executable.release();
}

/** What work gives, or EngineClosedError as soon as a signal ended the engine. */
async function unlessEnded<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return work;
  try {
    return await unlessAborted(work, signal);
  } catch (error) {
    throw signal.aborted ? closedBy(signal) : error;
  }
}

async function programsUnlessEnded(options: EngineOptions, runtime: Runtime): Promise<LoadedPrograms> {
  const { signal } = options;
  const loading = loadPrograms(options, runtime);
  try {
    return await unlessEnded(loading, signal);
  } catch (error) {
    // What opens after the end is nobody's.
    if (signal?.aborted) void loading.then(releaseAll).catch(() => undefined);
    throw error;
  }
}

const either = (...signals: readonly (AbortSignal | undefined)[]): AbortSignal =>
  AbortSignal.any(signals.filter((signal) => signal !== undefined));

interface Queue {
  /** Makes a call once those before it have ended, well or badly. @throws EngineClosedError */
  readonly queued: <Result>(call: () => Result | Promise<Result>) => Promise<Result>;
  /** The last call; the second time it does nothing. */
  readonly close: () => Promise<void>;
}

/**
 * One call at a time.
 * @param release done once, after the last of them
 * @param signal ends all of them
 */
function createQueue(release: () => Promise<void>, signal: AbortSignal | undefined): Queue {
  let tail: Promise<unknown> = Promise.resolve();
  let closed: EngineClosedError | undefined;
  const next = <Result>(call: () => Result | Promise<Result>): Promise<Result> => {
    const result = tail.then(() => {
      if (closed) throw closed;
      return call();
    });
    tail = result.catch(() => undefined);
    return result;
  };
  const end = (): void => {
    closed = signal && closedBy(signal);
    tail = tail.then(release).catch(() => undefined);
  };
  signal?.addEventListener("abort", end, { once: true });
  return {
    queued: (call) => unlessEnded(next(call), signal),
    close: async () => {
      if (closed) return;
      try {
        await next(() => {
          closed = new EngineClosedError();
          signal?.removeEventListener("abort", end);
          return release();
        });
      } catch (error) {
        if (error !== closed) throw error; // else it was closed meanwhile
      }
    },
  };
}

const shapeOf = ({ outline }: Loaded): BatchShape => ({
  batch: outline.batch,
  tokensPerSequence: outline.tokensPerSequence,
  vocabulary: outline.signature.vocabulary,
});

async function step(held: Held, { tokens, learningRate }: StepInput): Promise<StepResult> {
  const { batch, tokensPerSequence } = programOf(held, "step").outline;
  const size = batch * tokensPerSequence;
  if (tokens.length !== size) {
    throw new EngineError("TOKENS_INVALID", `A step takes ${size} tokens, not ${tokens.length}.`);
  }
  const [result] = await train(held, { tokens, learningRate });
  if (!result) throw new RuntimeError("RUNTIME_RESULT", "A step gave no result.");
  return result;
}

const stateOf = async (held: Held): Promise<TrainingState> => ({
  parameters: await copyOf(held, held.parameterShapes),
  optimizer: { step: held.optimizerStep, tensors: await copyOf(held, held.stateShapes) },
});

function restore(held: Held, { parameters, optimizer }: TrainingState): void {
  const values = parameters.map(({ data }) => data);
  checkValues(held.parameterShapes, values, "parameters"); // before anything is written
  writeOptimizer(
    held,
    optimizer.step,
    optimizer.tensors.map(({ data }) => data),
  );
  write(held, held.parameterShapes, values, "parameters");
}
