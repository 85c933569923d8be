/**
 * What leases cost, in whole µUSD under each provider's rounding: never below the bill while a provider has not sent it, for the
 * time counts from the moment of sending to the first complete listing without the machine. And what they may still cost, by which
 * a budget is kept although nobody ends a machine at once.
 */
import type { MicroUsd } from "../money.ts";
import type { Rules } from "./rules.ts";
import { type Book, isOpen, type Lease, leasesOf, type LeaseTerms } from "./state.ts";

/** Seconds that are paid for a time of use. */
export function billedSeconds(
  { minimumSeconds, granularitySeconds }: Pick<LeaseTerms, "minimumSeconds" | "granularitySeconds">,
  ms: number,
): number {
  const used = Math.ceil(Math.max(0, ms) / 1_000);
  return Math.max(minimumSeconds, Math.ceil(used / granularitySeconds) * granularitySeconds);
}

/** µUSD for so many seconds at a price by the hour, rounded up. */
export const priceOfSeconds = (perHour: MicroUsd, seconds: number): MicroUsd =>
  (perHour * BigInt(seconds) + 3_599n) / 3_600n;

/** What a lease has cost by a moment. */
export function costOf(lease: Lease, at: number): MicroUsd {
  if (lease.billed !== null) return lease.billed;
  if (lease.sentAt === null || (lease.state === "gone" && lease.instance === null)) return 0n;
  const from = lease.terms.bootBilled ? lease.sentAt : (lease.bootingAt ?? lease.sentAt);
  // What was paid before is not given back.
  const paid = lease.extendedSeconds === undefined ? 0 : lease.extendedSeconds + (lease.terms.prepaidSeconds ?? 0);
  return priceOfSeconds(lease.perHour, Math.max(billedSeconds(lease.terms, (lease.goneAt ?? at) - from), paid));
}

/** Open leases of each account: providers end one machine after the other. */
function openIn(book: Book): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const lease of leasesOf(book))
    if (isOpen(lease)) counts.set(lease.account, (counts.get(lease.account) ?? 0) + 1);
  return counts;
}

/** When a lease ends at the latest, if it is to be ended now or whoever keeps it dies now. */
function lastMoment(lease: Lease, beside: number, at: number, rules: Rules): number {
  const sent = lease.sentAt ?? at;
  // What cannot be seen cannot be ended, and some cannot be ended before they run.
  const seen = lease.instance === null ? sent + lease.terms.visibleWithin + rules.late : at;
  const endable = lease.terms.deletableWhileCreating || lease.joinedAt !== null ? at : sent + rules.provisioning;
  const tail = rules.detection + rules.kill + rules.killEach * beside + lease.terms.killWithin;
  return Math.max(at, seen, endable) + tail;
}

/** The most that a lease will have cost, if it is to be ended now. */
function exposureOf(lease: Lease, beside: number, at: number, rules: Rules): MicroUsd {
  if (!isOpen(lease)) return costOf(lease, at);
  const sent = { ...lease, sentAt: lease.sentAt ?? at };
  const ended = costOf(sent, lastMoment(lease, beside, at, rules));
  const most = lease.shown ? ended : ended * BigInt(rules.surprise);
  const left = lease.backedUntil === null ? 0n : costOf(sent, Math.max(at, lease.backedUntil));
  return left > most ? left : most;
}

const sum = (amounts: readonly MicroUsd[]): MicroUsd => amounts.reduce((total, amount) => total + amount, 0n);

const of = (book: Book, cluster: string): readonly Lease[] =>
  leasesOf(book).filter((lease) => lease.cluster === cluster);

export const spentOn = (book: Book, cluster: string, at: number): MicroUsd =>
  sum(of(book, cluster).map((lease) => costOf(lease, at)));

/** The most that a cluster will have cost, if all of it is to be ended now. */
export function exposureOn(book: Book, cluster: string, at: number, rules: Rules): MicroUsd {
  const counts = openIn(book);
  return sum(of(book, cluster).map((lease) => exposureOf(lease, counts.get(lease.account) ?? 0, at, rules)));
}
