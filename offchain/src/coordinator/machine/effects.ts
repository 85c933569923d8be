/**
 * What the state machine wants done. A kind of effect consists of an entry in `Kinds`, a row in `effectKinds`, the decision that
 * issues it (in the file beside this one whose duty it is) and a function of its name that carries it out (in the file that its
 * row names). It stays pending until it is ended, and a restart issues it again: its function is idempotent by its key.
 */
import type { Address, CheckpointFragment, Digest, HeadHash, Hex, WireStruct } from "@cotrain/sdk/protocol";

import { type Backoff, backoffBound } from "../../base/index.ts";
import type { GatePass } from "../../diloco/index.ts";

export interface Timed {
  /** Ms since 1970, by the wall clock; within a log it falls only at a ClockStepped. */
  readonly at: number;
}

/** What a timer is for, and which one of its kind it is; timers.ts says what follows when it fires. */
export type Timer =
  | readonly [of: "deadline", round: number, deadlines: number]
  | readonly [of: "epoch", epoch: number]
  | readonly [of: "attestation", epoch: number, pass: number];

/** How far a member says it is with its work. */
export interface WorkReport {
  readonly step: number;
  /** It has trained and is sending. */
  readonly uploading: boolean;
}

export interface TimerFired extends Timed {
  readonly type: "TimerFired";
  readonly key: string;
  /** With a round's deadline: the last reports of members that have not submitted. */
  readonly reports?: Readonly<Record<Address, WorkReport>>;
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

/** The loss gate looked at the aggregate. */
export interface RoundGated extends Timed {
  readonly type: "RoundGated";
  readonly key: string;
  readonly round: number;
  /** Held-out loss of the round's base, micro-bits per byte; null when it has none, or nothing was measured. */
  readonly before: number | null;
  /** What was measured; null when nobody's payload is left. */
  readonly pass: GatePass | null;
  /** Payloads left out for it; lost ones: the round is screened again. */
  readonly outcomes: Readonly<Record<Address, number>>;
  /** Digest of the ScreeningFile, once the aggregate stands. Until then all fragments are reduced again by what the passes say. */
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

export interface Anchor {
  readonly transaction: Hex | null;
  readonly block: number;
  /** Chain seconds. */
  readonly anchoredAt: number;
  readonly epoch: number;
}

export interface HeadAnchored extends Timed {
  readonly type: "HeadAnchored";
  readonly head: HeadHash;
  readonly sequence: number;
  readonly anchor: Anchor;
  /** Chain seconds at which the anchor's epoch ends. */
  readonly epochEnd: number;
}

/** The accounts of an epoch, and the statement about them that its validators are asked to sign. */
export interface ComputedEpoch {
  readonly manifest: Digest;
  readonly rewards: Digest;
  readonly attestation: WireStruct<"Attestation">;
  /** This run's last head that it covers, where the one that the attestation names is another run's; absent otherwise. */
  readonly last?: HeadHash;
  readonly validators: readonly Address[];
  readonly threshold: number;
  /** The model's, seconds. It, and not the deadline alone, bounds how long signatures are waited for. */
  readonly postingDelay: number;
}

export interface EpochComputed extends Timed {
  readonly type: "EpochComputed";
  readonly key: string;
  readonly epoch: number;
  /** Null when there is nothing to attest, since nobody has earned anything yet. */
  readonly result:
    | (ComputedEpoch & {
        /** How many verdicts had been accepted when it was computed; if there are more by now, it is computed again, once. */
        readonly verdicts: number;
      })
    | null;
}

/** A root is pending on-chain, whoever posted it. */
export interface RootPosted extends Timed {
  readonly type: "RootPosted";
  readonly epoch: number;
  readonly root: Hex;
  readonly transaction: Hex | null;
  /** Chain seconds; when it is tried at the latest, whatever an RPC says. */
  readonly activatableAt: number;
}

export interface RootActivated extends Timed {
  readonly type: "RootActivated";
  readonly epoch: number;
  readonly root: Hex;
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

/** How often the run was rolled back, in which a round comes again; empty for never. */
type Again = [] | [rollbacks: number];

/** By kind: which one of the kind it is (its key is made of that), what its function is told, and the event that results. */
interface Kinds {
  setTimer: {
    of: Timer;
    /**
     * `due`: ms since 1970.
     * `clock`: what `due` means, a span that a step of the clock does not change (run) or a time that the chain set.
     */
    tells: { readonly due: number; readonly clock: "run" | "chain" };
    gives: TimerFired;
  };
  /** Norms, copies and clip factors of the closing round's payloads. */
  screenRound: {
    of: [round: number, pass: number, ...again: Again];
    tells: { readonly round: number };
    gives: RoundScreened;
  };
  /** Aggregate and outer step of one fragment of the closing round. */
  reduceSync: {
    of: [round: number, fragment: number, pass: number, ...again: Again];
    tells: { readonly round: number; readonly fragment: number };
    gives: SyncReduced;
  };
  /** Held-out loss of the aggregate against that of the base. */
  gateRound: {
    of: [round: number, pass: number, ...again: Again];
    tells: { readonly round: number };
    gives: RoundGated;
  };
  storeCheckpoint: { of: [round: number, ...again: Again]; tells: { readonly round: number }; gives: CheckpointStored };
  anchorHead: { of: [sequence: number, reverts: number]; tells: { readonly sequence: number }; gives: HeadAnchored };
  computeEpoch: {
    of: [epoch: number, pass: number];
    /** `again`: begun again, since a verdict came while it was computed. */
    tells: { readonly epoch: number; readonly again?: boolean };
    gives: EpochComputed;
  };
  postRoot: {
    of: [epoch: number, pass: number, reverts: number];
    tells: { readonly epoch: number };
    gives: RootPosted;
  };
  activateRoot: {
    of: [epoch: number, reverts: number];
    /** `due`: ms since 1970 at which the chain lets it happen. */
    tells: { readonly epoch: number; readonly due: number };
    gives: RootActivated;
  };
}

export type EffectKind = keyof Kinds;
/** Which one of its kind. */
export type EffectIdentity<K extends EffectKind> = Kinds[K]["of"];
export type EffectFields<K extends EffectKind> = Kinds[K]["tells"];
export type EffectOf<K extends EffectKind> = { readonly kind: K; readonly key: string } & EffectFields<K>;
export type ResultOf<K extends EffectKind> = Kinds[K]["gives"];
export type Effect = { [K in EffectKind]: EffectOf<K> }[EffectKind];
export type EffectResult = ResultOf<EffectKind>;

interface EffectRow<K extends EffectKind> {
  /** File of the coordinator whose function of the kind's name carries it out. */
  readonly by: "timers" | "rounds" | "screening" | "settlement";
  readonly result: ResultOf<K>["type"];
  /** Its result ends it; or the decision about the result does, since others can bring that about too, or it begins again. */
  readonly endedBy: "result" | "decision";
  /** When it is refused for good: it is tried again after a pause all the same, or the epoch is computed and signed again. */
  readonly refused: "tryAgain" | "computeAgain";
  /** Works on tensors: a run does one of these at a time. */
  readonly alone: boolean;
  /** Success shows that blobs can be written again. */
  readonly proves: "roomForBlobs" | null;
}

const usual = { endedBy: "result", refused: "tryAgain", alone: false, proves: null } as const;

export const effectKinds = {
  setTimer: { ...usual, by: "timers", result: "TimerFired" },
  screenRound: { ...usual, by: "screening", result: "RoundScreened", alone: true },
  reduceSync: { ...usual, by: "rounds", result: "SyncReduced", alone: true },
  gateRound: { ...usual, by: "screening", result: "RoundGated", alone: true },
  storeCheckpoint: { ...usual, by: "rounds", result: "CheckpointStored", proves: "roomForBlobs" },
  anchorHead: { ...usual, by: "settlement", result: "HeadAnchored", endedBy: "decision" },
  computeEpoch: { ...usual, by: "settlement", result: "EpochComputed", endedBy: "decision" },
  // The contract refuses it when there is another set of validators by now, or its deadline has passed.
  postRoot: { ...usual, by: "settlement", result: "RootPosted", endedBy: "decision", refused: "computeAgain" },
  activateRoot: { ...usual, by: "settlement", result: "RootActivated", endedBy: "decision" },
} as const satisfies { readonly [K in EffectKind]: EffectRow<K> };

/** The key of an effect: it never changes, since it stands in the log. It is compared and never parsed. */
export const keyOf = <K extends EffectKind>(kind: K, ...identity: EffectIdentity<K>): string =>
  [kind, ...identity].join("/");

const endings: ReadonlySet<string> = new Set(
  Object.values(effectKinds).flatMap(({ result, endedBy }) => (endedBy === "result" ? [result] : [])),
);

/** Whether an event ends the effect whose key it names, before anything is decided about it. */
export const endsItsEffect = (event: { readonly type: string }): event is Extract<EffectResult, { key: string }> =>
  endings.has(event.type);

export interface PendingEffect {
  readonly effect: Effect;
  /** The try that is due, 1 for the first. */
  readonly attempt: number;
  /** Not before this time, ms since 1970. */
  readonly notBefore: number;
}

/** Codes that mean "not yet": asked again soon, however often. */
const notYet: ReadonlySet<string> = new Set(["WINDOW_OPEN", "EPOCH_OPEN"]);

const BACKOFF: Backoff = { base: 500, maximum: 30_000 };

/** Pause before try `attempt` + 1, ms. Nothing is drawn: the same log gives the same state. */
export const retryDelay = (attempt: number): number => backoffBound(attempt - 1, BACKOFF);

/** Pause after a failure, ms. */
export const pauseAfter = ({ code, attempt }: Pick<EffectFailed, "code" | "attempt">): number =>
  retryDelay(notYet.has(code) ? 1 : attempt);
