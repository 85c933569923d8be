/**
 * What rented machines were measured to do, out of the ledger: of the very machine, else the middle of all with such GPUs. It stands in
 * the place of makers' figures and advertised links wherever a cluster is planned.
 */
import { COMMUNITY } from "./community/listing.ts";
import { tflopsOf } from "./gpus.ts";
import { hostOf } from "./leases/slots.ts";
import { type Book, type Lease, leasesOf, type Measured } from "./leases/state.ts";
import { gpuText, type Offer } from "./offer.ts";

/** What is known of an offer's machine. Of another one with such GPUs no link is known. */
export interface KnownMachine extends Measured {
  readonly of: "this machine" | "such GPUs";
}
export type MeasuredOf = (offer: Offer) => KnownMachine | undefined;

/** Machines of one GPU model that were measured, the newest first: more are not counted. */
const MOST_ALIKE = 64;

/** `2x RTX 3090 24 GB` → `RTX 3090 24 GB`. */
export const gpuIn = (machine: string): string => machine.replace(/^\d+x /, "");

/** A machine that trains nothing, and hands in what it likes, would seem faster than its GPU can be. */
export function bounded(flops: number, { gpu }: Pick<Offer, "gpu">): number {
  const most = tflopsOf(gpu);
  return Math.min(flops, most === undefined ? Infinity : most * 1e12);
}

type MeasuredLease = Lease & { readonly measured: Measured };

/** @returns what is known of an offer; nothing where no such GPU was ever measured */
export function measuredIn(book: Pick<Book, "leases">): MeasuredOf {
  const measured = leasesOf(book)
    .filter((lease): lease is MeasuredLease => lease.measured !== undefined)
    .toSorted((a, b) => b.since - a.since);
  const byHost = new Map<string, Measured>();
  for (const { host, measured: each } of measured) if (!byHost.has(host)) byHost.set(host, each);
  // What GPUs a community machine has is its owner's word: by it others would seem slower, or faster, than they are.
  const told = measured.filter(({ account }) => account !== COMMUNITY);
  const byGpu = Map.groupBy(told, ({ machine }) => gpuIn(machine));
  return (offer) => {
    const own = byHost.get(hostOf(offer));
    if (own !== undefined) return { ...own, flops: bounded(own.flops, offer), of: "this machine" };
    const alike = byGpu.get(gpuText(offer.gpu))?.slice(0, MOST_ALIKE);
    if (alike === undefined) return undefined;
    const sorted = alike.map(({ measured: { flops } }) => flops).toSorted((a, b) => a - b);
    const flops = sorted[Math.ceil(sorted.length / 2) - 1];
    return flops === undefined ? undefined : { flops: bounded(flops, offer), up: null, down: null, of: "such GPUs" };
  };
}
