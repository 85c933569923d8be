/**
 * What other rooms see of the chain: plain data and promises, no viem clients. Integers that documents hold as JSON numbers
 * (rounds, sequences, epochs, blocks, seconds) are numbers here too; amounts of shares are bigints. Times are chain seconds.
 */
import type { ClaimLeaf, Distributors, ModelContracts, Wire } from "@cotrain/sdk/actions";
import type {
  Address,
  Attestation,
  ContractAddresses,
  Digest,
  EpochClock,
  HeadHash,
  Hex,
  ModelId,
  RunId,
  RunParams,
} from "@cotrain/sdk/protocol";
import type { FeesAsked } from "./fees.ts";

/** A run's last link; all zero for a run that does not exist. */
interface HeadPosition {
  readonly head: HeadHash;
  readonly sequence: number;
  /** Rounds completed. */
  readonly round: number;
}

/** One HeadPosted event and where it stands. */
export interface PostedHead extends HeadPosition {
  readonly runId: RunId;
  readonly parentHead: HeadHash;
  readonly paramsVersion: number;
  readonly checkpointDigest: Digest;
  readonly receiptsRoot: Hex;
  readonly block: number;
  readonly blockHash: Hex;
  readonly logIndex: number;
  readonly transaction: Hex;
  /** Timestamp of the block, chain seconds. */
  readonly anchoredAt: number;
}

/** The fields that the poster chooses. */
export interface HeadFields {
  readonly runId: RunId;
  readonly parentHead: HeadHash;
  /** Rounds completed. */
  readonly round: number;
  readonly paramsVersion: number;
  readonly checkpointDigest: Digest;
  readonly receiptsRoot: Hex;
}

/** Those of a head that is posted behind another one, from which the rest follows. */
export type NextHead = Pick<HeadFields, "paramsVersion" | "checkpointDigest" | "receiptsRoot">;

/** A run as RunRegistry holds it. */
export interface RunRecord {
  readonly runId: RunId;
  readonly modelId: ModelId;
  /** Digest of the Definition. */
  readonly definition: Digest;
  readonly poster: Address;
  /** `runStatus` of @cotrain/sdk/protocol: 0 open, 1 paused, 2 finished. */
  readonly status: number;
  readonly fragments: number;
  /** Newest version of the parameters. */
  readonly version: number;
}

/** A model's clock. */
export interface ModelSchedule extends EpochClock {
  readonly postingDelay: number;
  /** Seconds between posting a root and its activation. */
  readonly window: number;
}

export interface ValidatorSetView {
  readonly version: number;
  /** Ascending, lower case. */
  readonly validators: readonly Address[];
  /** Signatures needed. */
  readonly threshold: number;
}

/** A model in bootstrap: its organiser replaces validators, and ends with what ends bootstrap. */
export interface BootstrapView {
  readonly organiser: Address;
  /** What workers have claimed, and must have, in share wei. */
  readonly claimed: bigint;
  readonly needed: bigint;
  /** Epochs that must be over, too. */
  readonly epochs: number;
  /** From when on it ends whatever was claimed, chain seconds. */
  readonly latest: number;
}

/** A root of what epochs earned, pending or active. */
export interface RootView {
  /** Its number, from 1. */
  readonly index: number;
  readonly root: Hex;
  /** What it pays in all: share wei, and of revenue the smallest units of its token. */
  readonly total: bigint;
  /** The last epoch it covers. */
  readonly epoch: number;
}

/** A root in its window, or as it was posted. */
export interface PendingRootView extends RootView {
  /** The first epoch it covers. */
  readonly fromEpoch: number;
  /** From when on it may be activated; undefined while it is disputed. */
  readonly activatableAt: number | undefined;
  readonly deadline: number;
}

/** A root with all that was signed of it, without which nobody activates it. */
export interface SignedRoot extends PendingRootView {
  readonly attestation: Attestation;
  /** Its struct hash, by which the contract names it. */
  readonly digest: Hex;
}

/** One RootPosted event. */
export interface PostedRoot extends SignedRoot {
  readonly activatableAt: number;
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly head: HeadHash;
  readonly epochDigest: Digest;
  readonly setVersion: number;
  readonly block: number;
  readonly transaction: Hex;
}

/** How a dispute about an attestation ended: its root stands, the holders voted against it, or nothing was decided, which voids it too. */
export type RootRuling = "stands" | "void" | "undecided";

/** The dispute about a model's pending root. */
export interface OpenDispute {
  /** Of the attestation that is disputed. */
  readonly digest: Hex;
  readonly disputer: Address;
  /** What the disputer put up, wei. */
  readonly bond: bigint;
  /** What they vote on. */
  readonly proposalId: bigint;
  /** Holders may vote until then, chain seconds: a quorum that comes late moves it. */
  readonly votesUntil: number;
}

/** What the next dispute of a model's roots costs. */
interface DisputeCost {
  /** Wei. */
  readonly bond: bigint;
  /** How often that is doubled. */
  readonly level: number;
  /** Whether the next posting needs it, too: the root before failed. */
  readonly isDue: boolean;
}

/** One RootActivated event. */
export interface ActivatedRoot extends RootView {
  readonly modelId: ModelId;
  readonly block: number;
  readonly transaction: Hex;
}

/** What is read of a model's roots of one kind. Rejects as {@link ChainReader} does. */
export interface RootReader {
  /** The newest. */
  activeRoot(modelId: ModelId): Promise<RootView | undefined>;
  /** @throws RetryableError `CHAIN_RPC` where its posting is left out */
  pendingRoot(modelId: ModelId): Promise<SignedRoot | undefined>;
  /** When the age of the epochs is judged for the next root, unless its deadline is before that; undefined for its deadline. */
  ageJudgedAt(modelId: ModelId): Promise<number | undefined>;
  /** The dispute about the pending root; undefined where it is not disputed. */
  openDispute(modelId: ModelId): Promise<OpenDispute | undefined>;
  disputeCost(modelId: ModelId): Promise<DisputeCost>;
  /** RootPosted events, oldest first; read anew where the root `wanted` is not there. */
  rootsOf(modelId: ModelId, wanted?: Hex): Promise<PostedRoot[]>;
  /** Who signed a root, by the transaction that posted it, ascending; undefined where nothing can be read of that. */
  signersOf(posted: PostedRoot): Promise<Address[] | undefined>;
  /** Whether holders have voided, by a vote, a posted root of this model, kind, number, epochs and total, on whatever block and deadline. */
  isVoided(modelId: ModelId, attestation: Attestation): Promise<boolean>;
  /** RootActivated events, oldest first. */
  activationsOf(modelId: ModelId): Promise<ActivatedRoot[]>;
}

/** Everything that is read. Rejects with RetryableError `CHAIN_UNREACHABLE` when the RPC is away. */
export interface ChainReader extends RootReader {
  readonly chainId: number;
  readonly contracts: ContractAddresses;
  /** ComputeEscrow, where the deployment names it. */
  readonly escrow?: Address | undefined;
  /** Blocks above the one that holds an event before it is told. */
  readonly confirmations: number;
  /** Timestamp of the latest block. */
  chainTime(): Promise<number>;
  /** Timestamp of the newest confirmed block: whatever is anchored later bears a later time. */
  settledTime(): Promise<number>;
  /** The latest block. */
  tip(): Promise<{ readonly block: number; readonly hash: Hex; readonly parentHash: Hex }>;
  /** Undefined for a block that does not exist (yet). */
  blockHash(block: number): Promise<Hex | undefined>;

  /** The registry's state now. */
  head(runId: RunId): Promise<HeadPosition>;
  /**
   * HeadPosted events of blocks ≥ `block`, oldest first, checkpoint 0 included; confirmed ones only (ChainOptions.confirmations).
   * An RPC may leave events out of an answer: all are read anew where one head does not follow another, or `wanted` is not there.
   * @throws RetryableError `CHAIN_RPC` where they are left out again
   */
  headsSince(runId: RunId, block: number, wanted?: HeadHash): Promise<PostedHead[]>;

  /** @throws UserError `RUN_UNKNOWN` */
  run(runId: RunId): Promise<RunRecord>;
  runStatus(runId: RunId): Promise<number>;
  /** Whether the validators stopped the run's poster, and the holders named no other yet. */
  isSuspended(runId: RunId): Promise<boolean>;
  /** All runs that the model ever registered, oldest first. */
  runsOf(modelId: ModelId): Promise<RunId[]>;
  /** Every key that is or was the run's poster, lower case; read anew where `wanted` is not there. */
  postersOf(runId: RunId, wanted?: Address): Promise<Address[]>;
  isAdmitted(runId: RunId, build: Digest): Promise<boolean>;
  /**
   * All that were ever admitted, withdrawn or not; read anew where `wanted` is not there.
   * @throws RetryableError `CHAIN_RPC` where it still is not there, and admitted by what the contract says
   */
  buildsOf(runId: RunId, wanted?: Digest): Promise<Digest[]>;
  /**
   * The document of a build, canonical JSON, out of the proposal whose text has it (`buildProposalText`); undefined where none has.
   */
  proposedBuild(runId: RunId, build: Digest): Promise<string | undefined>;
  paramsInForce(runId: RunId): Promise<{ readonly version: number; readonly params: RunParams }>;
  paramsOf(runId: RunId, version: number): Promise<RunParams>;
  /** Version in force at a time; 0 before the run's registration. */
  paramsVersionAt(runId: RunId, time: number): Promise<number>;

  /** The model's own contracts, beside the deployment's. */
  modelContracts(modelId: ModelId): Promise<ModelContracts>;
  /** What pays for code and sells shares, as the contracts themselves name it. */
  distributors(): Promise<Distributors>;
  /** What was minted for a model's founders when it was created, in share wei. */
  founders(modelId: ModelId): Promise<bigint>;
  /** What a young model's organiser may still do, and until when; undefined once bootstrap is over. */
  bootstrap(modelId: ModelId): Promise<BootstrapView | undefined>;
  /** What deployment and model say of whom they obey that is not so; none where all of it holds. */
  wrongWires(modelId: ModelId): Promise<Wire[]>;
  schedule(modelId: ModelId): Promise<ModelSchedule>;
  /** Counted from 1; 0 before the model's creation. */
  epochOf(modelId: ModelId, time: number): Promise<number>;
  /** Time at which an epoch is over. */
  epochEnd(modelId: ModelId, epoch: number): Promise<number>;
  /** Shares that compute may still earn in this one epoch, its age judged at `asOf`. */
  computeBudget(modelId: ModelId, epoch: number, asOf: number): Promise<bigint>;
  /** Shares that compute may earn in one epoch, whatever was authorised of them, and however old it is. */
  epochBudget(modelId: ModelId, epoch: number): Promise<bigint>;
  /** The set in force now, or a given version. */
  validators(modelId: ModelId, version?: number): Promise<ValidatorSetView>;
  /** How the dispute about an attestation ended; undefined where none did. @param digest its struct hash */
  rulingOn(digest: Hex): Promise<RootRuling | undefined>;
  /** Those of the leaves, of compute if no other kind is said, that nobody was paid. */
  unpaidOf(modelId: ModelId, owed: Owed, kind?: number): Promise<ClaimLeaf[]>;
  /** What a worker has at stake that is not leaving, wei. */
  activeStake(modelId: ModelId, worker: Address): Promise<bigint>;
  /** What is read of roots of another kind, of `rewardKind`: what a reader says of roots by itself is of those of compute. */
  rootsOfKind(kind: number): RootReader;
  /** Has heads of a run, or roots of a model, read anew from a block on at the next look: for who knows that one was left out. */
  forget(of: RunId | ModelId, block?: number): void;
}

/** Outcome of a posting. `transaction` is null when the contract already held the same content and nobody's log was found. */
interface Posting {
  readonly transaction: Hex | null;
  readonly block: number | null;
}

export interface HeadPosting extends Posting, HeadPosition {
  readonly block: number;
}

export interface RootPosting extends Posting {
  readonly root: PendingRootView;
}

/** That an attestation is disputed, by whomever, or was. */
export interface Disputed {
  /** Its struct hash. */
  readonly digest: Hex;
}

/** What an account is owed, by root. */
export interface Owed {
  readonly account: Address;
  readonly leaves: readonly ClaimLeaf[];
}

/** How a dispute ended. */
export interface DisputeEnd {
  readonly ruling: RootRuling;
}

/** What the oldest posting that waits for lower fees or for coins lacks, and since when, ms. */
export interface FeeWait extends Omit<FeesAsked, "what"> {
  /**
   * Of a root that must bear a bond, since the one before failed: `bond` where that is more than this account may put up, `bondCoins`
   * where it has too little for it.
   */
  readonly what: FeesAsked["what"] | "bond" | "bondCoins";
  readonly since: number;
}

/**
 * What the coordinator uses. Postings are idempotent by `key` (the effect's), journaled before they are sent, and resolve
 * when the transaction has the configured confirmations; "already posted with the same content" resolves too. They retry by
 * themselves while the chain is away and reject with RetryableError on abort or when the bounded patience ends (call again
 * with the same key), with UserError or InternalError when the contract refuses (`details.revert` names its error).
 */
export interface ChainPort extends ChainReader {
  /**
   * Heads of one run are posted in the order of their sequence. If the chain lost earlier ones that this journal posted, it
   * posts those again first.
   * @param following heads that wait behind it: as many as `HEADS_AT_ONCE` allows go into the same transaction. What they became
   *   shows when they are posted in their turn, which finds them there. Where all of them together are refused or too dear, the
   *   first goes alone.
   */
  postHead(fields: HeadFields, key: string, following?: readonly NextHead[]): Promise<HeadPosting>;
  /**
   * With the bond that is due after a root that failed: rejects with RetryableError `BOND_TOO_HIGH` where that is more than
   * `ChainOptions.bondAtMost`, `BOND_LACKING` where the account has too little for it, `BOND_SUCCEEDED` where another contract takes over first, and with UserError `ATTESTATION_RULED` where
   * a dispute about this attestation has ended, `ATTESTATION_EXPIRED` after its deadline.
   * @param signatures by validator; sorted here as the contract wants them
   */
  postRoot(
    attestation: Attestation,
    signatures: readonly { readonly validator: Address; readonly signature: Hex }[],
    key: string,
  ): Promise<RootPosting>;
  /**
   * Activates the pending root of `epoch`, of compute if no other kind is said, once its window is over: rejects with RetryableError `WINDOW_OPEN` before, `ROOT_DISPUTED`
   * while it is disputed, `ROOT_FAILED` where it did not stand, `CHAIN_MOVED` where none of this epoch was posted.
   */
  activateRoot(modelId: ModelId, epoch: number, key: string, kind?: number): Promise<RootPosting>;
  /**
   * Ends a dispute as its vote did, about a root of compute if no other kind is said; resolves where somebody else has ended it, and rejects with RetryableError `DISPUTE_EARLY` while
   * holders vote.
   */
  settleDispute(modelId: ModelId, dispute: Pick<OpenDispute, "digest">, kind?: number): Promise<DisputeEnd>;
  /**
   * Has accounts paid what roots, of compute if no other kind is said, owe them, in one transaction: all of them or none. Resolves where
   * somebody else has; rejects with what `isRefused` knows where a contract refuses, such as the token that one of them is paid in.
   */
  claimFor(modelId: ModelId, claims: readonly Owed[], key: string, kind?: number): Promise<void>;
  /** What postings wait for while the chain asks for more than a transaction may cost or the account has; undefined while they do not. */
  feeWait(): FeeWait | undefined;
}
