/**
 * Blobs in IPFS, by a Kubo node's RPC: `ipfs+http://127.0.0.1:5001/NAME`. Up to 1 MiB a blob is one raw block, whose CID is that
 * of its SHA-256; a larger one is a UnixFS file of 1 MiB raw leaves, whose root has another CID. Which one stands in the
 * node's file tree, as `/cotrain/NAME/ab/abcdef…`: it is kept by the node with the blocks, lost only with them, names what its
 * garbage collection must leave, and lets several stores of one node have the same blob. The same bytes added again have the
 * same root, so that storing a blob again is all that rebuilds a lost entry. What is kept is pinned too, so that whoever looks at
 * the node's pins finds it.
 *
 * The node is believed nothing: bytes are read in pieces of 1 MiB, and none is given to anybody before a pass over all of them
 * had the blob's digest; a stream alone gives them as they come, all but the last.
 */
import { cidOf, type Digest } from "@cotrain/sdk/protocol";

import {
  type ByteChunks,
  type Clock,
  createSha256,
  redactUrl,
  RetryableError,
  sha256Bytes,
  systemClock,
  UserError,
} from "../../base/index.ts";
import type { BlobStore, Expected, OpenBlob, Stored } from "../blobStore.ts";
import { BlobError, blobMissing, blobTooLarge } from "../errors.ts";
import { checkDigest, MOST_BYTES } from "../expected.ts";
import { PIECE_BYTES, pieceLength } from "../unixfs.ts";
import { claimsOf, markIn } from "./kuboClaims.ts";
import { type Entry, type KuboNode, openKuboNode } from "./kuboNode.ts";
import { createRecent } from "./recent.ts";
import { receive } from "./spool.ts";

/** Of the node's file tree; each store has a directory in it. */
const ROOT = "/cotrain";
/** Pieces kept in memory for random reads, all blobs together. */
const KEPT_PIECES = 64;
/** Pieces whose digests are remembered: 100 bytes each or so. */
const MOST_KNOWN = 65_536;
/** Of one blob: its root, a node under it and a piece. What is broken under a broken one shows only when that is written anew. */
const MOST_REPAIRS = 3;
/** For so long nobody looks for broken blobs again, ms: each blob of the node is asked about for it. */
const LOOKED_MS = 300_000;

export interface KuboOptions {
  /** Directory for streams that are too long for memory, until they are verified; default the system's. */
  readonly scratch?: string;
  /** Ms for an answer without content. */
  readonly patience?: number;
  readonly clock?: Clock;
}

/** What may be a blob. */
interface Possible extends Entry {
  readonly bytes: number;
}

/** A blob whose content was verified: the digests of its pieces, by which each is verified when it is read again. */
interface Known extends Possible {
  readonly pieces: readonly Digest[];
}

/** @throws UserError `LOCATION_INVALID` */
function parseLocation(location: string): { readonly base: string; readonly name: string } {
  const url = new URL(location);
  const name = /^\/([A-Za-z0-9_-]{1,64})\/?$/.exec(url.pathname)?.[1];
  const bare = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (name !== undefined && bare && url.host !== "")
    return { base: `${url.protocol.slice("ipfs+".length)}//${url.host}`, name };
  throw new UserError(
    "LOCATION_INVALID",
    `${redactUrl(location)} names no store of an IPFS node: name it as ipfs+http://127.0.0.1:5001/NAME, with letters, digits, - and _, and without a password.`,
  );
}

function corrupted(node: KuboNode, digest: Digest, { cid }: Entry): BlobError {
  return new BlobError(
    "BLOB_CORRUPTED",
    `Blob ${digest} is corrupted: what the IPFS node at ${node.url} has as ${cid} does not hash to it; fetch the blob again.`,
    { details: { digest, cid } },
  );
}

/** A store of a node, with what it remembers. */
interface Kept {
  readonly node: KuboNode;
  readonly name: string;
  readonly scratch: string | undefined;
  readonly clock: Clock;
  /** Blobs that were verified. */
  readonly known: ReturnType<typeof createRecent<Digest, Known>>;
  /** Pieces by their own digests. */
  readonly pieces: ReturnType<typeof createRecent<Digest, Uint8Array<ArrayBuffer>>>;
  /** Blobs that are being stored. */
  readonly storing: Map<Digest, Promise<unknown>>;
  /** The last look for broken blobs, which stands until then; one that goes on has no end yet. */
  readonly look: { done?: Promise<void>; until: number };
}

/** Whether a blob can be what the node says: its own block, or a file of more than one. */
function isPossible(digest: Digest, entry: Entry): entry is Possible {
  const { cid, bytes = Infinity } = entry;
  return cid === cidOf(digest) ? bytes <= PIECE_BYTES : bytes > PIECE_BYTES && bytes <= MOST_BYTES;
}

/** The pieces of an entry, as the node gives them: it may never take longer than what it gave so far may take together. */
async function* piecesOf(
  { node, clock }: Kept,
  digest: Digest,
  entry: Possible,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let spent = 0;
  for (let at = 0; at < entry.bytes; at += PIECE_BYTES) {
    const length = pieceLength(at / PIECE_BYTES, entry.bytes);
    const asked = clock.monotonic();
    const piece = await node.read(entry.cid, at, length);
    if (piece === undefined) throw corrupted(node, digest, entry);
    // Not the time that whoever takes the pieces needs.
    spent += clock.monotonic() - asked;
    if (spent > node.patienceFor(at + length))
      throw new RetryableError(
        "BLOB_STORE_AWAY",
        `The IPFS node at ${node.url} takes too long to give blob ${digest}.`,
      );
    yield piece;
  }
}

const pathIn = (name: string, digest: Digest): string => `${ROOT}/${name}/${digest.slice(2, 4)}/${digest.slice(2)}`;

async function find({ node, name }: Kept, digest: Digest): Promise<Possible> {
  const entry = await node.entry(pathIn(name, digest));
  if (entry === undefined) throw blobMissing(digest, `the IPFS node at ${node.url}`);
  if (!isPossible(digest, entry)) throw corrupted(node, digest, entry);
  return entry;
}

async function isSound(kept: Kept, digest: Digest, entry: Possible): Promise<boolean> {
  const hash = createSha256();
  try {
    for await (const piece of piecesOf(kept, digest, entry)) hash.update(piece);
  } catch (error) {
    if (error instanceof BlobError) return false;
    throw error;
  }
  return hash.digest() === digest;
}

/** One after the other for each blob: whoever repairs one removes it first, which may be what another has just stored. */
async function inTurn<T>({ storing }: Kept, digest: Digest, work: () => Promise<T>): Promise<T> {
  const before = storing.get(digest);
  const mine = Promise.resolve(before?.catch(() => undefined)).then(work);
  storing.set(digest, mine);
  try {
    return await mine;
  } finally {
    if (storing.get(digest) === mine) storing.delete(digest);
  }
}

async function unpinBroken(kept: Kept): Promise<void> {
  const { node } = kept;
  for (const name of await node.names(ROOT)) {
    for await (const digest of list({ ...kept, name })) {
      const other = await node.cidAt(pathIn(name, digest));
      if (other !== undefined && (await node.isBroken(other))) await node.unpin(other);
    }
  }
}

/** Takes the pins off the blobs of all stores of the node that are broken: one look at a time, for all who wait for it. */
function unpinBrokenOnce(kept: Kept): Promise<void> {
  const { look, clock } = kept;
  if (look.done && clock.monotonic() < look.until) return look.done;
  look.until = Infinity;
  look.done = unpinBroken(kept).finally(() => (look.until = clock.monotonic() + LOOKED_MS));
  return look.done;
}

/**
 * Removes a broken blob. Others that are broken have their pins taken off where these are in the way; who repairs them pins them.
 * @returns what the node says of a block that stayed
 */
async function drop(kept: Kept, cid: string): Promise<string | undefined> {
  const { node } = kept;
  let dropped = await node.drop(cid);
  if (!dropped.isDone) {
    await unpinBrokenOnce(kept);
    dropped = await node.drop(cid);
  }
  if (dropped.isDone) return dropped.kept;
  throw new RetryableError(
    "BLOB_STORE_FAILED",
    `The IPFS node at ${node.url} cannot repair a blob while something else that it has pinned is gone or broken (${dropped.kept}): see "ipfs pin verify".`,
  );
}

type Received = Awaited<ReturnType<typeof receive>>;

async function store(kept: Kept, received: Received): Promise<void> {
  const { digest, bytes } = received;
  const { node, name } = kept;
  const path = pathIn(name, digest);
  const isWhole = async (entry: Entry | undefined): Promise<boolean> =>
    entry?.bytes === bytes && isSound(kept, digest, { ...entry, bytes });
  let entry = await node.entry(path);
  if (entry && (await isWhole(entry))) return node.link(entry.cid, path);
  let stayed: string | undefined;
  for (let tries = 0; tries < MOST_REPAIRS && stayed === undefined; tries++) {
    // The node writes no block that it has, however damaged.
    if (entry) stayed = await drop(kept, entry.cid);
    const cid = await node.add(received.content(), bytes, `cotrain ${digest.slice(2)}`);
    await node.link(cid, path);
    if (bytes <= PIECE_BYTES && cid !== cidOf(digest)) break;
    entry = await node.entry(path);
    if (await isWhole(entry)) return;
    if (entry?.bytes !== bytes) break;
  }
  const why = stayed === undefined ? "" : `: a block of it could not be removed (${stayed})`;
  throw new RetryableError(
    "BLOB_STORE_FAILED",
    `The IPFS node at ${node.url} did not keep blob ${digest} as it was sent${why}.`,
  );
}

async function put(kept: Kept, data: Uint8Array | ByteChunks, expected: Expected = {}): Promise<Stored> {
  const maxBytes = Math.min(expected.maxBytes ?? Infinity, MOST_BYTES);
  await using received = await receive(data, { ...expected, maxBytes }, kept.scratch);
  const { digest, bytes } = received;
  checkDigest(digest, expected);
  await inTurn(kept, digest, () => store(kept, received));
  return { digest, bytes };
}

async function* stream(kept: Kept, digest: Digest): AsyncGenerator<Uint8Array> {
  const entry = await find(kept, digest);
  const hash = createSha256();
  // One piece is held back, so that the last is only given once the hash is known to be right.
  let held: Uint8Array | undefined;
  for await (const piece of piecesOf(kept, digest, entry)) {
    hash.update(piece);
    if (held) yield held;
    held = piece;
  }
  if (hash.digest() !== digest) throw corrupted(kept.node, digest, entry);
  if (held) yield held;
}

async function get(kept: Kept, digest: Digest, maxBytes = Infinity): Promise<Uint8Array<ArrayBuffer>> {
  const entry = await find(kept, digest);
  if (entry.bytes > maxBytes) {
    // Whoever named too large a blob is blamed for it: not for what the node says. Once it was hashed it is not read again.
    const before = kept.known.get(digest);
    if (before?.cid !== entry.cid || before.bytes !== entry.bytes)
      kept.known.set(digest, await verify(kept, digest, entry));
    throw blobTooLarge(`Blob ${digest}`, maxBytes);
  }
  const hash = createSha256();
  // Room is made for what came, not for what the node says that will come.
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(kept, digest, entry)) {
    hash.update(piece);
    pieces.push(piece);
  }
  if (hash.digest() !== digest) throw corrupted(kept.node, digest, entry);
  const bytes = new Uint8Array(entry.bytes);
  for (const [index, piece] of pieces.entries()) bytes.set(piece, index * PIECE_BYTES);
  return bytes;
}

/** Reads and hashes all of it. */
async function verify(kept: Kept, digest: Digest, entry: Possible): Promise<Known> {
  const hash = createSha256();
  const pieces: Digest[] = [];
  for await (const piece of piecesOf(kept, digest, entry)) {
    hash.update(piece);
    const own = sha256Bytes(piece);
    pieces.push(own);
    kept.pieces.set(own, piece);
  }
  if (hash.digest() !== digest) throw corrupted(kept.node, digest, entry);
  return { ...entry, pieces };
}

/** A piece of verified content, which is verified again where it has to come from the node. */
async function pieceOf(kept: Kept, digest: Digest, blob: Known, index: number): Promise<Uint8Array> {
  const own = blob.pieces[index];
  const here = own && kept.pieces.get(own);
  if (here) return here;
  const piece = await kept.node.read(blob.cid, index * PIECE_BYTES, pieceLength(index, blob.bytes));
  if (piece === undefined || own === undefined || sha256Bytes(piece) !== own) throw corrupted(kept.node, digest, blob);
  kept.pieces.set(own, piece);
  return piece;
}

const nothingToClose = async (): Promise<void> => undefined;

async function open(kept: Kept, digest: Digest, again: boolean): Promise<OpenBlob> {
  const before = again ? undefined : kept.known.get(digest);
  // It may have been deleted since, or be another file.
  const entry = await find(kept, digest);
  const blob = entry.cid === before?.cid ? before : await verify(kept, digest, entry);
  kept.known.set(digest, blob);
  const readInto = async (target: Uint8Array, offset: number): Promise<void> => {
    if (offset + target.length > blob.bytes) throw corrupted(kept.node, digest, blob);
    for (let at = 0; at < target.length;) {
      const index = Math.floor((offset + at) / PIECE_BYTES);
      const piece = await pieceOf(kept, digest, blob, index);
      const from = offset + at - index * PIECE_BYTES;
      const part = piece.subarray(from, from + target.length - at);
      target.set(part, at);
      at += part.length;
    }
  };
  return {
    digest,
    length: blob.bytes,
    read: async (offset, count) => {
      const bytes = new Uint8Array(count);
      await readInto(bytes, offset);
      return bytes;
    },
    readInto,
    close: nothingToClose,
    [Symbol.asyncDispose]: nothingToClose,
  };
}

/** Whether another store of the node has the same blob, whose pin is the same one. */
async function hasElsewhere({ node, name }: Kept, digest: Digest): Promise<boolean> {
  for (const other of await node.names(ROOT))
    if (other !== name && (await node.cidAt(pathIn(other, digest))) !== undefined) return true;
  return false;
}

async function remove(kept: Kept, digest: Digest): Promise<void> {
  const { node, name } = kept;
  const cid = await node.cidAt(pathIn(name, digest));
  kept.known.remove(digest);
  await node.unlink(pathIn(name, digest));
  if (cid !== undefined && !(await hasElsewhere(kept, digest))) await node.unpin(cid);
}

async function* list({ node, name }: Kept): AsyncGenerator<Digest> {
  for (const directory of await node.names(`${ROOT}/${name}`)) {
    if (!/^[0-9a-f]{2}$/.test(directory)) continue;
    for (const file of await node.names(`${ROOT}/${name}/${directory}`))
      if (/^[0-9a-f]{64}$/.test(file)) yield `0x${file}` as Digest;
  }
}

/** The mark goes with the directory, last. */
async function clear(kept: Kept): Promise<void> {
  const { node, name } = kept;
  const mark = await node.cidAt(markIn(`${ROOT}/${name}`));
  for await (const digest of list(kept)) await remove(kept, digest);
  await node.unlink(`${ROOT}/${name}`);
  if (mark !== undefined) await node.unpin(mark);
}

/**
 * Opens a store of a Kubo node. The node is not asked for anything yet.
 * @throws UserError `LOCATION_INVALID`. Everything else throws also RetryableError `BLOB_STORE_AWAY`, `BLOB_STORE_FAILED`,
 *   `DISK_FULL`, UserError `BLOB_STORE_REFUSED`
 */
export async function openKuboStore(location: string, options: KuboOptions = {}): Promise<BlobStore> {
  const { base, name } = parseLocation(location);
  const node = openKuboNode(base, options.patience);
  const kept: Kept = {
    node,
    name,
    scratch: options.scratch,
    clock: options.clock ?? systemClock,
    known: createRecent(MOST_KNOWN, ({ pieces }: Known) => pieces.length + 1),
    pieces: createRecent(KEPT_PIECES, () => 1),
    storing: new Map(),
    look: { until: 0 },
  };
  // Whoever asks tells it on, so that no blob may have a size that it cannot have.
  const size = async (digest: Digest): Promise<number | undefined> => {
    const entry = await node.entry(pathIn(name, digest));
    return entry && isPossible(digest, entry) ? entry.bytes : undefined;
  };
  return {
    put: (data, expected) => put(kept, data, expected),
    stream: (digest) => stream(kept, digest),
    get: (digest, maxBytes) => get(kept, digest, maxBytes),
    open: (digest, { again = true } = {}) => open(kept, digest, again),
    has: async (digest) => (await size(digest)) !== undefined,
    size,
    delete: (digest) => remove(kept, digest),
    list: () => list(kept),
    clear: () => clear(kept),
    claims: claimsOf(node, `${ROOT}/${name}`),
    free: () => node.free(),
    device: () => Promise.resolve(undefined),
  };
}
