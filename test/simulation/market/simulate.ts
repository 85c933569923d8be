/**
 * What renting by each policy comes to in worlds that no policy knows: the cost of a run's tokens, and whether they are there by the deadline.
 * The policies plan on the listing, and one of them again after measuring; the oracle searches as the planner does and is told what the machines really are; the other oracle is
 * told the luck of each world too, and takes the best of all that anybody chose.
 */
import { presetOf } from "../../../offchain/src/engine/index.ts";
import { quantile } from "../../../offchain/src/market/planner/draws.ts";
import type { Offer } from "../../../offchain/src/market/offer.ts";
import { assumptions, machineOf } from "../../../offchain/src/market/planner/machines.ts";
import { trainingRunOf } from "../../../offchain/src/market/planner/plan.ts";
import type { Task } from "../../../offchain/src/market/planner/search.ts";
import { NOW } from "../../offchain/market/offers.ts";
import { Play } from "./playing.ts";
import { playAgain } from "./replanning.ts";
import { ablated, type Believed, chosenBy, type PolicyName, policyNames } from "./policies.ts";
import { marketOf as syntheticMarket, trueMachine } from "./world.ts";

const HOUR = 3_600;
/** Model, effective tokens, deadline in hours. */
const runs = [
  ["150m", 1e10, 24],
  ["1b", 2e10, 72],
  ["10b", 2e10, 240],
] as const;
/** GB of memory of one GPU, at the least. */
const floors = [8, 16, 24, 40, 80] as const;
const OFFERS = 80;
const MOST_GPUS = 32;
/** Worlds of one market. */
const WORLDS = 5;
/** Tokens of a worker's batch. */
const BATCH = 32_768;
const hub = { inRate: 1.25e9, outRate: 1.25e9, reduceSeconds: 10, cost: 200_000 / HOUR };

export type Told = PolicyName | "plans again" | "told later" | "oracle" | "hindsight";

/** What is simulated. */
interface Simulation {
  /** Worlds of each cell. */
  readonly seeds: number;
  readonly note: (line: string) => void;
  /** Offers of a market by its seed; default the synthetic ones. */
  readonly marketOf?: (seed: string, count: number) => readonly Offer[];
  /** Whether the planner without each of the things that it knows stands beside it, in the place of other policies. */
  readonly ablation?: boolean;
  /** Cells alone, as `150m, 8 GB`; default all. */
  readonly only?: readonly string[];
  /** Before the seeds of markets and worlds: others than those that are published, to try rules on. */
  readonly prefix?: string;
}

/** What came of a cluster in a world. */
interface Played {
  /** µUSD until the tokens were trained. */
  readonly cost: number;
  readonly isLate: boolean;
}

export interface Cell {
  readonly name: string;
  /** Worlds of markets that the planner has a plan on. */
  readonly worlds: number;
  /** By policy: of each world the cost as a multiple of what the cheapest per FLOP paid there. */
  readonly ratios: ReadonlyMap<Told, readonly number[]>;
  /** By policy: share of worlds in which it was late, or found no plan. */
  readonly missed: ReadonlyMap<Told, number>;
}

type Goal = Extract<Task["goal"], { readonly kind: "least cost" }>;

interface World {
  readonly market: readonly Believed[];
  readonly task: Task;
  readonly goal: Goal;
  readonly seed: string;
}

/** Policies that plan again, each with whether it is told what all machines are. */
const again = { "plans again": false, "told later": true } as const;

/** Where the planner stands beside itself without what it knows, nobody plans again. */
const isAblated = (choices: ReadonlyMap<PolicyName, unknown>): boolean => choices.has(ablated[0]);

/** What each comes to in a world. @param choices what the policies chose from the listing */
function inWorld({ market, task, goal, seed }: World, choices: ReadonlyMap<PolicyName, readonly string[] | undefined>) {
  const real = market.map(({ machine, offer }) => ({ offer, machine: trueMachine(machine, offer, seed) }));
  const byId = new Map(real.map(({ machine }) => [machine.id, machine]));
  const play = (ids: readonly string[] | undefined, on?: (playing: Play) => void): Played | undefined => {
    if (ids === undefined) return undefined;
    const playing = new Play(task, seed, 2 * goal.deadline);
    playing.rent(
      ids.flatMap((id) => byId.get(id) ?? []),
      0,
    );
    on?.(playing);
    const seconds = playing.reaches(goal.tokens);
    if (!Number.isFinite(seconds)) return undefined;
    return { cost: playing.costUntil(seconds), isLate: seconds > goal.deadline };
  };
  const found = new Map<Told, Played | undefined>([...choices].map(([name, ids]) => [name, play(ids)]));
  for (const [name, told] of isAblated(choices) ? [] : Object.entries(again)) {
    const known = { believed: market, real, task, goal, seed };
    found.set(
      name as keyof typeof again,
      play(choices.get("planner"), (playing) => playAgain(playing, known, told)),
    );
  }
  found.set("oracle", play(chosenBy("planner", real, task)));
  const inTime = [...found.values()].filter((each) => each?.isLate === false);
  const [best] = inTime.toSorted((a, b) => (a?.cost ?? 0) - (b?.cost ?? 0));
  return found.set("hindsight", best);
}

/** A cell: a model on GPUs with so much memory, over markets and worlds; in words why there is none. */
function cellOf([preset, tokens, hours]: (typeof runs)[number], floor: number, simulation: Simulation): Cell | string {
  const { seeds, marketOf = syntheticMarket, prefix = "" } = simulation;
  const names: readonly PolicyName[] = simulation.ablation === true ? ["per FLOP", "planner", ...ablated] : policyNames;
  const told: readonly Told[] = [...names, "plans again", "told later", "oracle", "hindsight"];
  const run = trainingRunOf(presetOf(preset).model, BATCH, 500);
  const goal = { kind: "least cost", tokens, deadline: hours * HOUR } as const;
  const task: Task = { run, hub, goal, mostGpus: MOST_GPUS };
  const cell = `${preset}, ${floor} GB`;
  const { gpuBytes, activations } = assumptions;
  const needed = Math.ceil((gpuBytes * run.parameters + activations) / 1e9);
  const name = needed > floor ? `${cell} (the run needs ${needed})` : cell;
  const ratios = new Map<Told, number[]>(told.map((each) => [each, []]));
  const late = new Map<Told, number>(told.map((each) => [each, 0]));
  let worlds = 0;
  for (let index = 0; index < seeds; index += WORLDS) {
    const market = marketOf(`${prefix}${index / WORLDS}`, OFFERS)
      .filter(({ gpu }) => gpu.vramGb >= floor)
      .flatMap((offer): Believed[] => {
        const machine = machineOf(offer, run, { now: NOW, sample: false });
        return typeof machine === "string" ? [] : [{ machine, offer }];
      });
    const choices = new Map(names.map((policy) => [policy, chosenBy(policy, market, task)]));
    if (choices.get("planner") === undefined) continue;
    for (let world = 0; world < Math.min(WORLDS, seeds - index); world++) {
      const found = inWorld({ market, task, goal, seed: `${prefix}${cell} ${index + world}` }, choices);
      const due = found.get("per FLOP")?.cost;
      worlds += 1;
      for (const [policy, outcome] of found) {
        if (outcome === undefined || outcome.isLate) late.set(policy, (late.get(policy) ?? 0) + 1);
        if (outcome !== undefined && due !== undefined) ratios.get(policy)?.push(outcome.cost / due);
      }
    }
  }
  if (worlds === 0) return `${name}: no plan meets the deadline on any of these markets`;
  return { name, worlds, ratios, missed: new Map([...late].map(([policy, count]) => [policy, count / worlds])) };
}

/** All cells, and those that there are none of. */
export function simulatePolicies(simulation: Simulation) {
  const cells: Cell[] = [];
  const infeasible: string[] = [];
  for (const run of runs)
    for (const floor of floors) {
      if (simulation.only?.includes(`${run[0]}, ${floor} GB`) === false) continue;
      simulation.note(`policies: ${run[0]}, ${floor} GB`);
      const cell = cellOf(run, floor, simulation);
      if (typeof cell === "string") infeasible.push(cell);
      else cells.push(cell);
    }
  return { cells, infeasible };
}

/** p10, p50 and p90 of a policy's ratios in a cell. */
export function rangeIn({ ratios }: Cell, policy: Told): readonly [p10: number, p50: number, p90: number] {
  const sorted = (ratios.get(policy) ?? []).toSorted((a, b) => a - b);
  return [quantile(sorted, 0.1), quantile(sorted, 0.5), quantile(sorted, 0.9)];
}

/** What a policy saves of what the oracle saves over the cheapest per FLOP, over cells where that is more than 5%; and both. */
export function savedOf(
  cells: readonly Cell[],
  policy: Told,
): {
  readonly share: number;
  readonly policy: number;
  readonly oracle: number;
} {
  const saved = (cell: Cell, by: Told): number => 1 - rangeIn(cell, by)[1];
  const counted = cells.filter((cell) => saved(cell, "oracle") > 0.05);
  const sum = (by: Told): number => counted.reduce((all, cell) => all + saved(cell, by), 0);
  const [found, oracle] = [sum(policy), sum("oracle")];
  return { share: found / oracle, policy: found / counted.length, oracle: oracle / counted.length };
}
