/**
 * Machines that their provider starts with nothing: whoever keeps the leases sends them what they are to do, over SSH, once they run.
 * That it is tried stands in the book before it is, so that a machine is tried so many times and no more, whoever dies meanwhile; that a
 * second try starts nothing twice is the machine's own doing (overSsh.ts). One that cannot be started in time has never been of use.
 */
import type { Instance } from "../base/renting.ts";
import type { EventOf } from "./events.ts";
import type { Lease } from "./state.ts";
import { alarm, ask, block, doom, inState, putLease, type Step } from "./step.ts";

/** Whether what a machine is to do has to be brought to it first. */
export const waitsForStart = ({ terms, starting }: Lease): boolean =>
  terms.startsBy === "ssh" && typeof starting?.doneAt !== "number";

/** It runs: from now on it can be started, where it is told how it is reached. */
export const runs = (step: Step, lease: Lease, { ssh }: Instance): Step =>
  lease.starting !== undefined || (ssh ?? lease.ssh) === null
    ? step
    : putLease(step, { ...lease, starting: { tries: 0, triedAt: null, doneAt: null, words: "" } });

/** It was never started: its host is left alone as of any machine that does not come up. */
function giveUp(step: Step, lease: Lease, words: string, at: number): Step {
  const sentence = `${lease.label} at ${lease.account} could not be started over SSH: it is ended and replaced. ${words}`;
  return alarm(doom(step, lease.label, "failed", `It was not started: ${words}`, at), "lost", sentence, lease);
}

/** Tries it, and again after a while, as often as the rules have it. */
export function tendStart(step: Step, lease: Lease, at: number): Step {
  const { label, starting } = lease;
  if (starting === undefined || starting.doneAt !== null || lease.doomed !== null) return step;
  const { tries, triedAt, words } = starting;
  if (triedAt !== null && at - triedAt < step.rules.startAgain) return step;
  // Whoever tried it last has died over it.
  if (tries >= step.rules.startTries) return giveUp(step, lease, words, at);
  return ask(putLease(step, { ...lease, starting: { ...starting, tries: tries + 1, triedAt: at } }), {
    type: "start",
    label,
  });
}

/** Whoever tried it is gone: what came of that is asked of the machine at once. */
export const startAnew = (step: Step, lease: Lease): Step =>
  lease.state === "provisioning" && lease.starting !== undefined && lease.starting.doneAt === null
    ? putLease(step, { ...lease, starting: { ...lease.starting, triedAt: null } })
    : step;

/** It has what it is to do. */
export function started(step: Step, { label, at }: EventOf<"started">): Step {
  const lease = step.book.leases[label];
  if (lease?.starting === undefined || lease.starting.doneAt !== null) return step;
  const row = { ...lease, starting: { ...lease.starting, doneAt: at, words: "" } };
  const isAtWork =
    row.state === "provisioning" && row.doomed === null && step.book.clusters[row.cluster ?? ""]?.joins === "running";
  return putLease(step, isAtWork ? { ...inState(row, "joined", at), joinedAt: at } : row);
}

/** It has not, or nobody knows. */
export function unstarted(step: Step, { label, what, words, at }: EventOf<"unstarted">): Step {
  const lease = step.book.leases[label];
  const { starting } = lease ?? {};
  if (lease === undefined || starting === undefined || starting.doneAt !== null) return step;
  if (lease.state !== "provisioning" || lease.doomed !== null) return step;
  const row = { ...lease, starting: { ...starting, words } };
  const next = putLease(step, row);
  if (what !== "machine" && starting.tries < step.rules.startTries) return next;
  // A login that is not taken may be wrong here rather than there, and others would be paid for as well.
  const until = at + step.rules.retryOffer;
  return giveUp(what === "account" ? block(next, `account:${lease.account}`, until, words) : next, row, words, at);
}
