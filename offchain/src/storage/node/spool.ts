/** Bytes from elsewhere, whole and hashed before anybody else is given them: in memory, or in a file while it lasts. */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Digest } from "@cotrain/sdk/protocol";

import type { ByteChunks } from "../../base/index.ts";
import { writeError } from "../../base/node/index.ts";
import type { Expected } from "../blobStore.ts";
import { arrivalOf } from "../expected.ts";

/** What is longer goes through a file. */
const IN_MEMORY = 4 << 20;
const CHUNK_BYTES = 1 << 20;

/** Bytes that came, of the length that was expected. */
export interface Received extends AsyncDisposable {
  readonly digest: Digest;
  readonly bytes: number;
  /** The bytes, as often as they are asked for. */
  content(): Uint8Array | AsyncIterable<Uint8Array>;
}

async function* fileContent(file: FileHandle, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes;) {
    const { buffer, bytesRead } = await file.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** A file that nobody finds, and that is gone with its handle where the system lets open files be removed. */
async function openScratch(directory: string): Promise<{ readonly file: FileHandle; readonly path: string }> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `.cotrain-${randomBytes(12).toString("hex")}`);
  const file = await open(path, "wx+", 0o600);
  if (process.platform !== "win32") await rm(path, { force: true });
  return { file, path };
}

/**
 * Takes all bytes.
 * @param directory for the file; default the system's
 * @throws BlobError `BLOB_TOO_LARGE`, `BLOB_MISMATCH` by their length; errors of the stream; RetryableError `DISK_FULL`
 */
export async function receive(
  data: Uint8Array | ByteChunks,
  expected: Expected,
  directory = tmpdir(),
): Promise<Received> {
  const arrival = arrivalOf(data, expected);
  // An array is in memory already, and can be read again.
  const inMemory = data instanceof Uint8Array || Array.isArray(data);
  const chunks: Uint8Array[] = [];
  await using opened = new AsyncDisposableStack();
  let file: FileHandle | undefined;
  const write = async (chunk: Uint8Array): Promise<void> => {
    try {
      if (file === undefined) {
        const scratch = await openScratch(directory);
        file = scratch.file;
        opened.defer(async () => {
          await scratch.file.close();
          await rm(scratch.path, { force: true });
        });
        for (const earlier of chunks) await file.writeFile(earlier);
      }
      await file.writeFile(chunk);
    } catch (error) {
      throw writeError(directory, error);
    }
  };
  for await (const chunk of arrival.chunks()) {
    if (inMemory || arrival.bytes <= IN_MEMORY) chunks.push(chunk);
    else await write(chunk);
  }
  const [only = new Uint8Array(0), ...more] = chunks;
  const spooled = file;
  const { bytes } = arrival;
  const resources = opened.move();
  return {
    digest: arrival.digest(),
    bytes,
    content: () => (spooled ? fileContent(spooled, bytes) : more.length === 0 ? only : chunksOf(chunks)),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
