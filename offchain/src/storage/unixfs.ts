/**
 * A blob as IPFS has it. Up to 1 MiB it is one raw block, whose CID says the blob's own SHA-256. Peers exchange no larger blocks:
 * a longer one is a UnixFS file (https://specs.ipfs.tech/unixfs/) of raw leaves of 1 MiB under nodes in DAG-PB of at most 174 links,
 * all leaves at one depth, as `ipfs add --cid-version=1 --chunker=size-1048576` makes it.
 */
import { cidOf, type Digest } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";

import { joinChunks, sha256Bytes } from "../base/index.ts";

/** Codec of a node's CID. */
export const DAG_PB = 0x70;
/** The longest block; leaves but the last have this length. */
export const PIECE_BYTES = 1 << 20;
/** Of one node. */
export const MAX_LINKS = 174;
const UNIXFS_FILE = 2;

/** The length of a piece of so many bytes. */
export const pieceLength = (index: number, bytes: number): number => Math.min(PIECE_BYTES, bytes - index * PIECE_BYTES);

/** A block above leaves. */
interface FileNode {
  readonly cid: CID;
  readonly block: Uint8Array;
}

/** A block that a node links. */
interface DagLink {
  readonly cid: CID;
  /** Bytes of content under it. */
  readonly content: number;
  /** Bytes of all blocks under it, itself among them. */
  readonly size: number;
}

/** Unsigned LEB128, for safe integers. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

const concat = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> =>
  joinChunks(
    parts,
    parts.reduce((sum, { length }) => sum + length, 0),
  );

/** Fields of a message of Protocol Buffers. */
const integer = (field: number, value: number): Uint8Array => concat(varint(field << 3), varint(value));
const bytes = (field: number, value: Uint8Array): Uint8Array =>
  concat(varint((field << 3) | 2), varint(value.length), value);

/** PBNode, whose links come before its data. */
function encodeNode(links: readonly DagLink[], content: number): Uint8Array {
  const data = concat(integer(1, UNIXFS_FILE), integer(3, content), ...links.map((link) => integer(4, link.content)));
  const nameless = bytes(2, new Uint8Array(0));
  return concat(
    ...links.map(({ cid, size }) => bytes(2, concat(bytes(1, cid.bytes), nameless, integer(3, size)))),
    bytes(1, data),
  );
}

const sumOf = (links: readonly DagLink[], of: (link: DagLink) => number): number =>
  links.reduce((sum, link) => sum + of(link), 0);

function nodeOf(links: readonly DagLink[]): FileNode & DagLink {
  const content = sumOf(links, (link) => link.content);
  const block = encodeNode(links, content);
  const { multihash } = CID.parse(cidOf(sha256Bytes(block)));
  const cid = CID.createV1(DAG_PB, multihash);
  return { cid, block, content, size: block.length + sumOf(links, (link) => link.size) };
}

/**
 * The nodes of a file, level by level from the leaves up, the root last.
 * @param leaves the pieces' digests, two at least
 * @param length of the file
 */
export function fileNodes(leaves: readonly Digest[], length: number): FileNode[] {
  const nodes: FileNode[] = [];
  let level: readonly DagLink[] = leaves.map((leaf, index) => {
    const size = pieceLength(index, length);
    return { cid: CID.parse(cidOf(leaf)), content: size, size };
  });
  while (level.length > 1) {
    const above: (FileNode & DagLink)[] = [];
    for (let at = 0; at < level.length; at += MAX_LINKS) above.push(nodeOf(level.slice(at, at + MAX_LINKS)));
    nodes.push(...above);
    level = above;
  }
  return nodes;
}
