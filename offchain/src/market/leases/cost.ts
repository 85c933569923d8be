/**
 * What leases cost, in whole µUSD under each provider's rounding: never below the bill while a provider has not sent it, for the
 * time counts from the moment of sending to the first complete listing without the machine. And what they may still cost, by which
 * a budget is kept although nobody ends a machine at once.
 */
import { depositFor, type MicroUsd } from "../money.ts";
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
  const { prepaidSeconds = 0, deposit } = lease.terms;
  // What was paid before is not given back, unless it was put down.
  const isSpent = deposit === undefined && lease.extendedSeconds !== undefined;
  const paid = isSpent ? (lease.extendedSeconds ?? 0) + prepaidSeconds : 0;
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

const larger = (one: MicroUsd, other: MicroUsd): MicroUsd => (one > other ? one : other);

/** What a machine that nobody ends comes to: its time, or all that was put down for its first. */
function backedCost(lease: Lease, at: number): MicroUsd {
  const { backedUntil, maximum, terms } = lease;
  if (backedUntil === null) return 0n;
  const used = costOf(lease, Math.max(at, backedUntil));
  const { deposit, prepaidSeconds = 0 } = terms;
  return deposit === undefined ? used : larger(used, depositFor(maximum, prepaidSeconds, deposit));
}

/** The most that a lease will have cost, if it is to be ended now. */
function exposureOf(lease: Lease, beside: number, at: number, rules: Rules): MicroUsd {
  if (!isOpen(lease)) return costOf(lease, at);
  const sent = { ...lease, sentAt: lease.sentAt ?? at };
  const ended = costOf(sent, lastMoment(lease, beside, at, rules));
  const most = lease.shown ? ended : ended * BigInt(rules.surprise);
  return larger(backedCost(sent, at), most);
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
