/**
 * The catalogue of the GPU market: 5,000 offers of a seed, filtered and ranked by price and by tokens.
 *
 * Alone: npm run bench -- market
 */
import { presetOf } from "../../offchain/src/engine/index.ts";
import { rank } from "../../offchain/src/market/filters.ts";
import { planOf, trainingRunOf } from "../../offchain/src/market/planner/plan.ts";
import { manyOffers, NOW } from "../offchain/market/offers.ts";
import { type BenchOptions, median, type Row } from "./report.ts";
import { ownTime } from "./timed.ts";

const OFFERS = 5_000;
const GOAL_MS = 50;

/** Three alternatives, the last of which most offers fit: all three are gone through. */
const alternatives = [
  { gpus: ["H100 SXM", "H200"], count: 8, tier: "secure", countries: ["NO"] },
  { gpus: ["RTX 40", "RTX 50"], charge: "spot", maxPerGpuHour: 10_000n },
  { vramGb: 16, upMbps: 100, maxPerGpuHour: 4_000_000n },
] as const;

/** Milliseconds of processor time of the middle one of several rankings, after some that warm the engine up. */
function measured(order: "price" | "value", rounds: number): { ms: number; found: number } {
  const offers = manyOffers(OFFERS, "bench");
  let found = 0;
  const times = Array.from({ length: rounds + 5 }, () => {
    const begun = ownTime();
    found = rank(offers, alternatives, order, NOW).length;
    return ownTime() - begun;
  });
  return { ms: median(times.slice(5)), found };
}

/** Seconds of processor time of one plan of at most 128 GPUs. */
function planned(): { seconds: number; gpus: number } {
  const offers = manyOffers(OFFERS, "bench");
  const run = trainingRunOf(presetOf("150m").model, 65_536, 500);
  const hub = { inRate: 1.25e9, outRate: 1.25e9, reduceSeconds: 10, cost: 55 };
  const goal = { kind: "most tokens", budget: 5_000e6, deadline: 86_400 } as const;
  const begun = ownTime();
  const plan = planOf(offers, { run, hub, goal, mostGpus: 128 }, NOW, false);
  const seconds = (ownTime() - begun) / 1_000;
  return { seconds, gpus: "machines" in plan ? plan.machines.reduce((sum, { offer }) => sum + offer.count, 0) : 0 };
}

// oxlint-disable-next-line typescript/require-await -- as every section
export async function benchmarkMarket({ quick, note }: BenchOptions): Promise<Row[]> {
  note("market: 5,000 offers");
  const plan = planned();
  const ranked = (["price", "value"] as const).map((order): Row => {
    const { ms, found } = measured(order, quick ? 5 : 50);
    return {
      what: `5,000 offers through three alternatives, ranked by ${order === "price" ? "a GPU's hour" : "a token"} (${found} fit)`,
      goal: `< ${GOAL_MS} ms`,
      result: `${ms.toFixed(1)} ms of processor time`,
      met: ms < GOAL_MS,
    };
  });
  return [
    ...ranked,
    {
      what: `a plan of at most 128 GPUs out of 5,000 offers (it has ${plan.gpus})`,
      goal: "about 5 s",
      result: `${plan.seconds.toFixed(1)} s of processor time`,
      met: plan.seconds < 6,
    },
  ];
}
