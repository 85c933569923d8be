/** What clusters want: their limits, the machine of each slot, and from whom the next one is rented. */
import { formatUsd, sha256Bytes, utf8 } from "../../base/index.ts";
import { labelOf } from "../base/labels.ts";
import { isLimit, machineText, type Offer } from "../offer.ts";
import { costOf, exposureOn, spentOn } from "./cost.ts";
import type { EventOf } from "./events.ts";
import { alarm, ask, block, doom, doomAll, inState, putLease, type Step } from "./step.ts";
import { type Book, type Cluster, isOpen, type Lease, leasesOf, type Listed, newLease, withRow } from "./state.ts";

/** What is left alone if a machine of this offer turns out bad: its host where that is told. */
export const hostOf = ({ provider, upstream, dataCenter, machineId, id }: Offer): string =>
  machineId === undefined ? id : [provider, upstream, dataCenter ?? "", machineId].join("/");

/** Eight hexadecimal digits of a slot, the same for all its attempts. */
export function slotName(installation: string, cluster: string, slot: number): string {
  return sha256Bytes(utf8(`${installation}/${cluster}/${slot}`)).slice(2, 10);
}

const isBlocked = ({ blocked }: Book, key: string, at: number): boolean => (blocked[key]?.until ?? 0) > at;

/** Seconds that are paid before and not given back, from which on they are all that a machine can cost by itself. */
const PAID_BEFORE = 3_600;

/**
 * By when a machine's bill ends although nobody here ends it: null where a watchdog does, or what was paid before is all. A key with
 * which a machine could end itself counts for nothing, since nothing on the machine uses it.
 * @returns undefined where nothing ends it
 */
function backing(
  step: Step,
  cluster: Cluster,
  offer: Offer,
  at: number,
): { readonly until: number | null } | undefined {
  const { watchdogAt } = step.book;
  const isWatched = watchdogAt !== null && at - watchdogAt <= step.rules.watchdogFresh;
  if (isWatched || cluster.acceptNoBackstop || offer.backstop === "own" || offer.backstop === "vouchers")
    return { until: null };
  if (offer.backstop === "provider-ttl" && cluster.endsAt !== null) return { until: cluster.endsAt };
  const { prepaidSeconds = 0, deposit, killWithin = 0 } = step.book.open[offer.provider] ?? {};
  // Of what is put down all is in hand until it is over.
  if (offer.backstop === "prepaid" && deposit !== undefined) return { until: at + prepaidSeconds * 1_000 + killWithin };
  return offer.backstop === "prepaid" && offer.granularitySeconds >= PAID_BEFORE ? { until: null } : undefined;
}

type Obstacle = readonly [words: string, stands: (step: Step, cluster: Cluster, offer: Offer, at: number) => boolean];

/** What keeps an offer from being rented now. */
const obstacles: readonly Obstacle[] = [
  ["its account has not been listed", ({ book }, _, { provider }) => book.open[provider] === undefined],
  [
    "machines of its account's former owner are to end first",
    ({ book }, _, { provider }) =>
      leasesOf(book).some(
        (lease) => isOpen(lease) && lease.account === provider && lease.identity !== book.accounts[provider]?.identity,
      ),
  ],
  [
    "it is too dear, or its price is not firm",
    (_, { maximumPerHour }, { price: { perHour, firm } }) => perHour === undefined || !firm || perHour > maximumPerHour,
  ],
  [
    "it is not to be had",
    (_, __, { source, endsAt, stock }, at) =>
      source === "sample" || stock === "none" || (endsAt !== undefined && endsAt <= at),
  ],
  [
    "its machine does not answer",
    ({ book }, _, { provider, id }) => book.silent[provider]?.some(({ offer }) => offer === id) === true,
  ],
  ["its account refuses", ({ book }, _, { provider }, at) => isBlocked(book, `account:${provider}`, at)],
  ["it was refused", ({ book }, _, { id }, at) => isBlocked(book, `offer:${id}`, at)],
  ["its host was bad", ({ book }, _, offer, at) => isBlocked(book, `host:${hostOf(offer)}`, at)],
  [
    "nothing but this installation ends its bill",
    (step, cluster, offer, at) => backing(step, cluster, offer, at) === undefined,
  ],
  [
    "it is one machine, and rented",
    ({ book }, _, { machineId, id }) =>
      machineId !== undefined && leasesOf(book).some((lease) => isOpen(lease) && lease.offer === id),
  ],
];

/** Why an offer is not rented now, in a clause. */
const whyNot = (step: Step, cluster: Cluster, offer: Offer, at: number): string | undefined =>
  obstacles.find(([, stands]) => stands(step, cluster, offer, at))?.[0];

function intended(step: Step, cluster: Cluster, slot: number, offer: Offer, at: number): Lease | undefined {
  const { book, rules } = step;
  const terms = book.open[offer.provider];
  const quote = offer.price.perHour;
  if (terms === undefined || quote === undefined) return undefined;
  const attempts = leasesOf(book).filter((lease) => lease.cluster === cluster.id && lease.slot === slot);
  const attempt = attempts.reduce((most, lease) => Math.max(most, lease.attempt), 0) + 1;
  // A limit is the most by itself.
  const dearer = quote + (quote * BigInt(isLimit(offer) ? 0 : rules.dearer)) / 100n;
  return {
    ...newLease,
    label: labelOf({
      installation: book.installation,
      lease: slotName(book.installation, cluster.id, slot),
      attempt,
    }),
    cluster: cluster.id,
    slot,
    attempt,
    account: offer.provider,
    identity: book.accounts[offer.provider]?.identity ?? "",
    offer: offer.id,
    machine: machineText(offer),
    host: hostOf(offer),
    state: "intended",
    since: at,
    perHour: quote,
    backedUntil: backing(step, cluster, offer, at)?.until ?? null,
    maximum: dearer < cluster.maximumPerHour ? dearer : cluster.maximumPerHour,
    terms: { ...terms, minimumSeconds: Math.max(terms.minimumSeconds, offer.minTermSeconds ?? 0) },
    listed: listedOf(offer),
  };
}

/** What is kept of a listing for who plans again. */
const listedOf = ({ gpu, count, tier, upstream, upMbps, downMbps, endsAt, price }: Offer): Listed => ({
  gpu,
  count,
  tier,
  upstream,
  charge: price.charge,
  ...(upMbps === undefined ? {} : { upMbps }),
  ...(downMbps === undefined ? {} : { downMbps }),
  ...(endsAt === undefined ? {} : { endsAt }),
});

const without = <T>(rows: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(rows).filter(([each]) => each !== key));

/** Its place is another's: refused where too many were let go, or the money is not there for both. */
export function replace(step: Step, { label, wish, words, drainMs, at }: EventOf<"replace">): Step {
  const lease = step.book.leases[label];
  const cluster = step.book.clusters[lease?.cluster ?? ""];
  if (lease === undefined || lease.slot === null || cluster === undefined || cluster.stopping !== null) return step;
  if (lease.state !== "joined" || lease.doomed !== null) return step;
  const refuse = (why: string): Step => alarm(step, "no offer", `${label} is not replaced: ${why}.`, lease);
  const replaced = (cluster.replaced ?? 0) + 1;
  if (replaced > step.rules.replacements * cluster.slots) return refuse("its cluster has let go of as many as it may");
  const row = { ...cluster, replaced, again: { ...cluster.again, [lease.slot]: wish } };
  const ended = doom(
    // What is quoted does not have the new machine: it is asked for again before anything is sent.
    {
      ...step,
      book: { ...withRow(step.book, "clusters", cluster.id, row), quotes: without(step.book.quotes, cluster.id) },
    },
    label,
    "replaced",
    words,
    at,
    drainMs,
  );
  // The machine that was slow is not to come back into its slot; an offer that is a kind of machine may.
  const next =
    lease.host === lease.offer ? ended : block(ended, `host:${lease.host}`, at + step.rules.blockHost, words);
  if (wish === null) return next;
  const beside = {
    ...lease,
    label: `${label}/next`,
    perHour: wish.maximumPerHour,
    instance: null,
    sentAt: null,
    joinedAt: null,
    shown: false,
  };
  const needed = exposureOn(withRow(next.book, "leases", beside.label, beside), cluster.id, at, step.rules);
  return needed <= cluster.budget && wish.maximumPerHour <= cluster.maximumPerHour
    ? next
    : refuse(`with ${wish.offer} the budget would have to hold ${formatUsd(needed)} USD, or it is too dear`);
}

/** Offers for a slot: of a plan its own first, then others of the same machine that no other slot is for. */
function offersFor(offers: readonly Offer[], cluster: Cluster, slot: number): readonly Offer[] {
  const again = cluster.again?.[slot];
  if (again === undefined || again === null) return firstOffersFor(offers, cluster, slot);
  return [
    ...offers.filter(({ id }) => id === again.offer),
    ...firstOffersFor(offers, cluster, slot).filter(({ id }) => id !== again.offer),
  ];
}

function firstOffersFor(offers: readonly Offer[], { planned }: Cluster, slot: number): readonly Offer[] {
  if (planned === undefined) return offers;
  const wish = planned[slot];
  const others = new Set(Object.values(planned).map(({ offer }) => offer));
  return [
    ...offers.filter(({ id }) => id === wish?.offer),
    ...offers.filter((offer) => !others.has(offer.id) && machineText(offer) === wish?.machine),
  ];
}

/** A cluster by the price that an offer may have in a slot. */
function boundsOf(cluster: Cluster, slot: number, offer: Offer): Cluster {
  const again = cluster.again?.[slot];
  const most = (again?.offer === offer.id ? again : cluster.planned?.[slot])?.maximumPerHour;
  return most === undefined || most >= cluster.maximumPerHour ? cluster : { ...cluster, maximumPerHour: most };
}

/** The first offer that can be rented and paid for; in a clause why there is none. */
function choose(step: Step, wanted: Cluster, slot: number, at: number): Lease | string {
  let why = "no offer fits";
  for (const offer of offersFor(step.book.quotes[wanted.id]?.offers ?? [], wanted, slot)) {
    const cluster = boundsOf(wanted, slot, offer);
    const obstacle = whyNot(step, cluster, offer, at);
    const lease = obstacle === undefined ? intended(step, cluster, slot, offer, at) : undefined;
    if (lease === undefined) {
      if (obstacle !== undefined) why = `${offer.id}: ${obstacle}`;
      continue;
    }
    // The others' time to end grows with it.
    const needed = exposureOn(withRow(step.book, "leases", lease.label, lease), cluster.id, at, step.rules);
    if (needed <= cluster.budget) return lease;
    why = `with ${offer.id} the budget would have to hold ${formatUsd(needed)} USD`;
  }
  return why;
}

/** Slots without a machine, nor one that may still be there. */
function emptySlots(book: Book, cluster: Cluster): number[] {
  const taken = new Set(
    leasesOf(book)
      .filter((lease) => lease.cluster === cluster.id && isOpen(lease))
      .map(({ slot }) => slot),
  );
  return Array.from({ length: cluster.slots }, (_, slot) => slot).filter(
    (slot) => !taken.has(slot) && cluster.again?.[slot] !== null,
  );
}

function fill(step: Step, cluster: Cluster, at: number): Step {
  const empty = emptySlots(step.book, cluster);
  if (empty.length === 0) return step;
  const quotes = step.book.quotes[cluster.id];
  const isOld = quotes === undefined || at - quotes.at > step.rules.quotesFor;
  // What was quoted long ago is asked for again before anything is sent.
  if (isOld) return ask(step, { type: "quote", cluster: cluster.id });
  let next = step;
  let why: string | undefined;
  for (const slot of empty) {
    const lease = choose(next, cluster, slot, at);
    if (typeof lease !== "string") next = putLease(next, lease);
    else {
      why ??= lease;
      // What one slot cannot have no other can, unless each has its own.
      if (cluster.planned === undefined) break;
    }
  }
  return why === undefined ? next : sayEmpty(next, cluster.id, why);
}

/** That a slot stays empty is told once for each reason. */
function sayEmpty(step: Step, cluster: string, why: string): Step {
  if (step.book.empty[cluster] === why) return step;
  const book = { ...step.book, empty: { ...step.book.empty, [cluster]: why } };
  return alarm({ ...step, book }, "no offer", `Cluster ${cluster} lacks a machine: ${why}.`, { cluster });
}

export function stopCluster(step: Step, id: string, stopping: NonNullable<Cluster["stopping"]>, at: number): Step {
  const cluster = step.book.clusters[id];
  if (cluster === undefined) return step;
  const { reason, words, drainMs } = stopping;
  const known = cluster.stopping;
  const row = known === null || drainMs < known.drainMs ? { ...cluster, stopping } : cluster;
  const next = row === cluster ? step : { ...step, book: withRow(step.book, "clusters", id, row) };
  return doomAll(next, id, reason, words, at, drainMs);
}

const WARNINGS = [100, 80, 50] as const;

function warn(step: Step, cluster: Cluster, at: number): Step {
  const spent = spentOn(step.book, cluster.id, at);
  const reached = WARNINGS.find((percent) => spent * 100n >= cluster.budget * BigInt(percent)) ?? 0;
  if (reached <= cluster.warned) return step;
  return alarm(
    { ...step, book: withRow(step.book, "clusters", cluster.id, { ...cluster, warned: reached }) },
    "budget",
    `Cluster ${cluster.id} has spent ${formatUsd(spent)} USD, ${reached}% of its budget.`,
    { cluster: cluster.id },
  );
}

const hasJoined = ({ state }: Lease): boolean => state === "joined" || state === "draining";

/** Its limits, then its slots. */
function tend(step: Step, id: string, at: number): Step {
  const before = step.book.clusters[id];
  if (before === undefined) return step;
  const step1 = warn(step, before, at);
  const cluster = step1.book.clusters[id] ?? before;
  const isOver = exposureOn(step1.book, id, at, step1.rules) > cluster.budget;
  // Work that is being finished costs, too.
  if (cluster.stopping !== null && (cluster.stopping.drainMs === 0 || !isOver)) return step1;
  const stop = (reason: "budget" | "stopped", words: string): Step =>
    stopCluster(step1, id, { reason, words, drainMs: 0 }, at);
  if (isOver)
    return alarm(
      stop("budget", "Its budget would not last."),
      "budget",
      `Cluster ${id} is ended: its budget of ${formatUsd(cluster.budget)} USD would not last longer.`,
      { cluster: id },
    );
  if (cluster.endsAt !== null && at >= cluster.endsAt) return stop("stopped", "Its time is over.");
  const joined = leasesOf(step1.book).filter((lease) => lease.cluster === id && hasJoined(lease)).length;
  if (!cluster.assembled) {
    if (joined >= cluster.minimum)
      return fill(
        { ...step1, book: withRow(step1.book, "clusters", id, { ...cluster, assembled: true }) },
        cluster,
        at,
      );
    if (at >= cluster.rentedAt + step1.rules.assembly)
      return alarm(
        stop("stopped", "Too few machines."),
        "no offer",
        `Cluster ${id} is ended: ${joined} of at least ${cluster.minimum} machines came.`,
        { cluster: id },
      );
  }
  return fill(step1, cluster, at);
}

/** Intents are sent, so many of each account at once. */
function send(step: Step, at: number): Step {
  const sent = new Map<string, number>();
  let next = step;
  for (const lease of leasesOf(step.book)) {
    const { account, state, label } = lease;
    const count = sent.get(account) ?? 0;
    if (state !== "intended" || count >= step.rules.createsAtOnce || step.book.open[account] === undefined) continue;
    // The account is another's since: nothing was sent, so the next attempt begins anew.
    if (step.book.accounts[account]?.identity !== lease.identity) {
      next = putLease(next, { ...inState(lease, "gone", at), goneAt: at });
      continue;
    }
    sent.set(account, count + 1);
    // A time that is set before begins with the create.
    const isSet = lease.terms.deposit !== undefined && lease.backedUntil !== null;
    const backedUntil = isSet ? (lease.backedUntil ?? 0) + at - lease.since : lease.backedUntil;
    next = ask(putLease(next, { ...inState(lease, "creating", at), sentAt: at, backedUntil }), {
      type: "create",
      label,
    });
  }
  return next;
}

/** Clusters that are wanted. */
export const tendClusters = (step: Step, at: number): Step =>
  send(
    Object.keys(step.book.clusters).reduce((next, id) => tend(next, id, at), step),
    at,
  );

/** What a lease that is over was counted as, where its provider's bill is another. */
export const differs = (lease: Lease, amount: bigint, at: number): boolean =>
  amount > costOf({ ...lease, billed: null }, at);
