/**
 * Renting by the planner beside simpler policies, in simulated worlds whose machines are not what their listing says; named alone. What
 * comes of it does not depend on who else computes.
 *
 * Alone: npm run bench -- policies
 */
import { rangeIn, savedOf, simulatePolicies, type Told } from "../simulation/market/simulate.ts";
import { type BenchOptions, percent, type Row } from "./report.ts";

const SEEDS = 100;
const shown: readonly Told[] = ["per hour", "one provider", "secure", "planner", "oracle", "hindsight"];
const signed = (ratio: number): string => `${ratio < 1 ? "−" : "+"}${percent(Math.abs(ratio - 1))}`;

// oxlint-disable-next-line typescript/require-await -- as every section
export async function benchmarkPolicies({ quick, note }: BenchOptions): Promise<Row[]> {
  const seeds = quick ? 10 : SEEDS;
  const { cells, infeasible } = simulatePolicies(seeds, note);
  const rows = cells.map((cell): Row => {
    const all = shown.map((policy) => {
      const [p10, p50, p90] = rangeIn(cell, policy);
      return `${policy} ${signed(p50)} (${signed(p10)} to ${signed(p90)}), late ${percent(cell.missed.get(policy) ?? 0)}`;
    });
    const flop = percent(cell.missed.get("per FLOP") ?? 0);
    return {
      what: `${cell.name}: cost beside the cheapest per FLOP (late ${flop}), of ${seeds} worlds the middle one (a tenth to nine tenths)`,
      result: all.join("; "),
    };
  });
  const worst = Math.max(...cells.map((cell) => rangeIn(cell, "planner")[1] / rangeIn(cell, "per hour")[1]));
  const { share, planner, oracle } = savedOf(cells);
  return [
    ...rows,
    ...infeasible.map((why): Row => ({ what: why, result: "–" })),
    {
      what: "the planner beside the cheapest per hour, in the worst cell",
      goal: "no more than +2%",
      result: signed(worst),
      met: worst <= 1.02,
    },
    {
      what: "of what the informed oracle saves over the cheapest per FLOP, in cells where that is more than 5%",
      goal: "80%",
      result: Number.isNaN(share)
        ? "there is no such cell"
        : `${percent(share)} (${percent(planner)} of ${percent(oracle)} in the mean)`,
      met: share >= 0.8,
    },
  ];
}
