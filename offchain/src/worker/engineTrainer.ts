/** The default trainer: the engine's host, which runs a build's step program in a process of its own. */
import { availableParallelism } from "node:os";

import { UserError } from "../base/index.ts";
import { tensorViews } from "../diloco/index.ts";
import { conformance, openEngineHost, readSignature } from "../engine/index.ts";
import type { TrainerInput } from "./options.ts";
import type { Trainer } from "./trainer.ts";

/** Steps handed to the engine's process at once: few enough to stop soon, many enough that handing over costs nothing. */
const TARGET_CALL_MS = 500;

/**
 * Opens the engine for a build.
 * @throws EngineError; UserError `PROGRAM_UNFIT` when the program is not one of the definition
 */
export async function openEngineTrainer({ description, program, threads }: TrainerInput): Promise<Trainer> {
  const { definition, layouts } = description;
  const outline = readSignature(program);
  const due = definition.table.map(({ name, shape }) => ({ name, shape }));
  if (JSON.stringify(outline.parameters) !== JSON.stringify(due)) {
    throw new UserError("PROGRAM_UNFIT", "The step program has other parameters than the run's definition: refused.");
  }
  const most = outline.signature.maxThreads ?? 1;
  const engine = await openEngineHost({
    programs: { step: program },
    threads: Math.min(threads ?? availableParallelism(), most),
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
      conformance(program, 1, (micros) => {
        stepMicros = micros;
      }),
    get stepMicros() {
      return stepMicros;
    },
    load: (fragments) => engine.setParameters(tensorViews(fragments, layouts, definition.table)),
    train: async ({ tokens, learningRates }, onStep, signal) => {
      for (let from = 0; from < learningRates.length;) {
        signal.throwIfAborted();
        const count = stepMs === undefined ? 1 : Math.max(1, Math.round(TARGET_CALL_MS / stepMs));
        const to = Math.min(learningRates.length, from + count);
        const startedAt = performance.now();
        const part = {
          tokens: tokens.subarray(from * batch, to * batch),
          learningRate: learningRates.slice(from, to),
        };
        const results = await engine.train(part, { progress: (_, result) => onStep(result), signal });
        step += results.length;
        stepMs = (performance.now() - startedAt) / (to - from);
        from = to;
      }
      signal.throwIfAborted();
    },
    digest: (residual) => engine.stateDigest(tensorViews(residual, layouts, definition.table)),
    parameters: async () => {
      const current = await engine.parameters();
      return new Map(current.map(({ name, data }) => [name, data]));
    },
    reset: async () => {
      await engine.resetOptimizer();
      step = 0;
    },
    close: () => engine.close(),
  };
}
