/** Dealing: who gets how much work, until when, and what a missed deadline means. rounds.ts says what rounds do with the work. */
import { castDraft } from "immer";

import { type Address, type Assignment, digestOfJson, type WireRunParams } from "@cotrain/sdk/protocol";

import { createRandom } from "../../base/index.ts";
import { issueAssignment, type LedgerAssignment, reissueAssignment, returnAssignment } from "../../data/index.ts";
import type { TimerFired, WorkReport } from "./effects.ts";
import { dealOf, paceAfterMiss, restsAmong } from "./pace.ts";
import { end, issue, type StateDraft } from "./pending.ts";
import { fragmentCount, type Member, type OpenRound, parametersOf, type RunState, type Work } from "./state.ts";

/** A member that missed so many deadlines in a row is benched: for four deadlines, eight, sixteen, …, at most MAX_BENCH. */
const BENCH_FROM = 2;
export const MAX_BENCH = 64;
/** How long the coordinator waits at a deadline for what is being sent, ms. */
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

/** Members with fewer misses come first, then by address: a fixed order. */
const inOrder = (a: Member, b: Member): number => a.misses - b.misses || (a.worker < b.worker ? -1 : 1);

/** Whether the run relies on a member: one that is silent, or missed again and again, gets work but is not relied on. */
const isReliable = (member: Member | undefined): boolean =>
  member !== undefined && !member.silent && member.misses < BENCH_FROM;

/** Who is there, with work or without: they tell the pace of the run. */
const presentOf = ({ members }: Pick<RunState, "members">): Member[] =>
  Object.values(members).filter(({ silent }) => !silent);

/** Receipts of a round, and those that reliable members are still to send. */
export const expectedOf = (state: Pick<RunState, "members">, round: Round): number =>
  receiptsOf(round).length +
  outstandingOf(round).filter(({ assignment }) => isReliable(state.members[assignment.worker])).length;

/**
 * Whether a member sits rounds out because one inner step of it takes longer than a round of the others, and which it works in next,
 * this round or later: the same ones as all others that do, whose periods are powers of two. Who is not there when one of these opens
 * waits for the next, so that nobody spreads over other rounds by when it comes.
 */
export function restsIn(
  state: Pick<RunState, "members">,
  { round, innerSteps, params }: Pick<OpenRound, "round" | "innerSteps" | "params">,
): (member: Member) => { readonly rest: number; readonly next: number } {
  const restOf = restsAmong(presentOf(state), innerSteps, params.roundDeadline * 1_000);
  return (member) => {
    const rest = restOf(member);
    const period = rest + 1;
    return { rest, next: rest === 0 ? 0 : Math.ceil(Math.max(member.since, round) / period) * period };
  };
}

/**
 * Members that get work in a round, the next or the open one, in a fixed order. Benched members, and those that sit it out, come in
 * only where there are fewer others than needed.
 */
export function candidates(
  state: Pick<RunState, "members" | "current">,
  round: Pick<OpenRound, "round" | "innerSteps" | "params">,
  needed: number,
  at: number,
): readonly Member[] {
  const waiting = Object.values(state.members)
    .filter((member) => !member.silent && !member.leaving && state.current?.work[member.worker] === undefined)
    .toSorted(inOrder);
  const restOf = restsIn(state, round);
  const isReady = (member: Member): boolean => member.benchedUntil <= at && restOf(member).next <= round.round;
  const ready = waiting.filter(isReady);
  if (ready.length >= needed) return ready;
  const others = waiting.filter((member) => !ready.includes(member));
  return [...ready, ...others.slice(0, needed - ready.length)];
}

/** When a round may not reach its minimum, it takes in members that wait. */
export function dealAgain(draft: StateDraft, round: RoundDraft, at: number): void {
  const lacking = minimumOf(round.params) - expectedOf(draft, round);
  if (lacking <= 0) return;
  // Unreliable members that have work already are as much a last resort as those on the bench.
  const unsure = outstandingOf(round).length + receiptsOf(round).length - expectedOf(draft, round);
  const waiting = candidates(draft, round, Math.max(0, lacking - unsure), at);
  if (waiting.length > 0) deal(draft, round, waiting, at);
}

/** Gives members work in their order, up to the run's maximum, and time that fits the work. */
export function deal(draft: StateDraft, round: RoundDraft, members: readonly Member[], at: number): void {
  const places = round.params.maxWorkers - Object.keys(round.work).length;
  const dealt = members.slice(0, Math.max(0, places));
  if (dealt.length === 0) return;
  const roundDeadline = round.params.roundDeadline * 1_000;
  const { steps, budget, latest, newcomers } = dealOf(
    dealt,
    presentOf(draft),
    round.innerSteps,
    fragmentCount(draft),
    roundDeadline,
    {
      comparable: draft.facts.screening.copySteps,
      needed: dealt.length <= minimumOf(round.params) - expectedOf(draft, round),
    },
  );
  for (const [i, member] of dealt.entries()) {
    const limit = member.measured ? budget : Math.min(budget, newcomers ?? budget);
    assign(draft, round, member, steps[i] ?? round.innerSteps, { at, partFrom: at + Math.ceil(limit / 2) });
  }
  const out = outstandingOf(round).length > dealt.length;
  round.graced = false;
  round.latest = Math.max(out ? round.latest : 0, at + latest);
  round.newcomers = newcomers === null ? null : Math.max(out ? (round.newcomers ?? 0) : 0, at + newcomers);
  setDeadline(draft, round, Math.max(out ? round.deadline : 0, at + budget));
}

/** When work is given out, and from when on a part of it counts; no later deadline moves that. */
interface Given {
  readonly at: number;
  readonly partFrom: number;
}

function assign(draft: StateDraft, round: RoundDraft, member: Member, steps: number, given: Given): void {
  const { worker, batch } = member;
  // Ids rise for ever: no two assignments are drawn from the same stream.
  const random = createRandom(draft.secret).split(`data of assignment ${draft.ledger.nextAssignmentId}`);
  const issued = issueAssignment(draft.ledger, { worker, steps, batch }, random);
  draft.ledger = castDraft(issued.ledger);
  give(draft, round, issued.assignment, given);
}

/** Puts what the ledger issued into the round. */
function give(draft: StateDraft, round: RoundDraft, issued: LedgerAssignment, { at, partFrom }: Given): void {
  const { worker, assignmentId, attempt, steps, batch, ranges } = issued;
  const before = round.work[worker];
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
    // Its uploads go on counting: a member that restarts gets no more of them than one that does not.
    uploaded: before?.uploaded ?? 0,
    dealtAt: at,
    begunAt: before?.assignment.assignmentId === assignmentId ? before.begunAt : at,
    partFrom,
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

/** Whether the round waits for a member beyond the time that the others need: it delivered before, or nobody did. */
const counts = (draft: StateDraft, round: RoundDraft, { assignment: { worker } }: Work): boolean =>
  round.newcomers === null || draft.members[worker]?.measured === true;

/** When all others are in, the round waits for members that never delivered only as long as the others needed. */
export function hurryNewcomers(draft: StateDraft, round: RoundDraft, at: number): void {
  const out = outstandingOf(round);
  if (round.newcomers === null || out.length === 0 || out.some((work) => counts(draft, round, work))) return;
  const deadline = Math.max(round.newcomers, at);
  if (deadline < round.deadline) setDeadline(draft, round, deadline);
}

/**
 * Gives its work again to a member that lost its progress: the same data under a higher attempt, or other data if its program
 * now takes other batches. The deadline stays; otherwise a member could hold a round open by restarting.
 */
export function workAgain(draft: StateDraft, worker: Address, at: number): void {
  const { current: round } = draft;
  const work = round?.work[worker];
  const member = draft.members[worker];
  if (!round || !work || work.receipt || !member || !isCollecting(round)) return;
  const { assignmentId, batch, steps } = work.assignment;
  const given = { at, partFrom: at + Math.ceil(Math.max(0, round.deadline - at) / 2) };
  if (batch === member.batch) {
    const issued = reissueAssignment(draft.ledger, assignmentId, worker);
    draft.ledger = castDraft(issued.ledger);
    give(draft, round, issued.assignment, given);
  } else {
    draft.ledger = castDraft(returnAssignment(draft.ledger, assignmentId));
    assign(draft, round, member, steps, given);
  }
}

/** Takes a worker's unfinished work back; its data returns to the ledger. */
export function dropWork(draft: StateDraft, worker: Address): void {
  const work = draft.current?.work[worker];
  if (!draft.current || !work || work.receipt) return;
  draft.ledger = castDraft(returnAssignment(draft.ledger, work.assignment.assignmentId));
  delete draft.current.work[worker];
}

/** Counts one more miss; from BENCH_FROM on the member is benched. */
export function countMiss(
  member: { misses: number; benchedUntil: number },
  at: number,
  { roundDeadline }: Pick<WireRunParams, "roundDeadline">,
): void {
  member.misses += 1;
  const times = Math.min(MAX_BENCH, 2 ** Math.min(30, member.misses));
  if (member.misses >= BENCH_FROM) member.benchedUntil = at + times * roundDeadline * 1_000;
}

/** Gives up on members that are not there by the deadline: each has missed it. */
function giveUpOutstanding(draft: StateDraft, round: RoundDraft, at: number, reports: TimerFired["reports"]): void {
  for (const { assignment, dealtAt, begunAt } of outstandingOf(round)) {
    const member = draft.members[assignment.worker];
    if (member) {
      const { steps } = assignment;
      const done = reports?.[assignment.worker]?.step ?? 0;
      const pace = paceAfterMiss(member.pace, at - dealtAt, steps, done);
      // What it reports after a restart may have been done before: it was not faster than with all done since it began.
      member.pace = done > 0 ? Math.max(pace, paceAfterMiss(null, at - begunAt, steps, steps)) : pace;
      countMiss(member, at, round.params);
    }
    dropWork(draft, assignment.worker);
  }
}

/**
 * At a deadline the round waits for members that delivered before and say that they are nearly done, up to its latest time; what
 * they are sending then gets a moment more. The others missed it: the round closes without them, or is dealt again.
 */
export function onDeadline(draft: StateDraft, { at, reports }: TimerFired): void {
  const round = draft.current;
  if (!round) return;
  const present = outstandingOf(round).filter(
    (work) => draft.members[work.assignment.worker]?.silent === false && counts(draft, round, work),
  );
  const ends = present
    // A member that missed the last deadline and has not delivered since is not believed again.
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

/** When a member will be done, by its own report. */
function endOf(work: Work, report: WorkReport | undefined, at: number): number {
  if (isSending(work, report)) return at + GRACE_MS;
  const { steps } = work.assignment;
  const done = Math.min(report?.step ?? 0, steps);
  if (done === 0) return Infinity;
  return Math.max(at + GRACE_MS, work.dealtAt + Math.ceil(((at - work.dealtAt) * steps * MARGIN) / done));
}
