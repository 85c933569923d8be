/** One call of an operator as the shape rules see it: values with static shapes, attributes by name. */
import { elements } from "../graph.ts";
import type { AttributeForm, TensorForm } from "./form.ts";
import { forbidden } from "./wire.ts";

/** Element types that a program may compute with, by their number in the format. */
const elementTypes = { float32: 1, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementName = keyof typeof elementTypes;

const bytesOf: Readonly<Record<ElementName, number>> = { float32: 4, float16: 2, int32: 4, int64: 8, bool: 1 };

export function elementName(type: number): ElementName {
  for (const name of ["float32", "float16", "int32", "int64", "bool"] as const)
    if (elementTypes[name] === type) return name;
  return forbidden(`it has values of element type ${type}; float32, float16, int32, int64 and bool are accepted`);
}

export interface Value {
  readonly type: ElementName;
  readonly shape: readonly number[];
  /** The elements, where they are whole numbers that stand in the program: shapes, axes and places follow from them. */
  readonly known?: readonly number[] | undefined;
}

/** A shape of more axes is of no use to training. */
const MAX_RANK = 8;

/** Constants of more elements than this are data, and no shape follows from them. */
const MAX_KNOWN = 64;

/** A value of a shape that is checked: whole sizes from 1 (a list may be empty) whose product is safe to count. */
export function value(type: ElementName, shape: readonly number[], known?: readonly number[]): Value {
  if (shape.length > MAX_RANK) forbidden(`a value has ${shape.length} axes, more than ${MAX_RANK}`);
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < (shape.length === 1 ? 0 : 1))
      forbidden(`a value has the size ${size} along an axis`);
  }
  if (!Number.isSafeInteger(elements(shape) * 8)) forbidden(`a value of shape [${shape.join(", ")}] is too large`);
  // Shapes are lists. Of what has more axes the rules would have to follow where each element goes.
  const isList = shape.length <= 1 && known?.length === elements(shape) && known.length <= MAX_KNOWN;
  return { type, shape, known: isList ? known : undefined };
}

/** Bytes of a value in fp32, which a runtime without a product in fp16 makes of it. */
export const widenedSizeOf = ({ shape }: Value): number => elements(shape) * bytesOf.float32;

/** Bytes that a value takes. */
export const sizeOf = ({ type, shape }: Value): number => elements(shape) * bytesOf[type];

export interface Call {
  readonly op: string;
  /** Undefined where an optional input is left out. */
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: ReadonlyMap<string, AttributeForm>;
  readonly outputs: number;
  /** Outputs of the bodies, by attribute. */
  readonly bodies: ReadonlyMap<string, readonly Value[]>;
}

/** The outputs' types and shapes; refuses operands that do not fit. */
export type ShapeRule = (call: Call) => readonly Value[];

/** Refuses a call whose operands do not fit each other. */
export function unfit(call: Call, why: string): never {
  const operands = call.inputs.map((x) => (x ? `${x.type}[${x.shape.join(", ")}]` : "–")).join(", ");
  return forbidden(`${call.op} of ${operands} does not fit: ${why}`);
}

export function operand(call: Call, index: number): Value {
  return call.inputs[index] ?? unfit(call, `input ${index + 1} is missing`);
}

/** Elements of an input that must stand in the program, since a shape follows from them. */
export function knownOf(call: Call, index: number): readonly number[] {
  const { known, shape } = operand(call, index);
  if (shape.length > 1) return unfit(call, `input ${index + 1} must be a list`);
  return known ?? unfit(call, `input ${index + 1} must be a constant, since a shape follows from it`);
}

export const intOf = (call: Call, name: string, otherwise: number): number => call.attributes.get(name)?.i ?? otherwise;

/** Bytes as text of one character each. */
const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

export function textOf(call: Call, name: string, allowed: readonly string[]): string {
  const bytes = call.attributes.get(name)?.s;
  const text = bytes === undefined ? (allowed[0] ?? "") : latin1(bytes);
  return allowed.includes(text) ? text : unfit(call, `${name} must be one of ${allowed.join(", ")}`);
}

/** An axis from 0. */
export function axisOf(call: Call, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  return at >= 0 && at < rank ? at : unfit(call, `there is no axis ${axis}`);
}

/** Axes from 0, each once. */
export function axesOf(call: Call, axes: readonly number[], rank: number): number[] {
  const found = axes.map((axis) => axisOf(call, axis, rank));
  return new Set(found).size === found.length ? found : unfit(call, "an axis is named twice");
}

/** Whole numbers beyond these stand for "to the end". */
const clamp = (x: bigint): number => Number(x > 2n ** 52n ? 2n ** 52n : x < -(2n ** 52n) ? -(2n ** 52n) : x);

/** Whether a type holds a whole number as it is. */
export function fits(type: ElementName, x: number): boolean {
  if (type === "bool") return x === 0 || x === 1;
  return type !== "int32" || (x >= -(2 ** 31) && x < 2 ** 31);
}

const isFloat = (type: ElementName): type is "float32" | "float16" => type === "float32" || type === "float16";

/** Elements of a tensor's data, wherever they stand. */
function countIn(type: ElementName, raw: Uint8Array | undefined, values: readonly number[]): number {
  if (raw === undefined) {
    if (type === "float16" && values.length > 0) forbidden("a tensor of float16 must have raw data");
    return values.length;
  }
  return values.length > 0 ? forbidden("a tensor has its data twice") : raw.length / bytesOf[type];
}

/** A tensor that stands in the program: type, shape and that its data has exactly its elements. */
export function tensorValue({ dims, dataType, raw, values }: TensorForm): Value {
  const type = elementName(dataType);
  const shaped = value(type, dims);
  const count = elements(dims);
  const there = countIn(type, raw, values);
  if (there !== count) return forbidden(`a tensor of shape [${dims.join(", ")}] has ${there} elements`);
  if (isFloat(type) || count > MAX_KNOWN || dims.length > 1) return shaped;
  if (raw === undefined && !values.every((x) => fits(type, x)))
    return forbidden(`a number in a tensor does not fit ${type}`);
  if (raw === undefined) return { ...shaped, known: values };
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const at = {
    int32: (i: number) => view.getInt32(i * 4, true),
    int64: (i: number) => clamp(view.getBigInt64(i * 8, true)),
    bool: (i: number) => view.getUint8(i),
  }[type];
  const known = Array.from({ length: count }, (_, i) => at(i));
  return known.every((x) => fits(type, x))
    ? { ...shaped, known }
    : forbidden(`a number in a tensor does not fit ${type}`);
}
