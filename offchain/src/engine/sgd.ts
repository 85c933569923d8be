/**
 * SGD with momentum as PyTorch defines it, after clipping by global norm. Decay is plain, not decoupled: it is a part of the
 * gradient (L2) and so of the momentum.
 *
 * g ← g + decay·θ, with g clipped, b ← μb + g, θ ← θ − lr·(g + μb by Nesterov, else b)
 *
 * b begins as zeros, which equals PyTorch's first step; without momentum there is none.
 */
import { clipFactor } from "./clipping.ts";
import { scalar, type Tensor } from "./graph.ts";
import * as op from "./ops.ts";
import type { InnerOptimizer, OptimizerConfig } from "./optimizer.ts";

type SgdConfig = Extract<OptimizerConfig, { readonly kind: "sgd" }>;

export const sgd: InnerOptimizer<SgdConfig, string, "learningRate"> = {
  init: ({ momentum }) => ({
    state: momentum > 0 ? ["momentum"] : [],
    scalars: { learningRate: { input: "learning_rate", feed: "learningRate" } },
  }),
  update: ({ momentum, nesterov, weightDecay, clipNorm }, { learningRate }, slots, norm) => {
    const number = (value: number): Tensor => scalar(norm.graph, value);
    const clip = clipFactor(norm, clipNorm);
    return slots.map(({ parameter, gradient, state, decays }) => {
      const clipped = op.mul(gradient, clip);
      const g = decays ? op.add(clipped, op.mul(parameter, number(weightDecay))) : clipped;
      const before = state["momentum"];
      if (!before) return { parameter: op.sub(parameter, op.mul(g, learningRate)), state };
      const b = op.add(op.mul(before, number(momentum)), g);
      const update = nesterov ? op.add(g, op.mul(b, number(momentum))) : b;
      return { parameter: op.sub(parameter, op.mul(update, learningRate)), state: { momentum: b } };
    });
  },
};
