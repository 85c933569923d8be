/**
 * The safetensors format (https://github.com/huggingface/safetensors): 8 bytes little-endian length of a JSON header,
 * the header, then the tensors' data without holes. Only F32 is read and written here. The reader takes bytes for
 * hostile and accepts nothing that the reference implementation refuses.
 */
import { elementsOf } from "@cotrain/sdk/protocol";

import { bytesOf, parseJsonBounded } from "../base/index.ts";
import { FormatError } from "./errors.ts";

/** Header bytes at most; about 65,536 tensors. */
const MAX_HEADER_BYTES = 16 << 20;
const MAX_DIMENSIONS = 8;

/** A tensor's name, shape and values, flat in row-major order. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Where a tensor's data lies. */
interface TensorSpan {
  readonly name: string;
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** Tensors by ascending offset. */
  readonly tensors: readonly TensorSpan[];
  readonly metadata: Readonly<Record<string, string>>;
  /** First byte of data, counted from the start of the file. */
  readonly dataOffset: number;
}

const invalid = (message: string, cause?: unknown): FormatError =>
  new FormatError("SAFETENSORS_INVALID", `Not a valid safetensors file: ${message}.`, { cause });

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The header of a file of these tensors. It is padded with spaces to a multiple of 8, so that data can be viewed as fp32 in
 * place. Equal input gives equal bytes.
 * @throws FormatError when names repeat or the header is too large
 */
export function safetensorsHeader(
  tensors: readonly Pick<Tensor, "name" | "shape">[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  const names = new Set(["__metadata__"]);
  let at = 0;
  for (const { name, shape } of tensors) {
    if (names.has(name)) throw invalid(`the name ${name} is not allowed or there twice`);
    names.add(name);
    const bytes = 4 * elementsOf(shape);
    entries.push([name, { dtype: "F32", shape, data_offsets: [at, at + bytes] }]);
    at += bytes;
  }
  // Written entry by entry: an object would put names that look like integers first.
  const json = `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) throw invalid(`the header has ${length} bytes, allowed are ${MAX_HEADER_BYTES}`);
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return header;
}

/**
 * The file as chunks: header, then each tensor's data, which is not copied.
 * @throws FormatError when names repeat, shapes do not fit the values or the header is too large
 */
export function safetensorsChunks(
  tensors: readonly Tensor[],
  metadata: Readonly<Record<string, string>> = {},
): { header: Uint8Array<ArrayBuffer>; chunks: Uint8Array[]; bytes: number } {
  for (const { name, shape, values } of tensors) {
    if (elementsOf(shape) !== values.length) {
      throw invalid(`tensor ${name} has ${values.length} values, its shape is [${shape.join(", ")}]`);
    }
  }
  const header = safetensorsHeader(tensors, metadata);
  const data = tensors.map(({ values }) => bytesOf(values));
  const bytes = data.reduce((sum, { length }) => sum + length, header.length);
  return { header, chunks: [header, ...data], bytes };
}

/**
 * Reads the header's length field.
 * @param start the file's first 8 bytes at least
 * @param total the file's length in bytes
 * @returns bytes of the header with its length field
 * @throws FormatError
 */
function safetensorsHeaderLength(start: Uint8Array, total: number): number {
  if (start.length < 8 || total < 8) throw invalid(`it has ${total} bytes, a header length alone takes 8`);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    throw invalid(`its header claims ${length} bytes, allowed are ${MAX_HEADER_BYTES}`);
  if (8 + Number(length) > total) throw invalid(`its header claims ${length} bytes, the file has ${total}`);
  return 8 + Number(length);
}

/**
 * Parses and checks a header.
 * @param head the file's first bytes, the whole header at least
 * @param total the file's length in bytes
 * @throws FormatError for a bad length, JSON, dtype, shape, overlap, hole or trailing bytes
 */
export function parseSafetensorsHeader(head: Uint8Array, total: number): SafetensorsHeader {
  const dataOffset = safetensorsHeaderLength(head, total);
  const text = head.subarray(8, dataOffset);
  if (text[0] !== 0x7b) throw invalid("its header does not begin with {");
  let json: unknown;
  try {
    json = parseJsonBounded(text, MAX_HEADER_BYTES, "its header");
  } catch (error) {
    throw invalid("its header is not JSON in UTF-8", error);
  }
  if (!isRecord(json)) throw invalid("its header is no JSON object");
  const tensors: TensorSpan[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = parseMetadata(value);
    else tensors.push(parseEntry(name, value, dataOffset));
  }
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataOffset;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== end)
      throw invalid(`tensor ${name} ${offset < end ? "overlaps the one before" : "leaves a hole before it"}`);
    end += bytes;
  }
  if (end !== total) throw invalid(`its tensors end at byte ${end}, the file at ${total}`);
  return { tensors, metadata, dataOffset };
}

function parseMetadata(value: unknown): Record<string, string> {
  if (!isRecord(value)) throw invalid("__metadata__ is no object of strings");
  const out: Record<string, string> = {};
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw invalid("__metadata__ is no object of strings");
    Object.defineProperty(out, key, { value: text, enumerable: true });
  }
  return out;
}

function parseEntry(name: string, value: unknown, dataOffset: number): TensorSpan {
  if (!isRecord(value)) throw invalid(`tensor ${name} is no object`);
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  if (Object.keys(rest).length > 0) throw invalid(`tensor ${name} has the unknown field ${Object.keys(rest)[0]}`);
  if (dtype !== "F32") throw invalid(`tensor ${name} has dtype ${JSON.stringify(dtype)}, only F32 is read here`);
  if (!isCounts(shape) || shape.length > MAX_DIMENSIONS) {
    throw invalid(`tensor ${name} has a malformed shape; allowed are up to ${MAX_DIMENSIONS} non-negative integers`);
  }
  // A product of safe integers may itself be unsafe, and a later 0 would hide that.
  let elements = 1;
  for (const size of shape) elements = size === 0 || elements === 0 ? 0 : elements * size;
  const bytes = elements * 4;
  if (!Number.isSafeInteger(bytes)) throw invalid(`tensor ${name} has a shape too large to address`);
  if (!isCounts(offsets) || offsets.length !== 2) throw invalid(`tensor ${name} has malformed data_offsets`);
  const [begin = 0, end = 0] = offsets;
  if (end - begin !== bytes) throw invalid(`tensor ${name} has ${end - begin} bytes of data, its shape takes ${bytes}`);
  return { name, shape, offset: dataOffset + begin, bytes };
}

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
