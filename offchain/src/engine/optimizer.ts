/**
 * Inner optimizers inside the graph, as pure { init, update }: `init` says which state a parameter has and what is fed each
 * step, `update` builds the step. Nothing else knows which optimizer a program has: the runtime goes by its signature.
 */
import type { Definition } from "@cotrain/sdk/protocol";

import { type AdamWConfig, adamw } from "./adamw.ts";
import { elements, input, type Shape, type Tensor } from "./graph.ts";
import { muon } from "./muon.ts";
import { sgd } from "./sgd.ts";
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
   * One step for all parameters that it is the optimizer of.
   * @param norm of all gradients together
   */
  update(
    config: Config,
    scalars: Readonly<Record<Scalar, Tensor>>,
    slots: readonly Slot<State>[],
    norm: Tensor,
  ): Updated<State>[];
}

/** What a parameter is to the model. A tied embedding table is an embedding. */
type Role = "embedding" | "hidden" | "norm" | "output";

function roleOf(name: string): Role {
  if (name.endsWith("norm.weight")) return "norm";
  if (name.endsWith("embed_tokens.weight")) return "embedding";
  return name.endsWith("lm_head.weight") ? "output" : "hidden";
}

type ByRole = Readonly<Record<Role, InnerOptimizer>>;

const everywhere = (one: InnerOptimizer): ByRole => ({ embedding: one, hidden: one, norm: one, output: one });

/** Who steps which parameters, by `kind`. */
const optimizers: Readonly<Record<OptimizerConfig["kind"], ByRole>> = {
  adamw: everywhere(adamw),
  sgd: everywhere(sgd),
  muon: { ...everywhere(adamw), hidden: muon },
};

/** Numbers that an optimizer keeps for a model of these tensors. */
export const stateElements = (
  config: OptimizerConfig,
  tensors: readonly { readonly name: string; readonly shape: Shape }[],
): number =>
  tensors.reduce((sum, { name, shape }) => {
    const { state } = optimizers[config.kind][roleOf(name)].init(config);
    return sum + state.length * elements(shape);
  }, 0);

/** A parameter that takes a step. */
interface Trained {
  readonly name: string;
  readonly parameter: Tensor;
  readonly gradient: Tensor;
}

interface Step {
  /** The parameters after it, by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** State after it, by the name of the input that it was read from, in the signature's order. */
  readonly state: ReadonlyMap<string, Tensor>;
  readonly scalars: Signature["scalars"];
}

/**
 * Builds one step for all parameters; declares the inputs of state and scalars.
 * @param norm of all gradients together
 */
export function optimizerStep(config: OptimizerConfig, trained: readonly Trained[], norm: Tensor): Step {
  const { graph } = norm;
  const byRole = optimizers[config.kind];
  const parameters = new Map<string, Tensor>();
  const state = new Map<string, Tensor>();
  const fed = new Map<string, Tensor>();
  const scalars: Signature["scalars"] = [];
  for (const one of new Set(Object.values(byRole))) {
    const own = trained.filter(({ name }) => byRole[roleOf(name)] === one);
    const wanted = one.init(config);
    const states: Record<string, Tensor>[] = own.map(() => ({}));
    for (const kind of wanted.state)
      for (const [i, { name, parameter }] of own.entries())
        states[i]![kind] = input(graph, `${kind}.${name}`, parameter.shape);
    for (const scalar of Object.values(wanted.scalars)) {
      if (fed.has(scalar.input)) continue;
      fed.set(scalar.input, input(graph, scalar.input, []));
      scalars.push(scalar);
    }
    const given = Object.fromEntries(
      Object.entries(wanted.scalars).map(([name, scalar]) => [name, fed.get(scalar.input)!]),
    );
    const slots = own.map(({ name, parameter, gradient }, i) => {
      const role = roleOf(name);
      return { parameter, gradient, state: states[i]!, decays: role === "hidden" || role === "output" };
    });
    const updated = one.update(config, given, slots, norm);
    for (const [i, { name }] of own.entries()) parameters.set(name, updated[i]!.parameter);
    for (const kind of wanted.state)
      for (const [i, { name }] of own.entries()) state.set(`${kind}.${name}`, updated[i]!.state[kind]!);
  }
  return { parameters, state, scalars };
}
