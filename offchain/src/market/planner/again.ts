/**
 * Plans again what is rented: the cluster as it was measured, against the offers of now. What a change costs counts with it (boots, time that
 * is paid for and not used), a change must be worth its trouble, and few machines are replaced at once. Pure.
 */
import { SURE, sureOf } from "./draws.ts";
import { exchangeSeconds, type Machine } from "./model.ts";
import { rulesOf } from "./modes.ts";
import { finalistsOf, type Goal, ordered, type Outcome, outcomeOf, type Task } from "./search.ts";

/** A machine that is rented, as it was measured. */
export interface Running {
  readonly machine: Machine;
  /** µUSD that are paid for it from now on although it is let go now. */
  readonly leaving: number;
}

/** How far a new plan may go. */
export interface ReplanRules {
  /** Machines that are taken anew, at the most. */
  readonly most: number;
  /** What a change must save at the least, as a share of what is left to pay, or to train. */
  readonly margin: number;
  /** Machines in all; default any number. */
  readonly machines?: number;
}
export const replanRules: ReplanRules = { most: 3, margin: 0.03 };

/** What is to change. */
export interface Replan {
  readonly leaves: readonly Machine[];
  readonly takes: readonly Machine[];
  readonly before: Outcome;
  readonly after: Outcome;
  /** Share of what is left that it saves, what the change costs counted. */
  readonly saves: number;
  /** Shares of the draws that are in time, without it and with it. */
  readonly sure: readonly [before: number, after: number];
}

/** Offers that are tried beside the machines that are there, the best first. */
const MOST_OTHERS = 24;
/** Shares of the deadline that are searched for, until what is found is in time often enough. */
const tighter = [1, 0.9, 0.8, 0.65] as const;

/** A set with what it comes to, and by what it is compared: the lower the better. */
interface Tried {
  readonly machines: readonly Machine[];
  readonly outcome: Outcome;
  readonly score: number;
}

/** A goal of which something is spent on the change. */
const after = (goal: Goal, spent: number): Goal =>
  goal.kind === "least cost" ? goal : { ...goal, budget: Math.max(1, goal.budget - spent) };

/** Tries sets of machines: those that are there, and those that might be. */
function trier(running: readonly Running[], task: Task, { most, machines: room = Infinity }: ReplanRules) {
  const rented = new Set(running.map(({ machine }) => machine));
  const { allows } = rulesOf(task.mode);
  return (machines: readonly Machine[], goal: Goal): Tried | undefined => {
    const kept = new Set(machines);
    const taken = machines.filter((machine) => !rented.has(machine)).length;
    const gpus = machines.reduce((sum, each) => sum + each.gpus, 0);
    if (taken > most || machines.length > room || gpus > task.mostGpus || !allows(machines)) return undefined;
    const spent = running.reduce((sum, { machine, leaving }) => sum + (kept.has(machine) ? 0 : leaving), 0);
    const outcome = outcomeOf(machines, { ...task, goal: after(goal, spent) });
    // What is paid and cannot take part is no plan.
    if (outcome === undefined || outcome.cluster.left.length > 0) return undefined;
    return { machines, outcome, score: goal.kind === "least cost" ? outcome.score + spent : outcome.score };
  };
}

/** Sets that differ by one machine, or by all with slower links than one. */
function* changes(machines: readonly Machine[], others: readonly Machine[], task: Task): Generator<Machine[]> {
  for (const gone of machines) yield machines.filter((each) => each !== gone);
  for (const slow of machines) {
    const link = exchangeSeconds(slow, task.run);
    yield machines.filter((each) => exchangeSeconds(each, task.run) < link);
  }
  for (const added of others) {
    if (machines.includes(added)) continue;
    yield [...machines, added];
    for (const gone of machines) yield [...machines.filter((each) => each !== gone), added];
  }
}

const byScore = (a: Tried, b: Tried): number => (a.score === b.score ? 0 : a.score - b.score);

const STEPS = 12;
/** Beginnings that are improved. */
const STARTS = 2;

/** The best that is found from a set by one change after the other. */
function improved(
  start: Tried,
  others: readonly Machine[],
  task: Task,
  attempt: (machines: readonly Machine[]) => Tried | undefined,
): Tried {
  let best = start;
  for (let step = 0; step < STEPS; step++) {
    let better = best;
    for (const machines of changes(best.machines, others, task)) {
      const other = attempt(machines);
      if (other !== undefined && other.score < better.score) better = other;
    }
    if (better === best) return best;
    best = better;
  }
  return best;
}

/** Share of what is left that a set saves against another. */
const savedBy = (one: Tried, than: Tried): number =>
  than.score === one.score || than.score === Infinity ? 0 : (than.score - one.score) / Math.abs(than.score);

/** The best that is found for a task from several beginnings. */
function bestFor(
  works: readonly Machine[],
  near: readonly Machine[],
  task: Task,
  at: (machines: readonly Machine[]) => Tried | undefined,
): Tried | undefined {
  const finalists = finalistsOf([...works, ...near], task).map(({ cluster }) =>
    cluster.members.map(({ machine }) => machine),
  );
  return [works, ...finalists]
    .flatMap((machines) => at(machines) ?? [])
    .toSorted(byScore)
    .slice(0, STARTS)
    .map((start) => improved(start, near, task, at))
    .toSorted(byScore)[0];
}

/** The best that is in time often enough, else the one that is most often. */
function surest(
  works: readonly Machine[],
  near: readonly Machine[],
  task: Task,
  attempt: (machines: readonly Machine[], goal: Goal) => Tried | undefined,
): { readonly tried: Tried; readonly sure: number } | undefined {
  let found: { readonly tried: Tried; readonly sure: number } | undefined;
  const { goal } = task;
  for (const share of goal.kind === "least cost" ? tighter : ([1] as const)) {
    const tight = goal.kind === "least cost" ? { ...goal, deadline: goal.deadline * share } : goal;
    const tried = bestFor(works, near, { ...task, goal: tight }, (machines) => attempt(machines, tight));
    if (tried === undefined || tried.score === Infinity) break;
    const sure = sureOf(tried.outcome, task);
    if (found === undefined || sure > found.sure) found = { tried, sure };
    if (sure >= SURE) break;
  }
  return found;
}

/**
 * What is to be changed of what is rented; nothing where no change is worth it.
 * @param running what is there, those that cannot take part too
 * @param others offers of now
 * @param task what is left to do: tokens, time and money
 */
export function replanOf(
  running: readonly Running[],
  others: readonly Machine[],
  task: Task,
  rules: ReplanRules = replanRules,
): Replan | undefined {
  const { margin } = rules;
  const now = running.map(({ machine }) => machine);
  const before = outcomeOf(now, task);
  if (before === undefined) return undefined;
  const works = before.cluster.members.map(({ machine }) => machine);
  const near = ordered(others, task)
    .slice(0, MOST_OTHERS)
    .map(({ machine }) => machine);
  const found = surest(works, near, task, trier(running, task, rules));
  if (found === undefined) return undefined;
  const { tried, sure } = found;
  const isSureNow = before.score === Infinity ? 0 : sureOf(before, task);
  const saves = savedBy(tried, { machines: now, outcome: before, score: before.score });
  // In time is what counts first.
  const isWorth = isSureNow >= SURE ? sure >= SURE && saves >= margin : sure > isSureNow + margin;
  const kept = new Set(tried.machines);
  const rented = new Set(now);
  const leaves = now.filter((machine) => !kept.has(machine));
  const takes = tried.machines.filter((machine) => !rented.has(machine));
  return isWorth && leaves.length + takes.length > 0
    ? { leaves, takes, before, after: tried.outcome, saves, sure: [isSureNow, sure] }
    : undefined;
}
