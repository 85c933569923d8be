/**
 * How long work takes: whose pace is believed, how many inner steps a member gets, how long a deal of work may last. Pure
 * arithmetic on integers; times are ms, paces µs per inner step with everything around it (base, upload) included.
 */
import { MAX_ROUND_STRETCH } from "@cotrain/sdk/protocol";

import type { Member } from "./state.ts";

/** A deal never lasts longer than this many times the governed roundDeadline; pay counts on it (`versionSlack`). */
export const MAX_STRETCH = MAX_ROUND_STRETCH;
/** Who would take longer than this many times the reference's whole round gets fewer inner steps. */
const GOAL = 1.5;
/** What a deal waits for at most, in whole rounds of the reference: members that are slower than that are not waited for. */
const SPREAD = 3;
/** A deal's budget over the time that is expected of its slowest member. */
const PATIENCE = 1.5;
/** A member gets this share of the run's inner steps at least, so that nobody's haste starves the slow. */
const LEAST_SHARE = 4;
/** What a member says of itself counts within these factors of what was measured of others. */
const CLAIM_BELOW = 4;
const CLAIM_ABOVE = 8;
/** µs per inner step; more is nonsense. */
export const MAX_PACE = 3_600_000_000;

/** The pace of the members that work is dealt to: the lower median of what was measured, else of what they say. */
export function referenceOf(members: readonly Pick<Member, "pace" | "measured">[]): number | null {
  const measured = members.filter((member) => member.measured);
  const paces = (measured.length > 0 ? measured : members).flatMap(({ pace }) => (pace === null ? [] : [pace]));
  const sorted = paces.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}

export interface Deal {
  /** Inner steps of each member, in the members' order. */
  readonly steps: readonly number[];
  /** Ms after which those who are not nearly done are given up. */
  readonly budget: number;
  /** Ms after which everybody is. */
  readonly latest: number;
}

/**
 * Inner steps and time for a deal of work. Members that are alike get all of the run's steps; a slower one as many as fit
 * into {@link GOAL} times the time of the others.
 * @param innerSteps the run's H, a multiple of `fragments`
 * @param roundDeadline the governed deadline, ms
 */
export function dealOf(
  members: readonly Pick<Member, "pace" | "measured" | "misses">[],
  innerSteps: number,
  fragments: number,
  roundDeadline: number,
): Deal {
  const reference = referenceOf(members);
  const limit = MAX_STRETCH * roundDeadline;
  if (reference === null) {
    return { steps: members.map(() => innerSteps), budget: roundDeadline, latest: limit };
  }
  const measured = members.some((member) => member.measured);
  const room = Math.min(GOAL * reference * innerSteps, GOAL * roundDeadline * 1_000);
  let longest = 0;
  const steps = members.map((member) => {
    const pace = member.measured ? (member.pace ?? reference) : believed(member.pace, reference, measured);
    const least = aligned(innerSteps / LEAST_SHARE, fragments, innerSteps);
    const most = pace * innerSteps <= room ? innerSteps : aligned(room / pace, fragments, innerSteps);
    const given = Math.max(least, most);
    longest = Math.max(longest, pace * given);
    return given;
  });
  const expected = Math.min(longest, SPREAD * reference * innerSteps) / 1_000;
  // Whose way to here was never measured gets the time that the holders allow, once.
  const unknown = members.some((member) => !member.measured && member.misses === 0);
  const floor = unknown || !measured ? roundDeadline : Math.ceil(roundDeadline / MAX_STRETCH);
  const budget = Math.min(Math.max(Math.ceil(PATIENCE * expected), floor), limit / 2);
  return { steps, budget, latest: measured ? Math.min(limit, 2 * budget) : limit };
}

function believed(claim: number | null, reference: number, measured: boolean): number {
  if (claim === null) return reference;
  if (!measured) return claim;
  return Math.min(Math.max(claim, reference / CLAIM_BELOW), reference * CLAIM_ABOVE);
}

/** The largest multiple of `fragments` up to `steps`, from one multiple to all. */
const aligned = (steps: number, fragments: number, all: number): number =>
  Math.min(all, Math.max(fragments, Math.floor(steps / fragments) * fragments));

/** The pace after another whole round of a member: half of what was known, half of what it took. */
export function paceAfter(member: Pick<Member, "pace" | "measured">, elapsed: number, steps: number): number {
  const sample = Math.ceil((elapsed * 1_000) / Math.max(1, steps));
  const pace = member.measured && member.pace !== null ? Math.ceil((member.pace + sample) / 2) : sample;
  return Math.min(MAX_PACE, Math.max(1, pace));
}

/** The pace to expect of a member that did not finish in time: what it reported, else twice what was known. */
export function paceAfterMiss(pace: number | null, elapsed: number, steps: number, done: number): number {
  const seen = Math.ceil((elapsed * 1_000) / Math.max(1, done > 0 ? Math.min(done, steps) : steps));
  return Math.min(MAX_PACE, Math.max(1, done > 0 ? seen : 2 * (pace ?? seen)));
}
