/**
 * A checkpoint as one file: a CARv1 (https://ipld.io/specs/transport/car/carv1/) whose root is the manifest and whose
 * blocks are the manifest and then each shard once, in the manifest's order.
 *
 * The header is written and read by @ipld/car. Blocks are framed here, because that library holds whole blocks in
 * memory and does not compare a block with its CID: a shard may be gigabytes, and a file from elsewhere is hostile.
 */
import { CarReader, CarWriter } from "@ipld/car";
import {
  asDigest,
  type CheckpointManifest,
  cidOf,
  type Digest,
  digestOfCid,
  MAX_MANIFEST_BYTES,
} from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";

import { type ByteChunks, readStreamBounded, sha256Bytes } from "../base/index.ts";
import type { BlobReader, BlobStore } from "./blobStore.ts";
import { parseManifest } from "./checkpoint.ts";
import { FormatError } from "./errors.ts";

/** A header with one root takes 59 bytes. */
const MAX_CAR_HEADER = 1024;
/** CIDv1, raw, SHA-256: 4 bytes of prefix and 32 of digest. */
const CID_BYTES = 36;

const invalid = (message: string, cause?: unknown): FormatError =>
  new FormatError("CAR_INVALID", `Not a checkpoint's CAR file: ${message}.`, { cause });

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

async function headerOf(root: Digest): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create([CID.parse(cidOf(root))]);
  const [header] = await Promise.all([readStreamBounded(out, MAX_CAR_HEADER), writer.close()]);
  return header;
}

/** Digests and lengths of a checkpoint's blocks in order, each once. */
function blocksOf(digest: Digest, manifest: CheckpointManifest, manifestBytes: number): Map<Digest, number> {
  const blocks = new Map([[digest, manifestBytes]]);
  for (const fragment of manifest.fragments) blocks.set(asDigest(fragment.digest), fragment.bytes);
  return blocks;
}

/**
 * A checkpoint's CAR in chunks; memory is one chunk. Every block is verified as it is read, so a corrupted one ends the
 * stream with an error: write it to a file durably, all or nothing.
 * @param digest the checkpoint's
 * @throws BlobError, FormatError
 */
export async function* exportCheckpoint(reader: BlobReader, digest: Digest): AsyncGenerator<Uint8Array> {
  const raw = await reader.get(digest, MAX_MANIFEST_BYTES);
  const blocks = blocksOf(digest, parseManifest(raw), raw.length);
  yield await headerOf(digest);
  for (const [block, length] of blocks) {
    yield varint(CID_BYTES + length);
    yield CID.parse(cidOf(block)).bytes;
    yield* reader.stream(block);
  }
}

/** Takes exact numbers of bytes from chunks. */
class Cursor {
  readonly #chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: ByteChunks) {
    this.#chunks = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  }

  /** Some bytes, at most `most`; none at the end. */
  async some(most: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return this.#rest;
      this.#rest = next.value;
    }
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  async *take(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0;) {
      const chunk = await this.some(left);
      if (chunk.length === 0) throw invalid("it ends in the middle of a block");
      left -= chunk.length;
      yield chunk;
    }
  }

  exactly(count: number): Promise<Uint8Array<ArrayBuffer>> {
    return readStreamBounded(this.take(count), count);
  }

  /** An unsigned LEB128 integer, undefined at the end of the file. */
  async varint(): Promise<number | undefined> {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const [byte] = await this.some(1);
      if (byte === undefined && factor === 1) return undefined;
      if (byte === undefined) throw invalid("it ends in the middle of a length");
      value += (byte & 127) * factor;
      if (!Number.isSafeInteger(value) || factor > 2 ** 49) throw invalid("a length in it is too large");
      if (byte < 128) return value;
    }
  }

  /** Ends the source early, so that a file behind it is closed. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/**
 * Reads a CAR into a store, in one pass and bounded memory. Every block is verified against its CID; blocks that the
 * manifest does not name, or names with another length, are refused before they are stored, and so is a file with a
 * block missing or twice. On failure, what this call added is removed again.
 * @param options.expected refuses another checkpoint than this
 * @param options.maxBytes limit of the shards' sum; default 1 TiB
 * @throws FormatError `CAR_INVALID`, `CHECKPOINT_INVALID`; BlobError
 */
export async function importCheckpoint(
  store: BlobStore,
  chunks: ByteChunks,
  options: { readonly expected?: Digest; readonly maxBytes?: number } = {},
): Promise<{ digest: Digest; manifest: CheckpointManifest }> {
  const cursor = new Cursor(chunks);
  const added: Digest[] = [];
  const keep = async (digest: Digest, data: Uint8Array | ByteChunks, bytes: number): Promise<void> => {
    const fresh = !(await store.has(digest));
    await store.put(data, { digest, bytes });
    if (fresh) added.push(digest);
  };
  try {
    const digest = await readRoot(cursor);
    if (options.expected !== undefined && digest !== options.expected) {
      throw invalid(`it holds checkpoint ${digest}, expected was ${options.expected}`);
    }
    const first = await readBlockHead(cursor);
    if (first?.digest !== digest) throw invalid("its first block is not its root");
    if (first.bytes > MAX_MANIFEST_BYTES)
      throw invalid(`its manifest has ${first.bytes} bytes, allowed are ${MAX_MANIFEST_BYTES}`);
    const raw = await cursor.exactly(first.bytes);
    if (sha256Bytes(raw) !== digest) throw invalid("its manifest does not hash to its CID");
    const manifest = parseManifest(raw);
    const needed = blocksOf(digest, manifest, raw.length);
    needed.delete(digest);
    const sum = [...needed.values()].reduce((total, bytes) => total + bytes, 0);
    const limit = options.maxBytes ?? 2 ** 40;
    if (sum > limit) throw invalid(`its shards have ${sum} bytes, allowed are ${limit}`);
    for (let head = await readBlockHead(cursor); head; head = await readBlockHead(cursor)) {
      const bytes = needed.get(head.digest);
      if (bytes === undefined) throw invalid(`block ${cidOf(head.digest)} is not needed, or is there twice`);
      if (bytes !== head.bytes)
        throw invalid(`block ${cidOf(head.digest)} has ${head.bytes} bytes, its manifest says ${bytes}`);
      needed.delete(head.digest);
      await keep(head.digest, cursor.take(bytes), bytes);
    }
    const [missing] = needed.keys();
    if (missing !== undefined) throw invalid(`block ${cidOf(missing)} is missing`);
    // The manifest comes last: where it is, its shards are.
    await keep(digest, raw, raw.length);
    return { digest, manifest };
  } catch (error) {
    for (const digest of added) await store.delete(digest);
    throw error;
  } finally {
    await cursor.close();
  }
}

async function readRoot(cursor: Cursor): Promise<Digest> {
  const length = await cursor.varint();
  if (length === undefined || length === 0 || length > MAX_CAR_HEADER) {
    throw invalid(`its header has ${length ?? 0} bytes, allowed are 1 to ${MAX_CAR_HEADER}`);
  }
  const body = await cursor.exactly(length);
  let roots: CID[];
  try {
    const reader = await CarReader.fromBytes(Uint8Array.from([...varint(length), ...body]));
    if (reader.version !== 1) throw invalid(`its version is ${reader.version}, only 1 is read here`);
    roots = await reader.getRoots();
  } catch (error) {
    throw error instanceof FormatError ? error : invalid("its header cannot be read", error);
  }
  const [root] = roots;
  if (root === undefined || roots.length !== 1) throw invalid(`it has ${roots.length} roots where one is due`);
  try {
    return digestOfCid(root.toString());
  } catch (error) {
    throw invalid("its root is a CID other than v1, raw, SHA-256", error);
  }
}

async function readBlockHead(cursor: Cursor): Promise<{ digest: Digest; bytes: number } | undefined> {
  const length = await cursor.varint();
  if (length === undefined) return undefined;
  if (length < CID_BYTES) throw invalid(`a block in it has ${length} bytes, its CID alone takes ${CID_BYTES}`);
  const bytes = await cursor.exactly(CID_BYTES);
  try {
    return { digest: digestOfCid(CID.decode(bytes).toString()), bytes: length - CID_BYTES };
  } catch (error) {
    throw invalid("a block in it has a CID other than v1, raw, SHA-256", error);
  }
}
