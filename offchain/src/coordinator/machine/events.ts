/**
 * The inputs of a run, as they are logged: who asked for what, what an effect gave, what the chain holds. Decisions are
 * not logged; the state machine takes them again when it replays.
 */
import type {
  Address,
  CheckpointFragment,
  Digest,
  HeadHash,
  Hex,
  PayloadHeader,
  SignedVerdict,
  WireRunParams,
  WireStruct,
} from "@cotrain/sdk/protocol";

import type { GatePass } from "../../diloco/index.ts";
import type { Anchor, Checkpoint, RunFacts } from "./state.ts";

interface Timed {
  /** Ms since 1970, by the wall clock; falls within a log at a ClockStepped alone. */
  readonly at: number;
}

export interface RunCreated extends Timed {
  readonly type: "RunCreated";
  readonly facts: RunFacts;
  readonly params: WireRunParams;
  readonly paramsVersion: number;
  /** Checkpoint 0 and its head, which registerRun anchored. */
  readonly checkpoint: Checkpoint;
  readonly head: HeadHash;
  readonly anchor: Anchor;
  /** Chain seconds at which the anchor's epoch ends. */
  readonly epochEnd: number;
  /** Of the first round, see `RunState.secret`. */
  readonly secret: Hex;
}

export interface MemberJoined extends Timed {
  readonly type: "MemberJoined";
  readonly join: WireStruct<"Join">;
  readonly signature: Hex;
  readonly machineClass: string;
  /** Sequences per inner step of the build. */
  readonly batch: number;
  /** µs per inner step as the worker timed it, null when it did not say. */
  readonly pace: number | null;
  /** The worker's process is a new one: what it was working on is lost. */
  readonly restarted: boolean;
}

/** No heartbeat for a grace period. A heartbeat after that is a MemberReturned. */
export interface MemberSilent extends Timed {
  readonly type: "MemberSilent";
  readonly worker: Address;
}

export interface MemberReturned extends Timed {
  readonly type: "MemberReturned";
  readonly worker: Address;
}

export interface MemberLeft extends Timed {
  readonly type: "MemberLeft";
  readonly worker: Address;
  readonly reason: "left" | "evicted";
}

/**
 * The wall clock was set, or the coordinator was down. `at` is what the wall clock says now; `was` is where the run's own
 * time had come to. What the run waits for stays as far away as it was.
 */
export interface ClockStepped extends Timed {
  readonly type: "ClockStepped";
  /** Ms since 1970. */
  readonly was: number;
}

/** A fragment lies in the blob store. */
export interface FragmentAccepted extends Timed {
  readonly type: "FragmentAccepted";
  readonly worker: Address;
  readonly assignmentId: number;
  readonly attempt: number;
  readonly index: number;
  readonly digest: Digest;
  readonly bytes: number;
  /** These bytes were in the store as something else than a payload: they stay when payloads go. */
  readonly stays?: boolean;
}

/** Signature, form and payload were checked. */
export interface ReceiptAccepted extends Timed {
  readonly type: "ReceiptAccepted";
  readonly receipt: WireStruct<"Receipt">;
  readonly signature: Hex;
  readonly receiptHash: Hex;
  readonly header: PayloadHeader;
}

/** How far a member says it is with its work. */
export interface WorkReport {
  readonly step: number;
  /** It has trained and is sending. */
  readonly uploading: boolean;
}

export interface TimerFired extends Timed {
  readonly type: "TimerFired";
  readonly key: string;
  /** With a round's deadline: what those who have not submitted reported last. */
  readonly reports?: Readonly<Record<Address, WorkReport>>;
}

export interface SyncReduced extends Timed {
  readonly type: "SyncReduced";
  readonly key: string;
  readonly round: number;
  readonly fragment: number;
  /** sha256 of the fragment's parameters and of its outer buffer; null when there are outcomes. */
  readonly paramsDigest: Digest | null;
  readonly outerDigest: Digest | null;
  readonly shard: CheckpointFragment | null;
  /** Payloads that are lost, by `outcomeCode`: then the round is screened again. */
  readonly outcomes: Readonly<Record<Address, number>>;
}

/** The payloads of a closing round were measured and judged. */
export interface RoundScreened extends Timed {
  readonly type: "RoundScreened";
  readonly key: string;
  readonly round: number;
  /** Blob with the entries of the screening, for the reduction and the gate. */
  readonly record: Digest;
  /** Those that are left out, by `outcomeCode`. */
  readonly outcomes: Readonly<Record<Address, number>>;
}

/** The loss gate looked at the aggregate. */
export interface RoundGated extends Timed {
  readonly type: "RoundGated";
  readonly key: string;
  readonly round: number;
  /** Held-out loss of the round's base, micro-bits per byte; null when nothing was measured. */
  readonly before: number | null;
  /** What was measured; null when nobody's payload is left. */
  readonly pass: GatePass | null;
  /** Those that are left out for it: then all fragments are reduced again without them. Lost ones: then the round is screened again. */
  readonly outcomes: Readonly<Record<Address, number>>;
  /** Digest of the ScreeningFile, once the aggregate stands. */
  readonly screening: Digest | null;
}

export interface CheckpointStored extends Timed {
  readonly type: "CheckpointStored";
  readonly key: string;
  readonly round: number;
  readonly digest: Digest;
  /** Digest of the ReceiptsFile. */
  readonly receipts: Digest;
  readonly receiptsRoot: Hex;
  /** Of the next round, see `RunState.secret`. */
  readonly secret: Hex;
}

export interface HeadAnchored extends Timed {
  readonly type: "HeadAnchored";
  readonly head: HeadHash;
  readonly sequence: number;
  readonly anchor: Anchor;
  /** Chain seconds at which the anchor's epoch ends. */
  readonly epochEnd: number;
}

/** The chain went backwards: its newest head of the run is this one now. */
export interface HeadReverted extends Timed {
  readonly type: "HeadReverted";
  readonly head: HeadHash;
  readonly sequence: number;
}

export interface ParamsChanged extends Timed {
  readonly type: "ParamsChanged";
  readonly version: number;
  readonly params: WireRunParams;
}

export interface VerdictAccepted extends Timed {
  readonly type: "VerdictAccepted";
  readonly verdict: SignedVerdict;
}

export interface EpochComputed extends Timed {
  readonly type: "EpochComputed";
  readonly key: string;
  readonly epoch: number;
  /** Null when there is nothing to attest: nobody has earned anything yet. */
  readonly result: {
    readonly manifest: Digest;
    readonly rewards: Digest;
    readonly attestation: WireStruct<"Attestation">;
    readonly validators: readonly Address[];
    readonly threshold: number;
    /** How many verdicts had been accepted when it was computed; when there are more by now, it is computed again, once. */
    readonly verdicts: number;
  } | null;
}

export interface AttestationAccepted extends Timed {
  readonly type: "AttestationAccepted";
  readonly epoch: number;
  readonly epochDigest: Digest;
  readonly validator: Address;
  readonly signature: Hex;
}

/** A root is pending on-chain, whoever posted it. */
export interface RootPosted extends Timed {
  readonly type: "RootPosted";
  readonly epoch: number;
  readonly root: Hex;
  readonly transaction: Hex | null;
  /** Chain seconds. */
  readonly activatableAt: number;
}

export interface RootActivated extends Timed {
  readonly type: "RootActivated";
  readonly epoch: number;
  readonly root: Hex;
}

/** The chain went backwards and holds a posted or activated root no more. */
export interface RootReverted extends Timed {
  readonly type: "RootReverted";
  readonly epoch: number;
  readonly root: Hex;
  /** The last epoch that the chain's active root covers now; 0 = none. */
  readonly settledEpoch: number;
}

export interface PauseRequested extends Timed {
  readonly type: "PauseRequested";
  readonly by: "operator" | "chain";
}

export interface ResumeRequested extends Timed {
  readonly type: "ResumeRequested";
  readonly by: "operator" | "chain";
}

/** The holders ended the run. */
export interface RunFinished extends Timed {
  readonly type: "RunFinished";
}

export interface EffectFailed extends Timed {
  readonly type: "EffectFailed";
  readonly key: string;
  readonly code: string;
  /** Of the try that failed, 1 for the first. */
  readonly attempt: number;
  /** Whether the same may succeed later. */
  readonly retryable: boolean;
}

export type RunEvent =
  | RunCreated
  | MemberJoined
  | MemberSilent
  | MemberReturned
  | MemberLeft
  | FragmentAccepted
  | ReceiptAccepted
  | TimerFired
  | RoundScreened
  | SyncReduced
  | RoundGated
  | CheckpointStored
  | HeadAnchored
  | HeadReverted
  | ParamsChanged
  | VerdictAccepted
  | EpochComputed
  | AttestationAccepted
  | RootPosted
  | RootActivated
  | RootReverted
  | PauseRequested
  | ResumeRequested
  | RunFinished
  | ClockStepped
  | EffectFailed;

/** An event before the log gave it its time. */
export type Unstamped<E extends RunEvent = RunEvent> = E extends RunEvent ? Omit<E, "at"> : never;
