/**
 * What is looked for, as one table: each row is a wish, whether an offer has it, and how a miss is told. What an offer does not tell
 * it does not have. Alternatives are tried in their order.
 */
import { formatUsd } from "../base/index.ts";
import { perGpuHour, type Charge, machineText, type Offer, whyNever } from "./offer.ts";
import type { MicroUsd } from "./money.ts";
import { usdPerBillionTokens } from "./speed.ts";

export interface Filter {
  /** Canonical names or classes: `H100`, `RTX 40`. */
  readonly gpus?: readonly string[];
  /** GPUs of the machine, exactly; or from … on. */
  readonly count?: number;
  readonly least?: number;
  /** GB of one GPU, of memory and of disk, at the least. */
  readonly vramGb?: number;
  readonly cpus?: number;
  readonly ramGb?: number;
  readonly diskGb?: number;
  readonly countries?: readonly string[];
  /** A part of the region or data centre. */
  readonly region?: string;
  readonly tier?: "secure" | "community";
  readonly interconnect?: "nvlink" | "pcie";
  readonly upMbps?: number;
  readonly charge?: Charge;
  /** µUSD at the most: of one GPU for an hour, of the machine for an hour, of 10^9 tokens. */
  readonly maxPerGpuHour?: MicroUsd;
  readonly maxPerHour?: MicroUsd;
  readonly maxPerBillionTokens?: MicroUsd;
  readonly providers?: readonly string[];
  readonly without?: readonly string[];
  readonly reliabilityPpm?: number;
}

interface Wish<T> {
  readonly has: (offer: Offer, wanted: T) => boolean;
  readonly miss: (offer: Offer, wanted: T) => string;
}

const atLeast = (told: number | undefined, wanted: number): boolean => told !== undefined && told >= wanted;
const below = (told: MicroUsd | undefined, most: MicroUsd): boolean => told !== undefined && told <= most;
const shown = (told: number | undefined, unit: string): string => (told === undefined ? "not told" : `${told} ${unit}`);
const usd = (told: MicroUsd | undefined): string => (told === undefined ? "not known" : `${formatUsd(told)} USD`);

const least = (noun: string, unit: string, of: (offer: Offer) => number | undefined): Wish<number> => ({
  has: (offer, wanted) => atLeast(of(offer), wanted),
  miss: (offer, wanted) => `${noun}: ${shown(of(offer), unit)}, wanted ${wanted}`,
});
const most = (noun: string, of: (offer: Offer) => MicroUsd | undefined): Wish<MicroUsd> => ({
  has: (offer, wanted) => below(of(offer), wanted),
  miss: (offer, wanted) => `${noun}: ${usd(of(offer))}, at most ${formatUsd(wanted)}`,
});
const isOneOf = (names: readonly string[], ...told: readonly (string | undefined)[]): boolean =>
  told.some((each) => each !== undefined && names.some((name) => name.toLowerCase() === each.toLowerCase()));

const wishes: { readonly [K in keyof Filter]-?: Wish<NonNullable<Filter[K]>> } = {
  gpus: {
    has: ({ gpu }, names) => isOneOf(names, gpu.model, gpu.class, `${gpu.model} ${gpu.form ?? ""}`),
    miss: (offer, names) => `GPU: ${machineText(offer)}, wanted ${names.join(" or ")}`,
  },
  count: {
    has: ({ count }, wanted) => count === wanted,
    miss: ({ count }, wanted) => `GPUs: ${count}, wanted ${wanted}`,
  },
  least: least("GPUs", "GPUs", ({ count }) => count),
  vramGb: least("memory of a GPU", "GB", ({ gpu }) => gpu.vramGb),
  cpus: least("CPUs", "CPUs", ({ cpus }) => cpus),
  ramGb: least("memory", "GB", ({ ramGb }) => ramGb),
  diskGb: least("disk", "GB", ({ diskGb }) => diskGb),
  countries: {
    has: ({ country }, wanted) => isOneOf(wanted, country),
    miss: ({ country }, wanted) => `country: ${country ?? "not told"}, wanted ${wanted.join(" or ")}`,
  },
  region: {
    has: ({ region, dataCenter }, wanted) =>
      [region, dataCenter].some((each) => each?.toLowerCase().includes(wanted.toLowerCase())),
    miss: ({ region }, wanted) => `region: ${region ?? "not told"}, wanted ${wanted}`,
  },
  tier: {
    has: ({ tier }, wanted) => tier === wanted,
    miss: ({ tier }, wanted) => `tier: ${tier}, wanted ${wanted}`,
  },
  interconnect: {
    // One GPU needs none.
    has: ({ interconnect, count }, wanted) => count === 1 || interconnect === wanted,
    miss: ({ interconnect }, wanted) => `interconnect: ${interconnect ?? "not told"}, wanted ${wanted}`,
  },
  upMbps: least("uplink", "Mbit/s", ({ upMbps }) => upMbps),
  charge: {
    has: ({ price }, wanted) => price.charge === wanted,
    miss: ({ price }, wanted) => `${price.charge}, wanted ${wanted}`,
  },
  maxPerGpuHour: most("a GPU for an hour", perGpuHour),
  maxPerHour: most("the machine for an hour", ({ price }) => price.perHour),
  maxPerBillionTokens: most("10^9 tokens", usdPerBillionTokens),
  providers: {
    has: ({ provider, upstream }, wanted) => isOneOf(wanted, provider, upstream),
    miss: ({ provider }, wanted) => `provider: ${provider}, wanted ${wanted.join(" or ")}`,
  },
  without: {
    has: ({ provider, upstream }, unwanted) => !isOneOf(unwanted, provider, upstream),
    miss: ({ provider }) => `provider: ${provider}, not wanted`,
  },
  reliabilityPpm: {
    has: ({ reliabilityPpm }, wanted) => atLeast(reliabilityPpm, wanted),
    miss: ({ reliabilityPpm }, wanted) =>
      `reliability: ${reliabilityPpm === undefined ? "not told" : reliabilityPpm / 1e6}, wanted ${wanted / 1e6}`,
  },
};
const names = Object.keys(wishes) as (keyof Filter)[];

/** A wish that an offer has not, of one key: the table's types say that they fit. */
function missOf<K extends keyof Filter>(offer: Offer, filter: Filter, name: K): string | undefined {
  const wanted = filter[name];
  if (wanted === undefined) return undefined;
  const wish = wishes[name] as Wish<NonNullable<Filter[K]>>;
  return wish.has(offer, wanted) ? undefined : wish.miss(offer, wanted);
}

/** Why an offer is not what a filter looks for, the first reason; undefined where it is. */
export function whyNot(offer: Offer, filter: Filter): string | undefined {
  for (const name of names) {
    const miss = missOf(offer, filter, name);
    if (miss !== undefined) return miss;
  }
  return undefined;
}

/** What decides between offers: the price of a GPU's hour, or of a token. */
export type Order = "price" | "value";

export interface Ranked {
  readonly offer: Offer;
  /** Why it cannot win; undefined for what can be rented at its price. */
  readonly never: string | undefined;
}

const priceOf = (offer: Offer, order: Order): MicroUsd | undefined =>
  order === "price" ? perGpuHour(offer) : usdPerBillionTokens(offer);

/**
 * Offers of the first alternative that has one which can win; of the first that has any where none can. What can win stands first,
 * the cheapest at the top; what cannot stands behind whatever it costs, with its reason; ties are in the order of ids, so that the
 * same catalogue is always ranked the same.
 */
export function rank(offers: readonly Offer[], alternatives: readonly Filter[], order: Order, now: number): Ranked[] {
  let shownAnyway: Ranked[] = [];
  for (const filter of alternatives) {
    const keyed = offers
      .filter((offer) => whyNot(offer, filter) === undefined)
      .map((offer) => ({ offer, never: whyNever(offer, now), price: priceOf(offer, order) }))
      .toSorted(
        (a, b) =>
          Number(a.never !== undefined) - Number(b.never !== undefined) ||
          compare(a.price, b.price) ||
          (a.offer.id < b.offer.id ? -1 : 1),
      );
    const ranked = keyed.map(({ offer, never }) => ({ offer, never }));
    if (ranked[0] !== undefined && ranked[0].never === undefined) return ranked;
    if (shownAnyway.length === 0) shownAnyway = ranked;
  }
  return shownAnyway;
}

/** What has no price stands last. */
function compare(a: MicroUsd | undefined, b: MicroUsd | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  return b === undefined || a < b ? -1 : 1;
}
