/**
 * Inner optimizers inside the graph, as pure { init, update }: `init` says which state each parameter has and what is fed each
 * step, `update` builds the step. Nothing else knows which optimizer a program has: the runtime goes by its signature.
 */
import type { Definition } from "@cotrain/sdk/protocol";

import { type AdamWConfig, adamw } from "./adamw.ts";
import type { Tensor } from "./graph.ts";
import * as op from "./ops.ts";
import type { Signature } from "./signature.ts";

/** An optimizer's constants, as a run's definition states them. */
export type OptimizerConfig = Definition["innerOptimizer"];

export const defaultOptimizer: AdamWConfig = {
  kind: "adamw",
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  /** Per unit of learning rate; norms and embeddings are exempt. */
  weightDecay: 0.1,
  /** Global norm to which gradients are scaled down. */
  clipNorm: 1,
};

/** A parameter with its gradient and state. */
interface Slot<State extends string> {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly state: Readonly<Record<State, Tensor>>;
  /** Norms and embeddings do not. */
  readonly decays: boolean;
}

type Updated<State extends string> = Pick<Slot<State>, "parameter" | "state">;

export interface InnerOptimizer<
  Config = OptimizerConfig,
  State extends string = string,
  Scalar extends string = string,
> {
  /** What a step is fed and hands on. */
  init(config: Config): {
    /** Tensors of state of each parameter, in its shape and zeros at first: so many times the parameters' memory. */
    readonly state: readonly State[];
    /** Scalars by the name that `update` has for them; inputs in this order. */
    readonly scalars: Readonly<Record<Scalar, Signature["scalars"][number]>>;
  };
  /**
   * One step for all parameters.
   * @param norm of all gradients together
   */
  update(
    config: Config,
    scalars: Readonly<Record<Scalar, Tensor>>,
    slots: readonly Slot<State>[],
    norm: Tensor,
  ): Updated<State>[];
}

/** By `kind`. */
const optimizers: Readonly<Record<OptimizerConfig["kind"], InnerOptimizer>> = { adamw };

export const innerOptimizerOf = ({ kind }: OptimizerConfig): InnerOptimizer => optimizers[kind];

/** √ Σ g², over all gradients: a scalar. */
export function globalNorm(gradients: readonly Tensor[]): Tensor {
  return op.sqrt(op.sumOf(gradients.map(op.sumOfSquares)));
}
