/**
 * Reads that cannot be made to take more memory than they were allowed: every stream and JSON text that comes from outside
 * goes through here with a maximum, every file through node/readers.ts.
 */
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
 * Parses UTF-8 JSON of at most `maxBytes`.
 * @param what names the text in the error
 * @throws UserError `JSON_TOO_LARGE` or `JSON_INVALID`
 */
export function parseJsonBounded(bytes: Uint8Array, maxBytes: number, what = "The text"): unknown {
  if (bytes.length > maxBytes) {
    throw new UserError("JSON_TOO_LARGE", `${what} is larger than the ${maxBytes} bytes allowed.`);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    throw new UserError("JSON_INVALID", `${what} is not valid JSON in UTF-8.`, { cause: error });
  }
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
