/** Membership: who may get work, and whose place another may take. Heartbeats are soft state elsewhere; their effects arrive here. */
import { type Address, asDigest } from "@cotrain/sdk/protocol";

import type { Decisions, MemberJoined, MemberLeft } from "./events.ts";
import { countMiss, dropWork, MAX_BENCH, outstandingOf, workAgain } from "./dealing.ts";
import { bindLease } from "./leases.ts";
import { MAX_PACE, paceWith } from "./pace.ts";
import type { StateDraft } from "./pending.ts";
import type { Member, RunState } from "./state.ts";

/** issuedAt of a join may differ from our clock by this much, either way. */
export const JOIN_WINDOW_MS = 300_000;
/** Joins of one worker that are remembered. */
export const JOINS_KEPT = 16;
/** A place is kept for this many rounds, or missed deadlines, without an accepted receipt. */
export const PLACE_ROUNDS = 2;

/** At most so many former members are remembered. */
const ABSENT_KEPT = 1_024;

/** Whether another may take this member's place. */
export const isIdle = (state: Pick<RunState, "round">, member: Pick<Member, "since" | "misses">): boolean =>
  member.misses >= PLACE_ROUNDS || state.round - member.since >= PLACE_ROUNDS;

/** Who makes room for the next in line when the run is full: among those that deliver nothing, the one that missed most. */
function nextToGo(state: Pick<RunState, "round" | "members">): Address | null {
  const idle = Object.values(state.members)
    .filter((member) => isIdle(state, member))
    .toSorted((a, b) => b.misses - a.misses || a.since - b.since || (a.worker < b.worker ? -1 : 1));
  return idle[0]?.worker ?? null;
}

/** Places that are free, or can be made free, for newcomers. */
export function openPlaces(state: Pick<RunState, "round" | "members" | "params">): number {
  const members = Object.values(state.members);
  const idle = members.filter((member) => isIdle(state, member)).length;
  return Math.max(0, state.params.maxWorkers - members.length + idle);
}

function onMemberJoined(draft: StateDraft, event: MemberJoined): void {
  const { worker } = event.join;
  const before = draft.members[worker];
  if (!before) makeRoom(draft, event.at);
  // What counts against it, and what was measured, stays: neither joining again nor leaving is a fresh start.
  const absence = draft.absent[worker];
  const known = before ?? (absence && absence.keptUntil > event.at ? absence : undefined);
  delete draft.absent[worker];
  draft.members[worker] = {
    ...toldBy(event),
    ...(before
      ? { pace: knownPace(before, event) ?? paceOf(event), measured: before.measured, since: before.since }
      : { pace: paceOf(event), measured: false, since: draft.round + (draft.current ? 1 : 0) }),
    misses: known?.misses ?? 0,
    benchedUntil: known?.benchedUntil ?? 0,
  };
  if (event.restarted || hasChanged(before, event)) workAgain(draft, worker, event.at);
  noteJoin(draft, event);
  bindLease(draft, event);
}

const hasChanged = (before: Member | undefined, { join }: MemberJoined): boolean =>
  before !== undefined && (before.build !== join.build || before.beneficiary !== join.beneficiary);

function makeRoom(draft: StateDraft, at: number): void {
  if (Object.keys(draft.members).length < draft.params.maxWorkers) return;
  const gone = nextToGo(draft);
  if (gone) removeMember(draft, gone, at);
}

/** What is known of it, for the batches that it takes now. */
const knownPace = ({ pace, batch }: Member, event: MemberJoined): number | null =>
  pace === null ? null : paceWith(pace, batch, event.batch);

const paceOf = ({ pace }: MemberJoined): number | null =>
  pace === null ? null : Math.min(MAX_PACE, Math.max(1, pace));

/** What a member says of itself. */
const toldBy = ({ join, batch, segmentSteps, machineClass, at }: MemberJoined) => ({
  worker: join.worker,
  beneficiary: join.beneficiary,
  build: asDigest(join.build),
  batch,
  segmentSteps,
  machineClass,
  joinedAt: at,
  silent: false,
});

/** Each join counts once, as long as it could be handed in again. */
function noteJoin(draft: StateDraft, { join: { worker, issuedAt }, at }: MemberJoined): void {
  draft.joins[worker] = [...(draft.joins[worker] ?? []), Number(issuedAt)].slice(-JOINS_KEPT);
  for (const [other, times] of Object.entries(draft.joins)) {
    if (times.every((time) => time + 2 * JOIN_WINDOW_MS < at)) delete draft.joins[other as Address];
  }
}

function onSilence(draft: StateDraft, worker: Address, silent: boolean): void {
  const member = draft.members[worker];
  if (member) member.silent = silent;
}

/** Leaving with work undone, by choice or evicted, counts as a miss, except while the run rests, when nobody waits for it. */
function onMemberLeft(draft: StateDraft, { worker, at }: MemberLeft): void {
  const { current, finished, pausedBy } = draft;
  const member = draft.members[worker];
  const out = current && outstandingOf(current).some(({ assignment }) => assignment.worker === worker);
  if (member && out && !finished && !pausedBy.operator && !pausedBy.chain) countMiss(member, at, current.params);
  removeMember(draft, worker, at);
}

export function removeMember(draft: StateDraft, worker: Address, at: number): void {
  dropWork(draft, worker);
  const member = draft.members[worker];
  delete draft.members[worker];
  if (!member || member.misses === 0) return;
  const { misses, benchedUntil } = member;
  // As long as the longest bench: a worker that stays away for that long has held nobody up meanwhile.
  draft.absent[worker] = {
    misses,
    benchedUntil,
    keptUntil: at + MAX_BENCH * draft.params.roundDeadline * 1_000,
  };
  forgetAbsent(draft, at);
}

/** Forgets what is old, then those that missed least, so that throw-away keys do not push out those that missed most. */
function forgetAbsent(draft: StateDraft, at: number): void {
  for (const [worker, { keptUntil }] of Object.entries(draft.absent)) {
    if (keptUntil <= at) delete draft.absent[worker as Address];
  }
  const absent = Object.entries(draft.absent);
  if (absent.length <= ABSENT_KEPT) return;
  const least = absent.toSorted(
    ([a, x], [b, y]) => x.misses - y.misses || x.keptUntil - y.keptUntil || (a < b ? -1 : 1),
  );
  for (const [worker] of least.slice(0, absent.length - ABSENT_KEPT)) delete draft.absent[worker as Address];
}

export const memberDecisions = {
  MemberJoined: onMemberJoined,
  MemberSilent: (draft, { worker }) => onSilence(draft, worker, true),
  MemberReturned: (draft, { worker }) => onSilence(draft, worker, false),
  MemberLeft: onMemberLeft,
} satisfies Partial<Decisions>;
