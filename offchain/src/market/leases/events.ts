/** What the leases' machine is told, and what it asks for. */
import type { Instance, SilentPart, Termination } from "../base/renting.ts";
import type { MicroUsd } from "../money.ts";
import type { Offer } from "../offer.ts";
import type { ClusterSpec, DoomReason, LeaseTerms, Measured, SlotWish } from "./state.ts";

/** What an account told, of the moment when the call began. */
interface Told {
  readonly account: string;
  readonly identity: string;
  readonly startedAt: number;
}

export type LeaseEvent = {
  /** Milliseconds since the epoch. */
  readonly at: number;
} & (
  | { readonly type: "tick" }
  /** Somebody keeps the leases from now on, who knows only what is written down. */
  | { readonly type: "opened" }
  | { readonly type: "rent"; readonly cluster: ClusterSpec; readonly offers: readonly Offer[] }
  | { readonly type: "quoted"; readonly cluster: string; readonly offers: readonly Offer[] }
  | {
      readonly type: "stop";
      readonly cluster: string;
      readonly reason: DoomReason;
      readonly words: string;
      readonly drainMs: number;
    }
  | { readonly type: "end"; readonly label: string; readonly words: string; readonly drainMs: number }
  /** A new plan lets a machine go, for another or for none. */
  | {
      readonly type: "replace";
      readonly label: string;
      readonly wish: SlotWish | null;
      readonly words: string;
      readonly drainMs: number;
    }
  /** What was to be finished on a draining machine is. */
  | { readonly type: "drained"; readonly label: string }
  | { readonly type: "adopt"; readonly label: string; readonly cluster: string }
  /** It is alive; `idle` where its run has no work for it. */
  | { readonly type: "beat"; readonly label: string; readonly idle?: true }
  /** What the coordinator of its run measured of a machine. */
  | { readonly type: "measured"; readonly label: string; readonly measured: Measured }
  /** A machine says of itself that it cannot do what it is for. */
  | { readonly type: "unfit"; readonly label: string; readonly words: string }
  /** A watchdog was at work at that time. */
  | { readonly type: "watched"; readonly lookedAt: number }
  | { readonly type: "created"; readonly label: string; readonly instance: Instance }
  /** Nothing was created. */
  | {
      readonly type: "refused";
      readonly label: string;
      /** What is left alone for it: nothing where it is asked again at once. */
      readonly what: "offer" | "account" | "order" | "nothing";
      readonly words: string;
    }
  /** Nobody knows whether it was; the answer may have named a machine. */
  | { readonly type: "ambiguous"; readonly label: string; readonly instance: string | null; readonly words: string }
  | { readonly type: "unsent"; readonly label: string; readonly words: string }
  /** A machine has what it is to do. */
  | { readonly type: "started"; readonly label: string }
  /** It has not, or nobody knows: it is tried again, unless the machine is not to be trusted, or refuses every login. */
  | {
      readonly type: "unstarted";
      readonly label: string;
      readonly what: "again" | "machine" | "account";
      readonly words: string;
    }
  | ({
      readonly type: "listed";
      readonly terms: LeaseTerms;
      readonly instances: readonly Instance[];
      /** Of what is on these the listing says nothing. */
      readonly silent?: readonly SilentPart[];
    } & Told)
  | ({ readonly type: "got"; readonly label: string; readonly instance: Instance | null } & Told)
  | { readonly type: "asked"; readonly label: string; readonly answer: Termination | "failed" }
  /** A further time was not paid. */
  | { readonly type: "unextended"; readonly label: string; readonly words: string }
  | { readonly type: "billed"; readonly label: string; readonly amount: MicroUsd }
);

export type EventOf<T extends LeaseEvent["type"]> = Extract<LeaseEvent, { readonly type: T }>;

/** What somebody should know of. */
export type AlarmKind =
  | "budget"
  | "orphan"
  | "overlap"
  | "price"
  | "preempted"
  | "lost"
  | "account"
  | "state"
  | "bill"
  | "backstop"
  | "idle"
  | "no offer";

export interface Alarm {
  readonly type: "alarm";
  readonly what: AlarmKind;
  readonly cluster: string | null;
  readonly label: string | null;
  readonly sentence: string;
}

export type LeaseEffect =
  | { readonly type: "create"; readonly label: string }
  | { readonly type: "get"; readonly label: string }
  | { readonly type: "terminate"; readonly label: string }
  | { readonly type: "bill"; readonly label: string }
  /** Brings to a machine what it is to do, over SSH. */
  | { readonly type: "start"; readonly label: string }
  /** Pays for a machine as long again as its order did. */
  | { readonly type: "extend"; readonly label: string }
  | { readonly type: "quote"; readonly cluster: string }
  | Alarm;

/** What a look at an account asks for. */
export type Call = Exclude<LeaseEffect, Alarm>;
