/**
 * The market over HTTP, as one Fastify plugin: what is offered, a plan that was kept, what is rented and what it costs, and prices as
 * they change. All of it is read. What spends is not offered here: renting asks whoever pays, at a terminal or by a flag, and its
 * process keeps the providers' keys, which this one needs for nothing but listings. Addresses of machines and ids of accounts stay out.
 */
import type { ServerResponse } from "node:http";

import type { FastifyReply, FastifyRequest } from "fastify";

import { type Clock, countOf, printableJson, RetryableError, unlessAborted, UserError } from "../base/index.ts";
import { addressGroup, type HttpApp } from "../service/index.ts";
import type { Catalogue } from "./catalogue.ts";
import { rank } from "./filters.ts";
import { costOf } from "./leases/cost.ts";
import { type Book, isOpen, type Lease, leasesOf } from "./leases/state.ts";
import { machineText, type Offer, perGpuHour } from "./offer.ts";
import type { KeptPlan } from "./plans.ts";

export interface MarketApiOptions {
  /** Read anew for each answer, and by {@link every} for those who watch; keeps to the providers' rates by itself. */
  readonly catalogue: () => Promise<Catalogue>;
  /** @throws as `readPlan` */
  readonly plan: (id: string) => Promise<KeptPlan>;
  /** What is rented; undefined where nothing ever was. */
  readonly book: () => Promise<Book | undefined>;
  readonly clock: Clock;
  /** Ms between two looks at the prices while somebody watches. */
  readonly every: number;
  readonly signal: AbortSignal;
}

/** Offers of an answer; who watches at the same time, and of one address; bytes that may wait for one who does not read. */
const [MOST_OFFERS, MOST_WATCHERS, MOST_OF_ONE, MOST_WAITING] = [1_000, 128, 4, 256 << 10] as const;
/** For how long a reading of the disk serves others, ms. */
const SHARED = 1_000;
/** Parts of a path that are more are no plan's id. */
const MAX_ID = 64;

export const marketStatuses: Readonly<Record<string, number>> = {
  PLAN_UNKNOWN: 404,
  PLAN_CHANGED: 409,
  PLAN_EXPIRED: 410,
  WATCHERS_FULL: 503,
  LIMIT: 400,
};

const text = (value: bigint | undefined): string | null => value?.toString() ?? null;

const offerView = (offer: Offer, never: string | undefined) => ({
  id: offer.id,
  provider: offer.provider,
  machine: machineText(offer),
  gpu: offer.gpu.model,
  gpus: offer.count,
  tier: offer.tier,
  charge: offer.price.charge,
  perHour: text(offer.price.perHour),
  perGpuHour: text(perGpuHour(offer)),
  stock: offer.stock,
  observedAt: offer.observedAt,
  never: never ?? null,
});

const leaseView = (lease: Lease, now: number) => ({
  label: lease.label,
  cluster: lease.cluster,
  provider: lease.account,
  machine: lease.machine,
  state: lease.state,
  since: lease.since,
  perHour: text(lease.perHour),
  cost: text(costOf(lease, now)),
  billed: text(lease.billed ?? undefined),
  idleSince: lease.idle?.told === true ? lease.idle.since : null,
});

/** The cheapest that can be rented of each model and charge. */
function cheapest(offers: readonly Offer[], now: number) {
  const best = new Map<
    string,
    { gpu: string; charge: string; perGpuHour: string; offer: string; observedAt: number }
  >();
  for (const { offer, never } of rank(offers, [{}], "price", now)) {
    const key = `${offer.gpu.model}/${offer.price.charge}`;
    const perHour = perGpuHour(offer);
    if (never !== undefined || perHour === undefined || best.has(key)) continue;
    const { gpu, price, id, observedAt } = offer;
    best.set(key, { gpu: gpu.model, charge: price.charge, perGpuHour: perHour.toString(), offer: id, observedAt });
  }
  return best;
}
type Prices = ReturnType<typeof cheapest>;

/** What changed, by key; null for what is not to be had any more. */
const changesOf = (before: Prices, after: Prices): Record<string, unknown> => ({
  ...Object.fromEntries([...before.keys()].flatMap((key) => (after.has(key) ? [] : [[key, null]]))),
  ...Object.fromEntries(
    [...after].filter(([key, { perGpuHour: price, offer }]) => {
      const was = before.get(key);
      return was?.perGpuHour !== price || was.offer !== offer;
    }),
  ),
});

const eventOf = (name: string, data: unknown): string =>
  `event: ${name}\ndata: ${printableJson(JSON.stringify(data))}\n\n`;

/** A reading that serves all who ask while it goes on, and within a while after it; so does one that failed. */
function sharedFor<T>(clock: Clock, ms: number, work: () => Promise<T>): () => Promise<T> {
  let kept: { endedAt: number; readonly found: Promise<T> } | undefined;
  return () => {
    if (kept !== undefined && clock.monotonic() - kept.endedAt < ms) return kept.found;
    const mine = { endedAt: Infinity, found: work() };
    kept = mine;
    const end = (): void => void (mine.endedAt = clock.monotonic());
    mine.found.then(end, end);
    return mine.found;
  };
}

function tell(to: ServerResponse, event: string): void {
  // Who does not read is cut off: it comes again, and begins with all prices.
  if (to.writableLength + event.length > MOST_WAITING) to.destroy();
  else to.write(event);
}

/** Those who watch prices: a look for all of them, none while there is nobody. */
function createWatchers({ catalogue, clock, every, signal }: MarketApiOptions, warn: (error: unknown) => void) {
  const watching = new Map<ServerResponse, string>();
  let prices: Prices | undefined;
  let isLooking = false;

  async function look(): Promise<void> {
    const found = cheapest((await catalogue()).offers, clock.now());
    const changes = changesOf(prices ?? new Map(), found);
    const isFirst = prices === undefined;
    prices = found;
    // A line of nothing keeps those in between from closing what is silent.
    const event = Object.keys(changes).length === 0 || isFirst ? ":\n\n" : eventOf("change", changes);
    for (const each of watching.keys()) tell(each, event);
  }

  async function looking(): Promise<void> {
    isLooking = true;
    try {
      while (watching.size > 0 && !signal.aborted) {
        await clock.sleep(every, signal);
        if (watching.size > 0) await look().catch(warn);
      }
    } catch {
      // The signal: whoever watches is cut off below.
    } finally {
      isLooking = false;
      prices = undefined;
    }
  }

  signal.addEventListener("abort", () => {
    for (const each of watching.keys()) each.end();
  });

  return {
    /** @throws RetryableError `WATCHERS_FULL` */
    async add(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      const group = addressGroup(request.ip);
      const ofOne = [...watching.values()].filter((each) => each === group).length;
      if (watching.size >= MOST_WATCHERS || ofOne >= MOST_OF_ONE)
        throw new RetryableError(
          "WATCHERS_FULL",
          `There is no place for another who watches: ${countOf(watching.size, "watcher")} here.`,
        );
      const { raw } = reply;
      watching.set(raw, group);
      raw.once("close", () => watching.delete(raw));
      try {
        prices ??= cheapest((await unlessAborted(catalogue(), signal)).offers, clock.now());
      } catch (error) {
        watching.delete(raw);
        throw error;
      }
      reply.hijack();
      raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      tell(raw, eventOf("prices", Object.fromEntries(prices)));
      if (!isLooking) void looking();
    },
  };
}

/** How many offers are asked for. @throws UserError `LIMIT` */
function limitOf(query: unknown): number {
  const asked = typeof query === "object" && query !== null && "limit" in query ? query.limit : undefined;
  if (asked === undefined) return 100;
  const limit = typeof asked === "string" && /^\d{1,4}$/.test(asked) ? Number(asked) : 0;
  if (limit < 1 || limit > MOST_OFFERS) throw new UserError("LIMIT", `limit must be 1 to ${MOST_OFFERS}.`);
  return limit;
}

async function plugin(app: HttpApp, options: MarketApiOptions): Promise<void> {
  const { catalogue, plan, book, clock } = options;
  const watchers = createWatchers(options, (error) => app.log.warn({ err: error }, "the prices could not be read"));
  app.get("/v1/market/offers", async ({ query }) => {
    const limit = limitOf(query);
    const { offers, sources } = await catalogue();
    const now = clock.now();
    const ranked = rank(offers, [{}], "price", now);
    return {
      at: now,
      found: ranked.length,
      offers: ranked.slice(0, limit).map(({ offer, never }) => offerView(offer, never)),
      sources: sources.map(({ provider, state, observedAt }) => ({ provider, state, observedAt: observedAt ?? null })),
    };
  });
  app.get("/v1/market/plans/:id", async ({ params }) => plan(String((params as { id?: string }).id).slice(0, MAX_ID)));
  app.get("/v1/market/leases", async () => {
    const now = clock.now();
    const leases = leasesOf((await book()) ?? { leases: {} }).filter(isOpen);
    return { at: now, leases: leases.map((lease) => leaseView(lease, now)) };
  });
  app.get("/v1/market/cost", async () => {
    const now = clock.now();
    const found = await book();
    const all = leasesOf(found ?? { leases: {} });
    const clusters = Object.values(found?.clusters ?? {}).map(({ id, budget }) => ({
      cluster: id,
      budget: text(budget),
      cost: text(all.filter(({ cluster }) => cluster === id).reduce((sum, lease) => sum + costOf(lease, now), 0n)),
    }));
    return { at: now, clusters, cost: text(all.reduce((sum, lease) => sum + costOf(lease, now), 0n)) };
  });
  app.get("/v1/market/prices", async (request, reply) => {
    await watchers.add(request, reply);
    return reply;
  });
}

/** Money is text of µUSD, moments are ms since 1970. */
export const marketApi =
  (options: MarketApiOptions) =>
  async (app: HttpApp): Promise<void> => {
    const { catalogue, book, clock } = options;
    const shared = {
      ...options,
      catalogue: sharedFor(clock, SHARED, catalogue),
      book: sharedFor(clock, SHARED, book),
    };
    await app.register((scope) => plugin(scope as unknown as HttpApp, shared));
  };
