/**
 * A program is hostile bytes until it passed here. Before any runtime sees it, the bytes are read strictly (wire.ts,
 * form.ts), every operator is held against a table (operators.ts), every shape is inferred and held against what the bytes
 * claim, and the memory that the whole takes is counted. Refused are data outside the bytes, functions, training
 * information, other domains and operator sets, sparse tensors, subgraphs, unknown fields, and what is too large.
 */
import { MAX_PROGRAM_BYTES } from "@cotrain/sdk/base";

import type { AttributeForm, GraphForm, NodeForm, ValueForm } from "./form.ts";
import { readForm } from "./form.ts";
import { elementName, sizeOf, tensorValue, unfit, value, type Value, widenedSizeOf } from "./call.ts";
import { operators as table, type AttributeKind, type Operator } from "./operators.ts";
import { EngineError } from "../errors.ts";
import { forbidden, unreadable } from "./wire.ts";

/** What a machine and a release allow a program to be. */
interface ProgramLimits {
  /** Bytes that inputs, constants and everything computed may take together at the fullest moment. */
  readonly memory: number;
  /** Bytes of the program itself. */
  readonly bytes: number;
  readonly nodes: number;
  /** Inputs and outputs of a graph, together. */
  readonly ends: number;
}

/** The largest preset (10b) has 14,000 nodes, 1,800 inputs and outputs, and 10 MiB of tables. */
export const programLimits = { bytes: MAX_PROGRAM_BYTES, nodes: 40_000, ends: 8_192 } as const;

const OPSETS = { least: 18, most: 22 } as const;
const IR_VERSIONS = { least: 8, most: 12 } as const;
/** The only metadata that means anything; ONNX Runtime reads settings from other keys. */
const METADATA_KEYS: readonly string[] = ["cotrain.signature"];

/** Type and shape of an input or output. */
export interface InspectedValue {
  readonly name: string;
  readonly value: Value;
}

export interface Inspected {
  readonly metadata: ReadonlyMap<string, string>;
  readonly inputs: readonly InspectedValue[];
  readonly outputs: readonly InspectedValue[];
  readonly nodes: number;
  /** Bytes at the fullest moment, as far as the graph tells. */
  readonly peak: number;
}

/** What one inspection carries through graph and bodies. */
interface Inspection {
  readonly limits: ProgramLimits;
  readonly operators: ReadonlyMap<string, Operator>;
  nodes: number;
  bodies: number;
}

/** Each body copies the names around it. */
const MAX_BODIES = 64;

/**
 * Inspects a program's bytes.
 * @param operators for tests of the table's workings; the default is the table
 * @throws EngineError PROGRAM_UNREADABLE, PROGRAM_FORBIDDEN, PROGRAM_TOO_LARGE
 */
export function inspectProgram(
  bytes: Uint8Array,
  memory: number,
  operators: ReadonlyMap<string, Operator> = table,
): Inspected {
  const limits = { ...programLimits, memory };
  if (bytes.length > limits.bytes) {
    throw new EngineError("PROGRAM_TOO_LARGE", `The program has ${bytes.length} bytes; ${limits.bytes} are accepted.`);
  }
  const { irVersion, opsets, metadata, graph } = readForm(bytes);
  within("IR version", irVersion, IR_VERSIONS);
  const [opset, ...others] = opsets;
  if (!opset || others.length > 0 || !standard(opset.domain))
    return forbidden("it must use one operator set, the standard one (ai.onnx)");
  within("operator set version", opset.version, OPSETS);
  for (const { key } of metadata) {
    if (!METADATA_KEYS.includes(key))
      forbidden(`it has metadata ${shown(key)}; only ${METADATA_KEYS.join(", ")} is accepted`);
  }
  if (new Set(metadata.map(({ key }) => key)).size !== metadata.length) forbidden("it has metadata twice");
  const inspection: Inspection = { limits, operators, nodes: 0, bodies: 0 };
  const { inputs, outputs, peak } = inspectGraph(graph, new Map(), inspection);
  return {
    metadata: new Map(metadata.map(({ key, value: text }) => [key, text])),
    inputs,
    outputs,
    nodes: inspection.nodes,
    peak,
  };
}

const standard = (domain: string): boolean => domain === "" || domain === "ai.onnx";
/** A name from outside, safe and short enough for a message. */
const shown = (name: string): string => JSON.stringify(name.slice(0, 64));

function within(what: string, version: number, { least, most }: { least: number; most: number }): void {
  if (version < least || version > most) forbidden(`its ${what} is ${version}; ${least} to ${most} are accepted`);
}

type Scope = ReadonlyMap<string, Value>;

interface Walked {
  readonly inputs: readonly InspectedValue[];
  readonly outputs: readonly InspectedValue[];
  readonly peak: number;
}

/** Type and shape that the bytes claim. */
function claimed({ name, elementType, dims }: ValueForm): InspectedValue {
  if (name === "") return forbidden("a value has no name");
  if (!dims) return forbidden(`${shown(name)} has no shape`);
  return { name, value: value(elementName(elementType), dims) };
}

/** A body by itself: its names are its own, and it reads those outside. */
function inspectBody(graph: GraphForm, outer: Scope, inspection: Inspection): Walked {
  if (++inspection.bodies > MAX_BODIES) forbidden(`it has more than ${MAX_BODIES} subgraphs`);
  return inspectGraph(graph, outer, inspection);
}

function inspectGraph(graph: GraphForm, outer: Scope, inspection: Inspection): Walked {
  const ends = graph.inputs.length + graph.outputs.length;
  if (ends > inspection.limits.ends) {
    throw new EngineError(
      "PROGRAM_TOO_LARGE",
      `The program has ${ends} inputs and outputs; ${inspection.limits.ends} are accepted.`,
    );
  }
  const scope = new Map(outer);
  const own = new Map<string, Value>();
  const define = (name: string, found: Value): void => {
    if (name === "" || scope.has(name)) forbidden(`${shown(name)} is written twice`);
    scope.set(name, found);
    own.set(name, found);
    if (sizeOf(found) > inspection.limits.memory) tooLarge(sizeOf(found), inspection.limits.memory);
  };
  const inputs = graph.inputs.map(claimed);
  for (const { name, value: found } of inputs) define(name, found);
  for (const tensor of graph.initializers) define(tensor.name, tensorValue(tensor));
  const resident = [...own.values()].reduce((sum, found) => sum + sizeOf(found), 0);

  const working: number[] = [];
  for (const node of graph.nodes) {
    const { found, scratch } = inspectNode(node, scope, inspection);
    for (const [i, name] of node.outputs.entries()) {
      const result = found[i];
      if (name !== "" && result) define(name, result);
    }
    working.push(scratch);
  }
  const given = new Set(inputs.map(({ name }) => name));
  const outputs = graph.outputs.map((form) => {
    const { name, value: claim } = claimed(form);
    if (!own.has(name)) return forbidden(`output ${shown(name)} is not computed`);
    if (given.has(name)) return forbidden(`output ${shown(name)} is an input`);
    agree(name, own.get(name), claim);
    return { name, value: claim };
  });
  if (new Set(outputs.map(({ name }) => name)).size !== outputs.length) forbidden("an output is named twice");
  for (const form of graph.values) {
    const { name, value: claim } = claimed(form);
    agree(name, own.get(name), claim);
  }
  const peak = resident + fullest(graph, own, working, followsFromConstants(graph, inputs, outer));
  if (peak > inspection.limits.memory) tooLarge(peak, inspection.limits.memory);
  return { inputs, outputs, peak };
}

const words = ({ type, shape }: Value): string => `${type}[${shape.join(", ")}]`;

function agree(name: string, found: Value | undefined, claim: Value): void {
  if (!found) return forbidden(`${shown(name)} is described and nowhere computed`);
  if (found.type === claim.type && found.shape.join() === claim.shape.join()) return;
  forbidden(`${shown(name)} is said to be ${words(claim)} and would be ${words(found)}`);
}

const mebibytes = (bytes: number): number => Math.ceil(bytes / 2 ** 20);

function tooLarge(needed: number, memory: number): never {
  throw new EngineError(
    "PROGRAM_TOO_LARGE",
    `The program needs ${mebibytes(needed)} MiB of memory; this machine allows it ${mebibytes(memory)} MiB.`,
    { details: { needed, memory } },
  );
}

/**
 * A number for each text, so that texts which are made of long names stay short, however many there are: V8 tells texts of more than
 * 16,383 characters apart by their length alone until it compares them.
 */
function numbering(): (text: string) => number {
  const numbers = new Map<string, number>();
  return (text) => {
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    return number;
  };
}

/**
 * Values that follow from constants alone, each with the first that is the same: a runtime may compute them when it opens the program,
 * and keep them. ONNX Runtime merges nodes of one operator that read the same and have the same numbers as attributes, such as the
 * causal masks of layers: seen with 1.30, twenty masks of 16 MiB took 46 MiB. Whatever else it may merge counts each time.
 */
function followsFromConstants(
  graph: GraphForm,
  inputs: readonly InspectedValue[],
  outer: Scope,
): ReadonlyMap<string, string> {
  const varying = new Set([...outer.keys(), ...inputs.map(({ name }) => name)]);
  const fixed = new Map<string, string>();
  const first = new Map<string, string>();
  const [valueNumber, nodeNumber] = [numbering(), numbering()];
  for (const { op, inputs: read, outputs, attributes } of graph.nodes) {
    // Of what varies the shape does not.
    if (
      (op !== "Shape" && read.some((name) => varying.has(name))) ||
      attributes.some(({ g, graphs }) => g ?? graphs[0])
    ) {
      for (const name of outputs) varying.add(name);
      continue;
    }
    const merges = attributes.every(
      ({ t, s: text, f = 0 }) => t === undefined && text === undefined && Number.isFinite(f),
    );
    const numbers = attributes.map(({ name, f, i, ints }) => [name, f, i, ints]);
    const node = nodeNumber(JSON.stringify([op, read.map((name) => valueNumber(fixed.get(name) ?? name)), numbers]));
    for (const [at, name] of outputs.entries()) {
      const key = `${node} ${at}`;
      const known = merges ? (first.get(key) ?? name) : name;
      first.set(key, known);
      fixed.set(name, known);
    }
  }
  return fixed;
}

/** Bytes of computed values at the fullest moment: each lives from its node to the last that reads it, outputs to the end, `kept` always. */
function fullest(
  graph: GraphForm,
  own: ReadonlyMap<string, Value>,
  working: readonly number[],
  kept: ReadonlyMap<string, string>,
): number {
  const lastUse = new Map<string, number>();
  for (const [at, node] of graph.nodes.entries()) {
    for (const name of [...node.outputs, ...node.inputs]) lastUse.set(name, at);
  }
  for (const { name } of graph.outputs) lastUse.delete(name);
  for (const name of kept.keys()) lastUse.delete(name);
  const computed = new Set(graph.nodes.flatMap((node) => node.outputs));
  let live = [...new Set(kept.values())].reduce((sum, name) => sum + bytesIn(own, name), 0);
  let most = live;
  for (const [at, node] of graph.nodes.entries()) {
    for (const name of node.outputs) live += kept.has(name) ? 0 : bytesIn(own, name);
    most = Math.max(most, live + (working[at] ?? 0));
    for (const name of new Set([...node.inputs, ...node.outputs])) {
      if (computed.has(name) && lastUse.get(name) === at) live -= bytesIn(own, name);
    }
  }
  return most;
}

function bytesIn(own: ReadonlyMap<string, Value>, name: string): number {
  const found = own.get(name);
  return found ? sizeOf(found) : 0;
}

/** Bytes of an operator's operands once more, and in fp32 what is fp16, which a runtime without such an operator puts between casts. */
function copiesOf(operands: readonly (Value | undefined)[], found: readonly Value[]): number {
  const given = operands.filter((x) => x !== undefined);
  const wide = [...given, ...found].filter(({ type }) => type === "float16");
  const bytes = [...given.map(sizeOf), ...wide.map(widenedSizeOf)];
  return bytes.reduce((sum, size) => sum + size, 0);
}

/** Holds one node against its row; bodies are inspected first, so that their own faults are told. */
function inspectNode(
  node: NodeForm,
  scope: Scope,
  inspection: Inspection,
): { readonly found: readonly Value[]; readonly scratch: number } {
  const { op, inputs, outputs } = node;
  if (++inspection.nodes > inspection.limits.nodes) {
    throw new EngineError("PROGRAM_TOO_LARGE", `The program has more than ${inspection.limits.nodes} nodes.`);
  }
  if (!standard(node.domain))
    return forbidden(`${shown(op)} is of the domain ${shown(node.domain)}, not the standard one`);
  const bodies = new Map<string, Walked>();
  for (const { name, g, graphs } of node.attributes) {
    if (g) bodies.set(name, inspectBody(g, scope, inspection));
    for (const body of graphs) inspectBody(body, scope, inspection);
  }
  const row = inspection.operators.get(op);
  if (!row) return forbidden(`the operator ${shown(op)} is not among those that programs may use`);
  const operands = inputs.map((name) =>
    name === "" ? undefined : (scope.get(name) ?? forbidden(`${shown(name)} is read before it is computed`)),
  );
  const call = {
    op,
    inputs: operands,
    attributes: attributesOf(node, row),
    outputs: outputs.length,
    bodies: new Map([...bodies].map(([name, body]) => [name, body.outputs.map((x) => x.value)])),
  };
  const [least, most] = row.inputs;
  if (operands.length > most || operands.length < least) unfit(call, `it takes ${least} to ${most} inputs`);
  if (operands.slice(0, least).includes(undefined)) unfit(call, "an input is missing");
  if (outputs.length < row.outputs[0] || outputs.length > row.outputs[1] || outputs[0] === "")
    unfit(call, `it gives ${row.outputs[0]} to ${row.outputs[1]} outputs`);
  const found = row.shape(call);
  if (found.length !== outputs.length) unfit(call, `it gives ${found.length} outputs`);
  const copied = row.memory === "copies" ? copiesOf(operands, found) : 0;
  const inside = [...bodies.values()].reduce((sum, body) => sum + body.peak, 0);
  return { found, scratch: copied + inside };
}

/** What a kind of attribute must carry, and its number in the format. */
const attributeKinds: Readonly<Record<AttributeKind, { number: number; there: (a: AttributeForm) => boolean }>> = {
  float: { number: 1, there: ({ f }) => f !== undefined },
  int: { number: 2, there: ({ i }) => i !== undefined },
  string: { number: 3, there: ({ s }) => s !== undefined && s.length <= 64 },
  tensor: { number: 4, there: ({ t }) => t !== undefined },
  graph: { number: 5, there: ({ g }) => g !== undefined },
  ints: { number: 7, there: ({ ints }) => ints.length <= 64 },
};

function attributesOf({ op, attributes }: NodeForm, row: Operator): ReadonlyMap<string, AttributeForm> {
  const found = new Map<string, AttributeForm>();
  for (const attribute of attributes) {
    const { name } = attribute;
    const kind = Object.hasOwn(row.attributes, name) ? row.attributes[name] : undefined;
    if (!kind) return forbidden(`${op} has no attribute ${shown(name)}`);
    if (found.has(name)) return forbidden(`${op} has ${shown(name)} twice`);
    const values = [attribute.f, attribute.i, attribute.s, attribute.t, attribute.g].filter((x) => x !== undefined);
    const lists = [attribute.floats, attribute.ints, attribute.graphs].filter((list) => list.length > 0);
    const { number, there } = attributeKinds[kind];
    // Zero and empty are left out by writers, since they are the format's defaults.
    if (kind === "int" && attribute.i === undefined && attribute.type === number) attribute.i = 0;
    if (kind === "float" && attribute.f === undefined && attribute.type === number) attribute.f = 0;
    const right = attribute.type === number && there(attribute) && values.length + lists.length <= 1;
    if (!right) return unreadable(`${op}'s ${name} must be one ${kind}`);
    found.set(name, attribute);
  }
  return found;
}
