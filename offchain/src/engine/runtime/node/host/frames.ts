/**
 * Messages with typed arrays over a stream: a length, a JSON text in which arrays are placeholders, then the arrays' bytes.
 * Arrays are sent without a copy and received into one allocation each. JSON, since V8's own serialisation must not be fed
 * with bytes of a process that is not trusted.
 */
import type { Duplex } from "node:stream";

import { bytesOf, giveBack, InternalError } from "../../../../base/core.ts";

const kinds = { Float32Array, Int32Array, Uint16Array, Uint8Array, BigInt64Array } as const;
type Kind = keyof typeof kinds;
type TypedArray = InstanceType<(typeof kinds)[Kind]>;

/** Bytes of a message's text: names of thousands of tensors fit. */
const MAX_TEXT_BYTES = 32 << 20;
const MAX_ARRAYS = 100_000;
const MAX_DEPTH = 16;

interface Header {
  readonly body: unknown;
  readonly arrays: readonly { readonly kind: Kind; readonly bytes: number }[];
}

const kindOf = (value: TypedArray): Kind => {
  for (const kind of Object.keys(kinds) as Kind[]) if (value instanceof kinds[kind]) return kind;
  throw new InternalError("ENGINE_CHANNEL", "An array of this kind cannot cross to the engine.");
};

/** JSON knows neither arrays of numbers as bytes nor NaN nor undefined: each stands as an object with one key. */
function pack(value: unknown, arrays: TypedArray[]): unknown {
  if (ArrayBuffer.isView(value)) return { $array: arrays.push(value as TypedArray) - 1 };
  if (value === undefined) return { $undefined: 0 };
  if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
  if (Array.isArray(value)) return value.map((item) => pack(item, arrays));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, pack(item, arrays)]));
}

function unpack(value: unknown, arrays: readonly TypedArray[], depth = 0): unknown {
  if (depth > MAX_DEPTH) throw refused("nests too deep");
  if (Array.isArray(value)) return value.map((item) => unpack(item, arrays, depth + 1));
  if (typeof value !== "object" || value === null) return value;
  const [[key, item] = ["", undefined], ...more] = Object.entries(value);
  if (more.length === 0) {
    if (key === "$array") return arrays[Number(item)] ?? fail("names an array that it lacks");
    if (key === "$undefined") return undefined;
    if (key === "$number") return Number(item);
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, unpack(part, arrays, depth + 1)]));
}

const refused = (why: string): InternalError =>
  new InternalError("ENGINE_CHANNEL", `A message between the engine's process and its host ${why}.`);
function fail(why: string): never {
  throw refused(why);
}

/** Sends messages one after the other; a large one waits for the reader. */
export function createSender(stream: Duplex): (message: unknown) => Promise<void> {
  let tail = Promise.resolve();
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        stream.off("drain", done);
        stream.off("close", done);
        resolve();
      };
      stream.once("drain", done);
      stream.once("close", done);
    });
  const write = async (header: Buffer, arrays: readonly TypedArray[]): Promise<void> => {
    for (const part of [header, ...arrays.map(bytesOf)]) {
      if (stream.destroyed) return;
      if (part.length > 0 && !stream.write(part)) await drained();
    }
  };
  return (message) => {
    const arrays: TypedArray[] = [];
    const body = pack(message, arrays);
    const described = arrays.map((array) => ({ kind: kindOf(array), bytes: array.byteLength }));
    const text = Buffer.from(JSON.stringify({ body, arrays: described } satisfies Header));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    const header = Buffer.concat([length, text]);
    const sent = tail.then(() => write(header, arrays));
    tail = sent.catch(() => undefined);
    return sent;
  };
}

/** Frees the arrays among a call's arguments, and in lists among them: whoever received them needs them no more. */
export function giveBackAll(given: readonly unknown[]): void {
  for (const value of given.flat()) if (ArrayBuffer.isView(value)) giveBack(value);
}

/**
 * Reads messages from a stream.
 * @param limit bytes that the arrays of one message may have together
 * @param failed told once, of the first message that is none; nothing is read after it
 */
export function receive(
  stream: Duplex,
  limit: () => number,
  onMessage: (message: unknown) => void,
  failed: (error: Error) => void,
): void {
  let wanted: Buffer = Buffer.alloc(4);
  let have = 0;
  let header: Header | undefined;
  let arrays: TypedArray[] = [];
  /** What `wanted` becomes when it is full. */
  let next: (bytes: Buffer) => void = (bytes) => length(bytes.readUInt32LE());

  const want = (bytes: Buffer, then: typeof next): void => {
    wanted = bytes;
    have = 0;
    next = then;
  };
  const length = (size: number): void => {
    if (size < 2 || size > MAX_TEXT_BYTES) fail("has a text of another length");
    want(Buffer.alloc(size), text);
  };
  const text = (bytes: Buffer): void => {
    header = readHeader(bytes, limit());
    arrays = [];
    array();
  };
  const array = (): void => {
    const description = header?.arrays[arrays.length];
    if (!description) {
      const message = unpack(header?.body, arrays);
      header = undefined;
      arrays = [];
      want(Buffer.alloc(4), (bytes) => length(bytes.readUInt32LE()));
      onMessage(message);
      return;
    }
    const { kind, bytes } = description;
    const whole = new ArrayBuffer(bytes);
    arrays.push(new kinds[kind](whole));
    want(Buffer.from(whole), array);
    if (bytes === 0) array();
  };
  const onData = (chunk: Buffer): void => {
    try {
      for (let at = 0; at < chunk.length;) {
        const taken = chunk.copy(wanted, have, at, Math.min(chunk.length, at + wanted.length - have));
        at += taken;
        have += taken;
        if (have === wanted.length) next(wanted);
      }
    } catch (error) {
      stream.off("data", onData);
      stream.destroy();
      failed(error instanceof Error ? error : refused("failed"));
    }
  };
  stream.on("data", onData);
}

function readHeader(bytes: Buffer, limit: number): Header {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    return fail("is no JSON");
  }
  if (typeof value !== "object" || value === null || !("arrays" in value) || !("body" in value))
    return fail("has another form");
  const { arrays, body } = value;
  if (!Array.isArray(arrays) || arrays.length > MAX_ARRAYS) return fail("has too many arrays");
  let total = 0;
  const described = arrays.map((array: unknown) => {
    const { kind, bytes: size } = array as { kind?: unknown; bytes?: unknown };
    if (typeof kind !== "string" || !Object.hasOwn(kinds, kind)) return fail("has an array of another kind");
    const known = kind as Kind;
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return fail("has an array of no size");
    if (size % kinds[known].BYTES_PER_ELEMENT !== 0) return fail("has a broken array");
    total += size;
    return { kind: known, bytes: size };
  });
  if (total > limit) return fail(`has ${total} bytes, more than ${limit}`);
  return { body, arrays: described };
}
