/**
 * The commitment to a round's work, made before anybody draws what will be replayed (training.md, "Commitment"):
 *
 *     leaf 0        state at the start: θ_r, optimizer, residual, step; nothing fed yet
 *     leaf j        state after segment j, the token ids and scalars fed in it
 *     last leaf     (leaves − 1, step, end state, base digest, digest of the new residual, payload digest)
 *
 * States are BLAKE3 of θ, the optimizer's tensors, the residual and the optimizer's step. `data` is sha256 of the token
 * ids fed, uint16 little-endian as the batches hold them; `scalars` is sha256 of, for each step, the learning rate as
 * fp32 and the optimizer's step (from 1) as uint64, little-endian, which every other scalar follows from.
 *
 * Segment j ends after step j · segmentSteps of the build, the last one with the round: what was trained before a round is cut
 * short is hashed where it would have been anyway. The last segment ends in the last leaf; its data follows from the assignment.
 */
import {
  type CommitmentLeaf,
  commitmentLeaves,
  commitmentRoot,
  type Digest,
  type Hex,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { bytesOf, InternalError, sha256Bytes } from "../base/index.ts";

/**
 * The steps of a round after which a state is hashed: the end of each segment, [segments], the last one `steps`.
 * @param segmentSteps of the build, see `commitmentLeaves`
 */
export function segmentEnds(steps: number, segmentSteps: number): number[] {
  const segments = commitmentLeaves(steps, segmentSteps) - 1;
  return Array.from({ length: segments }, (_, i) => (i + 1 < segments ? (i + 1) * segmentSteps : steps));
}

/** Digests of what is fed in one segment. */
export interface Fed {
  readonly data: Digest;
  readonly scalars: Digest;
}

/**
 * @param tokens token ids of the segment's steps
 * @param learningRates one per step
 * @param optimizerStep steps that the optimizer has taken before the segment
 */
export function fedDigests(tokens: Uint16Array, learningRates: readonly number[], optimizerStep: number): Fed {
  const scalars = new DataView(new ArrayBuffer(12 * learningRates.length));
  for (const [i, rate] of learningRates.entries()) {
    scalars.setFloat32(12 * i, rate, true);
    scalars.setBigUint64(12 * i + 4, BigInt(optimizerStep + i + 1), true);
  }
  return { data: sha256Bytes(bytesOf(tokens)), scalars: sha256Bytes(bytesOf(scalars)) };
}

const NOTHING = sha256Bytes(new Uint8Array(0));

interface Encoding {
  /** The optimizer's step counter and the state's hash at the end of the round. */
  readonly step: number;
  readonly endState: Hex;
  readonly baseDigest: Digest;
  readonly newResidual: Hex;
  readonly payloadDigest: Digest;
}

interface Commitment {
  readonly root: Hex;
  readonly leaves: readonly CommitmentLeaf[];
}

export interface CommitmentBuilder {
  /** State before the first step. */
  start(step: number, state: Hex): void;
  /** State after a segment that is not the last. */
  segment(step: number, state: Hex, fed: Fed): void;
  /** The encoding closes it. */
  finish(encoding: Encoding): Commitment;
}

export function createCommitment(): CommitmentBuilder {
  const leaves: CommitmentLeaf[] = [];
  const push = (step: number, leaf: Omit<CommitmentLeaf, "j" | "step">): void => {
    leaves.push({ j: leaves.length, step: BigInt(step), ...leaf });
  };
  return {
    start: (step, state) => push(step, { state, data: NOTHING, scalars: NOTHING, update: zeroHash }),
    segment: (step, state, fed) => push(step, { state, ...fed, update: zeroHash }),
    finish: ({ step, endState, baseDigest, newResidual, payloadDigest }) => {
      if (leaves.length === 0) throw new InternalError("COMMITMENT_EMPTY", "A commitment is closed before it began.");
      push(step, { state: endState, data: baseDigest, scalars: newResidual, update: payloadDigest });
      return { root: commitmentRoot(leaves), leaves };
    },
  };
}
