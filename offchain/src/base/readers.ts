/**
 * Reads that cannot be made to take more memory than they were allowed: every stream and JSON text that comes from outside
 * goes through here with a maximum, every file through node/readers.ts.
 */
import {
  hasLongNames,
  hasTooManyValues,
  isCanonicalJson,
  MAX_JSON_NAME_BYTES,
  MAX_JSON_VALUES,
} from "@cotrain/sdk/protocol";

import { UserError } from "./errors.ts";

/** Chunks of bytes in order, as Node's and the web's readable streams yield them. */
export type ByteChunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Collects a stream of at most `maxBytes`; stops reading at the first chunk that goes beyond.
 * @param what names the stream in the error
 * @throws UserError `STREAM_TOO_LARGE`
 */
export async function readStreamBounded(
  stream: ByteChunks,
  maxBytes: number,
  what = "The stream",
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of stream) {
    total += chunk.length;
    if (total > maxBytes) {
      throw new UserError("STREAM_TOO_LARGE", `${what} is larger than the ${maxBytes} bytes allowed.`);
    }
    chunks.push(chunk);
  }
  return joinChunks(chunks, total);
}

/**
 * Parses UTF-8 JSON of at most `maxBytes`, and of no more values than {@link MAX_JSON_VALUES} in no more levels than 32.
 * @param what names the text in the error
 * @throws UserError `JSON_TOO_LARGE` or `JSON_INVALID`
 */
export function parseJsonBounded(bytes: Uint8Array, maxBytes: number, what = "The text"): unknown {
  return parseText(bytes, maxBytes, what).value;
}

/**
 * Parses a document that is named by the digest of its bytes: these are its canonical JSON and no other.
 * @param what names the document in the error
 * @throws UserError `JSON_TOO_LARGE`, `JSON_INVALID` or `JSON_NOT_CANONICAL`
 */
export function parseCanonicalJson(bytes: Uint8Array, maxBytes: number, what: string): unknown {
  const { text, value } = parseText(bytes, maxBytes, what);
  if (!isCanonicalJson(text, value)) throw new UserError("JSON_NOT_CANONICAL", `${what}: not canonical JSON.`);
  return value;
}

/** Levels of lists and objects in each other, several times those of any document: what is done with a value may go as deep. */
const MAX_JSON_LEVELS = 32;

/** Whether a value has more levels of lists and objects than these. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return (Array.isArray(value) ? value : Object.values(value)).some((item) => isDeeper(item, levels - 1));
}

function parseText(
  bytes: Uint8Array,
  maxBytes: number,
  what: string,
): { readonly text: string; readonly value: unknown } {
  if (bytes.length > maxBytes) {
    throw new UserError("JSON_TOO_LARGE", `${what} is larger than the ${maxBytes} bytes allowed.`);
  }
  if (hasTooManyValues(bytes)) {
    throw new UserError("JSON_TOO_LARGE", `${what}: more than the ${MAX_JSON_VALUES} values allowed.`);
  }
  if (hasLongNames(bytes)) {
    throw new UserError("JSON_TOO_LARGE", `${what}: a name longer than the ${MAX_JSON_NAME_BYTES} bytes allowed.`);
  }
  let text: string;
  let value: unknown;
  try {
    // A mark at the start is a byte that the digest covers, not one to pass over.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new UserError("JSON_INVALID", `${what} is not valid JSON in UTF-8.`, { cause: error });
  }
  if (isDeeper(value, MAX_JSON_LEVELS))
    throw new UserError("JSON_INVALID", `${what}: JSON of more than the ${MAX_JSON_LEVELS} levels allowed.`);
  return { text, value };
}

/** Chunks of `total` bytes as one. */
export function joinChunks(chunks: readonly Uint8Array[], total: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(total);
  let offset = 0;
  for (const chunk of chunks) {
    out.set(chunk, offset);
    offset += chunk.length;
  }
  return out;
}
