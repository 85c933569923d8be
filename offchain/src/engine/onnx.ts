/** Writes a graph as ONNX model bytes, the same bytes for the same graph: what a digest names and a session loads. */
import { create, toBinary } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType as Kind, ModelProtoSchema, TensorProto_DataType as DataType } from "onnx-buf";

import { bytesOf } from "../base/core.ts";
import { GraphError } from "./errors.ts";
import { elements, type Attribute, type ElementType, type Graph, type Shape } from "./graph.ts";
import { inspectProgram, type InspectedValue } from "./inspect/inspect.ts";

/** Operators' version. ONNX Runtime 1.30 knows up to 26; 18 is the oldest that has all that the engine uses. */
export const OPSET = 18;
const IR_VERSION = 9n;

const dataTypes: Readonly<Record<ElementType, number>> = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  int64: DataType.INT64,
  bool: DataType.BOOL,
};

const valueInfo = (name: string, type: ElementType, shape: Shape) => ({
  name,
  type: {
    value: {
      case: "tensorType" as const,
      value: {
        elemType: dataTypes[type],
        shape: { dim: shape.map((size) => ({ value: { case: "dimValue" as const, value: BigInt(size) } })) },
      },
    },
  },
});

function attribute(op: string, name: string, value: Attribute) {
  if (op === "ConstantOfShape" && typeof value === "number") {
    const rawData = bytesOf(new Float32Array([value]));
    return { name, type: Kind.TENSOR, t: { dims: [1n], dataType: DataType.FLOAT, rawData } };
  }
  if (typeof value === "number") return { name, type: Kind.INT, i: BigInt(value) };
  if (typeof value === "string") return { name, type: Kind.STRING, s: new TextEncoder().encode(value) };
  if ("float" in value) return { name, type: Kind.FLOAT, f: value.float };
  return { name, type: Kind.INTS, ints: value.map(BigInt) };
}

/** Drops nodes whose results nobody uses; a graph is built forwards and not all of it is needed. */
export function liveNodes(graph: Graph): Graph["nodes"] {
  const needed = new Set(graph.outputs.map(({ tensor }) => tensor.name));
  const live: Graph["nodes"] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    for (const name of node.inputs) needed.add(name);
    live.push(node);
  }
  return live.reverse();
}

/**
 * The graph as ONNX bytes.
 * @param metadata goes into metadata_props, in the order of its keys
 * @throws GraphError when an input or a constant is itself an output
 */
export function writeModel(graph: Graph, metadata: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> {
  const nodes = liveNodes(graph);
  const produced = new Set(nodes.flatMap((node) => node.outputs));
  const used = new Set(nodes.flatMap((node) => node.inputs));
  const renamed = new Map<string, string>();
  for (const { name, tensor } of graph.outputs) {
    if (!produced.has(tensor.name))
      throw new GraphError(`Output ${name} (${tensor.name}) is not computed by any node.`);
    renamed.set(tensor.name, name);
  }
  const final = (name: string): string => renamed.get(name) ?? name;
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: "cotrain",
    opsetImport: [{ domain: "", version: BigInt(OPSET) }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name,
      node: nodes.map(({ op, inputs, outputs, attributes }) => ({
        name: outputs[0] ?? "",
        opType: op,
        input: inputs.map(final),
        output: outputs.map(final),
        attribute: Object.entries(attributes).map(([name, value]) => attribute(op, name, value)),
      })),
      input: graph.inputs.map(({ name, type, shape }) => valueInfo(name, type, shape)),
      output: graph.outputs.map(({ name, tensor }) => valueInfo(name, tensor.type, tensor.shape)),
      initializer: graph.constants
        .filter(({ tensor }) => used.has(tensor.name))
        .map(({ tensor, data }) => ({
          name: tensor.name,
          dims: tensor.shape.map(BigInt),
          dataType: dataTypes[tensor.type],
          rawData: new Uint8Array(bytesOf(data)),
        })),
    },
  });
  return new Uint8Array(toBinary(ModelProtoSchema, model));
}

/** What the engine reads back from any model's bytes. */
export interface ModelOutline {
  readonly metadata: ReadonlyMap<string, string>;
  readonly inputs: ReadonlyMap<string, ValueOutline>;
  readonly outputs: ReadonlyMap<string, ValueOutline>;
  /** Bytes that running it takes at the fullest moment. */
  readonly peak: number;
}

/** Type and shape of an input or output. */
export interface ValueOutline {
  readonly type: ElementType | "other";
  readonly shape: Shape;
  readonly elements: number;
}

const outlines = (values: readonly InspectedValue[]): ReadonlyMap<string, ValueOutline> =>
  new Map(
    values.map(({ name, value: { type, shape } }) => [
      name,
      { type: type === "int32" || type === "float16" ? "other" : type, shape, elements: elements(shape) },
    ]),
  );

/**
 * Reads metadata, inputs and outputs of a program's bytes, which are inspected first: there is no other way to them.
 * @param memory bytes that the program may take
 * @throws EngineError PROGRAM_UNREADABLE, PROGRAM_FORBIDDEN, PROGRAM_TOO_LARGE
 */
export function readModel(bytes: Uint8Array, memory: number): ModelOutline {
  const { metadata, inputs, outputs, peak } = inspectProgram(bytes, memory);
  return { metadata, inputs: outlines(inputs), outputs: outlines(outputs), peak };
}
