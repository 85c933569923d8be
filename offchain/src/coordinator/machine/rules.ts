/**
 * What may enter the log. The single writer checks it against the state at that moment, since anything may have happened between
 * a request's arrival and its turn. Refused events leave no trace.
 */
import type { WireStruct } from "@cotrain/sdk/protocol";

import { roundNumber } from "../../base/index.ts";
import type {
  AttestationAccepted,
  EventType,
  FragmentAccepted,
  MemberJoined,
  ReceiptAccepted,
  RunEvent,
  Unstamped,
  VerdictAccepted,
} from "./events.ts";
import { isCollecting } from "./dealing.ts";
import { leasesFull } from "./leases.ts";
import { JOINS_KEPT, openPlaces, PLACE_ROUNDS } from "./members.ts";
import { losesNothing } from "./rollback.ts";
import { fragmentCount, type RunState, storedVerdictKey } from "./state.ts";

export interface Refusal {
  readonly code: RefusalCode;
  /** One sentence: what, where, what is allowed. */
  readonly message: string;
}

export type RefusalCode =
  | "RUN_FINISHED"
  | "STALE_JOIN"
  | "RUN_FULL"
  | "LEASE_OVER"
  | "LEASE_TAKEN"
  | "LEASE_ENDED"
  | "LEASES_FULL"
  | "NOT_A_MEMBER"
  | "STALE_ROUND"
  | "STALE_ATTEMPT"
  | "ALREADY_SUBMITTED"
  | "TOO_MANY_UPLOADS"
  | "FRAGMENT_MISSING"
  | "HEAD_UNKNOWN"
  | "EQUIVOCATION"
  | "DUPLICATE"
  | "EPOCH_UNKNOWN"
  | "OBSOLETE";

/** Each fragment may be sent this often per assignment. */
const UPLOADS_PER_FRAGMENT = 4;

const refuse = (code: RefusalCode, message: string): Refusal => ({ code, message });
/** The result of an effect, or a timer, for which nothing waits any more. */
const obsolete = (what: string): Refusal => refuse("OBSOLETE", `Nothing waits for ${what} any more.`);

type Rules = {
  readonly [K in Exclude<EventType, KeyedEvent["type"]>]: (
    state: RunState,
    event: Extract<Unstamped, { readonly type: K }>,
  ) => Refusal | null;
};
/** Results that name their effect: they may enter if something waits for that effect. */
type KeyedEvent = Extract<RunEvent, { readonly key: string }>;

const rules: Rules = {
  RunCreated: () => obsolete("the run's creation"),
  MemberJoined: joinRefusal,
  MemberSilent: (state, { worker }) => (state.members[worker]?.silent === false ? null : obsolete("the silence")),
  MemberReturned: (state, { worker }) => (state.members[worker]?.silent === true ? null : obsolete("the return")),
  MemberLeft: (state, { worker }) =>
    state.members[worker] ? null : refuse("NOT_A_MEMBER", `${worker} is not a member of this run.`),
  LeaseEnded: (state, { lease, notAfter }) => {
    if (notAfter <= state.at) return leaseOver(lease);
    if (state.leases?.[lease]?.ended) return obsolete("the end of this lease");
    return leasesFull(state, lease) ? manyLeases() : null;
  },
  FragmentAccepted: (state, event) => fragmentRefusal(state, event),
  ReceiptAccepted: receiptRefusal,
  HeadAnchored: ({ heads }, { sequence, head }) => {
    const next = heads.find(({ anchor }) => anchor === null);
    return next?.sequence === sequence && next.head === head ? null : obsolete(`head ${sequence}`);
  },
  HeadReverted: ({ heads }, event) => {
    const entry = heads.find(({ head, sequence }) => head === event.head && sequence === event.sequence);
    const later = heads.filter(({ anchor, sequence }) => anchor !== null && sequence > event.sequence);
    // What others posted is not posted again from here: it comes back by itself.
    const isOwn = later.length > 0 && later.every(({ given }) => !given);
    return entry?.anchor && isOwn ? null : obsolete("the reorganisation");
  },
  HeadsMoved: ({ heads }, { heads: moved }) => {
    const isAnchored = ({ head, sequence }: (typeof moved)[number]): boolean =>
      heads.some((entry) => entry.anchor !== null && entry.head === head && entry.sequence === sequence);
    return moved.every(isAnchored) ? null : obsolete("the heads' new times");
  },
  RolledBack: (state, { newest, given, undoing }) => {
    const { heads } = state;
    const parent = heads.find(({ sequence }) => sequence + 1 === given[0]?.sequence);
    // What it takes back is noted first.
    const isNoted = parent !== undefined && parent.anchor !== null && parent.head === given[0]?.parentHead;
    const follows = heads.at(-1)?.head === newest && isNoted;
    return follows && (undoing !== null || losesNothing(state, given)) ? null : obsolete("the rollback");
  },
  ParamsChanged: ({ nextParams, paramsVersion }, { version }) =>
    version > (nextParams?.version ?? paramsVersion) ? null : obsolete("these parameters"),
  VerdictAccepted: verdictRefusal,
  AttestationAccepted: attestationRefusal,
  RootPosted: ({ epochs, settledEpoch }, { epoch, root }) => {
    const known = epochs.some((record) => record.epoch === epoch && record.root === root && record.state === "posted");
    return epoch > settledEpoch && !known ? null : obsolete("the posted root");
  },
  RootActivated: ({ settledEpoch }, { epoch }) => (epoch > settledEpoch ? null : obsolete("the activated root")),
  RootReverted: (state, event) => {
    const record = state.epochs.findLast(({ epoch, root }) => epoch === event.epoch && root === event.root);
    const was = record?.state === "posted" || (record?.state === "active" && event.settledEpoch < record.epoch);
    return was ? null : obsolete("the lost root");
  },
  RootFailed: ({ epochs }, { epoch, root }) =>
    epochs.some((record) => record.epoch === epoch && record.root === root && record.state === "posted")
      ? null
      : obsolete("the failed root"),
  PauseRequested: ({ pausedBy }, { by }) => (pausedBy[by] ? obsolete("the pause") : null),
  ResumeRequested: ({ pausedBy }, { by }) => (pausedBy[by] ? null : obsolete("the resumption")),
  ClockStepped: ({ at }, { was }) => (was >= at ? null : obsolete("this step of the clock")),
  RunFinished: ({ finished }) => (finished ? obsolete("the end") : null),
};

/** Why an event may not enter the log now, or null. */
export function refusalOf(state: RunState, event: Unstamped): Refusal | null {
  if (event.type === "EffectFailed")
    return state.pending[event.key]?.attempt === event.attempt ? null : obsolete(event.key);
  if ("key" in event) return state.pending[event.key] ? null : obsolete(event.key);
  const rule = rules[event.type] as (state: RunState, event: Unstamped) => Refusal | null;
  return rule(state, event);
}

/**
 * The accepted join that makes another stale: each counts once, and not after a newer one. A join from the future is not newer:
 * the clocks of worker and coordinator were wrong then, and the worker must not have to wait for that time.
 */
function staleness(times: readonly number[], issuedAt: number, at: number): number | undefined {
  if (times.length === JOINS_KEPT && issuedAt < Math.min(...times)) return Math.min(...times);
  return times.findLast((time) => time === issuedAt || (time > issuedAt && time <= at));
}

/** Why a join is used up where those of `times` were accepted until `at`, ms; null where it is not. */
export function staleAmong(times: readonly number[], issuedAt: number, at: number): Refusal | null {
  const stale = staleness(times, issuedAt, at);
  if (!stale) return null;
  return refuse("STALE_JOIN", `This join was issued at ${issuedAt}, but one of ${stale} was accepted already.`);
}

/** Why a join was used up already by the log; null where it was not. */
export const staleJoin = (state: RunState, join: Pick<MemberJoined["join"], "worker" | "issuedAt">): Refusal | null =>
  staleAmong(state.joins[join.worker] ?? [], Number(join.issuedAt), state.at);

export const leaseOver = (lease: string): Refusal =>
  refuse("LEASE_OVER", `Lease ${lease} is over: its renter signed it for a time that has passed.`);

const manyLeases = (): Refusal =>
  refuse(
    "LEASES_FULL",
    "This run remembers as many leases of rented machines as it can: try again when some are over.",
  );

/** Each lease is for the first key that shows it, until it is ended; whoever hands in work then may still open a session for that. */
function leaseRefusal(state: RunState, { join: { lease, worker }, pass }: Omit<MemberJoined, "at">): Refusal | null {
  if (pass === undefined) return null;
  // Those that are over are not remembered.
  if (Number(pass.pass.notAfter) <= state.at) return leaseOver(lease);
  const known = state.leases?.[lease];
  if (known?.ended && (known.worker !== worker || !state.members[worker]))
    return refuse("LEASE_ENDED", `Lease ${lease} was ended by its renter; nobody joins by it any more.`);
  if (known && known.worker !== null && known.worker !== worker)
    return refuse("LEASE_TAKEN", `Another key joined by lease ${lease}: each is for one.`);
  return leasesFull(state, lease) ? manyLeases() : null;
}

function joinRefusal(state: RunState, event: Omit<MemberJoined, "at">): Refusal | null {
  const { join } = event;
  // A member whose process is new, or whose coordinator's is, has its work of the last round still.
  if (state.finished && !state.members[join.worker])
    return refuse("RUN_FINISHED", "This run is finished; nobody becomes its member any more.");
  const stale = staleJoin(state, join);
  if (stale) return stale;
  const barred = leaseRefusal(state, event);
  if (barred) return barred;
  if (!state.members[join.worker] && openPlaces(state) === 0) return runFull(state);
  return null;
}

export const runFull = ({ params }: Pick<RunState, "params">): Refusal =>
  refuse(
    "RUN_FULL",
    `This run has its ${params.maxWorkers} workers; ask again: who delivers nothing for ${PLACE_ROUNDS} rounds makes room for the next in line.`,
  );

interface Place {
  readonly worker: `0x${string}`;
  readonly round: number | null;
  readonly assignmentId: number;
  readonly attempt: number;
}

/** Why the round does not wait for work at this place, or null. */
export function workRefusal(state: RunState, place: Place): Refusal | null {
  const { worker, round, assignmentId, attempt } = place;
  if (!state.members[worker]) return refuse("NOT_A_MEMBER", `${worker} is not a member of this run: join first.`);
  const { current } = state;
  if (!current || (round !== null && round !== current.round)) {
    const open = current ? `round ${roundNumber(current.round)} is open` : "no round is open";
    return refuse(
      "STALE_ROUND",
      `${round === null ? "This round" : `Round ${roundNumber(round)}`} takes no work; ${open}.`,
    );
  }
  const work = current.work[worker];
  if (!work || work.assignment.assignmentId !== assignmentId || work.assignment.attempt !== attempt) {
    const due = work
      ? `assignment ${work.assignment.assignmentId}, attempt ${work.assignment.attempt}, is`
      : "nothing is";
    return refuse(
      "STALE_ATTEMPT",
      `Assignment ${assignmentId}, attempt ${attempt}, is not open; ${due} expected of ${worker}.`,
    );
  }
  if (work.receipt) {
    return refuse(
      "ALREADY_SUBMITTED",
      `Assignment ${assignmentId} has its receipt already; one per round is accepted.`,
    );
  }
  if (!isCollecting(current))
    return refuse("STALE_ROUND", `Round ${roundNumber(current.round)} is closed; wait for the next one.`);
  return null;
}

/** @param arriving uploads of the member whose bodies are on their way */
export function fragmentRefusal(
  state: RunState,
  event: Pick<FragmentAccepted, "worker" | "assignmentId" | "attempt">,
  arriving = 0,
): Refusal | null {
  const refusal = workRefusal(state, { ...event, round: null });
  if (refusal) return refusal;
  const work = state.current?.work[event.worker];
  if ((work?.uploaded ?? 0) + arriving >= UPLOADS_PER_FRAGMENT * fragmentCount(state)) {
    return refuse(
      "TOO_MANY_UPLOADS",
      `Fragments of assignment ${event.assignmentId} were sent ${work?.uploaded} times; that is enough.`,
    );
  }
  return null;
}

/** Where the work of a receipt belongs. */
export const placeOf = ({ worker, round, assignmentId, attempt }: WireStruct<"Receipt">): Place => ({
  worker,
  round: Number(round),
  assignmentId: Number(assignmentId),
  attempt,
});

function receiptRefusal(state: RunState, { receipt, header }: Omit<ReceiptAccepted, "at">): Refusal | null {
  const refusal = workRefusal(state, placeOf(receipt));
  if (refusal) return refusal;
  const uploads = state.current?.work[receipt.worker]?.uploads ?? {};
  for (const { index, digest } of header.fragments) {
    if (uploads[index]?.digest !== digest) {
      return refuse("FRAGMENT_MISSING", `Fragment ${index} of the payload, ${digest}, was not uploaded.`);
    }
  }
  return null;
}

function verdictRefusal(state: RunState, { verdict: { verdict } }: Omit<VerdictAccepted, "at">): Refusal | null {
  const entry = state.heads.find(({ head }) => head === verdict.head);
  if (!entry) return refuse("HEAD_UNKNOWN", `Head ${verdict.head} is not one that takes verdicts here.`);
  const known = state.verdicts[storedVerdictKey(verdict)];
  if (!known) return null;
  if (known.verdict.value !== verdict.value) {
    return refuse(
      "EQUIVOCATION",
      `${verdict.validator} signed ${known.verdict.value} before and ${verdict.value} now for the same head, kind, worker and index.`,
    );
  }
  return refuse("DUPLICATE", "This verdict was accepted already.");
}

function attestationRefusal(state: RunState, event: Omit<AttestationAccepted, "at">): Refusal | null {
  const record = state.epochs.findLast(({ epoch, state: at }) => epoch === event.epoch && at === "collecting");
  if (!record?.computed || record.computed.manifest !== event.epochDigest) {
    return refuse(
      "EPOCH_UNKNOWN",
      `Epoch ${event.epoch} with manifest ${event.epochDigest} collects no attestations now.`,
    );
  }
  const known = record.signatures.some(({ validator }) => validator === event.validator);
  return known ? refuse("DUPLICATE", "This attestation was accepted already.") : null;
}
