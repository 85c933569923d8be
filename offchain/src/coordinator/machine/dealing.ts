/** Dealing: who gets how much work, until when, and what a missed deadline means. What rounds do with the work is in rounds.ts. */
import { castDraft } from "immer";

import { type Address, type Assignment, digestOfJson, type WireRunParams } from "@cotrain/sdk/protocol";

import { createRandom } from "../../base/index.ts";
import { issueAssignment, type LedgerAssignment, reissueAssignment, returnAssignment } from "../../data/index.ts";
import type { TimerFired, WorkReport } from "./effects.ts";
import { dealOf, paceAfterMiss } from "./pace.ts";
import { end, issue, type StateDraft } from "./pending.ts";
import { fragmentCount, type Member, type OpenRound, parametersOf, type RunState, type Work } from "./state.ts";

/** Deadlines missed in a row from which on a member is benched: for four deadlines, eight, sixteen, …, at most MAX_BENCH. */
const BENCH_FROM = 2;
export const MAX_BENCH = 64;
/** How long what is being sent is waited for at a deadline, ms. */
export const GRACE_MS = 3_000;
/** A report of half the steps done in t means t × this for the other half: sending comes on top. */
const MARGIN = 1.1;

type Round = Pick<OpenRound, "work" | "syncs" | "params">;
export type RoundDraft = NonNullable<StateDraft["current"]>;

export const isCollecting = (round: Round): boolean => round.syncs.every(({ status }) => status === "Collecting");
export const receiptsOf = (round: Round): Work[] => Object.values(round.work).filter((work) => work.receipt !== null);
export const outstandingOf = (round: Round): Work[] =>
  Object.values(round.work).filter((work) => work.receipt === null);
export const minimumOf = (params: WireRunParams): number => Math.max(1, params.minWorkers);

/** Who delivers comes first, then by address: a fixed order. */
const inOrder = (a: Member, b: Member): number => a.misses - b.misses || (a.worker < b.worker ? -1 : 1);

/** Whether a member is waited for: who is silent, or missed again and again, is given work but nobody relies on it. */
const isReliable = (member: Member | undefined): boolean =>
  member !== undefined && !member.silent && member.misses < BENCH_FROM;

/** Receipts of a round, and those to come that can be relied on. */
export const expectedOf = (state: Pick<RunState, "members">, round: Round): number =>
  receiptsOf(round).length +
  outstandingOf(round).filter(({ assignment }) => isReliable(state.members[assignment.worker])).length;

/**
 * Members that are given work in the next, or in this, round, in a fixed order. Those on the bench come in only as far as
 * the others are fewer than needed.
 */
export function candidates(
  state: Pick<RunState, "members" | "current">,
  needed: number,
  at: number,
): readonly Member[] {
  const waiting = Object.values(state.members)
    .filter((member) => !member.silent && state.current?.work[member.worker] === undefined)
    .toSorted(inOrder);
  const ready = waiting.filter(({ benchedUntil }) => benchedUntil <= at);
  if (ready.length >= needed) return ready;
  const benched = waiting.filter(({ benchedUntil }) => benchedUntil > at);
  return [...ready, ...benched.slice(0, needed - ready.length)];
}

/** A round that cannot be relied on to reach its minimum takes in those that wait. */
export function dealAgain(draft: StateDraft, round: RoundDraft, at: number): void {
  const lacking = minimumOf(round.params) - expectedOf(draft, round);
  if (lacking <= 0) return;
  // Those that are out already without being relied on are the last resort that the bench is.
  const unsure = outstandingOf(round).length + receiptsOf(round).length - expectedOf(draft, round);
  const waiting = candidates(draft, Math.max(0, lacking - unsure), at);
  if (waiting.length > 0) deal(draft, round, waiting, at);
}

/** Gives work to members in their order, up to the run's maximum, and time that fits it. */
export function deal(draft: StateDraft, round: RoundDraft, members: readonly Member[], at: number): void {
  const places = round.params.maxWorkers - Object.keys(round.work).length;
  const dealt = members.slice(0, Math.max(0, places));
  if (dealt.length === 0) return;
  const roundDeadline = round.params.roundDeadline * 1_000;
  const run = Object.values(draft.members);
  const { steps, budget, latest, newcomers } = dealOf(
    dealt,
    run,
    round.innerSteps,
    fragmentCount(draft),
    roundDeadline,
  );
  for (const [i, member] of dealt.entries()) assign(draft, round, member, steps[i] ?? round.innerSteps, at);
  const out = outstandingOf(round).length > dealt.length;
  round.graced = false;
  round.latest = Math.max(out ? round.latest : 0, at + latest);
  round.newcomers = newcomers === null ? null : Math.max(out ? (round.newcomers ?? 0) : 0, at + newcomers);
  setDeadline(draft, round, Math.max(out ? round.deadline : 0, at + budget));
}

function assign(draft: StateDraft, round: RoundDraft, member: Member, steps: number, at: number): void {
  const { worker, batch } = member;
  // Ids rise for ever: no two assignments are drawn from the same stream.
  const random = createRandom(draft.secret).split(`data of assignment ${draft.ledger.nextAssignmentId}`);
  const issued = issueAssignment(draft.ledger, { worker, steps, batch }, random);
  draft.ledger = castDraft(issued.ledger);
  give(draft, round, issued.assignment, at);
}

/** Puts what the ledger issued into the round. */
function give(draft: StateDraft, round: RoundDraft, issued: LedgerAssignment, at: number): void {
  const { worker, assignmentId, attempt, steps, batch, ranges } = issued;
  const assignment: Assignment = {
    version: 1,
    runId: draft.facts.runId,
    round: round.round,
    worker,
    assignmentId,
    attempt,
    steps,
    batch,
    sequence: draft.facts.sequence,
    ranges: ranges.map(({ start, count }) => ({ start, count })),
    seed: draft.facts.seed,
    base: round.base,
    paramsVersion: round.paramsVersion,
    globalStep: draft.checkpoint.step,
    innerLrPpb: round.params.innerLrPpb,
    codec: round.params.codec,
  };
  round.work[worker] = {
    assignment,
    digest: digestOfJson(assignment),
    uploads: {},
    // Given again, its uploads count on: who restarts has no more of them than who does not.
    uploaded: round.work[worker]?.uploaded ?? 0,
    dealtAt: at,
    receipt: null,
  };
  // Each worker fetches θ_r once, in fp32.
  draft.traffic.down += 4 * parametersOf(draft.facts);
}

function setDeadline(draft: StateDraft, round: RoundDraft, deadline: number): void {
  end(draft, "setTimer", "deadline", round.round, round.deadlines);
  draft.deadlines += 1;
  round.deadlines = draft.deadlines;
  round.deadline = deadline;
  issue(draft, "setTimer", ["deadline", round.round, round.deadlines], { due: deadline, clock: "run" });
}

/** Whether a member is waited for beyond what the others need: it delivered before, or nobody did. */
const counts = (draft: StateDraft, round: RoundDraft, { assignment: { worker } }: Work): boolean =>
  round.newcomers === null || draft.members[worker]?.measured === true;

/** When all others are in, those who never delivered are waited for as long as these need, and no longer. */
export function hurryNewcomers(draft: StateDraft, round: RoundDraft, at: number): void {
  const out = outstandingOf(round);
  if (round.newcomers === null || out.length === 0 || out.some((work) => counts(draft, round, work))) return;
  const deadline = Math.max(round.newcomers, at);
  if (deadline < round.deadline) setDeadline(draft, round, deadline);
}

/**
 * Gives a member that lost its progress its work again: the same data under a higher attempt, or other data where its
 * program takes other batches. The deadline stays, or restarting would be a way to hold a round open.
 */
export function workAgain(draft: StateDraft, worker: Address, at: number): void {
  const { current: round } = draft;
  const work = round?.work[worker];
  const member = draft.members[worker];
  if (!round || !work || work.receipt || !member || !isCollecting(round)) return;
  const { assignmentId, batch, steps } = work.assignment;
  if (batch === member.batch) {
    const issued = reissueAssignment(draft.ledger, assignmentId, worker);
    draft.ledger = castDraft(issued.ledger);
    give(draft, round, issued.assignment, at);
  } else {
    draft.ledger = castDraft(returnAssignment(draft.ledger, assignmentId));
    assign(draft, round, member, steps, at);
  }
}

/** Takes a worker's unfinished work back; its data returns to the ledger. */
export function dropWork(draft: StateDraft, worker: Address): void {
  const work = draft.current?.work[worker];
  if (!draft.current || !work || work.receipt) return;
  draft.ledger = castDraft(returnAssignment(draft.ledger, work.assignment.assignmentId));
  delete draft.current.work[worker];
}

/** One miss more; benched when it is not the first. */
export function countMiss(
  member: { misses: number; benchedUntil: number },
  at: number,
  { roundDeadline }: Pick<WireRunParams, "roundDeadline">,
): void {
  member.misses += 1;
  const times = Math.min(MAX_BENCH, 2 ** Math.min(30, member.misses));
  if (member.misses >= BENCH_FROM) member.benchedUntil = at + times * roundDeadline * 1_000;
}

/** Gives up on those who are not there by the deadline: each missed it, and is benched when it is not the first time. */
function giveUpOutstanding(draft: StateDraft, round: RoundDraft, at: number, reports: TimerFired["reports"]): void {
  for (const { assignment, dealtAt } of outstandingOf(round)) {
    const member = draft.members[assignment.worker];
    if (member) {
      const done = reports?.[assignment.worker]?.step ?? 0;
      member.pace = paceAfterMiss(member.pace, at - dealtAt, assignment.steps, done);
      countMiss(member, at, round.params);
    }
    dropWork(draft, assignment.worker);
  }
}

/**
 * At a deadline those who delivered before and say that they are nearly done are waited for, up to the round's latest time; what
 * they are sending then gets a moment more. The others missed it: the round closes without them, or is dealt again.
 */
export function onDeadline(draft: StateDraft, { at, reports }: TimerFired): void {
  const round = draft.current;
  if (!round) return;
  const present = outstandingOf(round).filter(
    (work) => draft.members[work.assignment.worker]?.silent === false && counts(draft, round, work),
  );
  const ends = present
    // Who missed the last deadline and has not delivered since is not believed again.
    .filter(({ assignment: { worker } }) => draft.members[worker]?.misses === 0)
    .map((work) => endOf(work, reports?.[work.assignment.worker], at))
    .filter((time) => time <= round.latest);
  if (ends.length > 0) return setDeadline(draft, round, Math.max(...ends));
  const sending = present.some((work) => isSending(work, reports?.[work.assignment.worker]));
  if (!sending || round.graced) return giveUpOutstanding(draft, round, at, reports);
  round.graced = true;
  setDeadline(draft, round, at + GRACE_MS);
}

const isSending = (work: Work, report: WorkReport | undefined): boolean =>
  report?.uploading === true || Object.keys(work.uploads).length > 0;

/** When a member will be done by what it reports. */
function endOf(work: Work, report: WorkReport | undefined, at: number): number {
  if (isSending(work, report)) return at + GRACE_MS;
  const { steps } = work.assignment;
  const done = Math.min(report?.step ?? 0, steps);
  if (done === 0) return Infinity;
  return Math.max(at + GRACE_MS, work.dealtAt + Math.ceil(((at - work.dealtAt) * steps * MARGIN) / done));
}
