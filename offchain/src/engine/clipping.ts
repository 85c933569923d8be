/** Clipping by global norm, as PyTorch's clip_grad_norm_ does it: all gradients are scaled down together. */
import { lossScaleOf, scalar, type Tensor } from "./graph.ts";
import * as op from "./ops.ts";

/** √ Σ g², over all gradients: a scalar. */
export function globalNorm(gradients: readonly Tensor[]): Tensor {
  return op.sqrt(op.sumOf(gradients.map(op.sumOfSquares)));
}

/**
 * min(1, limit ÷ (norm + 10⁻⁶)), by which each gradient is multiplied: a scalar. Where gradients are those of a scaled loss it takes
 * that back as well, which so costs no pass over them; the norm is that of gradients as they should be.
 */
export function clipFactor(norm: Tensor, limit: number): Tensor {
  const number = (value: number): Tensor => scalar(norm.graph, value);
  const factor = op.min(op.div(number(limit), op.add(norm, number(1e-6))), number(1));
  const scale = lossScaleOf(norm.graph);
  return scale === 1 ? factor : op.mul(factor, number(1 / scale));
}
