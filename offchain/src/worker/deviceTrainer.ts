/** The default trainer: a build's step program in an engine on one of this machine's devices. */
import { UserError } from "../base/index.ts";
import { tensorViews } from "../diloco/index.ts";
import { conformance, type Device, readSignature } from "../engine/index.ts";
import type { TrainerInput } from "./options.ts";
import type { Trainer } from "./trainer.ts";

/** Steps handed to the engine's process at once: few enough to stop soon, many enough that handing over costs nothing. */
const TARGET_CALL_MS = 500;

/** Opens trainers on a device. */
export const trainerOn =
  (device: Device) =>
  (input: TrainerInput): Promise<Trainer> =>
    openDeviceTrainer(device, input);

/**
 * Opens an engine for a build.
 * @throws EngineError; UserError `PROGRAM_UNFIT` when the program is not one of the definition
 */
async function openDeviceTrainer(device: Device, { description, program, threads }: TrainerInput): Promise<Trainer> {
  const { definition, layouts } = description;
  const outline = readSignature(program, device.availableMemory());
  const due = definition.table.map(({ name, shape }) => ({ name, shape }));
  if (JSON.stringify(outline.parameters) !== JSON.stringify(due)) {
    throw new UserError("PROGRAM_UNFIT", "The step program has other parameters than the run's definition: refused.");
  }
  const most = outline.signature.maxThreads ?? 1;
  const engine = await device.open({
    programs: { step: program },
    threads: Math.min(threads ?? device.threads(), most),
  });
  const batch = outline.batch * outline.tokensPerSequence;
  let step = 0;
  let stepMs: number | undefined;
  let stepMicros: number | undefined;

  return {
    get step() {
      return step;
    },
    conformance: () =>
      conformance(device.open, program, 1, (micros) => {
        stepMicros = micros;
      }),
    get stepMicros() {
      return stepMicros;
    },
    load: (fragments) => engine.setParameters(tensorViews(fragments, layouts, definition.table)),
    train: async ({ tokens, learningRates }, onStep, { signal, enough }) => {
      const either = AbortSignal.any([signal, enough]);
      let from = 0;
      while (from < learningRates.length && !enough.aborted) {
        signal.throwIfAborted();
        const count = stepMs === undefined ? 1 : Math.max(1, Math.round(TARGET_CALL_MS / stepMs));
        const to = Math.min(learningRates.length, from + count);
        const startedAt = performance.now();
        const part = {
          tokens: tokens.subarray(from * batch, to * batch),
          learningRate: learningRates.slice(from, to),
        };
        const results = await engine.train(part, { progress: (_, result) => onStep(result), signal: either });
        step += results.length;
        from += results.length;
        if (results.length > 0) stepMs = (performance.now() - startedAt) / results.length;
      }
      signal.throwIfAborted();
      return from;
    },
    digest: (residual) => engine.stateDigest(tensorViews(residual, layouts, definition.table)),
    parameters: async (names) => {
      const current = await engine.parameters(names);
      return new Map(current.map(({ name, data }) => [name, data]));
    },
    reset: async () => {
      await engine.resetOptimizer();
      step = 0;
    },
    close: () => engine.close(),
  };
}
