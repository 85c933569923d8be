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
  const found = new Map<string, Tensor>([[loss.name, scalar(graph, weight)]]);
  for (const [i, sum] of sums.entries()) found.set(parameters[i]!.name, sum);
  for (const { inputs, output, backward } of graph.tape.toReversed()) {
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
  return parameters.map((parameter) => {
    const gradient = found.get(parameter.name);
    if (!gradient) throw new GraphError(`The loss does not depend on ${parameter.name}.`);
    return gradient;
  });
}

/**
 * sum + contribution. Gemm and ScatterElements can add to what is there by themselves; where such a node made the
 * contribution (after node number `since`) and nothing else reads it, `sum` becomes its addend and no pass is spent.
 */
function accumulate(graph: Graph, sum: Tensor, contribution: Tensor, since: number): Tensor {
  const at = graph.nodes.findIndex((node) => node.outputs.includes(contribution.name));
  const maker = graph.nodes[at];
  const ready = graph.nodes.findIndex((node) => node.outputs.includes(sum.name)) < at;
  const read = graph.nodes.slice(at + 1).some((node) => node.inputs.includes(contribution.name));
  if (maker && at >= since && ready && !read) {
    if (maker.op === "Gemm" && maker.inputs.length === 2) {
      maker.inputs.push(sum.name);
      return contribution;
    }
    const made = graph.nodes.find((node) => node.outputs.includes(maker.inputs[0] ?? ""));
    if (maker.op === "ScatterElements" && made?.op === "ConstantOfShape") {
      maker.inputs[0] = sum.name;
      return contribution;
    }
  }
  return op.add(sum, contribution);
}
