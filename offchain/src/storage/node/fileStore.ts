/** A blob store in a directory. Several processes may share one directory. */
import { existsSync } from "node:fs";
import { type FileHandle, open, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";

import type { Digest } from "@cotrain/sdk/protocol";

import { type ByteChunks, createSha256, sha256Bytes } from "../../base/index.ts";
import { readFileBounded, writeError, writeFileOnce } from "../../base/node/index.ts";
import type { BlobStore, Expected, OpenBlob, Stored } from "../blobStore.ts";
import { blobCorrupted, blobTooLarge } from "../errors.ts";
import { arrivalOf, checkDigest, MOST_BYTES } from "../expected.ts";
import { BlobDirectory } from "./blobDirectory.ts";

const CHUNK_BYTES = 256 << 10;
/** Verified digests that are remembered: 100 bytes each or so. */
const MOST_VERIFIED = 65_536;

/**
 * Opens a directory as a blob store, making it if need be.
 * @throws UserError `PATH_UNWRITABLE`
 */
export async function openFileStore(root: string): Promise<BlobStore> {
  const files = await BlobDirectory.open(root);
  const verified = new VerifiedFiles();
  const store: BlobStore = {
    put: (data, expected = {}) => put(files, data, expected),
    stream: (digest) => stream(files, digest),
    get: (digest, maxBytes = Infinity) => get({ files, verified }, digest, maxBytes),
    open: async (digest, { again = true } = {}) => {
      const file = await files.openToRead(digest);
      try {
        const path = files.pathOf(digest);
        return openBlob(file, { digest, path, length: await verified.lengthOf(file, digest, { path, again }) });
      } catch (error) {
        await file.close();
        throw error;
      }
    },
    has: async (digest) => (await files.sizeOf(digest)) !== undefined,
    size: (digest) => files.sizeOf(digest),
    delete: (digest) => rm(files.pathOf(digest), { force: true }),
    clear: async () => {
      for await (const digest of store.list()) await store.delete(digest);
      await rm(markOf(root), { force: true });
    },
    free: async () => {
      const { bavail, bsize } = await statfs(root);
      return bavail * bsize;
    },
    device: async () => (await stat(root)).dev,
    list: () => files.list(),
    claims: {
      isMade: async () => existsSync(markOf(root)),
      make: async (mark) =>
        (await writeFileOnce(markOf(root), mark, { mode: 0o600 })) ||
        new TextDecoder().decode(await readFileBounded(markOf(root), MAX_MARK_BYTES)) === mark,
    },
  };
  return store;
}

/** Where it stands whose a directory is. */
const markOf = (root: string): string => join(root, "state");
const MAX_MARK_BYTES = 1_024;

async function put(files: BlobDirectory, data: Uint8Array | ByteChunks, expected: Expected): Promise<Stored> {
  const arrival = arrivalOf(data, expected);
  const path = files.temporaryPath();
  try {
    {
      await using file = await open(path, "wx", 0o600);
      for await (const chunk of arrival.chunks()) await file.writeFile(chunk);
      await file.sync();
    }
    const digest = arrival.digest();
    checkDigest(digest, expected);
    await files.settle(path, digest);
    return { digest, bytes: arrival.bytes };
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined);
    throw writeError(files.root, error);
  }
}

async function* stream(files: BlobDirectory, digest: Digest): AsyncGenerator<Uint8Array> {
  await using file = await files.openToRead(digest);
  const hash = createSha256();
  // One chunk is held back, so that the last is only given once the hash is known to be right.
  let held: Uint8Array | undefined;
  for (let position = 0; ;) {
    const buffer = new Uint8Array(CHUNK_BYTES);
    const filled = await readFully(file, buffer, position);
    if (filled === 0) break;
    position += filled;
    const chunk = buffer.subarray(0, filled);
    hash.update(chunk);
    if (held) yield held;
    held = chunk;
  }
  if (hash.digest() !== digest) throw blobCorrupted(digest, files.pathOf(digest));
  if (held) yield held;
}

async function get(
  { files, verified }: { readonly files: BlobDirectory; readonly verified: VerifiedFiles },
  digest: Digest,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  await using file = await files.openToRead(digest);
  const path = files.pathOf(digest);
  const { size } = await file.stat();
  if (size > maxBytes) {
    // Whoever named too large a blob is blamed for it: not for what became of the file.
    const length = await verified.lengthOf(file, digest, { path, again: false });
    // It was cut back meanwhile.
    if (length <= maxBytes) throw blobCorrupted(digest, path);
    throw blobTooLarge(`Blob ${digest}`, maxBytes);
  }
  const bytes = new Uint8Array(size);
  if ((await readFully(file, bytes, 0)) !== size || sha256Bytes(bytes) !== digest) throw blobCorrupted(digest, path);
  return bytes;
}

/** A file whose content was verified. */
function openBlob(
  file: FileHandle,
  { digest, path, length }: { readonly digest: Digest; readonly path: string; readonly length: number },
): OpenBlob {
  // Blobs never change, so a short read means that somebody meddled with the file since it was verified.
  const readInto = async (target: Uint8Array, offset: number): Promise<void> => {
    if ((await readFully(file, target, offset)) !== target.length) throw blobCorrupted(digest, path);
  };
  const read = async (offset: number, count: number): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = new Uint8Array(count);
    await readInto(bytes, offset);
    return bytes;
  };
  const close = (): Promise<void> => file.close();
  return { digest, length, read, readInto, close, [Symbol.asyncDispose]: close };
}

/** Digests that were verified, and which file it was then; the oldest goes. */
class VerifiedFiles {
  readonly #identities = new Map<Digest, string>();

  /**
   * The length of a file that has this digest.
   * @param options.again hashes also one that is known
   * @throws BlobError `BLOB_CORRUPTED`
   */
  async lengthOf(file: FileHandle, digest: Digest, { path, again }: { path: string; again: boolean }): Promise<number> {
    const { identity, size } = await identityOf(file);
    // To make a file as long as one likes costs who writes to the disk nothing, and to read it hours.
    if (size > MOST_BYTES) throw blobCorrupted(digest, path);
    if (!again && this.#identities.get(digest) === identity) return size;
    const found = await hashOf(file);
    this.#identities.delete(digest);
    if (found.digest !== digest) throw blobCorrupted(digest, path);
    this.#identities.set(digest, identity);
    const [oldest] = this.#identities.keys();
    if (this.#identities.size > MOST_VERIFIED && oldest !== undefined) this.#identities.delete(oldest);
    return found.bytes;
  }
}

async function hashOf(file: FileHandle): Promise<Stored> {
  const hash = createSha256();
  const buffer = new Uint8Array(CHUNK_BYTES);
  let bytes = 0;
  for (;;) {
    const filled = await readFully(file, buffer, bytes);
    if (filled === 0) return { digest: hash.digest(), bytes };
    bytes += filled;
    hash.update(buffer.subarray(0, filled));
  }
}

/** Which file it is, and as of when: another file, or one that was written to, has another. */
async function identityOf(file: FileHandle): Promise<{ identity: string; size: number }> {
  const { size, mtimeNs, ctimeNs, ino, dev } = await file.stat({ bigint: true });
  return { identity: `${dev}/${ino}/${size}/${mtimeNs}/${ctimeNs}`, size: Number(size) };
}

/** Fills `buffer` from `position` of the file; fewer bytes only at its end. */
async function readFully(file: FileHandle, buffer: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
