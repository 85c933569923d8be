/**
 * The best cluster of many machines. A round waits for the slowest link, so that plain greed is wrong: for a few cut-offs of the
 * link machines are added by what a token costs on them alone, and what comes of it is improved by swaps.
 */
import { type Cluster, clusterOf, exchangeSeconds, type Hub, type Machine, type TrainingRun } from "./model.ts";
import { type Kind, rulesOf } from "./modes.ts";

/** What is given; µUSD, seconds, effective tokens. */
export type Goal =
  | { readonly kind: "budget"; readonly budget: number; readonly valueOfTime: number }
  | { readonly kind: "most tokens"; readonly budget: number; readonly deadline: number }
  | { readonly kind: "least cost"; readonly tokens: number; readonly deadline: number };

/** A cluster and what it comes to. */
export interface Outcome {
  readonly cluster: Cluster;
  readonly seconds: number;
  readonly tokens: number;
  /** µUSD. */
  readonly cost: number;
  /** The lower the better. */
  readonly score: number;
}

export interface Task {
  readonly run: TrainingRun;
  readonly hub: Hub;
  readonly goal: Goal;
  /** GPUs at the most. */
  readonly mostGpus: number;
  /** Default `value`. */
  readonly mode?: Kind;
}

const LONGEST = 30 * 86_400;
const CUTS = 32;
/** Beginnings that are improved, the best first. */
const STARTS = 4;
/** Markets of which every machine may be swapped in, beyond the cut-off too. */
const SMALL = 64;
const ROUNDS = 20;

/** Seconds of the run, by what the cluster does and costs. */
function secondsOf({ rate, cost }: Cluster, goal: Goal): number {
  if (goal.kind === "least cost") return goal.tokens / rate;
  return goal.kind === "budget" ? goal.budget / cost : Math.min(goal.deadline, goal.budget / cost);
}

function scoreOf({ rate, cost }: Cluster, seconds: number, goal: Goal): number {
  if (goal.kind === "budget") return (cost + goal.valueOfTime) / rate;
  if (goal.kind === "most tokens") return -rate * seconds;
  return seconds > goal.deadline * (1 + 1e-9) ? Infinity : cost * seconds;
}

/** What machines come to; undefined where none can take part. The length of the run and its cost follow from each other. */
export function outcomeOf(machines: readonly Machine[], { run, hub, goal }: Task): Outcome | undefined {
  let horizon = goal.kind === "budget" ? LONGEST : goal.deadline;
  for (let round = 0; ; round++) {
    const cluster = clusterOf(machines, run, hub, horizon);
    if (cluster === undefined) return undefined;
    const seconds = secondsOf(cluster, goal);
    const settled = Math.abs(seconds - horizon) <= 0.01 * horizon;
    if (settled || round === ROUNDS)
      return {
        cluster,
        seconds,
        tokens: cluster.rate * seconds,
        cost: cluster.cost * seconds,
        score: scoreOf(cluster, seconds, goal),
      };
    horizon = Math.max(seconds, 1);
  }
}

const isBetter = (one: Outcome | undefined, than: Outcome | undefined): one is Outcome =>
  one !== undefined && (than === undefined || one.score < than.score);

/** What a set comes to, if the mode allows it and what can take part of it. */
function tried(machines: readonly Machine[], task: Task): Outcome | undefined {
  const { allows } = rulesOf(task.mode);
  if (!allows(machines)) return undefined;
  const outcome = outcomeOf(machines, task);
  return outcome !== undefined && allows(outcome.cluster.members.map(({ machine }) => machine)) ? outcome : undefined;
}

/** The best beginning of a list. */
function bestPrefix(sorted: readonly Machine[], task: Task): { chosen: Machine[]; outcome: Outcome | undefined } {
  let best: { chosen: Machine[]; outcome: Outcome | undefined } = { chosen: [], outcome: undefined };
  const chosen: Machine[] = [];
  let gpus = 0;
  for (const machine of sorted) {
    if (gpus + machine.gpus > task.mostGpus) continue;
    chosen.push(machine);
    gpus += machine.gpus;
    const outcome = tried(chosen, task);
    if (isBetter(outcome, best.outcome)) best = { chosen: [...chosen], outcome };
    if (gpus === task.mostGpus) break;
  }
  return best;
}

/** Sets that differ from one by a machine less, more, or another, in a fixed order. */
function* neighbours(chosen: readonly Machine[], others: readonly Machine[]): Generator<Machine[]> {
  for (const gone of chosen) yield chosen.filter((each) => each !== gone);
  for (const added of others) yield [...chosen, added];
  for (const added of others) for (const gone of chosen) yield [...chosen.filter((each) => each !== gone), added];
  // One for two: where GPUs or the budget are used up.
  for (const [index, first] of others.entries())
    for (const second of others.slice(index + 1))
      for (const gone of chosen) yield [...chosen.filter((each) => each !== gone), first, second];
}

const gpusOf = (machines: readonly Machine[]): number => machines.reduce((sum, { gpus }) => sum + gpus, 0);

/** Improves a set as long as some neighbour is better, for so many tries. */
function improved(start: readonly Machine[], pool: readonly Machine[], task: Task, tries: number): Outcome | undefined {
  let chosen = [...start];
  let outcome = tried(chosen, task);
  let left = tries;
  for (let found = true; found && left > 0;) {
    found = false;
    const others = pool.filter((each) => !chosen.includes(each)).slice(0, SMALL);
    for (const next of neighbours(chosen, others)) {
      if (left-- <= 0) break;
      if (gpusOf(next) > task.mostGpus) continue;
      const other = tried(next, task);
      if (!isBetter(other, outcome)) continue;
      [chosen, outcome, found] = [next, other, true];
      break;
    }
  }
  return outcome;
}

/** Machines in the order in which they are added, with what their links take. */
export function ordered(machines: readonly Machine[], task: Task): { machine: Machine; link: number }[] {
  const mode = rulesOf(task.mode);
  const alone = machines
    .map((machine) => ({ machine, outcome: outcomeOf([machine], task), link: exchangeSeconds(machine, task.run) }))
    .map(({ outcome, ...each }) => ({
      ...each,
      price: outcome === undefined ? Infinity : (mode.price?.(each.machine) ?? priceOf(outcome)),
    }))
    .toSorted((a, b) => a.price - b.price || (a.machine.id < b.machine.id ? -1 : 1));
  return mode.inTurns ? inTurns(alone) : alone;
}

/** The first of each cloud, then the second of each. */
function inTurns<T extends { readonly machine: Machine }>(sorted: readonly T[]): T[] {
  const seen = new Map<string, number>();
  return sorted
    .map((each) => {
      const turn = seen.get(each.machine.island) ?? 0;
      seen.set(each.machine.island, turn + 1);
      return { each, turn };
    })
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ each }) => each);
}

/**
 * The best that are found, the very best first, of different beginnings: few, and none where nothing can be done with these machines.
 * Equal input gives equal output.
 */
export function finalistsOf(machines: readonly Machine[], task: Task): Outcome[] {
  const alone = ordered(machines, task);
  const links = [...new Set(alone.map(({ link }) => link))].toSorted((a, b) => a - b);
  const cuts = [
    ...new Set(
      Array.from(
        { length: Math.min(CUTS, links.length) },
        (_, index, count = Math.min(CUTS, links.length)) =>
          links[Math.ceil(((index + 1) * links.length) / count) - 1] ?? 0,
      ),
    ),
  ];
  const starts = cuts
    .map((cut) => {
      const pool = alone.filter(({ link }) => link <= cut).map(({ machine }) => machine);
      return { pool, ...bestPrefix(pool, task) };
    })
    .filter(({ outcome }) => outcome !== undefined)
    .toSorted((a, b) => (a.outcome?.score ?? 0) - (b.outcome?.score ?? 0));
  const found = new Map<string, Outcome>();
  for (const { pool, chosen } of starts.slice(0, STARTS)) {
    const outcome = improved(chosen, machines.length <= SMALL ? machines : pool, task, rulesOf(task.mode).swaps);
    if (outcome === undefined) continue;
    const ids = outcome.cluster.members.map(({ machine }) => machine.id).toSorted();
    found.set(JSON.stringify(ids), outcome);
  }
  return [...found.values()].toSorted((a, b) => (a.score === b.score ? 0 : a.score - b.score));
}

/** µUSD of a token of a machine by itself, without the hub. */
function priceOf({ cluster }: Outcome): number {
  const [member] = cluster.members;
  return member === undefined ? Infinity : member.cost / member.tokens;
}
