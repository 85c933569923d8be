/**
 * The inner loop as the worker drives it. The engine's host is the default trainer (deviceTrainer.ts); a plug-in that
 * runs somebody's own training code would be another.
 */
import type { Hex } from "@cotrain/sdk/protocol";

import type { FlatParameters } from "../diloco/index.ts";
import type { Residual } from "./residual.ts";

/** The inner steps of an assignment. */
export interface InnerSteps {
  /** Token ids of all steps, one batch after the other, uint16. */
  readonly tokens: Uint16Array;
  /** One rate per step; their number is the number of steps. */
  readonly learningRates: readonly number[];
}

interface TrainLimits {
  readonly signal: AbortSignal;
  readonly enough: AbortSignal;
  /** Ms until nobody waits for these steps any longer; undefined while that is not known. */
  readonly dueIn?: (() => number | undefined) | undefined;
}

interface StepReport {
  /** Nats per token, before the step. */
  readonly loss: number;
}

export interface Trainer {
  /** Steps that this worker's optimizer has taken; 0 = fresh. */
  readonly step: number;
  /** State digest after 3 steps from fixed inputs; leaves a fresh trainer behind. */
  conformance(): Promise<Hex>;
  /** µs that a step took then; undefined before, or where nobody timed it. */
  readonly stepMicros?: number | undefined;
  /** What people should know of how it trains, a sentence. */
  readonly remark?: string | undefined;
  /**
   * Starts a round: θ becomes these parameters, the optimizer keeps its state.
   * @param fragments flat parameters by fragment index, in table order
   */
  load(fragments: readonly Float32Array[]): Promise<void>;
  /**
   * Runs inner steps in order, beside this process's event loop. Stops between two steps when a signal is aborted: `signal` rejects
   * with its reason, after `enough` what is done stands. Steps that nothing stops take a small part of the time that is left.
   * @returns how many steps are done
   */
  train(steps: InnerSteps, onSteps: (newest: readonly StepReport[]) => void, limits: TrainLimits): Promise<number>;
  /** BLAKE3 of the training state: θ, optimizer, residual, step. */
  digest(residual: Residual): Promise<Hex>;
  /** θ_i of these tensors by name; valid until the next `load` or `train`. */
  parameters(names: readonly string[]): Promise<FlatParameters>;
  /** Forgets the optimizer's state, as after divergence. */
  reset(): Promise<void>;
  close(): Promise<void>;
}
