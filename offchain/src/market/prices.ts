/** What GPUs cost beside each other: of each model the cheapest on every road to it. */
import type { Ranked } from "./filters.ts";
import { gpuText, type Offer, perGpuHour } from "./offer.ts";

/** What tells the roads apart: how a machine is charged and kept, or who lets it. */
export type Road = "tier" | "provider";

/** One GPU model, of one memory. */
interface GpuPrices {
  /** `H100 SXM 80 GB`. */
  readonly gpu: string;
  /** The cheapest offer on each road that has one. */
  readonly roads: ReadonlyMap<string, Offer>;
  /** The cheapest of them, and the dearest. */
  readonly cheapest: Offer;
  readonly dearest: Offer;
}

export interface PriceComparison {
  /** Roads that any model has: by tier in a fixed order, by provider in that of their names. */
  readonly roads: readonly string[];
  /** The cheapest model first; of two alike the one whose name is first. */
  readonly rows: readonly GpuPrices[];
}

const tiers = ["community", "secure", "tier unknown", "spot"];
const tierOf = ({ tier, price }: Offer): string => {
  if (price.charge === "spot") return "spot";
  return tier === "unknown" ? "tier unknown" : tier;
};

/** Whether a GPU's hour is cheaper; ties by id, so that the same catalogue is always compared the same. */
const cheaper = (a: Offer, b: Offer): boolean => {
  const [x = 0n, y = 0n] = [perGpuHour(a), perGpuHour(b)];
  return x === y ? a.id < b.id : x < y;
};
const least = (offers: readonly Offer[]): Offer => offers.reduce((best, each) => (cheaper(each, best) ? each : best));
const most = (offers: readonly Offer[]): Offer => offers.reduce((worst, each) => (cheaper(worst, each) ? each : worst));

/**
 * Prices of a GPU for an hour, compared within each model.
 * @param ranked what fits ({@link Ranked}); what cannot be rented counts only where nothing can
 */
export function comparePrices(ranked: readonly Ranked[], by: Road): PriceComparison {
  const anyWins = ranked.some(({ never }) => never === undefined);
  const counted = ranked
    .filter(({ offer, never }) => (never === undefined || !anyWins) && offer.price.perHour !== undefined)
    .map(({ offer }) => offer);
  const roadOf = by === "tier" ? tierOf : ({ provider }: Offer) => provider;
  const rows = [...Map.groupBy(counted, ({ gpu }) => gpuText(gpu))].map(([gpu, offers]): GpuPrices => {
    const roads = new Map([...Map.groupBy(offers, roadOf)].map(([road, all]) => [road, least(all)]));
    return { gpu, roads, cheapest: least([...roads.values()]), dearest: most([...roads.values()]) };
  });
  const found = new Set(rows.flatMap(({ roads }) => [...roads.keys()]));
  return {
    roads: by === "tier" ? tiers.filter((tier) => found.has(tier)) : [...found].toSorted(),
    rows: rows.toSorted((a, b) => (cheaper(a.cheapest, b.cheapest) ? -1 : 1)),
  };
}
