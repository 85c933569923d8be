/** What the parts of the machine share: a book with what is asked for so far, and the ways a lease moves. */
import type { AlarmKind, LeaseEffect } from "./events.ts";
import type { Rules } from "./rules.ts";
import { type Book, type DoomReason, isOpen, type Lease, leasesOf, type LeaseState, withRow } from "./state.ts";

export interface Step {
  readonly book: Book;
  readonly effects: readonly LeaseEffect[];
  readonly rules: Rules;
}

export const putLease = (step: Step, lease: Lease): Step => ({
  ...step,
  book: withRow(step.book, "leases", lease.label, lease),
});

export const ask = (step: Step, ...effects: readonly LeaseEffect[]): Step => ({
  ...step,
  effects: [...step.effects, ...effects],
});

export const alarm = (
  step: Step,
  what: AlarmKind,
  sentence: string,
  about: { readonly cluster?: string | null; readonly label?: string | null } = {},
): Step => ask(step, { type: "alarm", what, sentence, cluster: about.cluster ?? null, label: about.label ?? null });

export const inState = (lease: Lease, state: LeaseState, at: number): Lease =>
  lease.state === state ? lease : { ...lease, state, since: at };

export function block(step: Step, key: string, until: number, why: string): Step {
  const known = step.book.blocked[key];
  return known !== undefined && known.until >= until
    ? step
    : { ...step, book: withRow(step.book, "blocked", key, { until, why }) };
}

/** Reasons that speak against the host, which is left alone for a day. */
const hostsFault: ReadonlySet<DoomReason> = new Set(["provisioning", "failed", "vanished", "silent", "price"]);

const doomed = (lease: Lease, reason: DoomReason, words: string, at: number): Lease =>
  lease.doomed === null ? { ...lease, doomed: { reason, words, at } } : lease;

/**
 * A lease is to end, whatever it is doing. What was not sent is over; what may have been created is looked for and ended when it is
 * found; a machine is ended at once, or after its work.
 */
export function doom(step: Step, label: string, reason: DoomReason, words: string, at: number, drainMs = 0): Step {
  const lease = step.book.leases[label];
  if (lease === undefined || !isOpen(lease)) return step;
  const next = hostsFault.has(reason) ? block(step, `host:${lease.host}`, at + step.rules.blockHost, words) : step;
  const ending = doomed(lease, reason, words, at);
  switch (lease.state) {
    case "intended":
      return putLease(next, { ...inState(ending, "gone", at), goneAt: at });
    case "provisioning":
    case "quarantined":
      return putLease(next, inState(ending, "terminating", at));
    case "joined":
      return putLease(
        next,
        drainMs > 0
          ? { ...inState(ending, "draining", at), drainUntil: at + drainMs }
          : inState(ending, "terminating", at),
      );
    case "draining":
      return putLease(
        next,
        drainMs > 0
          ? { ...ending, drainUntil: Math.min(lease.drainUntil ?? at, at + drainMs) }
          : inState(ending, "terminating", at),
      );
    default:
      return lease.doomed === null ? putLease(next, ending) : next;
  }
}

/** All leases of a cluster are to end. */
export const doomAll = (step: Step, cluster: string, reason: DoomReason, words: string, at: number, drainMs: number) =>
  leasesOf(step.book)
    .filter((lease) => lease.cluster === cluster && isOpen(lease))
    .reduce((next, { label }) => doom(next, label, reason, words, at, drainMs), step);
