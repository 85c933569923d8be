/**
 * What a run's coordinator knows: digests, ids and integers, never tensors. JSON-serialisable, replaced and never changed,
 * derived from the event log alone. Times are ms since 1970 unless a name says chain seconds.
 */
import type {
  Address,
  Assignment,
  CheckpointFragment,
  Digest,
  HeadHash,
  Hex,
  ModelId,
  PayloadHeader,
  RunId,
  ScreeningRules,
  SignedVerdict,
  WireRunParams,
  WireStruct,
} from "@cotrain/sdk/protocol";

import type { DataLedger } from "../../data/index.ts";
import type { GatePass } from "../../diloco/index.ts";
import type { Anchor, ComputedEpoch, PendingEffect } from "./effects.ts";

/** What never changes in a run's life. */
export interface RunFacts {
  readonly runId: RunId;
  readonly modelId: ModelId;
  readonly chainId: number;
  /** CheckpointRegistry, which stands in every head. */
  readonly checkpointRegistry: Address;
  /** Digest of the fragment table. */
  readonly table: Digest;
  /** Elements of each fragment, by index. */
  readonly elements: readonly number[];
  /** Tokens per sequence. */
  readonly sequence: number;
  /** Orders the data. */
  readonly seed: Hex;
  /** What payloads must pass, from the definition. */
  readonly screening: ScreeningRules;
}

export type Phase = "Waiting" | "Training" | "Paused" | "Finished";
type SyncStatus = "Collecting" | "Closing" | "Reduced" | "Durable";

/** The newest durable checkpoint: θ_r that the open round starts from. */
export interface Checkpoint {
  /** Rounds completed. */
  readonly round: number;
  readonly digest: Digest;
  /** Inner steps of the run's schedule and tokens trained so far. */
  readonly step: number;
  readonly tokens: number;
  readonly paramsVersion: number;
  readonly fragments: readonly CheckpointFragment[];
}

export interface Member {
  readonly worker: Address;
  readonly beneficiary: Address;
  readonly build: Digest;
  /** Sequences per inner step of its build. */
  readonly batch: number;
  /** Steps between two states of its commitments at most, of its build. */
  readonly segmentSteps: number;
  /** Machines of one class replay each other exactly. */
  readonly machineClass: string;
  readonly joinedAt: number;
  readonly silent: boolean;
  /** µs per inner step, uploads included: its own claim until it was measured, null if it claims nothing. */
  readonly pace: number | null;
  /** Whether `pace` comes from an accepted receipt. */
  readonly measured: boolean;
  /** Its place is counted from this round: the one in which it could first work, or the one after its last receipt. */
  readonly since: number;
  /** Deadlines missed in a row since its last receipt. */
  readonly misses: number;
  /** Gets no work before this time unless nobody else is left. */
  readonly benchedUntil: number;
  /** By which it joined; absent for a machine of one's own. */
  readonly lease?: Hex;
  /** Its lease was ended: it gets no more work. Absent otherwise. */
  readonly leaving?: true;
}

/** A rented machine's right to join. */
interface JoinLease {
  /** The key that joined by it; no other may. */
  readonly worker: Address | null;
  /** Ms; from then on nobody joins by it. */
  readonly notAfter: number;
  readonly ended: boolean;
}

/** What counts against a former member. */
interface Absence {
  /** Those of its membership; leaving with work outstanding is one more. */
  readonly misses: number;
  readonly benchedUntil: number;
  /** Forgotten from this time on. */
  readonly keptUntil: number;
}

interface Upload {
  readonly index: number;
  readonly digest: Digest;
  readonly bytes: number;
}

export interface AcceptedReceipt {
  readonly receipt: WireStruct<"Receipt">;
  readonly signature: Hex;
  readonly header: PayloadHeader;
  readonly receiptHash: Hex;
  readonly tokens: number;
  readonly acceptedAt: number;
}

/** One worker's part in the open round. */
export interface Work {
  readonly assignment: Assignment;
  /** sha256 of the assignment's canonical JSON. */
  readonly digest: Digest;
  /** Newest upload of each fragment. */
  readonly uploads: Readonly<Record<number, Upload>>;
  /** Uploads accepted, replaced ones included. */
  readonly uploaded: number;
  /** When it was given out, or given out again. */
  readonly dealtAt: number;
  /** When its data were first given out: its worker has had them since, however often it was given them again. */
  readonly begunAt: number;
  /** From when on a part of it counts: half of the time that its worker had when it was given out. */
  readonly partFrom: number;
  readonly receipt: AcceptedReceipt | null;
}

interface Sync {
  readonly status: SyncStatus;
  readonly shard: CheckpointFragment | null;
  /** Why a worker's payload could not be reduced; 0s are left out. */
  readonly outcomes: Readonly<Record<Address, number>>;
}

export interface OpenRound {
  readonly round: number;
  readonly openedAt: number;
  readonly deadline: number;
  /** Number of its newest deadline; part of the timer's key. */
  readonly deadlines: number;
  /** The deadline is not moved beyond this time while the same work is out. */
  readonly latest: number;
  /** When the others are in, the round waits until this time for members that never delivered; null: it waits for all alike. */
  readonly newcomers: number | null;
  /** Members that were sending at the deadline have had their extra moment. */
  readonly graced: boolean;
  readonly paramsVersion: number;
  readonly params: WireRunParams;
  /** H of this round. */
  readonly innerSteps: number;
  /** Digest of the checkpoint that holds θ_r. */
  readonly base: Digest;
  readonly work: Readonly<Record<Address, Work>>;
  /** By fragment index. */
  readonly syncs: readonly Sync[];
  /** How often the fragments were reduced; rises when a payload proves unusable. */
  readonly pass: number;
  /** Outcomes of payloads that are left out of the reduction. */
  readonly excluded: Readonly<Record<Address, number>>;
  /** Blob with the entries of the screening; null before it. */
  readonly record: Digest | null;
  /** What the loss gate measured so far; `before` counts once there is a pass, and is null where that loss is not finite. */
  readonly gate: { readonly before: number | null; readonly passes: readonly GatePass[] };
  /** Digest of the ScreeningFile; null until the aggregate stands. */
  readonly screening: Digest | null;
}

/** What became of a worker's last accepted receipt; decides whether its residual advances. */
interface LastOutcome {
  readonly round: number;
  readonly receiptHash: Hex;
  readonly outcome: number;
}

/** One link of the run's chain of checkpoints, computed here and posted in order. */
export interface HeadEntry {
  readonly sequence: number;
  readonly round: number;
  readonly parentHead: HeadHash;
  readonly head: HeadHash;
  readonly paramsVersion: number;
  readonly checkpoint: Digest;
  readonly receiptsRoot: Hex;
  /** Workers with a receipt under receiptsRoot. */
  readonly workers: readonly Address[];
  readonly anchor: Anchor | null;
  /** The chain had it and lost it again. */
  readonly reverted: boolean;
  /** It was not made here: a rollback, or a head before one that the run went back behind. Absent of others. */
  readonly given?: true;
  /** The run went back behind it. Absent of others. */
  readonly rolledBack?: true;
}

/** An epoch in which heads were anchored and that no active root covers yet. */
interface OpenEpoch {
  /** Chain seconds at which it ends. */
  readonly end: number;
  readonly over: boolean;
  /** Computations so far. */
  readonly passes: number;
}

type EpochState = "computing" | "collecting" | "posted" | "active" | "superseded";

export interface EpochRecord {
  readonly epoch: number;
  readonly pass: number;
  readonly state: EpochState;
  /** Null while computing, and for a root that somebody else posted and whose documents are not here. */
  readonly computed: ComputedEpoch | null;
  readonly root: Hex | null;
  readonly signatures: readonly { readonly validator: Address; readonly signature: Hex }[];
  readonly transaction: Hex | null;
  /** It was posted, disputed, and did not stand; absent otherwise. */
  readonly failed?: true;
}

/** A finished round, to compute the speed from. */
interface RoundSummary {
  readonly round: number;
  readonly openedAt: number;
  readonly durableAt: number;
  readonly tokens: number;
  readonly workers: number;
}

/** Micro-bits per byte of a checkpoint, by the validators' lower median. */
export interface HeldOut {
  readonly round: number;
  readonly microBitsPerByte: number;
  /** Held-out sequences that it was measured on; absent in older states. */
  readonly sequences?: number;
}

/** A round that the run went back behind. */
export interface LostRound {
  readonly round: number;
  /** Digest of its ScreeningFile. */
  readonly screening: Digest;
}

export interface RunState {
  readonly facts: RunFacts;
  /** Time of the last event. */
  readonly at: number;
  readonly phase: Phase;
  readonly pausedBy: { readonly operator: boolean; readonly chain: boolean };
  readonly finished: boolean;
  /** The round that is open or opens next; equals completed rounds. */
  readonly round: number;
  readonly checkpoint: Checkpoint;
  readonly paramsVersion: number;
  readonly params: WireRunParams;
  /** Changed on-chain, in force from the next round on. */
  readonly nextParams: { readonly version: number; readonly params: WireRunParams } | null;
  readonly members: Readonly<Record<Address, Member>>;
  /** Former members with something against them: joining again is no fresh start. Bounded, see members.ts. */
  readonly absent: Readonly<Record<Address, Absence>>;
  /** issuedAt of each worker's newest accepted joins, oldest first, as long as one of them could still be in time. */
  readonly joins: Readonly<Record<Address, readonly number[]>>;
  /** Leases that somebody joined by or that were ended, as long as they are not over; absent before the first. Bounded, see leases.ts. */
  readonly leases?: Readonly<Record<Hex, JoinLease>>;
  /** Tokens of each worker that a checkpoint contains, without what was left out or waits for its round to close. */
  readonly totals: Readonly<Record<Address, number>>;
  readonly outcomes: Readonly<Record<Address, LastOutcome>>;
  /** Rounds in a row in which a worker was left out for what it sent; 0s are not kept. */
  readonly strikes: Readonly<Record<Address, number>>;
  /** Digests of the last rounds' ScreeningFiles, newest first. */
  readonly screenings: readonly Digest[];
  /** Rounds that the run went back behind and that what is handed in is still held against, newest first; absent before the first. */
  readonly lost?: readonly LostRound[];
  readonly ledger: DataLedger;
  /**
   * 32 bytes that only the coordinator knows, fresh for each round: the data of an assignment are drawn from them. They are never
   * shown. Assignments name what was drawn, and only their workers see them until the round's receipts are published.
   */
  readonly secret: Hex;
  readonly current: OpenRound | null;
  /** Deadlines set so far, over all rounds. */
  readonly deadlines: number;
  readonly recent: readonly RoundSummary[];
  /** Oldest first: all that are not anchored or not covered by an active root, and some more. */
  readonly heads: readonly HeadEntry[];
  /** How often the chain went back, or a root failed; part of the keys of postings. */
  readonly reverts: number;
  /** How often the run was taken back to an earlier checkpoint; absent for never. */
  readonly rollbacks?: number;
  readonly openEpochs: Readonly<Record<number, OpenEpoch>>;
  /** Newest last, bounded. */
  readonly epochs: readonly EpochRecord[];
  /** The last epoch that an active root covers; 0 = none. */
  readonly settledEpoch: number;
  /** By `storedVerdictKey`, as long as their head is in `heads`. */
  readonly verdicts: Readonly<Record<string, SignedVerdict>>;
  /** How many were accepted ever. */
  readonly verdictsAccepted: number;
  readonly heldOutFirst: HeldOut | null;
  /**
   * Bytes moved: payloads up, parameters down, and what synchronous data parallelism would have moved: every gradient in fp32
   * both ways, or in bf16 in a ring of each round's workers.
   */
  readonly traffic: {
    readonly up: number;
    readonly down: number;
    readonly synchronous: number;
    readonly ring: number;
  };
  /** Effects that are due and not ended, by key. */
  readonly pending: Readonly<Record<string, PendingEffect>>;
}

export const fragmentCount = (state: RunState): number => state.facts.elements.length;
export const parametersOf = (facts: RunFacts): number => facts.elements.reduce((sum, n) => sum + n, 0);

/** Whether enough validators of the set signed what was computed here. */
export const isSigned = <R extends Pick<EpochRecord, "computed" | "signatures">>(
  record: R,
): record is R & { readonly computed: NonNullable<R["computed"]> } =>
  record.computed !== null && record.signatures.length >= record.computed.threshold;

type Settled = Pick<RunState, "epochs" | "settledEpoch">;

/** Active roots that were computed and signed here: that any other root is active is only an RPC's word. */
const activeHere = ({ epochs, settledEpoch }: Settled): EpochRecord[] =>
  epochs.filter((record) => record.state === "active" && record.epoch <= settledEpoch && isSigned(record));

const lastEpoch = (records: readonly EpochRecord[]): number => Math.max(0, ...records.map(({ epoch }) => epoch));

/**
 * Those whose root a later one names as the one before it, with its set's signatures. What pay rests on is deleted by
 * them: an RPC that lies even past a deadline speaks for no validator, since each asks a chain of its own.
 */
const followedHere = (state: Settled): EpochRecord[] => {
  // An epoch that adds no pay has the root before it as its own: it does not follow itself.
  const isFollowed = ({ epoch, root }: EpochRecord): boolean =>
    state.epochs.some(
      (later) => later.epoch > epoch && isSigned(later) && later.computed.attestation.previousRoot === root,
    );
  return activeHere(state).filter(isFollowed);
};

/** @internal The last epoch that such a root covers, 0 = none: simulations hold it against the chain. */
export const settledForAll = (state: Settled): number => lastEpoch(followedHere(state));

type IsCovered = (head: Pick<HeadEntry, "anchor" | "sequence">) => boolean;

/**
 * Which heads roots cover: up to the last one that their signers named. The epoch in which a head stands is an RPC's word, and can
 * only have more kept.
 */
function coveredBy({ facts, heads }: Pick<RunState, "facts" | "heads">, records: readonly EpochRecord[]): IsCovered {
  const lastOf = ({ computed }: EpochRecord): string | undefined =>
    computed?.attestation.runId === facts.runId ? computed.attestation.head : computed?.last;
  const named = new Set(records.map(lastOf));
  const last = Math.max(-1, ...heads.filter(({ head }) => named.has(head)).map(({ sequence }) => sequence));
  const settled = lastEpoch(records);
  return ({ anchor, sequence }) => anchor !== null && anchor.epoch <= settled && sequence <= last;
}

/** By active roots that were signed here. Payloads are deleted by it, once the deadline of a root has passed. */
export const coveredHere = (state: RunState): IsCovered => coveredBy(state, activeHere(state));

/** By those of them that a later one follows: heads and verdicts are forgotten by it. */
export const coveredForAll = (state: RunState): IsCovered => coveredBy(state, followedHere(state));

/**
 * What {@link RunState.verdicts} is keyed by. It tells the same verdicts apart as the protocol's verdictKey does; snapshots hold it,
 * so that its form stays.
 */
export const storedVerdictKey = (verdict: WireStruct<"Verdict">): string =>
  [verdict.head, verdict.validator, verdict.kind, verdict.worker, verdict.index].join("/");
