/**
 * What is known of all machines that an installation rents: clusters that were wanted, leases, accounts, and
 * what is left alone for a while. Rows of named sections, so that what a step changed is what is written down (ledger.ts).
 */
import type { RentingTerms, ShellAddress, SilentPart } from "../base/renting.ts";
import type { MicroUsd } from "../money.ts";
import type { Offer } from "../offer.ts";

/**
 * `intended`: written down, nothing sent. `creating`: sent, or about to be, once. `ambiguous`: nobody knows whether it was done.
 * `provisioning`: there, and not at work. `joined`: at work. `draining`: its work is being finished. `terminating`: to be ended, until
 * it is seen to be gone. `quarantined`: a machine with a label of ours that the ledger knows nothing of. `gone`: paid for no longer.
 */
export type LeaseState =
  | "intended"
  | "creating"
  | "ambiguous"
  | "provisioning"
  | "joined"
  | "draining"
  | "terminating"
  | "quarantined"
  | "gone";

/** Why a lease ends. */
export type DoomReason =
  | "stopped"
  | "budget"
  | "price"
  | "provisioning"
  | "preempted"
  | "failed"
  | "vanished"
  | "silent"
  | "replaced"
  | "refused"
  | "unsent"
  | "late"
  | "idle"
  | "unknown";

/** Of a provider's terms those that a lease is counted and resolved by, as they were when it was intended. */
export type LeaseTerms = Pick<
  RentingTerms,
  | "visibleWithin"
  | "killWithin"
  | "minimumSeconds"
  | "granularitySeconds"
  | "bootBilled"
  | "tellsBill"
  | "deletableWhileCreating"
  | "prepaidSeconds"
  | "deposit"
> &
  Partial<Pick<RentingTerms, "startsBy">>;

/** How far a machine is whose script is brought to it over SSH; times as a lease has them. */
interface Starting {
  /** Those that are over or under way, and when the last of them began. */
  readonly tries: number;
  readonly triedAt: number | null;
  /** When it was seen to be started. */
  readonly doneAt: number | null;
  /** Why it was not yet. */
  readonly words: string;
}

/** Complete listings without a machine: when the first and the last of them began. */
interface Unseen {
  readonly first: number;
  readonly last: number;
}

/** What a machine was measured to do: FLOP a second of one worker, and bytes a second from the machine and to it, where they are known. */
export interface Measured {
  readonly flops: number;
  readonly up: number | null;
  readonly down: number | null;
}

/** Of a listing that a machine was rented by. */
export type Listed = Pick<Offer, "gpu" | "count" | "tier" | "upstream" | "upMbps" | "downMbps" | "endsAt"> & {
  readonly charge: Offer["price"]["charge"];
};

/** Since when a machine was seen to have no work, and when it was last; whether somebody was told. */
export interface Idle {
  readonly since: number;
  readonly seenAt: number;
  readonly told: boolean;
}

/** One attempt to have a machine. Times are milliseconds since the epoch, of this installation's clock. */
export interface Lease {
  /** Its name at the provider, and here; of a second machine under one name with the machine's id behind it. */
  readonly label: string;
  /** Of the cluster that it is for; null where none is known. */
  readonly cluster: string | null;
  readonly slot: number | null;
  readonly attempt: number;
  readonly account: string;
  /** Whose the account was when it was sent. */
  readonly identity: string;
  readonly offer: string;
  /** What is rented, in words. */
  readonly machine: string;
  /** What is left alone if it turns out bad. */
  readonly host: string;
  readonly state: LeaseState;
  /** Since when it is in this state. */
  readonly since: number;
  readonly doomed: { readonly reason: DoomReason; readonly words: string; readonly at: number } | null;
  /** The provider's id. */
  readonly instance: string | null;
  /** What is counted for an hour: as quoted, then the most that the provider told. */
  readonly perHour: MicroUsd;
  /** At more than this it is ended. */
  readonly maximum: MicroUsd;
  /** Whether the provider has shown it, with its price where it tells one. */
  readonly shown: boolean;
  /** When its provider ends it, if nobody else does and no watchdog is there to: until then all of it is in hand. */
  readonly backedUntil: number | null;
  readonly terms: LeaseTerms;
  readonly sentAt: number | null;
  /** When what became of its create was known, or known to be unknown. */
  readonly answeredAt: number | null;
  /** When it was last seen before it ran. */
  readonly bootingAt: number | null;
  readonly joinedAt: number | null;
  readonly beatAt: number | null;
  /** When it ends although its work is not done. */
  readonly drainUntil: number | null;
  /** When its end was last asked for, and accepted. */
  readonly askedAt: number | null;
  readonly acceptedAt: number | null;
  readonly unseen: Unseen | null;
  readonly goneAt: number | null;
  /** What the provider says it charged. */
  readonly billed: MicroUsd | null;
  /** The provider's word for its state. */
  readonly words: string;
  readonly ssh: ShellAddress | null;
  /** The provider's. */
  readonly createdAt: number | null;
  /** Whether it was there beside its successor. */
  readonly overlap: boolean;
  /** Seconds that were paid before beyond those of the order; absent where there are none. */
  readonly extendedSeconds?: number;
  /** While it joined a run and has no work there; absent or null otherwise. */
  readonly idle?: Idle | null;
  /** Absent until it runs and can be reached, and where its provider starts it. */
  readonly starting?: Starting;
  /** By its run's coordinator; absent until it has trained there. */
  readonly measured?: Measured;
  /** What a planner has to know of it again, as it was listed; absent in ledgers of before. */
  readonly listed?: Listed;
}

/** What no lease has at its beginning. */
export const newLease = {
  doomed: null,
  instance: null,
  shown: false,
  backedUntil: null,
  sentAt: null,
  answeredAt: null,
  bootingAt: null,
  joinedAt: null,
  beatAt: null,
  drainUntil: null,
  askedAt: null,
  acceptedAt: null,
  unseen: null,
  goneAt: null,
  billed: null,
  words: "",
  ssh: null,
  createdAt: null,
  overlap: false,
} as const satisfies Partial<Lease>;

/** A machine that was over and is not: it is ended once more. */
export const endedAnew = {
  goneAt: null,
  billed: null,
  unseen: null,
  askedAt: null,
  acceptedAt: null,
  overlap: true,
} as const satisfies Partial<Lease>;

/** The machine that a slot is for. */
export interface SlotWish {
  readonly offer: string;
  /** In words: another of the same takes its place where it is not to be had, or is lost. */
  readonly machine: string;
  /** µUSD of it, or of the other, for an hour. */
  readonly maximumPerHour: MicroUsd;
}

/** What is wanted. */
export interface ClusterSpec {
  readonly id: string;
  readonly slots: number;
  /** Machines without which it is given up. */
  readonly minimum: number;
  /** µUSD for all of it, never more. */
  readonly budget: MicroUsd;
  /** µUSD of one machine for an hour. */
  readonly maximumPerHour: MicroUsd;
  readonly diskGb: number;
  /** When it ends by itself. */
  readonly endsAt: number | null;
  /** What makes a machine one that is at work: its own heartbeat, or that its provider says that it runs. */
  readonly joins: "heartbeat" | "running";
  /** Whether machines are rented whose bill nothing ends but this installation, with no watchdog. */
  readonly acceptNoBackstop: boolean;
  /** The run that its machines join; absent where they do something else. */
  readonly run?: string;
  /** How long a machine has no work before it is idle, ms, and whether it is ended then; absent where that is not known. */
  readonly idle?: { readonly after: number; readonly ends: boolean };
  /** Percent above what others paid up to which is bid at auctions; absent where it is not. */
  readonly auction?: number;
  /** By slot: what a plan has there. Without it any offer fits any slot. */
  readonly planned?: Readonly<Record<string, SlotWish>>;
}

export interface Cluster extends ClusterSpec {
  readonly rentedAt: number;
  /** Whether it ever had its minimum. */
  readonly assembled: boolean;
  readonly stopping: { readonly reason: DoomReason; readonly words: string; readonly drainMs: number } | null;
  /** Percent of the budget that were told. */
  readonly warned: number;
  /** By slot: what a new plan has there, first of all; null where it has none, and the slot stays empty. Absent before one. */
  readonly again?: Readonly<Record<string, SlotWish | null>>;
  /** Machines that were let go for a new plan. */
  readonly replaced?: number;
}

/** Of which machines a cluster may be made, the first choice first. They are not written down: who opens a book asks anew. */
interface Quotes {
  readonly at: number;
  readonly offers: readonly Offer[];
}

interface AccountRow {
  readonly identity: string;
}

/** An offer, a host or an account that is left alone. */
interface Blocked {
  readonly until: number;
  readonly why: string;
}

/** What is written down. */
export interface Kept {
  readonly clusters: Readonly<Record<string, Cluster>>;
  readonly leases: Readonly<Record<string, Lease>>;
  readonly accounts: Readonly<Record<string, AccountRow>>;
  readonly blocked: Readonly<Record<string, Blocked>>;
}

export interface Book extends Kept {
  /** Eight hexadecimal digits in each label. */
  readonly installation: string;
  /** The latest time that was told; a clock that is set back does not undo what has passed. */
  readonly now: number;
  /** Since this process began, whose accounts were listed whole, and by which terms; no more is created in any other. */
  readonly open: Readonly<Record<string, LeaseTerms>>;
  /** By account: what of it did not answer when it was last listed. */
  readonly silent: Readonly<Record<string, readonly SilentPart[]>>;
  /** By cluster. */
  readonly quotes: Readonly<Record<string, Quotes>>;
  /** Why a cluster lacks a machine, as it was last told. */
  readonly empty: Readonly<Record<string, string>>;
  /** When a watchdog last looked. */
  readonly watchdogAt: number | null;
}

export const sections = ["clusters", "leases", "accounts", "blocked"] as const satisfies readonly (keyof Kept)[];
export const emptyKept: Kept = { clusters: {}, leases: {}, accounts: {}, blocked: {} };

export const openBook = (installation: string, kept: Kept): Book => ({
  ...kept,
  installation,
  now: 0,
  open: {},
  silent: {},
  quotes: {},
  empty: {},
  watchdogAt: null,
});

/** The same book with one row of a section changed. */
export const withRow = <S extends keyof Kept>(book: Book, section: S, key: string, row: Kept[S][string]): Book => ({
  ...book,
  [section]: { ...book[section], [key]: row },
});

export const leasesOf = (book: Pick<Book, "leases">): readonly Lease[] => Object.values(book.leases);
export const isOpen = ({ state }: Lease): boolean => state !== "gone";

/** How long whoever keeps the leases stays for a bill that is not told yet, ms. */
const BILL_WAIT = 60_000;
/** Whether a lease is over, and its provider has told its bill or has had a minute for it. */
export const isSettled = ({ state, since, instance, billed, terms }: Lease, now: number): boolean =>
  state === "gone" && (instance === null || billed !== null || !terms.tellsBill || now - since >= BILL_WAIT);

/** Whether a machine that shows this label's pass may take part. */
export function mayJoin({ leases }: Pick<Book, "leases">, label: string): boolean {
  const lease = leases[label];
  return lease !== undefined && lease.doomed === null && ["ambiguous", "provisioning", "joined"].includes(lease.state);
}
