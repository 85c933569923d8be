/**
 * The catalogue: what all providers offer now, merged. A provider that cannot be asked is told with what it wants and what it would
 * add; of one that does not answer the last listing stands until its offers expire. Where nothing can be rented, the sample shows
 * what would stand there.
 */
import { CotrainError } from "@cotrain/sdk/errors";

import { adapters } from "./adapters/index.ts";
import { doorOf, type Reach } from "./accounts.ts";
import type { Adapter, Listing, Wanted } from "./base/adapter.ts";
import { listOffers } from "./base/listing.ts";
import { type Offer, whyNever } from "./offer.ts";
import { COMMUNITY } from "./community/listing.ts";
import { readCommunityListing } from "./community/open.ts";
import { reliabilityIn } from "./community/reliability.ts";
import type { Book } from "./leases/state.ts";
import { listOwnMachines } from "./own.ts";
import { sampleOffers } from "./sample.ts";
import type { CatalogueStore } from "./store.ts";

/** What came of a provider. */
export interface Source {
  readonly provider: string;
  readonly title: string;
  /** `live`: asked now; `kept`: its last listing; `missing`: it cannot be asked; `failed`: it did not answer, and there is no listing. */
  readonly state: "live" | "kept" | "missing" | "failed";
  readonly offers: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly observedAt?: number;
  /** What it wants before it can be asked, and what it would add. */
  readonly wants?: string;
  readonly adds: string;
  /** What went wrong now. */
  readonly problem?: string;
}

/** Another way to the same machine. */
interface Road {
  readonly id: string;
  readonly perHour: bigint | undefined;
}

export interface Catalogue {
  readonly offers: readonly Offer[];
  /** Dearer ways to an offer's machine, by its id. */
  readonly roads: ReadonlyMap<string, readonly Road[]>;
  readonly sources: readonly Source[];
}

export interface CatalogueOptions extends Reach {
  readonly store: CatalogueStore;
  readonly wanted: Wanted;
  /** Names of providers to ask; default all. */
  readonly providers?: readonly string[];
  /** A listing younger than this is not asked for again, ms. */
  readonly maxAge: number;
  /** Whether nobody is asked. */
  readonly offline: boolean;
  /** File of one's own machines. */
  readonly machines?: string;
  /** File by which community machines are rented. */
  readonly community?: string;
  /** What was rented from here, by which community machines are told apart; nothing is said of them without. */
  readonly book?: Pick<Book, "leases">;
  /** Who failed lately, for a process that reads again and again: until {@link FAILED_FOR} is over it is not asked. */
  readonly failures?: Map<string, Failure>;
}

/** What went wrong with a provider, and when, by the monotonic clock. */
interface Failure {
  readonly at: number;
  readonly words: string;
}
/** How long a failure is remembered, ms. */
const FAILED_FOR = 30_000;

type Found = { readonly source: Source; readonly offers: readonly Offer[] };

const sourceOf = ({ name, title, adds }: Adapter, listing?: Listing): Omit<Source, "state"> => ({
  provider: name,
  title,
  adds,
  offers: listing?.offers.length ?? 0,
  refused: listing?.refused ?? {},
  ...(listing === undefined ? {} : { observedAt: listing.observedAt }),
});

/** A problem in words; a defect of ours is thrown on. */
function wordsOf(error: unknown): string {
  if (!(error instanceof CotrainError)) throw error;
  return error.message;
}

/** What a provider that failed a moment ago said then. */
function failedLately({ failures, clock }: CatalogueOptions, name: string): string | undefined {
  const failure = failures?.get(name);
  return failure !== undefined && clock.monotonic() - failure.at < FAILED_FOR ? failure.words : undefined;
}

/** @returns what went wrong in words, which is remembered; a defect of ours is thrown on */
function failing({ failures, clock }: CatalogueOptions, name: string, error: unknown): string {
  const words = wordsOf(error);
  failures?.set(name, { at: clock.monotonic(), words });
  return words;
}

async function ask(adapter: Adapter, options: CatalogueOptions): Promise<Found> {
  const { store, clock, wanted } = options;
  const kept = await store.listing(adapter.name);
  const told = (state: Source["state"], more: Partial<Source> = {}): Found => ({
    source: { ...sourceOf(adapter, kept), state, ...more },
    offers: kept?.offers ?? [],
  });
  const age = kept === undefined ? Infinity : clock.now() - kept.observedAt;
  if (options.offline || (age >= 0 && age < options.maxAge))
    return told(
      kept === undefined ? "missing" : "kept",
      kept === undefined ? { wants: "to be asked: leave out --offline" } : {},
    );
  const away = (problem: string): Found => told(kept === undefined ? "failed" : "kept", { problem });
  const before = failedLately(options, adapter.name);
  if (before !== undefined) return away(before);
  try {
    const door = doorOf(adapter, options);
    if ("missing" in door) return told(kept === undefined ? "missing" : "kept", { wants: door.missing });
    const listing = await listOffers(adapter, { api: door.api, wanted, clock });
    await store.keep(listing);
    return { source: { ...sourceOf(adapter, listing), state: "live" }, offers: listing.offers };
  } catch (error) {
    options.signal.throwIfAborted();
    return away(failing(options, adapter.name, error));
  }
}

async function askOwn(path: string, now: number): Promise<Found> {
  const { offers, refused, observedAt } = await listOwnMachines(path, now);
  const adds = "the machines of a file";
  return {
    source: { provider: "own", title: "Own machines", adds, state: "live", offers: offers.length, refused, observedAt },
    offers,
  };
}

/** Community machines with how reliable each was here. */
function rated(offers: readonly Offer[], book: Pick<Book, "leases">): readonly Offer[] {
  const reliabilityOf = reliabilityIn(book);
  return offers.map((offer) => ({ ...offer, reliabilityPpm: reliabilityOf(offer) }));
}

/** They are asked each time: what was listed a minute ago may be rented. */
async function askCommunity(path: string, options: CatalogueOptions): Promise<Found> {
  const source = { provider: COMMUNITY, title: "Community machines", adds: "machines of contributors" } as const;
  const away = (problem: string): Found => ({
    source: { ...source, state: "failed", offers: 0, refused: {}, problem },
    offers: [],
  });
  const before = failedLately(options, COMMUNITY);
  if (before !== undefined) return away(before);
  try {
    const listing = await readCommunityListing(path, options.clock.now());
    const { refused, observedAt } = listing;
    const offers = options.book === undefined ? listing.offers : rated(listing.offers, options.book);
    return { source: { ...source, state: "live", offers: offers.length, refused, observedAt }, offers };
  } catch (error) {
    return away(failing(options, COMMUNITY, error));
  }
}

/** By what a machine on two roads is told: whose it is, what its owner calls it, where it stands, and how it is let. */
function machineKey({ upstream, upstreamId, dataCenter, count, tier, price }: Offer): string | undefined {
  if (upstreamId === undefined || dataCenter === undefined) return undefined;
  return JSON.stringify([upstream, upstreamId, dataCenter, count, tier, price.charge]).toLowerCase();
}

/** One offer for each machine, by the cheapest road that can win; without a key of its own each stands for itself. */
export function mergeRoads(offers: readonly Offer[], now: number): Pick<Catalogue, "offers" | "roads"> {
  const byMachine = new Map<string, Offer[]>();
  for (const offer of offers) {
    const key = machineKey(offer) ?? offer.id;
    byMachine.set(key, [...(byMachine.get(key) ?? []), offer]);
  }
  const roads = new Map<string, readonly Road[]>();
  const merged = [...byMachine.values()].flatMap((same) => {
    const [best, ...others] = same.toSorted((a, b) => {
      const never = Number(whyNever(a, now) !== undefined) - Number(whyNever(b, now) !== undefined);
      return never || Number((a.price.perHour ?? 1n << 60n) - (b.price.perHour ?? 1n << 60n)) || (a.id < b.id ? -1 : 1);
    });
    if (best === undefined) return [];
    if (others.length > 0)
      roads.set(
        best.id,
        others.map(({ id, price }) => ({ id, perHour: price.perHour })),
      );
    return [best];
  });
  return { offers: merged, roads };
}

/**
 * Everything that is offered now.
 * @throws as {@link listOwnMachines}, the store, and the signal's reason; what providers do wrong stands in their sources
 */
export async function readCatalogue(options: CatalogueOptions): Promise<Catalogue> {
  const { providers, endpoints, machines, community, offline, clock } = options;
  const isWanted = ({ name, base }: Adapter): boolean =>
    providers?.includes(name) ?? (base !== undefined || endpoints.has(name));
  const found = await Promise.all([
    ...(machines === undefined ? [] : [askOwn(machines, clock.now())]),
    ...(community === undefined || offline ? [] : [askCommunity(community, options)]),
    ...adapters.filter(isWanted).map((adapter) => ask(adapter, options)),
  ]);
  const now = clock.now();
  const offers = found.flatMap((each) => each.offers);
  const isEmpty = offers.every((offer) => offer.provider === "own" || whyNever(offer, now) !== undefined);
  return {
    ...mergeRoads(isEmpty ? [...offers, ...sampleOffers(now)] : offers, now),
    sources: found.map(({ source }) => source),
  };
}
