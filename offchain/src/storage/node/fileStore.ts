/**
 * A blob store in a directory: `ab/abcdef…` by the digest's first byte, `tmp/` for what is being written. Several
 * processes may share one directory.
 */
import { randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, opendir, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";

import type { Digest } from "@cotrain/sdk/protocol";

import { type ByteChunks, createSha256, errnoOf, sha256Bytes, systemClock } from "../../base/index.ts";
import { syncDirectory, writeError } from "../../base/node/index.ts";
import type { BlobStore, Expected, Stored } from "../blobStore.ts";
import { blobCorrupted, blobMissing, blobTooLarge } from "../errors.ts";
import { checkDigest, checkLength } from "../expected.ts";

const CHUNK_BYTES = 256 << 10;
/** What lies in tmp/ longer than this was left by a process that died. */
const STALE_MS = 3_600_000;

/** Verified digests that are remembered: 100 bytes each or so. */
const MOST_VERIFIED = 65_536;

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

/**
 * Opens a directory as a blob store, making it if need be.
 * @throws UserError `PATH_UNWRITABLE`
 */
export async function openFileStore(root: string): Promise<BlobStore> {
  const temporary = join(root, "tmp");
  try {
    await mkdir(temporary, { recursive: true });
  } catch (error) {
    throw writeError(root, error);
  }
  for (const name of await readdir(temporary)) {
    const path = join(temporary, name);
    const age = systemClock.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity);
    if (age > STALE_MS) await rm(path, { force: true });
  }

  const directoryOf = (digest: Digest): string => join(root, digest.slice(2, 4));
  const pathOf = (digest: Digest): string => join(directoryOf(digest), digest.slice(2));
  const made = new Set<string>();
  /** Digests that were verified, and which file it was then; the oldest goes. */
  const verified = new Map<Digest, string>();
  const remember = (digest: Digest, identity: string): void => {
    verified.delete(digest);
    verified.set(digest, identity);
    const [oldest] = verified.keys();
    if (verified.size > MOST_VERIFIED && oldest !== undefined) verified.delete(oldest);
  };

  const openToRead = async (digest: Digest): Promise<FileHandle> => {
    try {
      return await open(pathOf(digest), "r");
    } catch (error) {
      throw errnoOf(error) === "ENOENT" ? blobMissing(digest, root) : error;
    }
  };

  /** Puts a finished temporary file under its name. */
  const settle = async (path: string, digest: Digest): Promise<void> => {
    const directory = directoryOf(digest);
    if (!made.has(directory)) {
      await mkdir(directory, { recursive: true });
      await syncDirectory(root);
      made.add(directory);
    }
    await rename(path, pathOf(digest));
    await syncDirectory(directory);
  };

  const put = async (data: Uint8Array | ByteChunks, expected: Expected = {}): Promise<Stored> => {
    if (data instanceof Uint8Array) checkLength(data.length, expected, true);
    const path = join(temporary, randomBytes(12).toString("hex"));
    try {
      const hash = createSha256();
      let bytes = 0;
      {
        await using file = await open(path, "wx");
        for await (const chunk of data instanceof Uint8Array ? [data] : data) {
          bytes += chunk.length;
          checkLength(bytes, expected, false);
          hash.update(chunk);
          await file.writeFile(chunk);
        }
        checkLength(bytes, expected, true);
        await file.sync();
      }
      const digest = hash.digest();
      checkDigest(digest, expected);
      await settle(path, digest);
      return { digest, bytes };
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined);
      throw writeError(root, error);
    }
  };

  async function* stream(digest: Digest): AsyncGenerator<Uint8Array> {
    await using file = await openToRead(digest);
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
    if (hash.digest() !== digest) throw blobCorrupted(digest, pathOf(digest));
    if (held) yield held;
  }

  /** Hashes a whole file. @returns its length */
  const verify = async (file: FileHandle, digest: Digest): Promise<number> => {
    const hash = createSha256();
    const buffer = new Uint8Array(CHUNK_BYTES);
    let length = 0;
    for (;;) {
      const filled = await readFully(file, buffer, length);
      if (filled === 0) break;
      length += filled;
      hash.update(buffer.subarray(0, filled));
    }
    if (hash.digest() === digest) return length;
    verified.delete(digest);
    throw blobCorrupted(digest, pathOf(digest));
  };

  const store: BlobStore = {
    put,
    stream,
    get: async (digest, maxBytes = Infinity) => {
      await using file = await openToRead(digest);
      const { size } = await file.stat();
      if (size > maxBytes) throw blobTooLarge(`Blob ${digest}`, maxBytes);
      const bytes = new Uint8Array(size);
      if ((await readFully(file, bytes, 0)) !== size || sha256Bytes(bytes) !== digest) {
        throw blobCorrupted(digest, pathOf(digest));
      }
      return bytes;
    },
    open: async (digest, { again = true } = {}) => {
      const file = await openToRead(digest);
      try {
        const { identity, size } = await identityOf(file);
        const known = !again && verified.get(digest) === identity;
        const length = known ? size : await verify(file, digest);
        if (!known) remember(digest, identity);
        // Blobs never change, so a short read means that somebody meddled with the file since it was verified.
        const readInto = async (target: Uint8Array, offset: number): Promise<void> => {
          if ((await readFully(file, target, offset)) !== target.length) throw blobCorrupted(digest, pathOf(digest));
        };
        const close = (): Promise<void> => file.close();
        return {
          digest,
          length,
          read: async (offset, count) => {
            const bytes = new Uint8Array(count);
            await readInto(bytes, offset);
            return bytes;
          },
          readInto,
          close,
          [Symbol.asyncDispose]: close,
        };
      } catch (error) {
        await file.close();
        throw error;
      }
    },
    has: async (digest) => (await store.size(digest)) !== undefined,
    size: async (digest) => {
      try {
        return (await stat(pathOf(digest))).size;
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return undefined;
        throw error;
      }
    },
    delete: (digest) => rm(pathOf(digest), { force: true }),
    clear: async () => {
      for await (const digest of store.list()) await store.delete(digest);
    },
    free: async () => {
      const { bavail, bsize } = await statfs(root);
      return bavail * bsize;
    },
    list: async function* () {
      for await (const directory of await opendir(root)) {
        if (!directory.isDirectory() || !/^[0-9a-f]{2}$/.test(directory.name)) continue;
        for await (const file of await opendir(join(root, directory.name))) {
          if (/^[0-9a-f]{64}$/.test(file.name)) yield `0x${file.name}` as Digest;
        }
      }
    },
  };
  return store;
}
