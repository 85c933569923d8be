/** What a worker learned in a round. */
import { InternalError } from "../base/index.ts";

/**
 * Δ = fround(θ_r − θ_i), element by element: the direction in which the outer optimizer descends (DiLoCo, arXiv
 * 2311.08105).
 * @param global θ_r, [n]
 * @param local θ_i after the inner steps, [n]
 */
export function pseudoGradient(global: Float32Array, local: Float32Array): Float32Array<ArrayBuffer> {
  if (global.length !== local.length) {
    throw new InternalError(
      "TENSOR_MISMATCH",
      `Global and local parameters differ in size: ${global.length}, ${local.length}.`,
    );
  }
  const delta = new Float32Array(global.length);
  for (let i = 0; i < delta.length; i++) delta[i] = global[i]! - local[i]!;
  return delta;
}
