/**
 * The data ledger: which positions of the data are trained, which are out with a worker, which came back. Pure
 * functions on JSON-serialisable state, which lives in the coordinator's state (training.md, "The data ledger").
 * Who is given which is drawn: who could foretell another's data could train on them first and make the other the copyist.
 *
 * Every position below `nextPosition` is at any time in exactly one place: consumed, in one open assignment, or free.
 */
import type { Address, PositionRange } from "@cotrain/sdk/protocol";

import { InternalError, type Random, UserError } from "../base/index.ts";

/** Ranges of one assignment at most, as in the Assignment document. */
const MAX_RANGES = 1024;
/**
 * An assignment's data are drawn in so many pieces, among so many times as much. A piece has at least so many positions, where there
 * are enough: each leaves a gap, and those of builds with few sequences in a step would riddle what is put up for those with many.
 */
const PIECES = 8;
const CHOICE = 32;
const PIECE = 64;
/**
 * When more ranges than this are free or out, whoever is given data takes ranges whole, but for the last one's end, so that their
 * number falls: the state holds them all, and whoever verifies a run counts at most 65,536 (run/positions.ts).
 */
const CROWDED = 8_192;

/** Data that is out with a worker; the ledger's part of the Assignment document. */
export interface LedgerAssignment {
  readonly assignmentId: number;
  /** 1 when first issued; rises each time the same assignment is issued again. */
  readonly attempt: number;
  readonly worker: Address;
  /** Inner steps, and sequences per step: steps × batch = Σ count of ranges. */
  readonly steps: number;
  readonly batch: number;
  readonly ranges: readonly PositionRange[];
}

export interface DataLedger {
  /** The lowest position that was never up for being issued. */
  readonly nextPosition: number;
  /** Rises forever, also over a rollback. */
  readonly nextAssignmentId: number;
  /** How many positions stand in accepted payloads. */
  readonly consumed: number;
  /** Positions to draw from, those that came back among them: ascending, apart from each other, below `nextPosition`. */
  readonly free: readonly PositionRange[];
  /** By ascending assignment id. */
  readonly open: readonly LedgerAssignment[];
}

/** What a worker claims to have done. */
export interface Submission {
  readonly assignmentId: number;
  readonly attempt: number;
  readonly worker: Address;
  /** Inner steps done: a prefix of the assignment. */
  readonly steps: number;
}

/** A submission that the ledger refuses. It changes nothing. */
export class LedgerError extends UserError {
  override readonly name = "LedgerError";
  declare readonly code: "ASSIGNMENT_CLOSED" | "ASSIGNMENT_SUPERSEDED" | "ASSIGNMENT_FOREIGN" | "ASSIGNMENT_STEPS";
}

/** The ledger of a run that has not begun. */
export function createLedger(): DataLedger {
  return { nextPosition: 0, nextAssignmentId: 0, consumed: 0, free: [], open: [] };
}

const sizeOf = (ranges: readonly PositionRange[]): number => ranges.reduce((sum, { count }) => sum + count, 0);

/** Splits ranges after `count` positions in their order. */
export function splitRanges(ranges: readonly PositionRange[], count: number): [PositionRange[], PositionRange[]] {
  const taken: PositionRange[] = [];
  const rest: PositionRange[] = [];
  let left = count;
  for (const range of ranges) {
    const take = Math.min(left, range.count);
    if (take > 0) taken.push({ start: range.start, count: take });
    if (take < range.count) rest.push({ start: range.start + take, count: range.count - take });
    left -= take;
  }
  return [taken, rest];
}

/** Ascending and with neighbours joined. */
function mergeRanges(ranges: readonly PositionRange[]): PositionRange[] {
  const out: PositionRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && last.start + last.count === range.start)
      out[out.length - 1] = { start: last.start, count: last.count + range.count };
    else out.push(range);
  }
  return out;
}

const without = (open: readonly LedgerAssignment[], id: number): LedgerAssignment[] =>
  open.filter(({ assignmentId }) => assignmentId !== id);

function requirePositive(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InternalError("LEDGER_INVALID", `An assignment has a positive number of ${what}, not ${value}.`);
  }
}

function openAssignment(ledger: DataLedger, assignmentId: number): LedgerAssignment {
  const assignment = ledger.open.find((other) => other.assignmentId === assignmentId);
  if (assignment) return assignment;
  throw new LedgerError(
    "ASSIGNMENT_CLOSED",
    `Assignment ${assignmentId} is not open: it was never issued, has been answered, or went back to the ledger.`,
  );
}

/** Takes `count` positions from `offset` on, both counted along the ranges; after the last comes the first. */
function cut(ranges: readonly PositionRange[], offset: number, count: number): [PositionRange[], PositionRange[]] {
  const [before, after] = splitRanges(ranges, offset);
  const [taken, rest] = splitRanges([...after, ...before], count);
  return [taken, mergeRanges(rest)];
}

/** @param free ranges that are free after a draw, at most */
const isCrowded = (open: readonly LedgerAssignment[], free: number): boolean =>
  open.reduce((sum, { ranges }) => sum + ranges.length, free) > CROWDED;

/** Free ranges that go on where one that is out ends: what comes back of that one is joined to them, if nobody takes them meanwhile. */
function behindOpen(open: readonly LedgerAssignment[], free: readonly PositionRange[]): Set<PositionRange> {
  const ends = new Set(open.flatMap(({ ranges }) => ranges.map(({ start, count }) => start + count)));
  return new Set(free.filter(({ start }) => ends.has(start)));
}

/**
 * Issues data, drawn: nobody who does not know `random` can tell which positions somebody else is given, whatever he was
 * given himself.
 * @param wish.steps inner steps; `wish.batch` sequences per step
 * @param random a stream that is used for this assignment alone
 */
export function issueAssignment(
  ledger: DataLedger,
  wish: { readonly worker: Address; readonly steps: number; readonly batch: number },
  random: Random,
): { ledger: DataLedger; assignment: LedgerAssignment } {
  requirePositive(wish.steps, "steps");
  requirePositive(wish.batch, "sequences per step");
  const size = wish.steps * wish.batch;
  const added = Math.max(0, CHOICE * size - sizeOf(ledger.free));
  let nextPosition = ledger.nextPosition + added;
  const free = mergeRanges([...ledger.free, ...(added > 0 ? [{ start: ledger.nextPosition, count: added }] : [])]);
  const pieces = Math.min(PIECES, Math.ceil(size / PIECE));
  const crowded = isCrowded(ledger.open, free.length + 2 * pieces);
  const kept = crowded ? behindOpen(ledger.open, free) : new Set<PositionRange>();
  let from = free.filter((range) => !kept.has(range));
  const ranges: PositionRange[] = [];
  let left = size;
  // One range is kept for new positions: what is scattered further waits for another assignment.
  while (left > 0 && from.length > 0 && ranges.length < MAX_RANGES - 1) {
    const offset = crowded ? sizeOf(from.slice(0, random.below(from.length))) : random.below(sizeOf(from));
    const [piece, rest] = cut(from, offset, Math.min(left, Math.ceil(size / pieces)));
    const taken = piece.slice(0, MAX_RANGES - 1 - ranges.length);
    ranges.push(...taken);
    from = mergeRanges([...rest, ...piece.slice(taken.length)]);
    left -= sizeOf(taken);
  }
  if (left > 0) ranges.push({ start: nextPosition, count: left });
  nextPosition += left;
  if (!Number.isSafeInteger(nextPosition)) throw new InternalError("LEDGER_INVALID", "Positions exceed 2^53.");
  const assignment: LedgerAssignment = {
    assignmentId: ledger.nextAssignmentId,
    attempt: 1,
    worker: wish.worker,
    steps: wish.steps,
    batch: wish.batch,
    ranges,
  };
  return {
    assignment,
    ledger: {
      ...ledger,
      nextPosition,
      nextAssignmentId: ledger.nextAssignmentId + 1,
      free: mergeRanges([...from, ...kept]),
      open: [...ledger.open, assignment],
    },
  };
}

/**
 * Issues an open assignment again, to the same worker or another; its attempt rises and submissions of the old one are
 * refused from now on.
 * @throws LedgerError `ASSIGNMENT_CLOSED`
 */
export function reissueAssignment(
  ledger: DataLedger,
  assignmentId: number,
  worker: Address,
): { ledger: DataLedger; assignment: LedgerAssignment } {
  const old = openAssignment(ledger, assignmentId);
  const assignment = { ...old, attempt: old.attempt + 1, worker };
  return { assignment, ledger: { ...ledger, open: ledger.open.map((other) => (other === old ? assignment : other)) } };
}

/**
 * Checks what a worker claims without changing anything.
 * @returns the assignment it answers
 * @throws LedgerError `ASSIGNMENT_CLOSED`, `ASSIGNMENT_SUPERSEDED`, `ASSIGNMENT_FOREIGN` or `ASSIGNMENT_STEPS`
 */
export function checkSubmission(ledger: DataLedger, submission: Submission): LedgerAssignment {
  const { assignmentId, attempt, worker, steps } = submission;
  const assignment = openAssignment(ledger, assignmentId);
  if (assignment.attempt !== attempt) {
    throw new LedgerError(
      "ASSIGNMENT_SUPERSEDED",
      `Attempt ${attempt} of assignment ${assignmentId} does not count; the current one is ${assignment.attempt}.`,
    );
  }
  if (assignment.worker.toLowerCase() !== worker.toLowerCase()) {
    throw new LedgerError(
      "ASSIGNMENT_FOREIGN",
      `Assignment ${assignmentId} belongs to ${assignment.worker}, not to ${worker}.`,
    );
  }
  if (!Number.isSafeInteger(steps) || steps < 1 || steps > assignment.steps) {
    throw new LedgerError(
      "ASSIGNMENT_STEPS",
      `Assignment ${assignmentId} has ${assignment.steps} steps; ${steps} cannot have been done.`,
    );
  }
  return assignment;
}

/**
 * Books an accepted receipt: its prefix is consumed, the rest comes back, the assignment is closed.
 * @returns also the ranges consumed
 * @throws LedgerError like {@link checkSubmission}
 */
export function consumeAssignment(
  ledger: DataLedger,
  submission: Submission,
): { ledger: DataLedger; consumed: PositionRange[] } {
  const assignment = checkSubmission(ledger, submission);
  const [consumed, rest] = splitRanges(assignment.ranges, submission.steps * assignment.batch);
  return {
    consumed,
    ledger: {
      ...ledger,
      consumed: ledger.consumed + sizeOf(consumed),
      free: mergeRanges([...ledger.free, ...rest]),
      open: without(ledger.open, assignment.assignmentId),
    },
  };
}

/**
 * Takes back the data of a worker that is lost, late or evicted; its assignment is closed.
 * @throws LedgerError `ASSIGNMENT_CLOSED`
 */
export function returnAssignment(ledger: DataLedger, assignmentId: number): DataLedger {
  const { ranges } = openAssignment(ledger, assignmentId);
  return { ...ledger, free: mergeRanges([...ledger.free, ...ranges]), open: without(ledger.open, assignmentId) };
}

/**
 * Frees what was consumed in rounds that were rolled back: it is not in the checkpoint from which the run goes on.
 * @param ranges apart from each other
 */
export function giveBack(ledger: DataLedger, ranges: readonly PositionRange[]): DataLedger {
  return { ...ledger, consumed: ledger.consumed - sizeOf(ranges), free: mergeRanges([...ledger.free, ...ranges]) };
}

/** Tokens that a submission stands for: steps × batch × sequence, computed and never declared. */
export function tokensOf(work: { readonly steps: number; readonly batch: number; readonly sequence: number }): number {
  return work.steps * work.batch * work.sequence;
}

const broken = (what: string): InternalError =>
  new InternalError("LEDGER_BROKEN", `The data ledger is broken: ${what}.`);

/** How many positions are where; they add up to `issued`. */
export interface LedgerBalance {
  readonly issued: number;
  readonly consumed: number;
  readonly open: number;
  readonly free: number;
}

/**
 * Adds up a ledger and checks its invariants: every issued position in exactly one place, ids unique and below the next.
 * @throws InternalError `LEDGER_BROKEN`
 */
export function balanceOf(ledger: DataLedger): LedgerBalance {
  const balance = {
    issued: ledger.nextPosition,
    consumed: ledger.consumed,
    open: ledger.open.reduce((sum, { ranges }) => sum + sizeOf(ranges), 0),
    free: sizeOf(ledger.free),
  };
  if (balance.issued !== balance.consumed + balance.open + balance.free) throw broken("it does not add up");
  let end = 0;
  const ranges = [...ledger.free, ...ledger.open.flatMap((assignment) => assignment.ranges)];
  for (const { start, count } of ranges.toSorted((a, b) => a.start - b.start)) {
    if (start < end || count < 1) throw broken(`position ${start} is in two places`);
    end = start + count;
  }
  if (end > ledger.nextPosition) throw broken(`position ${end - 1} was never issued`);
  let last = -1;
  for (const { assignmentId, steps, batch, ranges } of ledger.open) {
    if (assignmentId <= last || assignmentId >= ledger.nextAssignmentId)
      throw broken(`assignment ${assignmentId} is out of order`);
    if (sizeOf(ranges) !== steps * batch) throw broken(`assignment ${assignmentId} has other data than its steps take`);
    last = assignmentId;
  }
  return balance;
}
