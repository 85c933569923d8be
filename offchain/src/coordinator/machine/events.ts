/**
 * The inputs of a run, as they are logged: who asked for what, what the chain holds, and the results of effects (declared in
 * effects.ts). Decisions are not logged; the state machine makes them again when it replays.
 */
import type {
  Address,
  Digest,
  HeadHash,
  Hex,
  PayloadHeader,
  PositionRange,
  SignedPass,
  SignedVerdict,
  WireRunParams,
  WireStruct,
} from "@cotrain/sdk/protocol";

import type { Anchor, EffectFailed, EffectResult, Timed } from "./effects.ts";
import type { StateDraft } from "./pending.ts";
import type { Checkpoint, HeadEntry, LostRound, RunFacts } from "./state.ts";

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
  /** Of the build: sequences per inner step, and steps of a commitment's segment at most. */
  readonly batch: number;
  readonly segmentSteps: number;
  /** µs per inner step as the worker timed it, null when it did not say. */
  readonly pace: number | null;
  /** The worker's process is a new one: what it was working on is lost. */
  readonly restarted: boolean;
  /** Of a rented machine, whose hash is the join's lease; absent for one's own. */
  readonly pass?: SignedPass;
}

/** A rented machine is to leave, or never to come. */
export interface LeaseEnded extends Timed {
  readonly type: "LeaseEnded";
  readonly lease: Hex;
  /** Of its pass, ms. */
  readonly notAfter: number;
}

/** No heartbeat for a grace period. A heartbeat after that is a MemberReturned. */
interface MemberSilent extends Timed {
  readonly type: "MemberSilent";
  readonly worker: Address;
}

interface MemberReturned extends Timed {
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
  /** These bytes were already in the store, not as a payload: they stay when payloads go. */
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

/** The chain went backwards: this is now its newest head of the run. */
export interface HeadReverted extends Timed {
  readonly type: "HeadReverted";
  readonly head: HeadHash;
  readonly sequence: number;
}

/** These heads stand at other times than the log has: the chain went back, and has them again. */
export interface HeadsMoved extends Timed {
  readonly type: "HeadsMoved";
  readonly heads: readonly MovedHead[];
}

export interface MovedHead extends Pick<HeadEntry, "head" | "sequence"> {
  readonly anchor: Anchor;
  /** Chain seconds at which the anchor's epoch ends. */
  readonly epochEnd: number;
}

/** A head of the chain that was not made here. */
export interface GivenHead extends Pick<
  HeadEntry,
  "sequence" | "round" | "parentHead" | "head" | "paramsVersion" | "checkpoint" | "receiptsRoot"
> {
  readonly anchor: Anchor;
  /** Chain seconds at which the anchor's epoch ends. */
  readonly epochEnd: number;
}

/** What becomes of the rounds that are lost. */
export interface Undoing {
  /** From which the run goes on. */
  readonly checkpoint: Checkpoint;
  /** What they were trained on, apart from each other. */
  readonly positions: readonly PositionRange[];
  /** Tokens that count no more, by worker. */
  readonly tokens: Readonly<Record<Address, number>>;
  /** Digests of the ScreeningFiles of the rounds that stand, newest first. */
  readonly screenings: readonly Digest[];
  /** The rounds that are lost, newest first; absent in journals of before they were kept. */
  readonly lost?: readonly LostRound[];
  /** Of the next round, see `RunState.secret`. */
  readonly secret: Hex;
}

/** The run was taken back to an earlier checkpoint. */
export interface RolledBack extends Timed {
  readonly type: "RolledBack";
  /** The journal's newest head when this was made. */
  readonly newest: HeadHash;
  /** The chain's heads behind the last that the journal has of it; the rollback is the last. */
  readonly given: readonly GivenHead[];
  /** Null where no round of the journal is lost. */
  readonly undoing: Undoing | null;
}

interface ParamsChanged extends Timed {
  readonly type: "ParamsChanged";
  readonly version: number;
  readonly params: WireRunParams;
}

export interface VerdictAccepted extends Timed {
  readonly type: "VerdictAccepted";
  readonly verdict: SignedVerdict;
}

export interface AttestationAccepted extends Timed {
  readonly type: "AttestationAccepted";
  readonly epoch: number;
  readonly epochDigest: Digest;
  readonly validator: Address;
  readonly signature: Hex;
}

/** The chain went backwards and no longer holds a posted or activated root. */
export interface RootReverted extends Timed {
  readonly type: "RootReverted";
  readonly epoch: number;
  readonly root: Hex;
  /** The last epoch that the chain's active root covers now; 0 = none. */
  readonly settledEpoch: number;
}

/** A posted root was disputed and did not stand: what was signed of it is never taken again. */
export interface RootFailed extends Timed {
  readonly type: "RootFailed";
  readonly epoch: number;
  readonly root: Hex;
  /** By the holders' vote, or without a decision. */
  readonly ruling: "void" | "undecided";
}

interface PauseRequested extends Timed {
  readonly type: "PauseRequested";
  readonly by: "operator" | "chain";
}

interface ResumeRequested extends Timed {
  readonly type: "ResumeRequested";
  readonly by: "operator" | "chain";
}

/** The holders ended the run. */
interface RunFinished extends Timed {
  readonly type: "RunFinished";
}

export type RunEvent =
  | RunCreated
  | MemberJoined
  | MemberSilent
  | MemberReturned
  | MemberLeft
  | LeaseEnded
  | FragmentAccepted
  | ReceiptAccepted
  | HeadReverted
  | HeadsMoved
  | RolledBack
  | ParamsChanged
  | VerdictAccepted
  | AttestationAccepted
  | RootReverted
  | RootFailed
  | PauseRequested
  | ResumeRequested
  | RunFinished
  | ClockStepped
  | EffectResult
  | EffectFailed;

export type EventType = RunEvent["type"];

/** What follows from events of some types. */
export type Decisions<T extends EventType = EventType> = {
  readonly [K in T]: (draft: StateDraft, event: Extract<RunEvent, { readonly type: K }>) => void;
};

/** An event before the log gave it its time. */
export type Unstamped<E extends RunEvent = RunEvent> = E extends RunEvent ? Omit<E, "at"> : never;
