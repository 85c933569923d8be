/**
 * How reliable community machines are, by what became of them here: of the periods for which a machine was rented those that it was paid
 * for. It belongs to owner and key together, so that a new key, of whomever, begins low and none inherits.
 */
import { hostOf } from "../leases/slots.ts";
import { type Book, type Lease, leasesOf } from "../leases/state.ts";
import type { Offer } from "../offer.ts";
import { COMMUNITY } from "./listing.ts";

/** A period of pay, ms. */
const PERIOD = 300_000;
/** What counts before anything did: three periods of four were none. */
const PRIOR = { completed: 1, accepted: 4 } as const;

interface Periods {
  readonly completed: number;
  readonly accepted: number;
}

/** Of a lease that is over and whose bill is known; one whose machine never worked has them all against it. */
function periodsOf({ answeredAt, joinedAt, doomed, goneAt, billed, perHour }: Lease): Periods | undefined {
  const [from, to] = [joinedAt ?? answeredAt, doomed?.at ?? goneAt];
  if (from === null || to === null || billed === null) return undefined;
  const accepted = Math.ceil(Math.max(0, to - from) / PERIOD);
  const paidMs = perHour === 0n ? 0 : Number((billed * 3_600_000n) / perHour);
  return { completed: Math.min(accepted, Math.round(paidMs / PERIOD)), accepted };
}

/** Millionths, of owner and key. */
type ReliabilityOf = (offer: Offer) => number;

/** @param book what was rented; nothing where nothing ever was */
export function reliabilityIn(book: Pick<Book, "leases"> | undefined): ReliabilityOf {
  const byHost = new Map<string, Periods>();
  for (const lease of book === undefined ? [] : leasesOf(book)) {
    const periods = lease.account === COMMUNITY && lease.state === "gone" ? periodsOf(lease) : undefined;
    if (periods === undefined) continue;
    const { completed, accepted } = byHost.get(lease.host) ?? { completed: 0, accepted: 0 };
    byHost.set(lease.host, { completed: completed + periods.completed, accepted: accepted + periods.accepted });
  }
  return (offer) => {
    const { completed, accepted } = byHost.get(hostOf(offer)) ?? { completed: 0, accepted: 0 };
    return Math.round((1e6 * (completed + PRIOR.completed)) / (accepted + PRIOR.accepted));
  };
}
