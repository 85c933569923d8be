/**
 * Outer optimizer 0: SGD with Nesterov momentum as PyTorch defines it, buffer from zeros:
 *
 *     buf = fround(fround(μ·buf) + g)        θ = fround(θ − fround(lr · fround(g + fround(μ·buf))))
 *
 * With lr 1 and μ 0 it is plain averaging: θ_{r+1} is the weighted mean of the workers' parameters.
 */
import { InternalError } from "../base/index.ts";
import type { OuterOptimizer } from "./outerOptimizer.ts";

export const nesterov: OuterOptimizer = {
  stateSize: 1,
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
