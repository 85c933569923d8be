/**
 * CARv1 files (https://ipld.io/specs/transport/car/carv1/) of raw blocks with one root.
 *
 * The header is written and read by @ipld/car. Blocks are framed here, because that library holds whole blocks in
 * memory and does not compare a block with its CID: a shard may be gigabytes, and a file from elsewhere is hostile.
 */
import { CarReader, CarWriter } from "@ipld/car";
import { cidOf, type Digest, digestOfCid } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";

import { type ByteChunks, readStreamBounded } from "../base/index.ts";
import type { BlobReader } from "./blobStore.ts";
import { FormatError } from "./errors.ts";

/** A header with one root takes 59 bytes. */
const MAX_CAR_HEADER = 1024;
/** CIDv1, raw, SHA-256: 4 bytes of prefix and 32 of digest. */
const CID_BYTES = 36;

export const invalidCar = (message: string, cause?: unknown): FormatError =>
  new FormatError("CAR_INVALID", `Not a model's CAR file: ${message}.`, { cause });

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

/**
 * A CAR in chunks; memory is one chunk. Every block is verified as it is read, so a corrupted one ends the stream with an
 * error: write it to a file durably, all or nothing.
 * @param blocks digests and lengths in their order, the root first
 * @throws BlobError
 */
export async function* writeCar(
  reader: BlobReader,
  root: Digest,
  blocks: ReadonlyMap<Digest, number>,
): AsyncGenerator<Uint8Array> {
  yield await headerOf(root);
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
      if (chunk.length === 0) throw invalidCar("it ends in the middle of a block");
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
      if (byte === undefined) throw invalidCar("it ends in the middle of a length");
      value += (byte & 127) * factor;
      if (!Number.isSafeInteger(value) || factor > 2 ** 49) throw invalidCar("a length in it is too large");
      if (byte < 128) return value;
    }
  }

  /** Ends the source early, so that a file behind it is closed. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** A block's head; its bytes come next. */
interface BlockHead {
  readonly digest: Digest;
  readonly bytes: number;
}

/** A CAR that is read once, from its beginning to its end. */
export interface CarSource {
  readonly root: Digest;
  /** The next block's head, undefined at the end of the file. The block before must have been read whole. */
  next(): Promise<BlockHead | undefined>;
  /** The bytes of the block whose head came last, not compared with its digest. */
  take(bytes: number): AsyncGenerator<Uint8Array>;
  /** Ends the source early, so that a file behind it is closed. */
  close(): Promise<void>;
}

/** Reads a CAR's header. @throws FormatError `CAR_INVALID`, here and from what it answers */
export async function openCar(chunks: ByteChunks): Promise<CarSource> {
  const cursor = new Cursor(chunks);
  try {
    const root = await readRoot(cursor);
    return {
      root,
      next: () => readBlockHead(cursor),
      take: (bytes) => cursor.take(bytes),
      close: () => cursor.close(),
    };
  } catch (error) {
    await cursor.close();
    throw error;
  }
}

async function readRoot(cursor: Cursor): Promise<Digest> {
  const length = await cursor.varint();
  if (length === undefined || length === 0 || length > MAX_CAR_HEADER) {
    throw invalidCar(`its header has ${length ?? 0} bytes, allowed are 1 to ${MAX_CAR_HEADER}`);
  }
  const body = await cursor.exactly(length);
  let roots: CID[];
  try {
    const reader = await CarReader.fromBytes(Uint8Array.from([...varint(length), ...body]));
    if (reader.version !== 1) throw invalidCar(`its version is ${reader.version}, only 1 is read here`);
    roots = await reader.getRoots();
  } catch (error) {
    throw error instanceof FormatError ? error : invalidCar("its header cannot be read", error);
  }
  const [root] = roots;
  if (root === undefined || roots.length !== 1) throw invalidCar(`it has ${roots.length} roots where one is due`);
  try {
    return digestOfCid(root.toString());
  } catch (error) {
    throw invalidCar("its root is a CID other than v1, raw, SHA-256", error);
  }
}

async function readBlockHead(cursor: Cursor): Promise<BlockHead | undefined> {
  const length = await cursor.varint();
  if (length === undefined) return undefined;
  if (length < CID_BYTES) throw invalidCar(`a block in it has ${length} bytes, its CID alone takes ${CID_BYTES}`);
  const bytes = await cursor.exactly(CID_BYTES);
  try {
    return { digest: digestOfCid(CID.decode(bytes).toString()), bytes: length - CID_BYTES };
  } catch (error) {
    throw invalidCar("a block in it has a CID other than v1, raw, SHA-256", error);
  }
}
