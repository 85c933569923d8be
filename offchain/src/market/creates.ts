/**
 * How often creates came to a machine, out of the ledger: of a provider and a GPU. What the provider says of its stock is what is
 * expected before anything was tried; what was tried counts beside it, for two weeks.
 */
import { gpuIn } from "./measured.ts";
import { type Book, type Lease, leasesOf } from "./leases/state.ts";
import { gpuText, type Offer } from "./offer.ts";

/** How many were tried, and of how many no machine came that ran. */
export interface Creates {
  readonly tried: number;
  readonly failed: number;
}
export type CreatesOf = (offer: Pick<Offer, "provider" | "gpu">) => Creates | undefined;

/** Days after which what happened says nothing of what would. */
export const CREATES_DAYS = 14;
/** The newest that are counted. */
const MOST_TRIED = 32;
/** Whether a create failed; undefined where that is not known yet, or it was our own doing. */
function hasFailed({ state, joinedAt, doomed }: Lease): boolean | undefined {
  if (joinedAt !== null) return false;
  if (doomed === null || state === "intended") return undefined;
  return ["refused", "provisioning", "failed"].includes(doomed.reason) ? true : undefined;
}

const keyOf = (provider: string, gpu: string): string => `${provider}/${gpu}`;

/** @returns what became of creates at an offer's provider for such GPUs; nothing where none was tried lately */
export function createsIn(book: Pick<Book, "leases">, now: number): CreatesOf {
  const known = leasesOf(book)
    .flatMap((lease) => {
      const failed = hasFailed(lease);
      const { sentAt } = lease;
      const isOld = sentAt === null || now - sentAt > CREATES_DAYS * 86_400_000;
      return failed === undefined || isOld ? [] : [{ key: keyOf(lease.account, gpuIn(lease.machine)), sentAt, failed }];
    })
    .toSorted((a, b) => b.sentAt - a.sentAt);
  const byKey = Map.groupBy(known, ({ key }) => key);
  return ({ provider, gpu }) => {
    const all = byKey.get(keyOf(provider, gpuText(gpu)))?.slice(0, MOST_TRIED);
    return all && { tried: all.length, failed: all.filter(({ failed }) => failed).length };
  };
}
