/**
 * A graph under construction: nodes in the order in which they run, every tensor with its static shape. Plain data;
 * `ops.ts` adds nodes to it, `gradients.ts` walks its tape backwards, `onnx.ts` writes it down.
 */
import { GraphError } from "./errors.ts";
import type { Product } from "./products.ts";

export type ElementType = "float32" | "float16" | "int64" | "bool";

/** What the products of a model are computed in; all else is fp32. */
export type Precision = "fp32" | "fp16";
export type Shape = readonly number[];

/** A value in a graph. */
export interface Tensor {
  readonly graph: Graph;
  readonly name: string;
  readonly shape: Shape;
  readonly type: ElementType;
}

export type Attribute = number | string | readonly number[] | { readonly float: number };

/** One ONNX operator call. `inputs` holds names, "" for one that is left out. */
interface Node {
  readonly op: string;
  readonly inputs: string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A value that stands in the graph's bytes. */
interface Constant {
  readonly tensor: Tensor;
  readonly data: Float32Array | BigInt64Array;
}

/** What `gradients.ts` needs to go back through one differentiable operation. */
interface TapeEntry {
  readonly rule: string;
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  /** dOutput → one gradient per input, undefined where none flows. */
  readonly backward: (gradient: Tensor) => readonly (Tensor | undefined)[];
}

export interface Graph {
  readonly name: string;
  /** Of the model's products. */
  readonly precision: Precision;
  /** Tensors rounded to fp16, by the name of what was: whoever needs one again takes the same. */
  readonly rounded: Map<string, Tensor>;
  /** What a graph has once, by what it is: see {@link once}. */
  readonly single: Map<string, Tensor>;
  readonly nodes: Node[];
  readonly inputs: Tensor[];
  readonly outputs: { readonly name: string; readonly tensor: Tensor }[];
  readonly constants: Constant[];
  readonly products: Product[];
  readonly tape: TapeEntry[];
}

/** An empty graph. */
export function createGraph(name: string, precision: Precision = "fp32"): Graph {
  return {
    name,
    precision,
    rounded: new Map(),
    single: new Map(),
    nodes: [],
    inputs: [],
    outputs: [],
    constants: [],
    products: [],
    tape: [],
  };
}

/**
 * What the loss is multiplied by before the way back, so that gradients do not fall below what fp16 has (Micikevicius et al. 2018,
 * Mixed Precision Training, section 3.2, https://arxiv.org/abs/1710.03740). It is fixed. A factor that follows what overflows would
 * be a tensor of state of its own, so that a worker could not go on with its state in another build, and steps would depend on what a
 * device did before. A power of two changes no digit. At 2¹² a gradient may have elements up to 16 before one overflows, and the
 * whole of it is clipped to the norm 1; without, half of the gradients of activations would be 0 or nearly so.
 */
export const lossScaleOf = ({ precision }: Graph): number => (precision === "fp16" ? 2 ** 12 : 1);

/** Number of elements of a shape; 1 for a scalar. */
export const elements = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, i) => size === b[i]);

/** Declares an input that the caller feeds by `name`. */
export function input(graph: Graph, name: string, shape: Shape, type: ElementType = "float32"): Tensor {
  const tensor: Tensor = { graph, name, shape, type };
  graph.inputs.push(tensor);
  return tensor;
}

/** Declares `tensor` an output that the caller reads by `name`. A tensor can be one output only. */
export function output(name: string, tensor: Tensor): void {
  const { graph } = tensor;
  if (graph.outputs.some((known) => known.tensor.name === tensor.name || known.name === name)) {
    throw new GraphError(`${tensor.name} cannot be output ${name}: one of them is an output already.`);
  }
  graph.outputs.push({ name, tensor });
}

/** A value that stands in the graph's bytes; equal values are stored once. */
export function constant(graph: Graph, data: Float32Array | BigInt64Array, shape: Shape): Tensor {
  if (data.length !== elements(shape)) {
    throw new GraphError(
      `A constant of shape [${shape.join(", ")}] has ${elements(shape)} values, not ${data.length}.`,
    );
  }
  const type = data instanceof Float32Array ? "float32" : "int64";
  const known = graph.constants.find(
    (other) =>
      other.tensor.type === type && sameShape(other.tensor.shape, shape) && data.every((x, i) => x === other.data[i]),
  );
  if (known) return known.tensor;
  const tensor: Tensor = { graph, name: `constant_${graph.constants.length}`, shape, type };
  graph.constants.push({ tensor, data });
  return tensor;
}

/** A float scalar that stands in the graph's bytes. */
export const scalar = (graph: Graph, value: number): Tensor => constant(graph, new Float32Array([value]), []);

/** A list of integers that stands in the graph's bytes. */
export const integers = (graph: Graph, values: readonly number[]): Tensor =>
  constant(graph, new BigInt64Array(values.map(BigInt)), [values.length]);

/**
 * A tensor that a graph has once, made when it is first asked for: large tables, however many layers and micro-batches read them.
 * @param what it is, and all that its values depend on
 */
export function once({ single }: Graph, what: string, make: () => Tensor): Tensor {
  const tensor = single.get(what) ?? make();
  single.set(what, tensor);
  return tensor;
}

/** Adds a node with one output. `inputs` may leave out trailing or middle ones by undefined. */
export function emit(
  graph: Graph,
  op: string,
  inputs: readonly (Tensor | undefined)[],
  shape: Shape,
  attributes: Readonly<Record<string, Attribute>> = {},
  type: ElementType = "float32",
): Tensor {
  if (shape.some((size) => !Number.isInteger(size) || size < 1)) {
    throw new GraphError(`${op} of ${describe(inputs)} would have the shape [${shape.join(", ")}].`);
  }
  const name = `${op}_${graph.nodes.length}`;
  graph.nodes.push({ op, inputs: inputs.map((tensor) => tensor?.name ?? ""), outputs: [name], attributes });
  return { graph, name, shape, type };
}

/** Shapes of operands, for messages. */
export const describe = (tensors: readonly (Tensor | undefined)[]): string =>
  tensors.map((tensor) => (tensor ? `${tensor.name}[${tensor.shape.join(", ")}]` : "–")).join(", ");
