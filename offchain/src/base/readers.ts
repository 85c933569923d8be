/**
 * Reads that cannot be made to take more memory than they were allowed: every file, stream and JSON text that comes
 * from outside goes through here with a maximum.
 */
import { open } from "node:fs/promises";

import { errnoOf, UserError } from "./errors.ts";

/** Chunks of bytes in order, as Node's and the web's readable streams yield them. */
export type ByteChunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** The sentence for what the operating system said of a path. */
export function describeErrno(error: unknown): string {
  switch (errnoOf(error)) {
    case "ENOENT":
      return "does not exist";
    case "EACCES":
    case "EPERM":
      return "may not be read by this user";
    case "EISDIR":
      return "is a directory, not a file";
    default:
      return `cannot be read (${errnoOf(error) ?? (error instanceof Error ? error.message : String(error))})`;
  }
}

/**
 * Reads a whole file of at most `maxBytes`.
 * @throws UserError `FILE_UNREADABLE` or `FILE_TOO_LARGE`, naming the path
 */
export async function readFileBounded(path: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    await using file = await open(path, "r");
    const stat = await file.stat();
    if (stat.isDirectory()) throw new UserError("FILE_UNREADABLE", `${path} is a directory, not a file.`);
    const chunks: Uint8Array[] = [];
    let total = 0;
    // A file may grow while it is read, and devices report size 0: count what arrives, not what stat promised.
    for (;;) {
      const expected = Math.min(Math.max(stat.size - total, 64 * 1024) + 1, maxBytes + 1 - total);
      const { bytesRead, buffer } = await file.read(new Uint8Array(expected), 0, expected, total);
      if (bytesRead === 0) break;
      total += bytesRead;
      if (total > maxBytes) {
        throw new UserError("FILE_TOO_LARGE", `${path} is larger than the ${maxBytes} bytes allowed.`);
      }
      chunks.push(buffer.subarray(0, bytesRead));
    }
    return joinChunks(chunks, total);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError("FILE_UNREADABLE", `${path} ${describeErrno(error)}.`, { cause: error });
  }
}

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

/**
 * Reads and parses a JSON file of at most `maxBytes`.
 * @throws UserError `FILE_UNREADABLE`, `FILE_TOO_LARGE` or `JSON_INVALID`, naming the path
 */
export async function readJsonBounded(path: string, maxBytes: number): Promise<unknown> {
  return parseJsonBounded(await readFileBounded(path, maxBytes), maxBytes, path);
}

function joinChunks(chunks: Uint8Array[], total: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(total);
  let offset = 0;
  for (const chunk of chunks) {
    out.set(chunk, offset);
    offset += chunk.length;
  }
  return out;
}
