/**
 * Renting by the planner beside simpler policies, in simulated worlds whose machines are not what their listing says; named alone. What
 * comes of it does not depend on who else computes.
 *
 * Alone: npm run bench -- policies
 * Of catalogues in files: npm run bench -- policies --catalogue=FILE,FILE
 * The planner without what it knows: npm run bench -- ablation
 * Each with --worlds=N of each cell, where 100 take too long.
 */
import { marketsOf, readCatalogues } from "../simulation/market/catalogue.ts";
import { ablated } from "../simulation/market/policies.ts";
import { type Cell, rangeIn, savedOf, simulatePolicies, type Told } from "../simulation/market/simulate.ts";
import { type BenchOptions, percent, type Row } from "./report.ts";

const SEEDS = 100;
const shown: readonly Told[] = [
  "per hour",
  "one provider",
  "secure",
  "planner",
  "plans again",
  "told later",
  "oracle",
  "hindsight",
];
const signed = (ratio: number): string => `${ratio < 1 ? "−" : "+"}${percent(Math.abs(ratio - 1))}`;
const seedsOf = ({ quick, worlds }: BenchOptions): number => worlds ?? (quick ? 10 : SEEDS);

/** What each policy comes to in a cell, beside the cheapest per FLOP. */
function rowOf(cell: Cell, policies: readonly Told[]): Row {
  const all = policies.map((policy) => {
    const [p10, p50, p90] = rangeIn(cell, policy);
    return `${policy} ${signed(p50)} (${signed(p10)} to ${signed(p90)}), late ${percent(cell.missed.get(policy) ?? 0)}`;
  });
  const flop = percent(cell.missed.get("per FLOP") ?? 0);
  return {
    what: `${cell.name}: cost beside the cheapest per FLOP (late ${flop}), of ${cell.worlds} worlds the middle one (a tenth to nine tenths)`,
    result: all.join("; "),
  };
}

/** What the goal is about: the planner that plans again; the others stand beside it. */
function shareRow(cells: readonly Cell[], policy: Told): Row {
  const { share, policy: saved, oracle } = savedOf(cells, policy);
  return {
    what: `${policy}: of what the informed oracle saves over the cheapest per FLOP, in cells where that is more than 5%`,
    result: Number.isNaN(share)
      ? "there is no such cell"
      : `${percent(share)} (${percent(saved)} of ${percent(oracle)} in the mean)`,
    ...(policy === "plans again" && { goal: "80%", met: share >= 0.8 }),
  };
}

export async function benchmarkPolicies(options: BenchOptions): Promise<Row[]> {
  const seeds = seedsOf(options);
  const { note, catalogues = [] } = options;
  const offers = await readCatalogues(catalogues);
  const simulation = { seeds, note, ...(catalogues.length > 0 && { marketOf: marketsOf(offers) }) };
  const { cells, infeasible } = simulatePolicies(simulation);
  const worst = Math.max(...cells.map((cell) => rangeIn(cell, "plans again")[1] / rangeIn(cell, "per hour")[1]));
  return [
    ...(catalogues.length > 0 ? [{ what: "offers of the catalogues", result: String(offers.length) }] : []),
    ...cells.map((cell) => rowOf(cell, shown)),
    ...infeasible.map((why): Row => ({ what: why, result: "–" })),
    {
      what: "the planner that plans again beside the cheapest per hour, in the worst cell",
      goal: "no more than +2%",
      result: signed(worst),
      met: worst <= 1.02,
    },
    ...(["planner", "plans again", "told later"] as const).map((policy) => shareRow(cells, policy)),
  ];
}

/** The planner without one thing that it knows at a time, on the synthetic market alone. */
// oxlint-disable-next-line typescript/require-await -- as every section
export async function benchmarkAblation(options: BenchOptions): Promise<Row[]> {
  const seeds = seedsOf(options);
  const { cells, infeasible } = simulatePolicies({ seeds, note: options.note, ablation: true });
  return [
    ...cells.map((cell) => rowOf(cell, ["planner", ...ablated])),
    ...infeasible.map((why): Row => ({ what: why, result: "–" })),
  ];
}
