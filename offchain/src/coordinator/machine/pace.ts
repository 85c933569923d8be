/**
 * How long work takes: whose pace is believed, how many inner steps a member gets, how long a deal of work may last. Pure
 * arithmetic on integers; times are ms, paces µs per inner step with everything around it (base, upload) included.
 */
import { MAX_ROUND_STRETCH } from "@cotrain/sdk/protocol";

import type { Member } from "./state.ts";

/** A deal never lasts longer than this many times the governed roundDeadline; pay counts on it (`versionSlack`). */
export const MAX_STRETCH = MAX_ROUND_STRETCH;
/** Members that take up to so many times the reference's whole round are alike: what is measured varies from round to round. */
const ALIKE = 1.25;
/** Nobody moves what a round expects further than to this many times the reference's whole round. */
const GOAL = 1.5;
/**
 * A deal waits for at most so many whole rounds of the reference, whatever a member needed before or says that it needs. That
 * leaves room for a member at the goal that loses its progress just before it is done.
 */
const SPREAD = 4;
/** A deal's budget, relative to the time that its slowest member is expected to take. */
const PATIENCE = 1.5;
/**
 * Haste starves nobody: a member gets 1 / LEAST_SHARE of the run's inner steps, or what it can do in the time of the others or in
 * 1 / LEAST_TIME of the holders' deadline, and as many as are compared where a quarter more of the others' time is enough for them, or
 * half as much again of that part of the deadline. What hurries slow members is a crowd of fast ones, and those may be liars.
 */
const LEAST_SHARE = 4;
const LEAST_TIME = 24;
/**
 * For whom even one inner step takes longer than the others need: it works in so few rounds that the time they wait for it is
 * 1 / WAITED of theirs at most, and in one of MOST_RESTED + 1 at least, since what was measured long ago may be wrong now. All such
 * members work in the same rounds, as far as they may: one of 4, 8, 16, … (dealing.ts), so that what others wait for members that are
 * alike does not add up. Of different paces it does, as far as the faster ones work in more rounds than the slower ones.
 */
const WAITED = 10;
const MOST_RESTED = 63;
/**
 * Nobody is believed to be faster than so many times what was measured of others. Slower is: it brings a newcomer fewer steps, and
 * nobody waits longer for it.
 */
const CLAIM_BELOW = 4;
/** Allowance for what a newcomer does beside its timed steps, which nobody has measured yet, ms. */
const UNMEASURED_MS = 3_000;
/** µs per inner step; more is nonsense. */
export const MAX_PACE = 3_600_000_000;

type Known = Pick<Member, "pace" | "measured" | "batch">;

/** The pace of members: the lower median of what was measured, else of what they say. */
function referenceOf(members: readonly Known[], paceOf = ({ pace }: Known): number | null => pace): number | null {
  const measured = members.filter((member) => member.measured);
  const paces = (measured.length > 0 ? measured : members).flatMap((member) => paceOf(member) ?? []);
  const sorted = paces.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}

/** A pace per step with another batch: a step takes about as long as its sequences together. */
export const paceWith = (pace: number, before: number, batch: number): number =>
  before === batch ? pace : Math.min(MAX_PACE, Math.max(1, Math.ceil((pace * batch) / before)));

export interface Deal {
  /** Inner steps of each member, in the members' order. */
  readonly steps: readonly number[];
  /** Ms after which members that are not nearly done are given up. */
  readonly budget: number;
  /** Ms after which all are given up. */
  readonly latest: number;
  /**
   * Ms after which the round stops waiting for members that never delivered, once the others are in. Null if nobody in the run
   * ever delivered: then all are waited for alike.
   */
  readonly newcomers: number | null;
}

/** How long an inner step of a member is expected to take, by what was measured of those who are there; undefined where nothing is known. */
function expectedPaces(present: readonly Known[]) {
  const measured = present.some((member) => member.measured);
  const reference = referenceOf(present);
  if (reference === null) return undefined;
  const paceOf = (member: Known): number =>
    member.measured ? (member.pace ?? reference) : (believed(member, present, measured) ?? reference);
  return { measured, reference, paceOf };
}

/**
 * Rounds that a member sits out between two in which it works, one less than a power of two: none, unless one inner step takes it
 * longer than the others need for a round, and than what haste leaves everybody. Nobody does where nobody was measured yet.
 * @param members those who are there, who tell the pace
 */
export function restsAmong(
  members: readonly Known[],
  innerSteps: number,
  roundDeadline: number,
): (member: Known) => number {
  const expected = expectedPaces(members);
  if (!expected?.measured) return () => 0;
  const whole = Math.min(expected.reference * innerSteps, GOAL * roundDeadline * 1_000);
  const room = Math.max(whole, (roundDeadline * 1_000) / LEAST_TIME);
  return (member) => {
    const pace = expected.paceOf(member);
    const rest = pace <= ALIKE * room ? 0 : Math.min(MOST_RESTED, Math.ceil((pace / room - 1) * WAITED));
    return 2 ** (32 - Math.clz32(rest)) - 1;
  };
}

/**
 * Inner steps and time for a deal of work. Members that are alike get all of the run's steps; a slower one gets as many as fit
 * into the time of the others, so that all finish together: whole multiples of `fragments`, or single steps where not even one for
 * each fits, but one at least ({@link restsAmong} says who sits out). Nobody is waited for longer than
 * {@link SPREAD} whole rounds of the reference, or a quarter of the holders' deadline, where there are enough without it; fast members
 * cannot make it less. A member that never delivered gets as many steps as fit into the time of the others by its own claim, and is no
 * reason to wait longer: keys cost nothing.
 * @param present all who are there, whether they are dealt work or not: they tell the pace
 * @param innerSteps the run's H, a multiple of `fragments`
 * @param roundDeadline the governed deadline, ms
 * @param options `comparable`: steps from which on payloads are compared: as many at least, where that holds nobody up; `needed`:
 * without one of them the round cannot close, so that it waits for the slowest that delivered before, up to half of the limit
 */
export function dealOf(
  members: readonly Known[],
  present: readonly Known[],
  innerSteps: number,
  fragments: number,
  roundDeadline: number,
  { comparable = 1, needed = false }: { readonly comparable?: number; readonly needed?: boolean } = {},
): Deal {
  const limit = MAX_STRETCH * roundDeadline;
  const known = expectedPaces(present);
  if (!known) return { steps: members.map(() => innerSteps), budget: roundDeadline, latest: limit, newcomers: null };
  const { measured, reference, paceOf } = known;
  const whole = reference * innerSteps;
  const longestRound = GOAL * roundDeadline * 1_000;
  const least = aligned(innerSteps / LEAST_SHARE, fragments, innerSteps);
  const fitting = (pace: number, time: number): number =>
    pace * innerSteps <= time ? innerSteps : aligned(time / pace, fragments, innerSteps);
  const floor = measured ? Math.ceil(roundDeadline / MAX_STRETCH) : roundDeadline;
  // What a whole round takes measured members, even if none of them is dealt work.
  const usual = Math.min(whole, longestRound);
  const haste = (roundDeadline * 1_000) / LEAST_TIME;
  const unhurried = Math.max(whole, haste);
  const few = Math.min(innerSteps, Math.ceil(comparable / fragments) * fragments);
  let longest = 0;
  const steps = members.map((member) => {
    const pace = paceOf(member);
    if (measured && !member.measured) return fitting(pace, usual);
    const alike = pace * innerSteps <= Math.min(ALIKE * whole, longestRound);
    const given = alike
      ? innerSteps
      : Math.max(
          Math.min(least, fitting(pace, unhurried)),
          fitting(pace, usual),
          pace * few <= Math.max(ALIKE * whole, GOAL * haste) ? few : 0,
        );
    longest = Math.max(longest, pace * given);
    return given;
  });
  const expected = Math.min(longest === 0 ? usual : longest, needed ? Infinity : GOAL * whole) / 1_000;
  const patience = Math.ceil(PATIENCE * expected);
  const budget = Math.min(Math.max(patience, floor), limit / 2);
  const newcomers = measured ? Math.min(patience + UNMEASURED_MS, budget) : null;
  const latest = measured ? Math.min(limit, Math.max(budget, Math.ceil((SPREAD * whole) / 1_000))) : limit;
  return { steps, budget, latest, newcomers };
}

/** By what others need for as many sequences: builds differ in how many a step has. */
function believed({ pace, batch }: Known, others: readonly Known[], measured: boolean): number | null {
  if (pace !== null && !measured) return pace;
  const likely = referenceOf(others, (other) => other.pace && paceWith(other.pace, other.batch, batch));
  if (pace === null || likely === null) return likely;
  return Math.max(pace, likely / CLAIM_BELOW);
}

/** The largest multiple of `fragments` up to `steps` and `all`; where that is none, as many as fit, but one. */
const aligned = (steps: number, fragments: number, all: number): number =>
  Math.min(all, Math.floor(steps / fragments) * fragments || Math.max(1, Math.floor(steps)));

/** A member's pace after another whole round: the mean of what was known and what it took. */
export function paceAfter(member: Pick<Member, "pace" | "measured">, elapsed: number, steps: number): number {
  const sample = Math.ceil((elapsed * 1_000) / Math.max(1, steps));
  const pace = member.measured && member.pace !== null ? Math.ceil((member.pace + sample) / 2) : sample;
  return Math.min(MAX_PACE, Math.max(1, pace));
}

/** The pace to expect of a member that did not finish in time: by its report, else twice what was known. */
export function paceAfterMiss(pace: number | null, elapsed: number, steps: number, done: number): number {
  const seen = Math.ceil((elapsed * 1_000) / Math.max(1, done > 0 ? Math.min(done, steps) : steps));
  return Math.min(MAX_PACE, Math.max(1, done > 0 ? seen : 2 * (pace ?? seen)));
}
