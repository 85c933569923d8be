/**
 * Outer optimizers as pure { init, update } over one fragment or any part of it. All arithmetic is fp32, one rounding
 * per operation, in the order of the formula.
 */
import { nameOfCode, outerOptimizerCode } from "@cotrain/sdk/protocol";

import { InternalError, UserError } from "../base/index.ts";

/** Sizes from RunParams; `outerHyperparametersOf(params, round)` of the SDK gives those of a round. */
export interface OuterHyperparameters {
  /** Learning rate in millionths. */
  readonly lrPpm: number;
  /** Momentum in millionths. */
  readonly momentumPpm: number;
}

export interface OuterOptimizer {
  /** Number in RunParams.outerOptimizer. */
  readonly code: number;
  /** State before the first round, [elements]. */
  init(elements: number): Float32Array<ArrayBuffer>;
  /**
   * One outer step, in place.
   * @param params θ_r, becomes θ_{r+1}, [n]
   * @param buffer state, becomes the next, [n]
   * @param gradient aggregated pseudo-gradient, [n]
   */
  update(params: Float32Array, buffer: Float32Array, gradient: Float32Array, size: OuterHyperparameters): void;
}

/**
 * SGD with Nesterov momentum as PyTorch defines it, buffer from zeros:
 *
 *     buf = fround(fround(μ·buf) + g)        θ = fround(θ − fround(lr · fround(g + fround(μ·buf))))
 *
 * With lr 1 and μ 0 it is plain averaging: θ_{r+1} is the weighted mean of the workers' parameters.
 */
export const nesterov: OuterOptimizer = {
  code: outerOptimizerCode.nesterov,
  init: (elements) => new Float32Array(elements),
  update: (params, buffer, gradient, { lrPpm, momentumPpm }) => {
    const n = params.length;
    if (buffer.length !== n || gradient.length !== n) {
      throw new InternalError(
        "TENSOR_MISMATCH",
        `Parameters, buffer and gradient differ in size: ${n}, ${buffer.length}, ${gradient.length}.`,
      );
    }
    const lr = Math.fround(lrPpm / 1_000_000);
    const momentum = Math.fround(momentumPpm / 1_000_000);
    for (let i = 0; i < n; i++) {
      const g = gradient[i]!;
      const buf = Math.fround(Math.fround(momentum * buffer[i]!) + g);
      buffer[i] = buf;
      params[i] = params[i]! - Math.fround(lr * Math.fround(g + Math.fround(momentum * buf)));
    }
  },
};

/**
 * The outer optimizer of a number in RunParams.
 * @throws UserError `OUTER_OPTIMIZER_UNKNOWN`
 */
export function outerOptimizerOf(code: number): OuterOptimizer {
  if (code === nesterov.code && nameOfCode(outerOptimizerCode, code) !== undefined) return nesterov;
  throw new UserError(
    "OUTER_OPTIMIZER_UNKNOWN",
    `Outer optimizer ${code} is not known here; allowed is ${nesterov.code} (nesterov).`,
  );
}
