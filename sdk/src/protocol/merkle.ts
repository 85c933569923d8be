/**
 * OpenZeppelin's standard Merkle tree over hashes of leaves, on bytes: a tree of rewards has a leaf for each account
 * that it pays, and its library turns every node to text and back several times.
 */
import { bytesToHex, keccak256 } from "viem";
import type { Hex } from "./ids.ts";

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** @param leaves hashes of the leaves, one at least */
export function merkleTree(leaves: readonly Uint8Array[]) {
  // Node 0 is the root; below node i are 2i + 1 and 2i + 2. The leaves stand last, from the end by ascending hash.
  const nodes = Array.from({ length: 2 * leaves.length - 1 }, () => leaves[0]!);
  const places = new Uint32Array(leaves.length);
  const ascending = leaves.map((hash, leaf) => ({ hash, leaf })).toSorted((a, b) => compare(a.hash, b.hash));
  for (const [i, { hash, leaf }] of ascending.entries()) {
    places[leaf] = nodes.length - 1 - i;
    nodes[nodes.length - 1 - i] = hash;
  }
  const pair = new Uint8Array(64);
  for (let i = leaves.length - 2; i >= 0; i--) {
    const [left, right] = [nodes[2 * i + 1]!, nodes[2 * i + 2]!];
    const isOrdered = compare(left, right) <= 0;
    pair.set(isOrdered ? left : right);
    pair.set(isOrdered ? right : left, 32);
    nodes[i] = keccak256(pair, "bytes");
  }
  return {
    root: bytesToHex(nodes[0]!),
    /** The hashes beside the way from a leaf to the root. */
    proofOf(leaf: number): Hex[] {
      const proof: Hex[] = [];
      for (let at = places[leaf]!; at > 0; at = Math.floor((at - 1) / 2))
        proof.push(bytesToHex(nodes[at % 2 === 1 ? at + 1 : at - 1]!));
      return proof;
    },
  };
}
