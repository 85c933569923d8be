/** Ranges of plans: draws against the model's mean, limits that hold in nine draws of ten, and kinds of clusters. */
import { describe, expect, test } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { presetOf } from "../../../offchain/src/engine/index.ts";
import type { Offer } from "../../../offchain/src/market/offer.ts";
import { drawsOf, quantile, rangedOf } from "../../../offchain/src/market/planner/draws.ts";
import type { Machine } from "../../../offchain/src/market/planner/model.ts";
import { modeNames, modes } from "../../../offchain/src/market/planner/modes.ts";
import { type Plan, planOf, trainingRunOf } from "../../../offchain/src/market/planner/plan.ts";
import { finalistsOf, type Goal, outcomeOf, type Task } from "../../../offchain/src/market/planner/search.ts";
import { machine as steady } from "./machine.ts";
import { manyOffers, NOW, offerOf } from "./offers.ts";

const run = trainingRunOf(presetOf("150m").model, 65_536, 100);
const hub = { inRate: 1.25e9, outRate: 1.25e9, reduceSeconds: 5, cost: 50 };
const machine = { ...steady, speed: 200_000 };
const restless = { ...machine, deathRate: 1 / 20_000, missing: 0.1, bootSpread: 0.5, priceSpread: 0.15 };
const taskOf = (goal: Goal): Task => ({ run, hub, goal, mostGpus: 16 });
const day = (machines: readonly Machine[], seed?: string) => {
  const task = taskOf({ kind: "most tokens", budget: Infinity, deadline: 86_400 });
  const outcome = outcomeOf(machines, task);
  if (outcome === undefined) throw new RangeError("no cluster");
  const { draws } = drawsOf(outcome, task, 86_400, seed === undefined ? {} : { seed });
  const last = (of: "tokens" | "cost"): number[] => draws.map((sums) => sums[of].at(-1) ?? 0);
  return { outcome, tokens: last("tokens"), cost: last("cost") };
};
/** What it costs in the mean, changed in something. */
const paid = (change: Partial<Machine>): number => mean(day([{ ...restless, ...change }]).cost);
const share = (values: readonly number[], most: number) => values.filter((each) => each <= most).length / 1_000;
const mean = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length;

describe("draws", () => {
  test("of a machine that never dies are all what the model says", () => {
    const { outcome, tokens, cost } = day([machine]);
    expect(new Set(tokens).size).toBe(1);
    expect((tokens[0] ?? 0) / outcome.tokens).toBeCloseTo(1, 9);
    expect((cost[0] ?? 0) / outcome.cost).toBeCloseTo(1, 6);
  });

  test("of machines that die have the model's mean, and spread around it", () => {
    const { outcome, tokens, cost } = day([restless, { ...restless, id: "b" }]);
    // The model counts a lease that the end cuts off as a whole cycle.
    expect(Math.abs(mean(tokens) / outcome.tokens - 1)).toBeLessThan(0.05);
    expect(Math.abs(mean(cost) / outcome.cost - 1)).toBeLessThan(0.05);
    expect(new Set(tokens).size).toBeGreaterThan(100);
  });

  test("are the same for the same machines, and others for another seed", () => {
    expect(day([restless])).toEqual(day([restless]));
    expect(day([restless], "other").tokens).not.toEqual(day([restless]).tokens);
  });

  test("pay whole terms for every lease, and boots where they are billed", () => {
    expect(paid({ granularity: 3_600 })).toBeGreaterThan(1.05 * paid({}));
    expect(paid({ minTerm: 43_200 })).toBeGreaterThan(1.5 * paid({}));
    expect(paid({ bootBilled: true })).toBeGreaterThan(1.01 * paid({}));
  });

  test("of offers that end are leases one after the other", () => {
    const ends = { ...machine, ends: 7_200 };
    const { tokens } = day([ends]);
    const { tokens: all } = day([machine]);
    const boot = 120 + run.startBytes / 1.25e8;
    expect(Math.abs((tokens[0] ?? 0) / (all[0] ?? 1) - (7_200 - boot) / 7_260)).toBeLessThan(0.03);
  });

  test("have ranges by rank", () => {
    const values = Array.from({ length: 1_000 }, (_, index) => index + 1);
    expect([quantile(values, 0.1), quantile(values, 0.5), quantile(values, 0.9)]).toEqual([100, 500, 900]);
    expect(quantile([7], 0.1)).toBe(7);
  });
});

describe("a cluster keeps to", () => {
  const machines = ["a", "b", "c"].map((id) => ({ ...restless, id }));

  test("a budget in nine draws of ten, by other draws too", () => {
    const budget = 60e6;
    const task = taskOf({ kind: "most tokens", budget, deadline: 86_400 });
    const outcome = outcomeOf(machines, task);
    const ranged = outcome && rangedOf(outcome, task);
    expect(ranged?.ranges.cost.p90).toBeLessThanOrEqual(budget);
    expect(ranged?.ranges.sure).toBeGreaterThanOrEqual(0.9);
    expect(ranged?.seconds).toBeLessThan(outcome?.seconds ?? 0);
    const { draws } = drawsOf(ranged!, task, ranged!.seconds, { seed: "other" });
    const cost = draws.map((sums) => sums.cost.at(-1) ?? 0);
    expect(share(cost, budget)).toBeGreaterThan(0.86);
    // The mean alone would miss it every other time.
    const { draws: late } = drawsOf(outcome!, task, outcome!.seconds, { seed: "other" });
    expect(
      share(
        late.map((sums) => sums.cost.at(-1) ?? 0),
        budget,
      ),
    ).toBeLessThan(0.8);
  });

  test("a deadline in nine draws of ten, or is none", () => {
    const tokens =
      0.998 * (outcomeOf(machines, taskOf({ kind: "most tokens", budget: 1e12, deadline: 86_400 }))?.tokens ?? 0);
    const goal = { kind: "least cost", tokens, deadline: 86_400 } as const;
    const outcome = outcomeOf(machines, taskOf(goal));
    expect(outcome?.seconds).toBeLessThan(86_400);
    expect(outcome && rangedOf(outcome, taskOf(goal))).toBeUndefined();
    const later = taskOf({ ...goal, deadline: 110_000 });
    const ranged = rangedOf(outcomeOf(machines, later)!, later);
    expect(ranged?.ranges.sure).toBeGreaterThanOrEqual(0.9);
    expect(ranged?.ranges.seconds.p90).toBeLessThanOrEqual(110_000);
    expect(ranged?.ranges.tokens).toEqual({ p10: tokens, p50: tokens, p90: tokens });
  });

  test("its money alone: what differs is how long it lasts", () => {
    const task = taskOf({ kind: "budget", budget: 100e6, valueOfTime: 278 });
    const outcome = outcomeOf(machines, task);
    const { ranges } = rangedOf(outcome!, task) ?? {};
    expect(ranges?.cost).toEqual({ p10: 100e6, p50: 100e6, p90: 100e6 });
    expect(ranges?.seconds.p10).toBeLessThan(ranges?.seconds.p90 ?? 0);
    expect(Math.abs((ranges?.seconds.p50 ?? 0) / (outcome?.seconds ?? 1) - 1)).toBeLessThan(0.05);
  });
});

/** A market of several clouds. */
const market = (seed: string): Offer[] => {
  const random = createRandom(seed);
  return manyOffers(300, seed).map((offer) => ({
    ...offer,
    upstream: random.pick(["east", "north", "south", "west"]),
    interconnect: random.pick(["nvlink", "pcie"]),
    upMbps: 200 + (offer.upMbps ?? 0),
  }));
};
const goals: readonly Goal[] = [
  { kind: "budget", budget: 300e6, valueOfTime: 278 },
  { kind: "most tokens", budget: 400e6, deadline: 86_400 },
  { kind: "least cost", tokens: 3e10, deadline: 172_800 },
];
function planned(offers: readonly Offer[], task: Task): Plan {
  const plan = planOf(offers, task, NOW, false);
  if (!("outcome" in plan)) throw new RangeError([...new Set(plan.values())].join("; "));
  return plan;
}
const gpusOf = (offers: readonly Offer[]): number => offers.reduce((sum, { count }) => sum + count, 0);

describe("a plan", () => {
  test.each(goals)("by $kind keeps to its limits in nine draws of ten", (goal) => {
    const { outcome } = planned(market(goal.kind), { ...taskOf(goal), mostGpus: 64 });
    const { ranges } = outcome;
    expect(ranges.sure).toBeGreaterThanOrEqual(0.9);
    const { budget = Infinity, deadline = Infinity }: { budget?: number; deadline?: number } = goal;
    expect(ranges.cost.p90).toBeLessThanOrEqual(budget);
    expect(ranges.seconds.p90).toBeLessThanOrEqual(deadline);
    for (const range of [ranges.seconds, ranges.tokens, ranges.cost]) {
      expect(range.p10).toBeLessThanOrEqual(range.p50);
      expect(range.p50).toBeLessThanOrEqual(range.p90);
    }
  });

  test("is of more than the mean where the mean alone would come too late", () => {
    const offers = Array.from({ length: 8 }, (_, index) =>
      offerOf({ id: `vast:${index}`, price: { charge: "spot", perHour: 2_000_000n, firm: true } }),
    );
    const one = planned(offers.slice(0, 1), taskOf({ kind: "most tokens", budget: 1e12, deadline: 86_400 }));
    const goal = { kind: "least cost", tokens: 0.999 * one.outcome.tokens, deadline: 86_400 } as const;
    expect(planned(offers, taskOf(goal)).machines.length).toBeGreaterThan(1);
    // With that machine alone there is none, and it is said why.
    expect([...(planOf(offers.slice(0, 1), taskOf(goal), NOW, false) as ReadonlyMap<string, string>).values()]).toEqual(
      ["no cluster keeps to the deadline in nine draws of ten"],
    );
  });

  test("says of every offer that it is in it, or why not", () => {
    const offers = market("every");
    for (const mode of modeNames) {
      const { machines, skipped } = planned(offers, { ...taskOf(goals[1]!), mode, mostGpus: 32 });
      const taken = machines.map(({ offer }) => offer.id);
      expect([...taken, ...skipped.keys()].toSorted()).toEqual(offers.map(({ id }) => id).toSorted());
    }
  });
});

/** What a mode finds in a market of a seed. */
const found = (mode: NonNullable<Task["mode"]>, seed = "modes") => {
  const { machines, outcome, skipped } = planned(market(seed), { ...taskOf(goals[1]!), mode, mostGpus: 32 });
  return { offers: machines.map(({ offer }) => offer), outcome, skipped: [...skipped.values()] };
};

describe("a cluster of the mode", () => {
  test("price has the cheapest GPUs by the hour, which train less for the money", () => {
    const { offers, outcome, skipped } = found("price");
    const dearest = (mode: "price" | "value") =>
      Math.max(...found(mode).offers.map(({ price, count }) => Number(price.perHour) / count));
    expect(dearest("price")).toBeLessThan(dearest("value"));
    expect(outcome.tokens).toBeLessThan(found("value").outcome.tokens);
    expect(skipped).toContain("an hour of its GPUs costs more than those of the plan");
    expect(offers.length).toBeGreaterThan(0);
  });

  test("secure has audited data centres alone", () => {
    const { offers, skipped } = found("secure");
    expect(new Set(offers.map(({ tier }) => tier))).toEqual(new Set(["secure"]));
    expect(skipped).toContain("tier: community, and the mode is secure");
  });

  test("fabric is of one cloud, of machines with NVLink between their GPUs", () => {
    const { offers, skipped } = found("fabric");
    expect(new Set(offers.map(({ upstream }) => upstream)).size).toBe(1);
    expect(offers.every(({ interconnect, count }) => interconnect === "nvlink" && count > 1)).toBe(true);
    expect(skipped).toContain("one GPU, and the mode is fabric");
    expect(skipped).toContain("interconnect: pcie, and the mode is fabric");
    expect(skipped.some((why) => why.endsWith("and the mode is fabric, of one cloud alone"))).toBe(true);
  });

  test("loose has eight GPUs at the least, no more than half of them of one cloud", () => {
    for (const seed of ["modes", "b", "c"]) {
      const { offers } = found("loose", seed);
      const all = gpusOf(offers);
      expect(all).toBeGreaterThanOrEqual(8);
      for (const same of Map.groupBy(offers, ({ upstream }) => upstream).values())
        expect(gpusOf(same)).toBeLessThanOrEqual(all / 2);
    }
  });

  test("loose is none of one cloud alone, and says so", () => {
    const offers = market("modes").map((offer) => ({ ...offer, upstream: "east" }));
    const none = planOf(offers, { ...taskOf(goals[1]!), mode: "loose" }, NOW, false);
    expect([...(none as ReadonlyMap<string, string>).values()]).toContain("no loose cluster of eight GPUs can be made");
    expect(modes.loose.allows([])).toBe(false);
  });

  test("value is never worse than any other", () => {
    const best = found("value").outcome.score;
    for (const mode of modeNames) expect(found(mode).outcome.score).toBeGreaterThanOrEqual(best * 1.02);
    expect(finalistsOf([], taskOf(goals[1]!))).toEqual([]);
  });
});
