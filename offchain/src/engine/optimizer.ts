/**
 * The inner optimizer inside the graph: clipping by global norm, then AdamW with decoupled weight decay
 * (https://arxiv.org/abs/1711.05101). Whatever is the same for all elements is computed once, as a scalar.
 */
import { scalar, type Tensor } from "./graph.ts";
import * as op from "./ops.ts";

/** AdamW's constants, as a run's definition states them. */
export interface OptimizerConfig {
  readonly kind: "adamw";
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decay per unit of learning rate; norms and embeddings are exempt. */
  readonly weightDecay: number;
  /** Global norm to which gradients are scaled down. */
  readonly clipNorm: number;
}

export const defaultOptimizer: OptimizerConfig = {
  kind: "adamw",
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
};

/** What the caller feeds each step. */
export interface StepScalars {
  readonly learningRate: Tensor;
  /** 1 − β₁^t and 1 − β₂^t, t the optimizer's own step from 1. */
  readonly correction1: Tensor;
  readonly correction2: Tensor;
}

/** A parameter with its gradient and moments. */
export interface Slot {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  readonly decays: boolean;
}

export interface Updated {
  readonly parameter: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
}

/** √ Σ g², over all gradients: a scalar. */
export function globalNorm(gradients: readonly Tensor[]): Tensor {
  return op.sqrt(op.sumOf(gradients.map(op.sumOfSquares)));
}

/**
 * One step for all parameters.
 *
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², with g clipped, and, both corrections drawn out of the fraction,
 * θ ← (1 − lr·decay)·θ − (lr·√c₂/c₁) · m / (√v + ε·√c₂)
 */
export function adamW(config: OptimizerConfig, scalars: StepScalars, slots: readonly Slot[], norm: Tensor): Updated[] {
  const { graph } = norm;
  const number = (value: number): Tensor => scalar(graph, value);
  const { learningRate, correction1, correction2 } = scalars;
  const clip = op.min(op.div(number(config.clipNorm), op.add(norm, number(1e-6))), number(1));
  const root2 = op.sqrt(correction2);
  const rate = op.div(op.mul(learningRate, root2), correction1);
  const epsilon = op.mul(root2, number(config.epsilon));
  const keep = op.sub(number(1), op.mul(learningRate, number(config.weightDecay)));
  const scale1 = op.mul(clip, number(1 - config.beta1));
  const scale2 = op.mul(op.mul(clip, clip), number(1 - config.beta2));

  return slots.map(({ parameter, gradient, m, v, decays }) => {
    const m1 = op.add(op.mul(m, number(config.beta1)), op.mul(gradient, scale1));
    const v1 = op.add(op.mul(v, number(config.beta2)), op.mul(op.mul(gradient, gradient), scale2));
    const update = op.div(op.mul(m1, rate), op.add(op.sqrt(v1), epsilon));
    return { parameter: op.sub(decays ? op.mul(parameter, keep) : parameter, update), m: m1, v: v1 };
  });
}
