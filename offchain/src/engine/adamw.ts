/**
 * AdamW with decoupled weight decay (https://arxiv.org/abs/1711.05101) after clipping by global norm. Whatever is the same for
 * all elements is computed once, as a scalar:
 *
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², with g clipped, and, both corrections drawn out of the fraction,
 * θ ← (1 − lr·decay)·θ − (lr·√c₂/c₁) · m / (√v + ε·√c₂)
 */
import { clipFactor } from "./clipping.ts";
import { scalar, type Tensor } from "./graph.ts";
import type { MuonConfig } from "./muon.ts";
import * as op from "./ops.ts";
import type { InnerOptimizer, OptimizerConfig } from "./optimizer.ts";

export type AdamWConfig = Extract<OptimizerConfig, { readonly kind: "adamw" }>;

/** Muon's definition has AdamW's constants for what it leaves to it. */
export const adamw: InnerOptimizer<
  AdamWConfig | MuonConfig,
  "m" | "v",
  "learningRate" | "correction1" | "correction2"
> = {
  init: ({ beta1, beta2 }) => ({
    state: ["m", "v"],
    scalars: {
      learningRate: { input: "learning_rate", feed: "learningRate" },
      // 1 − β₁^t and 1 − β₂^t, t the optimizer's own step from 1.
      correction1: { input: "bias_correction_1", feed: "biasCorrection", beta: beta1 },
      correction2: { input: "bias_correction_2", feed: "biasCorrection", beta: beta2 },
    },
  }),
  update: (config, { learningRate, correction1, correction2 }, slots, norm) => {
    const { graph } = norm;
    const number = (value: number): Tensor => scalar(graph, value);
    const clip = clipFactor(norm, config.clipNorm);
    const root2 = op.sqrt(correction2);
    const rate = op.div(op.mul(learningRate, root2), correction1);
    const epsilon = op.mul(root2, number(config.epsilon));
    const keep = op.sub(number(1), op.mul(learningRate, number(config.weightDecay)));
    const scale1 = op.mul(clip, number(1 - config.beta1));
    const scale2 = op.mul(op.mul(clip, clip), number(1 - config.beta2));

    return slots.map(({ parameter, gradient, state: { m, v }, decays }) => {
      const m1 = op.add(op.mul(m, number(config.beta1)), op.mul(gradient, scale1));
      const v1 = op.add(op.mul(v, number(config.beta2)), op.mul(op.mul(gradient, gradient), scale2));
      const update = op.div(op.mul(m1, rate), op.add(op.sqrt(v1), epsilon));
      return { parameter: op.sub(decays ? op.mul(parameter, keep) : parameter, update), state: { m: m1, v: v1 } };
    });
  },
};
