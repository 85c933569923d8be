/**
 * Outer optimizers as pure { init, update } over one fragment or any part of it. All arithmetic is fp32, one rounding
 * per operation, in the order of the formula.
 */
import { outerOptimizerCode } from "@cotrain/sdk/protocol";

import { tableOf } from "./kinds.ts";
import { nesterov } from "./nesterov.ts";

/** Sizes from RunParams, as `outerHyperparametersOf` of the SDK gives them for a round. */
interface OuterHyperparameters {
  /** Learning rate in millionths. */
  readonly lrPpm: number;
  /** Momentum in millionths. */
  readonly momentumPpm: number;
}

export interface OuterOptimizer {
  /** Numbers of state per parameter; the format of checkpoints has one. */
  readonly stateSize: 1;
  /** State before the first round, and after a round of which nothing was aggregated, [stateSize · elements]. */
  init(elements: number): Float32Array<ArrayBuffer>;
  /**
   * One outer step, in place.
   * @param params θ_r, becomes θ_{r+1}, [n]
   * @param state becomes the next, [stateSize · n]
   * @param gradient aggregated pseudo-gradient, [n]
   */
  update(params: Float32Array, state: Float32Array, gradient: Float32Array, size: OuterHyperparameters): void;
}

/**
 * The outer optimizer of a number in RunParams.
 * @throws UserError `OUTER_OPTIMIZER_UNKNOWN`
 */
export const outerOptimizerOf: (code: number) => OuterOptimizer = tableOf(
  { name: "Outer optimizer", error: "OUTER_OPTIMIZER_UNKNOWN" },
  outerOptimizerCode,
  { nesterov },
);
