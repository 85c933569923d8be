/**
 * CARv1 files (https://ipld.io/specs/transport/car/carv1/) of blobs as IPFS has them (unixfs.ts), with one root.
 *
 * The header is written and read by @ipld/car. Blocks are framed here, because that library holds whole blocks in
 * memory and does not compare a block with its CID: a shard may be gigabytes, and a file from elsewhere is hostile.
 */
import { CarReader, CarWriter } from "@ipld/car";
import { cidOf, type Digest, digestOfCid } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";

import { type ByteChunks, createSha256, readStreamBounded, sha256Bytes } from "../base/index.ts";
import type { BlobReader } from "./blobStore.ts";
import { FormatError } from "./errors.ts";
import { DAG_PB, fileNodes, PIECE_BYTES, pieceLength, varint } from "./unixfs.ts";

/** A header with one root takes 59 bytes. */
const MAX_CAR_HEADER = 1024;
/** CIDv1, raw or DAG-PB, SHA-256: 4 bytes of prefix and 32 of digest. */
const CID_BYTES = 36;
const SHA_256 = 0x12;

export const invalidCar = (message: string, cause?: unknown): FormatError =>
  new FormatError("CAR_INVALID", `Not a model's CAR file: ${message}.`, { cause });

async function headerOf(root: Digest): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create([CID.parse(cidOf(root))]);
  const [header] = await Promise.all([readStreamBounded(out, MAX_CAR_HEADER), writer.close()]);
  return header;
}

const blockHead = (cid: CID, length: number): Uint8Array =>
  Uint8Array.from([...varint(CID_BYTES + length), ...cid.bytes]);

/** A long blob's leaves in order, then the nodes above them, the root last: so it is written and read in one pass. */
async function* writeFile(reader: BlobReader, blob: Digest, length: number): AsyncGenerator<Uint8Array> {
  const content = new Cursor(reader.stream(blob));
  const leaves: Digest[] = [];
  try {
    for (let index = 0; index * PIECE_BYTES < length; index++) {
      const piece = await content.exactly(pieceLength(index, length));
      const leaf = sha256Bytes(piece);
      leaves.push(leaf);
      yield blockHead(CID.parse(cidOf(leaf)), piece.length);
      yield piece;
    }
  } finally {
    await content.close();
  }
  for (const { cid, block } of fileNodes(leaves, length)) {
    yield blockHead(cid, block.length);
    yield block;
  }
}

/**
 * A CAR in chunks; memory is one piece. Every blob is verified as it is read, so a corrupted one ends the stream with an
 * error: write it to a file durably, all or nothing.
 * @param blobs digests and lengths in their order, the root first
 * @throws BlobError
 */
export async function* writeCar(
  reader: BlobReader,
  root: Digest,
  blobs: ReadonlyMap<Digest, number>,
): AsyncGenerator<Uint8Array> {
  yield await headerOf(root);
  for (const [blob, length] of blobs) {
    if (length > PIECE_BYTES) {
      yield* writeFile(reader, blob, length);
      continue;
    }
    yield blockHead(CID.parse(cidOf(blob)), length);
    yield* reader.stream(blob);
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
export interface BlockHead {
  readonly cid: CID;
  /** Of a raw block, undefined for a node of a file. */
  readonly digest: Digest | undefined;
  readonly bytes: number;
}

/** A CAR that is read once, from its beginning to its end. */
export interface CarSource {
  readonly root: Digest;
  /** The next block's head, undefined at the end of the file. The block before must have been read whole. */
  next(): Promise<BlockHead | undefined>;
  /** The bytes of the block whose head came last, not compared with its digest. */
  take(bytes: number): AsyncGenerator<Uint8Array>;
  /**
   * The content of a file of so many bytes, whose first leaf's head came last. Leaves are compared with their digests, and the
   * nodes above with those that the leaves make.
   */
  file(first: BlockHead, bytes: number): AsyncGenerator<Uint8Array>;
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
      file: (first, bytes) => readFile(cursor, first, bytes),
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
    const cid = CID.decode(bytes);
    const isNode = cid.code === DAG_PB && cid.multihash.code === SHA_256;
    return { cid, digest: isNode ? undefined : digestOfCid(cid.toString()), bytes: length - CID_BYTES };
  } catch (error) {
    throw invalidCar("a block in it has a CID other than v1, raw or DAG-PB, SHA-256", error);
  }
}

const isEqual = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at]);

async function* readFile(cursor: Cursor, first: BlockHead, bytes: number): AsyncGenerator<Uint8Array> {
  const leaves: Digest[] = [];
  let head: BlockHead | undefined = first;
  for (let index = 0; index * PIECE_BYTES < bytes; index++) {
    const length = pieceLength(index, bytes);
    if (index > 0) head = await readBlockHead(cursor);
    if (head?.digest === undefined || head.bytes !== length)
      throw invalidCar(`piece ${index} of a blob of ${bytes} bytes is not a raw block of ${length}`);
    const hash = createSha256();
    for await (const chunk of cursor.take(length)) {
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest() !== head.digest) throw invalidCar(`block ${head.cid.toString()} does not hash to its CID`);
    leaves.push(head.digest);
  }
  for (const { cid, block } of fileNodes(leaves, bytes)) {
    head = await readBlockHead(cursor);
    const right = head?.cid.equals(cid) && head.bytes === block.length;
    if (!right || !isEqual(await cursor.exactly(block.length), block))
      throw invalidCar(`the node ${cid.toString()} of a blob is not where it must stand`);
  }
}
