/**
 * Machines that are paid for a time before, and end by themselves when it is over: of one that is at work a further time is paid shortly
 * before, as long as its cluster wants it and its budget holds all of it. That it is paid stands in the book before it is asked for, and
 * is asked for once: what became of it is not always known, and counts as paid then. Of what is only put down what is not used comes back.
 */
import { exposureOn } from "./cost.ts";
import type { EventOf } from "./events.ts";
import { endsIdleBy } from "./idle.ts";
import type { Lease } from "./state.ts";
import { alarm, ask, block, putLease, type Step } from "./step.ts";

const keyOf = (label: string): string => `extend:${label}`;

/** A lease whose paid time ends so much later. */
const longerBy = (lease: Lease, seconds: number): Lease => ({
  ...lease,
  extendedSeconds: (lease.extendedSeconds ?? 0) + seconds,
  backedUntil: lease.backedUntil === null ? null : lease.backedUntil + seconds * 1_000,
});

/** A machine at work, whose time may be over soon. */
export function tendPaid(step: Step, lease: Lease, at: number): Step {
  const { label, sentAt, extendedSeconds = 0, terms } = lease;
  const { prepaidSeconds } = terms;
  const { book, rules } = step;
  const cluster = book.clusters[lease.cluster ?? ""];
  if (prepaidSeconds === undefined || sentAt === null || cluster === undefined || cluster.stopping !== null)
    return step;
  // Its provider counts from later on.
  const until = sentAt + (prepaidSeconds + extendedSeconds) * 1_000;
  const isEnough = (cluster.endsAt !== null && cluster.endsAt <= until) || endsIdleBy(lease, cluster, until);
  if (at < until - rules.extendBefore || isEnough || (book.blocked[keyOf(label)]?.until ?? 0) > at) return step;
  const next = putLease(step, longerBy(lease, prepaidSeconds));
  return exposureOn(next.book, cluster.id, at, rules) <= cluster.budget ? ask(next, { type: "extend", label }) : step;
}

/** It was refused, so that nothing was paid. */
export function unextended(step: Step, { label, words, at }: EventOf<"unextended">): Step {
  const lease = step.book.leases[label];
  const { prepaidSeconds = 0 } = lease?.terms ?? {};
  if (lease?.extendedSeconds === undefined || lease.extendedSeconds < prepaidSeconds) return step;
  const shorter = putLease(step, longerBy(lease, -prepaidSeconds));
  return alarm(
    block(shorter, keyOf(label), at + step.rules.extendAgain, words),
    "lost",
    `${label} at ${lease.account} is not paid for longer: ${words}`,
    lease,
  );
}
