/**
 * Muon for hidden matrices: momentum whose singular values are all made about 1. As Keller Jordan published it
 * (https://kellerjordan.github.io/posts/muon/), in fp32, with decoupled decay and the scale of https://arxiv.org/abs/2502.16982, which
 * gives an update the size of AdamW's, so that one learning rate suits both; what is no hidden matrix is AdamW's. As the inner
 * optimizer of DiLoCo: https://arxiv.org/abs/2505.23725.
 *
 * m ← μm + (1 − μ)g, with g clipped, u = (1 − μ)g + μm by Nesterov,
 * θ ← (1 − lr·decay)·θ − lr·0.2·√max(rows, columns)·orthogonal(u)
 */
import { clipFactor } from "./clipping.ts";
import { scalar, type Tensor } from "./graph.ts";
import * as op from "./ops.ts";
import type { InnerOptimizer, OptimizerConfig } from "./optimizer.ts";

export type MuonConfig = Extract<OptimizerConfig, { readonly kind: "muon" }>;

/** Of the quintic a·x + b·x³ + c·x⁵, which brings every x in (0, 1] near 1 in five turns. */
const [a, b, c] = [3.4445, -4.775, 2.0315] as const;
const TURNS = 5;
/** The usual root mean square of AdamW's updates. */
const RMS = 0.2;

/**
 * U·Vᵀ of x = U·S·Vᵀ, about: the Newton-Schulz iteration X ← aX + bAX + cA²X with A = X·Xᵀ, in the form of the smaller square, so
 * that all its products are exact (products.ts) without a transposition. A is symmetric, so it may be read transposed.
 */
function orthogonal(matrix: Tensor): Tensor {
  const { graph, shape } = matrix;
  const [rows = 0, columns = 0] = shape;
  const norm = op.sqrt(op.sumOfSquares(matrix));
  let x = op.mul(matrix, op.reciprocal(op.add(norm, scalar(graph, 1e-7))));
  for (let turn = 0; turn < TURNS; turn++) {
    const tall = rows > columns;
    const square = op.gemm(x, x, tall ? { transA: true } : { transB: true });
    const sum = op.gemm(square, square, { transA: true, alpha: c, plus: square, beta: b }); // bA + cA²
    x = tall ? op.gemm(x, sum, { plus: x, beta: a }) : op.gemm(sum, x, { transA: true, plus: x, beta: a });
  }
  return x;
}

export const muon: InnerOptimizer<MuonConfig, "momentum", "learningRate"> = {
  init: () => ({
    state: ["momentum"],
    scalars: { learningRate: { input: "learning_rate", feed: "learningRate" } },
  }),
  update: (config, { learningRate }, slots, norm) => {
    const number = (value: number): Tensor => scalar(norm.graph, value);
    const share = op.mul(clipFactor(norm, config.clipNorm), number(1 - config.momentum));
    const keep = op.sub(number(1), op.mul(learningRate, number(config.weightDecay)));
    return slots.map(({ parameter, gradient, state: { momentum }, decays }) => {
      const fresh = op.mul(gradient, share);
      const m = op.add(op.mul(momentum, number(config.momentum)), fresh);
      const ahead = op.add(fresh, op.mul(m, number(config.momentum)));
      const rate = op.mul(learningRate, number(RMS * Math.sqrt(Math.max(...parameter.shape))));
      const update = op.mul(orthogonal(ahead), rate);
      return { parameter: op.sub(decays ? op.mul(parameter, keep) : parameter, update), state: { momentum: m } };
    });
  },
};
