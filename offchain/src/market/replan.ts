/**
 * A cluster that is rented, against the offers of now: its machines as they were measured, others as what was measured lets expect, and what to
 * change, in the ledger's words. Slots stay what they are: a machine is let go for another, or for none.
 */
import { COMMUNITY } from "./community/listing.ts";
import { billedSeconds, spentOn } from "./leases/cost.ts";
import { type Book, isOpen, type Lease, leasesOf, type Measured } from "./leases/state.ts";
import { createsIn, type CreatesOf } from "./creates.ts";
import { bounded, measuredIn, type MeasuredOf } from "./measured.ts";
import { hostOf } from "./leases/slots.ts";
import { gpuText, machineText, type Offer } from "./offer.ts";
import { type Replan, replanOf, replanRules, type Running } from "./planner/again.ts";
import { expectedOf, hopeful, type Seen } from "./planner/belief.ts";
import { machineBy, machineOf } from "./planner/machines.ts";
import type { Machine } from "./planner/model.ts";
import type { Task } from "./planner/search.ts";

/** A machine that is let go. */
interface Change {
  readonly lease: Lease;
  /** What takes its place; undefined where nothing does. */
  readonly offer: Offer | undefined;
}

export interface Proposal {
  readonly changes: readonly Change[];
  readonly plan: Replan;
}

/** A machine that is rented, with what it would be by its listing alone; in a clause why it cannot be planned with. */
function rentedMachine(lease: Lease, run: Task["run"], now: number, known: Measured | undefined): Machine | string {
  const { listed, offer, perHour, terms } = lease;
  if (listed === undefined) return "it was rented before listings were kept";
  const { charge, ...told } = listed;
  return machineBy(
    {
      ...told,
      id: offer,
      price: { charge, perHour, firm: true },
      granularitySeconds: terms.granularitySeconds,
      minTermSeconds: terms.minimumSeconds,
      bootBilled: terms.bootBilled,
      stock: "in stock",
    },
    run,
    now,
    known && { ...known, flops: bounded(known.flops, listed) },
  );
}

/** Seconds that are paid for and not used if it ends now. */
const unused = ({ terms, sentAt, bootingAt }: Lease, now: number): number => {
  const from = terms.bootBilled ? sentAt : (bootingAt ?? sentAt);
  const used = from === null ? 0 : now - from;
  return billedSeconds(terms, used) - Math.max(0, used) / 1_000;
};

/** What of a cluster's money is left, µUSD. */
export const leftOf = (book: Book, cluster: string, now: number): number =>
  Math.max(0, Number((book.clusters[cluster]?.budget ?? 0n) - spentOn(book, cluster, now)));

/** Machines of a cluster that train, and may be let go. */
const training = (book: Book, cluster: string): readonly Lease[] =>
  leasesOf(book).filter((lease) => lease.cluster === cluster && lease.state === "joined" && lease.doomed === null);

/** What others were measured to be, as shares of what their listings told. */
function seenIn(book: Book, run: Task["run"], now: number): Seen[] {
  return leasesOf(book).flatMap((lease): Seen[] => {
    const { measured, listed, account } = lease;
    // What the GPUs of a community machine are is its owner's word.
    if (measured === undefined || listed === undefined || account === COMMUNITY) return [];
    const [told, found] = [undefined, measured].map((known) => rentedMachine(lease, run, now, known));
    if (typeof told !== "object" || typeof found !== "object") return [];
    return [
      {
        gpu: gpuText(listed.gpu),
        cloud: listed.upstream,
        speed: found.speed / told.speed,
        ...(measured.up === null ? {} : { up: found.up / told.up }),
        ...(measured.down === null ? {} : { down: found.down / told.down }),
      },
    ];
  });
}

/** What the ledger tells of offers that would be tried. */
interface Known {
  readonly seen: readonly Seen[];
  readonly measuredOf: MeasuredOf;
  readonly createsOf: CreatesOf;
}

/** An offer as it is tried: as its very machine was measured, else as others let hope; it may come to none, as others have. */
function expectedMachine(
  offer: Offer,
  task: Task,
  now: number,
  { seen, measuredOf, createsOf }: Known,
): Machine | string {
  const reading = { now, sample: false, mode: task.mode, createsOf };
  const known = measuredOf(offer);
  if (known?.of === "this machine") return machineOf(offer, task.run, { ...reading, measuredOf: () => known });
  const machine = machineOf(offer, task.run, reading);
  if (typeof machine === "string") return machine;
  const share = expectedOf(seen, { gpu: gpuText(offer.gpu), cloud: offer.upstream });
  return hopeful({
    ...machine,
    speed: machine.speed * share.speed,
    up: machine.up * share.up,
    down: machine.down * share.down,
  });
}

/**
 * What is to be changed of a cluster; a clause why nothing can be said, undefined where nothing is worth it.
 * @param offers that its renter would have, as they are now
 * @param task what is left to do
 */
export function proposalOf(
  book: Book,
  cluster: string,
  offers: readonly Offer[],
  task: Task,
  now: number,
): Proposal | string | undefined {
  const leases = training(book, cluster);
  if (!leases.some(({ measured }) => measured !== undefined)) return "none of its machines was measured yet";
  const known = { seen: seenIn(book, task.run, now), measuredOf: measuredIn(book), createsOf: createsIn(book, now) };
  const byMachine = new Map<Machine, Lease>();
  const running: Running[] = [];
  for (const lease of leases) {
    const machine = rentedMachine(lease, task.run, now, lease.measured);
    if (typeof machine === "string") return `${lease.label}: ${machine}`;
    const rest = unused(lease, now);
    const there = { ...machine, id: lease.label, minTerm: rest, ready: true };
    byMachine.set(there, lease);
    running.push({ machine: there, leaving: machine.price * (rest + machine.kill) });
  }
  const most = book.clusters[cluster]?.maximumPerHour ?? 0n;
  const held = new Set(leasesOf(book).flatMap((lease) => (isOpen(lease) ? [lease.host] : [])));
  const byId = new Map(offers.map((offer) => [offer.id, offer]));
  const others = offers.flatMap((offer) => {
    const { perHour } = offer.price;
    if (perHour === undefined || perHour > most || held.has(hostOf(offer))) return [];
    const machine = expectedMachine(offer, task, now, known);
    return typeof machine === "string" ? [] : [machine];
  });
  const plan = replanOf(running, others, task, { ...replanRules, machines: running.length });
  if (plan === undefined) return undefined;
  const changes = plan.leaves.flatMap((machine, index): Change[] => {
    const lease = byMachine.get(machine);
    return lease === undefined ? [] : [{ lease, offer: byId.get(plan.takes[index]?.id ?? "") }];
  });
  return { changes, plan };
}

/** A change in words: who goes, who comes, and why. */
export function changeText({ lease, offer }: Change): string {
  const measured =
    lease.measured === undefined ? "not measured" : `${(lease.measured.flops / 1e12).toFixed(1)} TFLOP/s a worker`;
  const next = offer === undefined ? "nothing takes its place" : `${machineText(offer)} of ${offer.id} takes its place`;
  return `${lease.label} (${lease.machine}, ${measured}) is let go: ${next}`;
}
