/**
 * The catalogue of the GPU market: 5,000 offers of a seed, filtered and ranked by price and by tokens.
 *
 * Alone: npm run bench -- market
 */
import { rank } from "../../offchain/src/market/filters.ts";
import { manyOffers, NOW } from "../offchain/market/offers.ts";
import { type BenchOptions, median, type Row } from "./report.ts";

const OFFERS = 5_000;
const GOAL_MS = 50;

/** Three alternatives, the last of which most offers fit: all three are gone through. */
const alternatives = [
  { gpus: ["H100 SXM", "H200"], count: 8, tier: "secure", countries: ["NO"] },
  { gpus: ["RTX 40", "RTX 50"], charge: "spot", maxPerGpuHour: 10_000n },
  { vramGb: 16, upMbps: 100, maxPerGpuHour: 4_000_000n },
] as const;

/** Milliseconds of the middle one of several rankings, after some that warm the engine up. */
function measured(order: "price" | "value", rounds: number): { ms: number; found: number } {
  const offers = manyOffers(OFFERS, "bench");
  let found = 0;
  const times = Array.from({ length: rounds + 5 }, () => {
    const begun = performance.now();
    found = rank(offers, alternatives, order, NOW).length;
    return performance.now() - begun;
  });
  return { ms: median(times.slice(5)), found };
}

// oxlint-disable-next-line typescript/require-await -- as every section
export async function benchmarkMarket({ quick, note }: BenchOptions): Promise<Row[]> {
  note("market: 5,000 offers");
  return (["price", "value"] as const).map((order) => {
    const { ms, found } = measured(order, quick ? 5 : 50);
    return {
      what: `5,000 offers through three alternatives, ranked by ${order === "price" ? "a GPU's hour" : "a token"} (${found} fit)`,
      goal: `< ${GOAL_MS} ms`,
      result: `${ms.toFixed(1)} ms`,
      met: ms < GOAL_MS,
    };
  });
}
