/** Files read with a maximum. */
import { open } from "node:fs/promises";

import { errnoOf, UserError } from "../errors.ts";
import { joinChunks, parseJsonBounded } from "../readers.ts";

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
 * Reads and parses a JSON file of at most `maxBytes`.
 * @throws UserError `FILE_UNREADABLE`, `FILE_TOO_LARGE` or `JSON_INVALID`, naming the path
 */
export async function readJsonBounded(path: string, maxBytes: number): Promise<unknown> {
  return parseJsonBounded(await readFileBounded(path, maxBytes), maxBytes, path);
}
