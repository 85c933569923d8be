/** The default trainer: a build's step program in an engine on one of this machine's devices. */
import { UserError } from "../base/index.ts";
import { tensorViews } from "../diloco/index.ts";
import {
  conformance,
  createEngineGuard,
  type Device,
  type Engine,
  ENGINE_LIMITS,
  type EngineGuard,
  type EngineLimits,
  isLost,
  memoryOf,
  type OpenEngine,
  problemOfProgram,
  readSignature,
  RuntimeError,
  type StepResult,
} from "../engine/index.ts";
import type { TrainerInput } from "./options.ts";
import type { Trainer } from "./trainer.ts";

/** Steps handed to the engine's process at once: few enough to stop soon, many enough that handing over costs nothing. */
const TARGET_CALL_MS = 500;
/** Steps that nothing stops take at most 1 / so much of the time that the round still waits. */
const CALL_SHARE = 4;

/** Opens trainers on a device. */
export const trainerOn =
  (device: Device, limits = ENGINE_LIMITS) =>
  (input: TrainerInput): Promise<Trainer> =>
    openDeviceTrainer(device, input, limits);

function outlineOf({ program, build, description }: TrainerInput, memory: number) {
  const outline = readSignature(program, memory);
  const problem = problemOfProgram("step", build.document, description.definition, outline);
  if (problem === "") return outline;
  throw new UserError("PROGRAM_UNFIT", `Build ${build.digest} is not what it says: ${problem}: refused.`);
}

/**
 * Opens an engine for a build. One that is silent for too long is ended: whatever it was asked rejects with EngineClosedError.
 * @throws EngineError; UserError `PROGRAM_UNFIT` when the program is not the one that build and definition describe
 */
async function openDeviceTrainer(device: Device, input: TrainerInput, limits: EngineLimits): Promise<Trainer> {
  const { description, program, threads, signal, patience } = input;
  const { definition, layouts } = description;
  const outline = outlineOf(input, await memoryOf(device));
  const most = outline.signature.maxThreads ?? 1;
  const { blockMs = 0 } = device;
  const held = [...outline.parameters, ...outline.state];
  const guard = createEngineGuard(limits, signal, { held, blockMs, patience });
  const open: OpenEngine = (options) => device.open({ ...options, signal: guard.signal });
  const engine = await guard.prepared(() =>
    open({ programs: { step: program }, threads: Math.min(threads ?? device.threads(), most), givesWay: true }),
  );
  let step = 0;
  let stepMicros: number | undefined;

  return {
    get step() {
      return step;
    },
    conformance: () =>
      guard.prepared(() =>
        conformance(open, program, 1, (micros) => {
          stepMicros = micros;
          guard.measured(micros / 1_000);
        }),
      ),
    get stepMicros() {
      return stepMicros;
    },
    remark: engine.remark,
    load: (fragments) => guard.answered(() => engine.setParameters(tensorViews(fragments, layouts, definition.table))),
    train: inParts(
      engine,
      guard,
      { batch: outline.batch * outline.tokensPerSequence, callMs: Math.max(TARGET_CALL_MS, blockMs) },
      (steps) => {
        step += steps;
      },
    ),
    digest: (residual) => guard.answered(() => engine.stateDigest(tensorViews(residual, layouts, definition.table))),
    parameters: async (names) => {
      const current = await guard.answered(() => engine.parameters(names));
      return new Map(current.map(({ name, data }) => [name, data]));
    },
    reset: async () => {
      await guard.answered(() => engine.resetOptimizer());
      step = 0;
    },
    close: async () => {
      if (guard.signal.aborted) return;
      // Nobody needs it any more: what it did is done, and one that is lost while it closes is closed.
      await guard
        .closed(() => engine.close())
        .catch((error: unknown) => {
          if (!isLost(error)) throw error;
        });
    },
  };
}

/** Who goes on asking it asks for ever. */
const unasked = (due: number, { length }: readonly StepResult[]): RuntimeError =>
  new RuntimeError(
    "ENGINE_ANSWER",
    `The engine was asked for ${due} steps, which nothing stopped, and answered ${length}.`,
  );

/** Inner steps, some at a time. @param taken told of those that are done */
function inParts(
  engine: Engine,
  guard: EngineGuard,
  { batch, callMs }: { readonly batch: number; readonly callMs: number },
  taken: (steps: number) => void,
): Trainer["train"] {
  let stepMs: number | undefined;
  return async ({ tokens, learningRates }, onSteps, { signal, enough, dueIn = () => undefined }) => {
    const either = AbortSignal.any([signal, enough]);
    let from = 0;
    while (from < learningRates.length && !enough.aborted) {
      signal.throwIfAborted();
      const longest = Math.min(callMs, (dueIn() ?? Infinity) / CALL_SHARE);
      const count = stepMs === undefined ? 1 : Math.max(1, Math.round(longest / stepMs));
      const to = Math.min(learningRates.length, from + count);
      const startedAt = performance.now();
      const part = {
        tokens: tokens.subarray(from * batch, to * batch),
        learningRate: learningRates.slice(from, to),
      };
      let told = 0;
      const results = await guard.trained((heard) => {
        const progress = (done: number, newest: readonly StepResult[]): void => {
          // What tells of the same steps again and again is silent, and so is what tells of steps that nobody asked for.
          if (done <= told || done > to - from || newest.length !== done - told) return;
          told = done;
          heard();
          onSteps(newest);
        };
        return engine.train(part, { progress, signal: either });
      }, signal);
      if (results.length > to - from || (results.length === 0 && !either.aborted)) throw unasked(to - from, results);
      taken(results.length);
      from += results.length;
      if (results.length === 0) continue;
      stepMs = (performance.now() - startedAt) / results.length;
      guard.measured(stepMs);
    }
    signal.throwIfAborted();
    return from;
  };
}
