/**
 * The form of an ONNX model as far as it is accepted: every field of the format by number
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), those with a reach beyond the graph refused by name.
 */
import {
  blob,
  type Fields,
  float,
  floats,
  forbidden,
  integer,
  integers,
  message,
  messages,
  never,
  readMessage,
  type Reading,
  remark,
  text,
  texts,
  unreadable,
} from "./wire.ts";

/** A tensor that stands in the bytes. */
export interface TensorForm {
  name: string;
  dims: number[];
  dataType: number;
  /** Exactly one of the two is there when there are elements. */
  raw: Uint8Array | undefined;
  values: number[];
}

export interface AttributeForm {
  name: string;
  type: number;
  f: number | undefined;
  i: number | undefined;
  s: Uint8Array | undefined;
  t: TensorForm | undefined;
  g: GraphForm | undefined;
  floats: number[];
  ints: number[];
  graphs: GraphForm[];
}

export interface NodeForm {
  op: string;
  name: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: AttributeForm[];
}

/** Type and shape that the bytes claim for a value. */
export interface ValueForm {
  name: string;
  elementType: number;
  dims: number[] | undefined;
}

export interface GraphForm {
  name: string;
  nodes: NodeForm[];
  initializers: TensorForm[];
  inputs: ValueForm[];
  outputs: ValueForm[];
  values: ValueForm[];
}

export interface ModelForm {
  irVersion: number;
  opsets: { domain: string; version: number }[];
  metadata: { key: string; value: string }[];
  graph: GraphForm | undefined;
}

const MAX_SIGNATURE_BYTES = 4 << 20;
const externalData = "it names data outside itself (external data)";
const noMetadata = "only the model itself may carry metadata";

const dimensionFields: Fields<{ size: number | undefined }> = {
  1: integer("size", (into, size) => (into.size = size)),
  2: never("symbol", "a dimension has no fixed size"),
  3: remark("denotation"),
};
const shapeFields: Fields<number[]> = {
  1: messages(
    "dimension",
    (bytes, reading) => readMessage("a dimension", bytes, { size: undefined }, dimensionFields, reading).size,
    (dims, size) => void dims.push(size ?? forbidden("a dimension has no fixed size")),
  ),
};
const tensorTypeFields: Fields<ValueForm> = {
  1: integer("element type", (into, type) => (into.elementType = type)),
  2: message(
    "shape",
    (bytes, reading) => readMessage<number[]>("a shape", bytes, [], shapeFields, reading),
    (into, dims) => (into.dims = dims),
  ),
};
const onlyTensors = "it has a value that is no tensor";
const typeFields: Fields<ValueForm> = {
  1: {
    name: "tensor type",
    wires: [2],
    repeated: false,
    read: (into, bytes, reading) => {
      if (bytes instanceof Uint8Array) readMessage("a tensor's type", bytes, into, tensorTypeFields, reading);
    },
  },
  4: never("sequence", onlyTensors),
  5: never("map", onlyTensors),
  6: remark("denotation"),
  7: never("opaque", onlyTensors),
  8: never("sparse tensor", onlyTensors),
  9: never("optional", onlyTensors),
};
const valueFields: Fields<ValueForm> = {
  1: text("name", (into, name) => (into.name = name)),
  2: {
    name: "type",
    wires: [2],
    repeated: false,
    read: (into, bytes, reading) => {
      if (bytes instanceof Uint8Array) readMessage("a type", bytes, into, typeFields, reading);
    },
  },
  3: remark("description"),
  4: never("metadata", noMetadata),
};
const readValue = (bytes: Uint8Array, reading: Reading): ValueForm =>
  readMessage<ValueForm>("a value", bytes, { name: "", elementType: 0, dims: undefined }, valueFields, reading);

const tensorFields: Fields<TensorForm> = {
  1: integers("dims", (into, size) => void into.dims.push(size)),
  2: integer("data type", (into, type) => (into.dataType = type)),
  3: never("segment", "a tensor stands in segments"),
  4: floats("float data", (into, value) => void into.values.push(value)),
  5: integers("int32 data", (into, value) => void into.values.push(value)),
  6: never("string data", "a tensor holds texts"),
  7: integers("int64 data", (into, value) => void into.values.push(value)),
  8: text("name", (into, name) => (into.name = name)),
  9: blob("raw data", (into, raw) => (into.raw = raw)),
  10: never("double data", "a tensor holds doubles"),
  11: never("uint64 data", "a tensor holds unsigned numbers"),
  12: remark("description"),
  13: never("external data", externalData),
  14: integer("data location", (_, location) => void (location !== 0 && forbidden(externalData))),
  16: never("metadata", noMetadata),
};
const readTensor = (bytes: Uint8Array, reading: Reading): TensorForm =>
  readMessage<TensorForm>(
    "a tensor",
    bytes,
    { name: "", dims: [], dataType: 0, raw: undefined, values: [] },
    tensorFields,
    reading,
  );

const sparse = "it has a sparse tensor";
const attributeFields: Fields<AttributeForm> = {
  1: text("name", (into, name) => (into.name = name)),
  2: float("f", (into, value) => (into.f = value)),
  3: integer("i", (into, value) => (into.i = value)),
  4: blob("s", (into, value) => (into.s = value)),
  5: message("t", readTensor, (into, value) => (into.t = value)),
  6: message(
    "g",
    (bytes, reading) => readGraph(bytes, reading),
    (into, value) => (into.g = value),
  ),
  7: floats("floats", (into, value) => void into.floats.push(value)),
  8: integers("ints", (into, value) => void into.ints.push(value)),
  9: never("strings", "an attribute is a list of texts"),
  10: never("tensors", "an attribute is a list of tensors"),
  11: messages(
    "graphs",
    (bytes, reading) => readGraph(bytes, reading),
    (into, value) => void into.graphs.push(value),
  ),
  13: remark("description"),
  14: never("type", "an attribute is a type"),
  15: never("types", "an attribute is a list of types"),
  20: integer("type", (into, type) => (into.type = type)),
  21: never("reference", "it has functions of its own"),
  22: never("sparse tensor", sparse),
  23: never("sparse tensors", sparse),
};
const readAttribute = (bytes: Uint8Array, reading: Reading): AttributeForm =>
  readMessage<AttributeForm>(
    "an attribute",
    bytes,
    {
      name: "",
      type: 0,
      f: undefined,
      i: undefined,
      s: undefined,
      t: undefined,
      g: undefined,
      floats: [],
      ints: [],
      graphs: [],
    },
    attributeFields,
    reading,
  );

const nodeFields: Fields<NodeForm> = {
  1: texts("input", (into, name) => void into.inputs.push(name)),
  2: texts("output", (into, name) => void into.outputs.push(name)),
  3: text("name", (into, name) => (into.name = name)),
  4: text("operator", (into, op) => (into.op = op)),
  5: messages("attribute", readAttribute, (into, attribute) => void into.attributes.push(attribute)),
  6: remark("description"),
  7: text("domain", (into, domain) => (into.domain = domain)),
  8: never("overload", "it has functions of its own"),
  9: never("metadata", noMetadata),
  10: never("device configuration", "it asks for devices"),
};
const readNode = (bytes: Uint8Array, reading: Reading): NodeForm =>
  readMessage<NodeForm>(
    "a node",
    bytes,
    { op: "", name: "", domain: "", inputs: [], outputs: [], attributes: [] },
    nodeFields,
    reading,
  );

const graphFields: Fields<GraphForm> = {
  1: messages("node", readNode, (into, node) => void into.nodes.push(node)),
  2: text("name", (into, name) => (into.name = name)),
  5: messages("initializer", readTensor, (into, tensor) => void into.initializers.push(tensor)),
  10: remark("description"),
  11: messages("input", readValue, (into, value) => void into.inputs.push(value)),
  12: messages("output", readValue, (into, value) => void into.outputs.push(value)),
  13: messages("value", readValue, (into, value) => void into.values.push(value)),
  14: never("quantization", "it has quantization annotations"),
  15: never("sparse initializer", sparse),
  16: never("metadata", noMetadata),
};
function readGraph(bytes: Uint8Array, reading: Reading): GraphForm {
  const empty: GraphForm = { name: "", nodes: [], initializers: [], inputs: [], outputs: [], values: [] };
  return readMessage("a graph", bytes, empty, graphFields, reading);
}

const opsetFields: Fields<{ domain: string; version: number }> = {
  1: text("domain", (into, domain) => (into.domain = domain)),
  2: integer("version", (into, version) => (into.version = version)),
};
const entryFields: Fields<{ key: string; value: string }> = {
  1: text("key", (into, key) => (into.key = key)),
  2: text("value", (into, value) => (into.value = value), MAX_SIGNATURE_BYTES),
};
const modelFields: Fields<ModelForm> = {
  1: integer("IR version", (into, version) => (into.irVersion = version)),
  2: remark("producer"),
  3: remark("producer's version"),
  4: remark("domain"),
  5: integer("version", () => undefined),
  6: remark("description"),
  7: message("graph", readGraph, (into, graph) => (into.graph = graph)),
  8: messages(
    "operator set",
    (bytes, reading) => readMessage("an operator set", bytes, { domain: "", version: 0 }, opsetFields, reading),
    (into, opset) => void into.opsets.push(opset),
  ),
  14: messages(
    "metadata",
    (bytes, reading) => readMessage("metadata", bytes, { key: "", value: "" }, entryFields, reading),
    (into, entry) => void into.metadata.push(entry),
  ),
  20: never("training information", "it has training information"),
  25: never("function", "it has functions of its own"),
  26: never("configuration", "it asks for devices"),
};

/**
 * Reads a model's bytes.
 * @throws EngineError PROGRAM_UNREADABLE, PROGRAM_FORBIDDEN
 */
export function readForm(bytes: Uint8Array): ModelForm & { graph: GraphForm } {
  const empty: ModelForm = { irVersion: 0, opsets: [], metadata: [], graph: undefined };
  const model = readMessage("the model", bytes, empty, modelFields, { values: 0, depth: 0 });
  return { ...model, graph: model.graph ?? unreadable("it holds no graph") };
}
