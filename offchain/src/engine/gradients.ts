/** Reverse-mode differentiation at build time: walks a graph's tape backwards and adds the nodes of the gradients. */
import { GraphError } from "./errors.ts";
import { scalar, type Graph, type Tensor } from "./graph.ts";
import * as op from "./ops.ts";

/** Gradients that are added up over several losses, which then weigh less. */
interface Accumulated {
  /** Of this loss; default 1. */
  readonly weight?: number;
  /** Of the losses before, in the parameters' order; default none. */
  readonly sums?: readonly Tensor[];
}

/**
 * Gradients of a scalar with respect to `parameters`, in their order.
 * @throws GraphError when the loss is no scalar or does not depend on a parameter
 */
export function gradients(
  loss: Tensor,
  parameters: readonly Tensor[],
  { weight = 1, sums = [] }: Accumulated = {},
): Tensor[] {
  const { graph } = loss;
  if (loss.shape.length > 0)
    throw new GraphError(`A loss is a scalar; ${loss.name} has shape [${loss.shape.join(", ")}].`);
  const found = new Map([[loss.name, scalar(graph, weight)]]);
  for (const [i, sum] of sums.entries()) found.set(parameters[i]!.name, sum);
  goBack(graph, graph.tape, found);
  return parameters.map((parameter) => {
    const gradient = found.get(parameter.name);
    if (!gradient) throw new GraphError(`The loss does not depend on ${parameter.name}.`);
    return gradient;
  });
}

/** Adds to the gradients, by the name of what they are of, those of all that a tape made these of. */
function goBack(graph: Graph, tape: Graph["tape"], found: Map<string, Tensor>): void {
  for (const { inputs, output, backward } of tape.toReversed()) {
    const gradient = found.get(output.name);
    if (!gradient) continue;
    const before = graph.nodes.length;
    const contributions = backward(gradient);
    for (const [i, input] of inputs.entries()) {
      const contribution = contributions[i];
      if (!contribution) continue;
      const sum = found.get(input.name);
      const own = contributions.filter((other) => other === contribution).length === 1;
      found.set(
        input.name,
        sum ? accumulate(graph, sum, contribution, own ? before : graph.nodes.length) : contribution,
      );
    }
  }
}

/**
 * build(x), of whose inside nothing is kept for the way back: there it is computed again from x (https://arxiv.org/abs/1604.06174).
 * The same operators in the same order, so not a bit of the result or of a gradient changes.
 * @param build of the differentiable operations, from x to a tensor of its shape
 */
export function recomputed(x: Tensor, build: (x: Tensor) => Tensor): Tensor {
  const { graph } = x;
  const { output, tape } = taped(graph, () => build(x));
  const made = new Set(tape.map((entry) => entry.output));
  const inputs = [...new Set(tape.flatMap((entry) => entry.inputs))].filter((tensor) => !made.has(tensor));
  const backward = (gradient: Tensor): (Tensor | undefined)[] => {
    // Runtimes order nodes by what these read alone, and merge those that read the same: without this one nothing would be gained.
    const again = op.afterAll(x, [gradient]);
    const second = taped(graph, () => build(again));
    const found = new Map([[second.output.name, gradient]]);
    goBack(graph, second.tape, found);
    return inputs.map((input) => found.get((input === x ? again : input).name));
  };
  graph.tape.push({ rule: "recomputed", inputs, output, backward });
  return output;
}

/** What is built, and its tape, which the graph's does not get. */
function taped(graph: Graph, build: () => Tensor): { readonly output: Tensor; readonly tape: Graph["tape"] } {
  const from = graph.tape.length;
  const output = build();
  return { output, tape: graph.tape.splice(from) };
}

/** Whether a node makes the tensor of a name. */
const makes =
  (name: string) =>
  ({ outputs }: Graph["nodes"][number]): boolean =>
    outputs.includes(name);

/**
 * sum + contribution. Gemm and ScatterElements can add to what is there by themselves; where such a node made the
 * contribution (after node number `since`) and nothing else reads it, `sum` becomes its addend and no pass is spent.
 */
function accumulate(graph: Graph, sum: Tensor, contribution: Tensor, since: number): Tensor {
  // Looked for among the newest alone: a stranger's model may have as many nodes as there can be, and gradients as well.
  const newest = graph.nodes.slice(since);
  const at = newest.findIndex(makes(contribution.name));
  const maker = newest[at];
  const later = newest.slice(at + 1);
  if (
    !maker ||
    maker.outputs.includes(sum.name) ||
    later.some((node) => makes(sum.name)(node) || node.inputs.includes(contribution.name))
  )
    return op.add(sum, contribution);
  if (maker.op === "Gemm" && maker.inputs.length === 2) {
    maker.inputs.push(sum.name);
    return contribution;
  }
  if (maker.op === "ScatterElements") {
    const made = graph.nodes.find(makes(maker.inputs[0] ?? ""));
    if (made?.op === "ConstantOfShape") {
      maker.inputs[0] = sum.name;
      return contribution;
    }
  }
  return op.add(sum, contribution);
}
