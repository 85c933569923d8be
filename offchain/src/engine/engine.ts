/**
 * The engine as its callers see it: one model in training, driven by the programs' signatures alone. openEngine.ts makes one
 * over a runtime; where that is another process or thread, what stands between speaks this interface too.
 */
import type { Hex } from "@cotrain/sdk/protocol";

import type { NamedTensor } from "./config.ts";
import type { ProgramKind } from "./signature.ts";
import type { OptimizerState, TrainingState } from "./state.ts";

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
  /** Told of finished steps: how many of this call are done, and the newest ones' results. */
  readonly progress?: ((done: number, newest: readonly StepResult[]) => void) | undefined;
  /** Ends the call after the steps that are running, which are one where the device has no `blockMs`; what is done stays done. */
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
  /** In a process of its own it gives way to what is short: work that goes on for hours beside a coordinator, a chain, a desktop. */
  readonly givesWay?: boolean | undefined;
  /**
   * Ends it at once: calls reject with EngineClosedError, whatever is being computed, since a driver may never answer. A process of
   * its own is killed; where it has none, in a page, what it holds is released after the step that is running.
   */
  readonly signal?: AbortSignal | undefined;
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
  /** What whoever opened it should know, a sentence. */
  readonly remark?: string | undefined;
  /** One inner step. */
  step(input: StepInput): Promise<StepResult>;
  /** Several inner steps; fewer results than steps if it was stopped by a signal. */
  train(input: TrainInput, options?: TrainOptions): Promise<StepResult[]>;
  evaluate(input: EvaluateInput): Promise<EvaluateResult>;
  /** Logits [S, V] of one sequence; fewer than S ids are filled up, which causality makes harmless. */
  logits(tokens: Tokens): Promise<Float32Array>;
  /** Those of these names, in the program's order; default all. */
  parameters(names?: readonly string[]): Promise<NamedTensor[]>;
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
