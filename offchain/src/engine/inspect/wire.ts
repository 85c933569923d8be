/**
 * Protocol buffers, read strictly: fields by a table, everything else refused. Two readers of lenient bytes may see two
 * programs (the last of two values, a merged message, a field that one of them does not know), so there is no leniency:
 * what passes here reads the same for every parser. The format: https://protobuf.dev/programming-guides/encoding/
 */
import { EngineError } from "../errors.ts";

/** How one field of a message is read into `Target`. */
export interface Field<Target> {
  readonly name: string;
  /** Wire types: 0 varint, 1 fixed64, 2 length-delimited, 5 fixed32. */
  readonly wires: readonly number[];
  readonly repeated: boolean;
  readonly read: (target: Target, value: WireValue, reading: Reading) => void;
}

export type Fields<Target> = Readonly<Record<number, Field<Target>>>;

/** A varint or fixed value as an unsigned integer, or the bytes of a length-delimited one. */
type WireValue = bigint | Uint8Array;

/** What is counted over a whole document, so that few bytes cannot become many objects. */
export interface Reading {
  values: number;
  depth: number;
}

/** Values (strings, messages, numbers outside raw data) of one document. */
const MAX_VALUES = 2_000_000;
/** Messages inside each other; a node's tensor in a graph's node has 5. */
const MAX_DEPTH = 24;
const MAX_TEXT_BYTES = 4096;

export function unreadable(what: string): never {
  throw new EngineError("PROGRAM_UNREADABLE", `The program's bytes are no ONNX model that is accepted: ${what}.`);
}

export function forbidden(what: string): never {
  throw new EngineError("PROGRAM_FORBIDDEN", `The program is refused: ${what}.`);
}

const count = (reading: Reading, values = 1): void => {
  reading.values += values;
  if (reading.values > MAX_VALUES) forbidden(`it holds more than ${MAX_VALUES} values`);
};

/** Reads a message; all its bytes must be fields of the table, those that are not repeated once at most. */
export function readMessage<Target>(
  what: string,
  bytes: Uint8Array,
  target: Target,
  fields: Fields<Target>,
  reading: Reading,
): Target {
  count(reading);
  if (++reading.depth > MAX_DEPTH) forbidden(`it nests more than ${MAX_DEPTH} messages`);
  const seen = new Set<number>();
  let at = 0;
  const varint = (): bigint => {
    const [value, next] = readVarint(bytes, at);
    at = next;
    return value;
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (number === 0 || wire > 5) return unreadable(`${what} has no fields`);
    const field = Object.hasOwn(fields, number) ? fields[number] : undefined;
    if (!field) return forbidden(`${what} has the unknown field ${number}`);
    if (!field.wires.includes(wire)) return unreadable(`${what}'s ${field.name} has another wire type`);
    if (!field.repeated && seen.has(number)) return forbidden(`${what} has two values of ${field.name}`);
    seen.add(number);
    if (wire === 0) field.read(target, varint(), reading);
    else {
      const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : 4;
      if (length > bytes.length - at) return unreadable(`${what}'s ${field.name} is cut off`);
      const part = bytes.subarray(at, at + length);
      at += length;
      field.read(target, part, reading);
    }
  }
  reading.depth--;
  return target;
}

function readVarint(bytes: Uint8Array, from: number): [value: bigint, next: number] {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[from + i];
    if (byte === undefined) return unreadable("it is cut off");
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) {
      if (byte === 0 && i > 0) return unreadable("a number is written longer than it is");
      if (value >= 1n << 64n) return unreadable("a number has more than 64 bits");
      return [value, from + i + 1];
    }
  }
  return unreadable("a number has more than 10 bytes");
}

const asBytes = (value: WireValue): Uint8Array =>
  value instanceof Uint8Array ? value : unreadable("a field has another wire type");

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function asText(value: WireValue, most = MAX_TEXT_BYTES): string {
  const bytes = asBytes(value);
  if (bytes.length > most) return forbidden(`a text has more than ${most} bytes`);
  try {
    return utf8.decode(bytes);
  } catch {
    return unreadable("a text is no UTF-8");
  }
}

/** A signed 64-bit number as a safe integer. */
function asInteger(value: WireValue): number {
  const signed = typeof value === "bigint" ? BigInt.asIntN(64, value) : unreadable("a field has another wire type");
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : forbidden(`the number ${signed} is too large`);
}

const asFloat = (bytes: Uint8Array, at = 0): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getFloat32(at, true);

type Setter<Target, Value> = (target: Target, value: Value) => void;

/** A field that holds one text. */
export const text = <Target>(name: string, set: Setter<Target, string>, most?: number): Field<Target> => ({
  name,
  wires: [2],
  repeated: false,
  read: (target, value) => set(target, asText(value, most)),
});

/** A field that holds texts. */
export const texts = <Target>(name: string, add: Setter<Target, string>): Field<Target> => ({
  name,
  wires: [2],
  repeated: true,
  read: (target, value, reading) => {
    count(reading);
    add(target, asText(value));
  },
});

/** A text that nothing looks at. */
export const remark = <Target>(name: string): Field<Target> => text(name, () => undefined, 1 << 16);

export const integer = <Target>(name: string, set: Setter<Target, number>): Field<Target> => ({
  name,
  wires: [0],
  repeated: false,
  read: (target, value) => set(target, asInteger(value)),
});

/** Integers, one by one or packed. */
export const integers = <Target>(name: string, add: Setter<Target, number>): Field<Target> => ({
  name,
  wires: [0, 2],
  repeated: true,
  read: (target, value, reading) => {
    if (typeof value === "bigint") {
      count(reading);
      return add(target, asInteger(value));
    }
    for (let at = 0; at < value.length;) {
      const [item, next] = readVarint(value, at);
      count(reading);
      add(target, asInteger(item));
      at = next;
    }
  },
});

export const float = <Target>(name: string, set: Setter<Target, number>): Field<Target> => ({
  name,
  wires: [5],
  repeated: false,
  read: (target, value) => set(target, asFloat(asBytes(value))),
});

/** Floats, one by one or packed. */
export const floats = <Target>(name: string, add: Setter<Target, number>): Field<Target> => ({
  name,
  wires: [5, 2],
  repeated: true,
  read: (target, value, reading) => {
    const bytes = asBytes(value);
    if (bytes.length % 4 !== 0) unreadable(`${name} is cut off`);
    count(reading, bytes.length / 4);
    for (let at = 0; at < bytes.length; at += 4) add(target, asFloat(bytes, at));
  },
});

export const blob = <Target>(name: string, set: Setter<Target, Uint8Array>): Field<Target> => ({
  name,
  wires: [2],
  repeated: false,
  read: (target, value) => set(target, asBytes(value)),
});

/** One message inside. */
export const message = <Target, Part>(
  name: string,
  read: (bytes: Uint8Array, reading: Reading) => Part,
  set: Setter<Target, Part>,
  repeated = false,
): Field<Target> => ({
  name,
  wires: [2],
  repeated,
  read: (target, value, reading) => set(target, read(asBytes(value), reading)),
});

/** Messages inside. */
export const messages = <Target, Part>(
  name: string,
  read: (bytes: Uint8Array, reading: Reading) => Part,
  add: Setter<Target, Part>,
): Field<Target> => message(name, read, add, true);

/** A field that the format knows and no program may have. */
export const never = <Target>(name: string, what: string): Field<Target> => ({
  name,
  wires: [0, 1, 2, 5],
  repeated: true,
  read: () => forbidden(what),
});
