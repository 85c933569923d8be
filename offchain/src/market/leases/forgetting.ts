/**
 * What a book need not know any more. It is looked through at every look, so that it holds what runs and what lately did; the ledger on
 * the disk keeps all that ever was. What is forgotten follows from the rows and the time alone: whoever opens the book forgets the same.
 * A machine that appears under a forgotten label is a stranger like any other, and is ended as one.
 */
import { isOpen, type Kept, type Lease } from "./state.ts";

const DAY = 86_400_000;
export const forgettingRules = {
  /** Days after which a lease that is gone says nothing more, and so many ms. */
  days: 90,
  /** Leases that are gone and remembered for longer than a day, the newest: bills and late machines come within it. */
  most: 4_096,
} as const;

/** The leases that are forgotten. Those of a cluster that goes on count towards its budget, and stay. */
function oldOf({ leases, clusters }: Kept, now: number): ReadonlySet<string> {
  const isOver = ({ cluster }: Lease): boolean => cluster === null || clusters[cluster]?.stopping !== null;
  const settled = Object.values(leases)
    .filter((lease) => !isOpen(lease) && isOver(lease) && now - lease.since > DAY)
    .toSorted((a, b) => b.since - a.since);
  return new Set(
    settled
      .filter(({ since }, index) => index >= forgettingRules.most || now - since > forgettingRules.days * DAY)
      .map(({ label }) => label),
  );
}

const kept = <T>(rows: Readonly<Record<string, T>>, isKept: (key: string, row: T) => boolean) => {
  const all = Object.entries(rows);
  const left = all.filter(([key, row]) => isKept(key, row));
  return left.length === all.length ? rows : Object.fromEntries(left);
};

/** The same without what is old; the very same where nothing is. */
export function withoutOld<B extends Kept>(book: B, now: number): B {
  const old = oldOf(book, now);
  const leases = kept(book.leases, (label) => !old.has(label));
  const inUse = new Set(Object.values(leases).map(({ cluster }) => cluster));
  const clusters = kept(
    book.clusters,
    (id, { stopping, rentedAt }) => stopping === null || inUse.has(id) || now - rentedAt <= forgettingRules.days * DAY,
  );
  const blocked = kept(book.blocked, (_, { until }) => until > now);
  const isSame = leases === book.leases && clusters === book.clusters && blocked === book.blocked;
  return isSame ? book : { ...book, leases, clusters, blocked };
}
