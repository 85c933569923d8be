/** Clipping by global norm, as PyTorch's clip_grad_norm_ does it: all gradients are scaled down together. */
import { scalar, type Tensor } from "./graph.ts";
import * as op from "./ops.ts";

/** √ Σ g², over all gradients: a scalar. */
export function globalNorm(gradients: readonly Tensor[]): Tensor {
  return op.sqrt(op.sumOf(gradients.map(op.sumOfSquares)));
}

/** min(1, limit ÷ (norm + 10⁻⁶)), by which each gradient is multiplied: a scalar. */
export function clipFactor(norm: Tensor, limit: number): Tensor {
  const number = (value: number): Tensor => scalar(norm.graph, value);
  return op.min(op.div(number(limit), op.add(norm, number(1e-6))), number(1));
}
