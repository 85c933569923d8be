/** Heads: a run's hash chain of checkpoints, kept by CheckpointRegistry. */
import { type Address, encodeAbiParameters, keccak256, stringToHex } from "viem";
import type { Digest, HeadHash, RunId } from "./ids.ts";
import type { Hex } from "./ids.ts";

export const HEAD_TYPE =
  "Head(uint256 chainId,address registry,bytes32 parentHead,bytes32 runId,uint64 sequence,uint64 round,uint32 paramsVersion,bytes32 checkpointDigest,bytes32 receiptsRoot)";
export const HEAD_TYPEHASH: Hex = keccak256(stringToHex(HEAD_TYPE));

/** Checkpoint 0 has sequence 0, round 0, parentHead 0, paramsVersion 1 and receiptsRoot 0. `round` counts completed rounds. */
export interface Head {
  readonly chainId: bigint;
  /** CheckpointRegistry. */
  readonly registry: Address;
  readonly parentHead: HeadHash;
  readonly runId: RunId;
  readonly sequence: bigint;
  readonly round: bigint;
  readonly paramsVersion: number;
  readonly checkpointDigest: Digest;
  readonly receiptsRoot: Hex;
}

export function headHash(head: Head): HeadHash {
  return keccak256(
    encodeAbiParameters(
      [
        { type: "bytes32" },
        { type: "uint256" },
        { type: "address" },
        { type: "bytes32" },
        { type: "bytes32" },
        { type: "uint64" },
        { type: "uint64" },
        { type: "uint32" },
        { type: "bytes32" },
        { type: "bytes32" },
      ],
      [
        HEAD_TYPEHASH,
        head.chainId,
        head.registry,
        head.parentHead,
        head.runId,
        head.sequence,
        head.round,
        head.paramsVersion,
        head.checkpointDigest,
        head.receiptsRoot,
      ],
    ),
  ) as HeadHash;
}

/** Blocks between a head's anchor and the block whose hash decides the sortition. */
export const SORTITION_DELAY_BLOCKS = 2n;

/** The seed of a validator's draws for a head. Whoever orders blocks can predict it. */
export function sortitionSeed(blockHash: Hex, head: HeadHash, validator: Address): bigint {
  return BigInt(
    keccak256(
      encodeAbiParameters(
        [{ type: "bytes32" }, { type: "bytes32" }, { type: "address" }],
        [blockHash, head, validator],
      ),
    ),
  );
}

/** The fragment of the aggregate that this validator recomputes. */
export const drawnFragment = (seed: bigint, fragments: number): number => Number(seed % BigInt(fragments));

/** Whether this validator measures the losses of the head's gate too: one head in `oneIn`, whatever the fragment. */
export const drawsGateAudit = (seed: bigint, fragments: number, oneIn: number): boolean =>
  (seed / BigInt(fragments)) % BigInt(oneIn) === 0n;

/** Held-out sequences that are measured while training goes on, and when there is time. */
export const HELD_OUT_SEQUENCES = { running: 64, resting: 512 } as const;
/** Ms for which a head's held-out loss is left to each validator before the next in the measuring order. */
export const HELD_OUT_TURN_MS = { running: 120_000, resting: 30_000 } as const;

/**
 * Sequences in a sample of the held-out split: as many as wanted, or as the split has, rounded down to whole batches of the
 * program that measures; one batch at least.
 */
export const heldOutSampleSize = (available: number, wanted: number, batch: number): number =>
  Math.max(1, Math.floor(Math.min(available, wanted) / batch)) * batch;

/** Keeps this order apart from other uses of the same hash. */
const MEASURING = keccak256(stringToHex("Cotrain held-out loss"));

/**
 * Who measures a head's held-out loss: the first of this order; the others step in one after the other when it is silent.
 * A function of head and set alone, so that all agree; who orders blocks gains nothing by steering it.
 */
export function measuringOrder(head: HeadHash, validators: readonly Address[]): Address[] {
  const rank = (validator: Address): Hex =>
    keccak256(
      encodeAbiParameters(
        [{ type: "bytes32" }, { type: "bytes32" }, { type: "address" }],
        [MEASURING, head, validator],
      ),
    );
  return validators
    .map((validator) => ({ validator, rank: rank(validator) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ validator }) => validator);
}
