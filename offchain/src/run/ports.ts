/** What the parts of a run that every participant needs say and ask: published blobs, an epoch's accounts. */
import type {
  Attestation,
  Digest,
  EpochInputs,
  EpochManifest,
  Hex,
  ModelId,
  RewardsFile,
  RunId,
  SignedVerdict,
  VerdictsFile,
} from "@cotrain/sdk/protocol";

import type { ChainPort, PostedHead, SignedRoot } from "../chain/index.ts";

/** Published blobs by digest. The SDK's CoordinatorClient is one; so is a thin wrapper around a blob store. */
export interface BlobSource {
  /** A whole blob of at most `limit` bytes whose digest was verified. */
  blob(runId: RunId, digest: Digest, limit: number): Promise<Uint8Array>;
}

/** A head with the one before it, which a run's first lacks. */
export interface HeadWithParent<Parent extends PostedHead | undefined = PostedHead> {
  readonly head: PostedHead;
  readonly parent: Parent;
}

/** A block by number and hash. */
export interface ReadBlock {
  readonly number: number;
  readonly hash: Hex;
}

export interface ComputeEpochInput {
  readonly modelId: ModelId;
  /** An epoch that is over, above the active root's, with at least one head. */
  readonly epoch: number;
  /** Verdicts accepted so far; those about heads of the epochs covered count. */
  readonly verdicts: readonly SignedVerdict[];
  /** Deadline to attest; without it the first that leaves time to: end of the epoch + n × posting delay. */
  readonly deadline?: number;
  /** Block that is said to have been read; without it the newest confirmed one. One that this chain does not have is refused. */
  readonly block?: ReadBlock;
  /** Attempts since the active root whose deadline passed; 0 unless given. Each leaves more time than the one before. */
  readonly expired?: number;
  /**
   * The root in its window that is recomputed: by the set of validators that it names, with its deadline and block, which the contract
   * took or nobody's pay follows from. Then `deadline`, `block` and `expired` are left out.
   */
  readonly posted?: Pick<SignedRoot, "digest" | "attestation" | "activatableAt">;
}

/** The documents of an epoch and the statement that validators are asked to sign. Store all four documents, canonical JSON. */
export interface EpochComputation {
  readonly inputs: EpochInputs;
  readonly verdicts: VerdictsFile;
  readonly rewards: RewardsFile;
  readonly manifest: EpochManifest;
  readonly attestation: Attestation;
}

export type EpochResult =
  | { readonly kind: "computed"; readonly computation: EpochComputation }
  /** Nothing to attest: no head in the epoch, or nobody has earned anything yet. */
  | { readonly kind: "nothing"; readonly reason: string };

/** Computes epochs of the models that a chain's reader knows. */
export interface EpochAccounts {
  /** @throws RetryableError `CHAIN_MOVED` when the active root changed meanwhile; UserError `DOCUMENT_…` for documents that do not verify */
  computeEpoch(input: ComputeEpochInput, blobs: BlobSource): Promise<EpochResult>;
}

/** The chain as the coordinator of a run uses it. */
export interface RunChain extends ChainPort, EpochAccounts {}
