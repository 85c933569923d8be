/** Merkle trees in OpenZeppelin's standard layout (leaf = keccak256 of keccak256 of abi.encode), as the contracts verify them. */
import { type Address, encodeAbiParameters, type Hex, hexToBytes, keccak256 } from "viem";
import { ProtocolError } from "../baseErrors.ts";
import { rewardKind } from "./codes.ts";
import { asAddress, type ModelId, zeroHash } from "./ids.ts";
import { merkleTree } from "./merkle.ts";

/** One receipt under a head's receiptsRoot. `outcome` 0 = aggregated. */
export interface ReceiptLeaf {
  readonly receiptHash: Hex;
  readonly worker: Address;
  readonly beneficiary: Address;
  readonly tokens: bigint;
  readonly outcome: number;
}

/** What an account earned in the epochs of a root, in wei. */
export interface RewardLeaf {
  readonly account: Address;
  readonly amount: bigint;
}

/** Whose roots a reward tree is one of, and which: a leaf is one of no other. */
export interface RewardTreeOf {
  readonly modelId: ModelId;
  /** The root's number, from 1. */
  readonly index: number;
  /** What is paid for; compute if not said. */
  readonly kind?: number;
}

/** State of the training after leaf j; the last leaf is (leaves − 1, step, endState, baseDigest, newResidual, payloadDigest). */
export interface CommitmentLeaf {
  readonly j: number;
  readonly step: bigint;
  /** BLAKE3 of the training state. */
  readonly state: Hex;
  /** sha256 of the token ids of the segment. */
  readonly data: Hex;
  /** sha256 of the scalars fed in the segment. */
  readonly scalars: Hex;
  /** Digest of an outer update applied in the segment, or 0. */
  readonly update: Hex;
}

export const receiptLeafEncoding = ["bytes32", "address", "address", "uint64", "uint16"];
export const rewardLeafEncoding = ["uint8", "bytes32", "uint64", "address", "uint256"];
export const commitmentLeafEncoding = ["uint32", "uint64", "bytes32", "bytes32", "bytes32", "bytes32"];

/** Root over leaves in the standard layout. @param values of each leaf, at least one, in the order of their types */
function rootOf(types: readonly string[], values: readonly (readonly unknown[])[]): Hex {
  const parameters = types.map((type) => ({ type }));
  return merkleTree(values.map((leaf) => keccak256(keccak256(encodeAbiParameters(parameters, leaf), "bytes"), "bytes")))
    .root;
}

const receiptValues = (leaf: ReceiptLeaf): (string | bigint | number)[] => [
  leaf.receiptHash,
  leaf.worker,
  leaf.beneficiary,
  leaf.tokens,
  leaf.outcome,
];
const commitmentValues = (leaf: CommitmentLeaf): (string | bigint | number)[] => [
  leaf.j,
  leaf.step,
  leaf.state,
  leaf.data,
  leaf.scalars,
  leaf.update,
];

/** Root of a round's receipts; 0 for a round without any. */
export function receiptsRoot(leaves: readonly ReceiptLeaf[]): Hex {
  if (leaves.length === 0) return zeroHash;
  return rootOf(receiptLeafEncoding, leaves.map(receiptValues));
}

/** Hashes the leaves of a reward tree: {@link rewardLeafEncoding}, each of the five in a word of 32 bytes. */
function rewardHasher({ modelId, index, kind }: RewardTreeOf): (leaf: RewardLeaf) => Uint8Array {
  const words = new Uint8Array(160);
  const view = new DataView(words.buffer);
  words[31] = kind ?? rewardKind.compute;
  words.set(hexToBytes(modelId), 32);
  view.setBigUint64(88, BigInt(index));
  return ({ account, amount }) => {
    if (amount < 0n || amount >> 256n !== 0n)
      throw new ProtocolError("AMOUNT_TOO_LARGE", `The amount of ${account} must be below 2^256, not ${amount}.`);
    words.set(hexToBytes(asAddress(account)), 108);
    for (let i = 0; i < 4; i++) view.setBigUint64(128 + 8 * i, BigInt.asUintN(64, amount >> BigInt(64 * (3 - i))));
    return keccak256(keccak256(words, "bytes"), "bytes");
  };
}

/** Tree of what accounts earned in the epochs of one root. @throws ProtocolError EMPTY_TREE, DUPLICATE_ACCOUNT, AMOUNT_TOO_LARGE */
export function rewardTree(of: RewardTreeOf, leaves: readonly RewardLeaf[]) {
  if (leaves.length === 0) throw new ProtocolError("EMPTY_TREE", "A reward tree needs at least one account.");
  const indices = new Map(leaves.map(({ account }, index) => [account.toLowerCase(), index]));
  if (indices.size !== leaves.length)
    throw new ProtocolError("DUPLICATE_ACCOUNT", "A reward tree lists each account once.");
  const tree = merkleTree(leaves.map(rewardHasher(of)));
  return {
    root: tree.root,
    total: leaves.reduce((sum, leaf) => sum + leaf.amount, 0n),
    /** Proof of an account's leaf, or undefined where it has none. */
    proofOf(account: Address): { amount: bigint; proof: Hex[] } | undefined {
      const index = indices.get(account.toLowerCase());
      return index === undefined ? undefined : { amount: leaves[index]!.amount, proof: tree.proofOf(index) };
    },
  };
}

/**
 * Inner steps of a segment at most in builds whose machines replay each other exactly; to hash a state so often costs well under
 * 1% of a round on a processor. Where bits differ from machine to machine a single step cannot be replayed, only compared.
 */
export const EXACT_SEGMENT_STEPS = 32;

/**
 * Leaves of the commitment to a round of so many inner steps: the start, and the end of each segment.
 * @param segmentSteps of the build: steps of a segment at most, 0 for one segment, however long
 */
export const commitmentLeaves = (steps: number, segmentSteps: number): number =>
  1 + (segmentSteps === 0 ? 1 : Math.max(1, Math.ceil(steps / segmentSteps)));

/** Root of a worker's commitment: two leaves at least, the start and the end with its encoding. @throws ProtocolError SHORT_COMMITMENT */
export function commitmentRoot(leaves: readonly CommitmentLeaf[]): Hex {
  if (leaves.length < 2)
    throw new ProtocolError(
      "SHORT_COMMITMENT",
      "A commitment has two leaves at least: the start and the end with its encoding.",
    );
  return rootOf(commitmentLeafEncoding, leaves.map(commitmentValues));
}
