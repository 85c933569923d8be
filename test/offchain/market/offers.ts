/** Offers of tests: one machine that fits everything, and what is changed of it. */
import { createRandom } from "../../../offchain/src/base/index.ts";
import { gpuModels, gpuOf } from "../../../offchain/src/market/gpus.ts";
import type { Offer } from "../../../offchain/src/market/offer.ts";

/** 29 November 2026. */
export const NOW = 1_795_910_400_000;

export function offerOf(change: Partial<Offer> & { readonly usd?: number } = {}): Offer {
  const { usd = 2, ...rest } = change;
  return {
    id: "vast:1",
    provider: "vast",
    providerId: "1",
    upstream: "vast",
    kind: "container",
    gpu: gpuOf("H100 SXM") ?? { model: "H100", known: true, class: "data centre", vramGb: 80 },
    count: 1,
    architecture: "x86_64",
    cpus: 32,
    ramGb: 256,
    diskGb: 1_000,
    country: "SE",
    region: "Gothenburg, SE",
    tier: "secure",
    interconnect: "nvlink",
    downMbps: 2_000,
    upMbps: 1_000,
    price: { charge: "on-demand", perHour: BigInt(Math.round(usd * 1e6)), firm: true },
    stock: "in stock",
    reliabilityPpm: 990_000,
    backstop: "scoped-key",
    granularitySeconds: 1,
    bootBilled: false,
    prepaid: false,
    observedAt: NOW,
    expiresAt: NOW + 300_000,
    source: "live",
    ...rest,
  };
}

/** So many offers of a seed, of all models, prices and places. */
export function manyOffers(count: number, seed: string): Offer[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const gpus = random.pick([1, 2, 4, 8]);
    return offerOf({
      id: `vast:${index}`,
      providerId: String(index),
      gpu: gpuOf(random.pick(gpuModels)) ?? offerOf().gpu,
      count: gpus,
      country: random.pick(["US", "SE", "DE", "CA", "FR"]),
      tier: random.pick(["secure", "community"]),
      price: {
        charge: random.pick(["spot", "on-demand"]),
        perHour: random.below(50) === 0 ? undefined : BigInt(gpus * (50_000 + random.below(4_000_000))),
        firm: true,
      },
      stock: random.pick(["in stock", "in stock", "low", "unknown", "none"]),
      upMbps: random.below(2_000),
    });
  });
}
