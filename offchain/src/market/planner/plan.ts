/** A plan: the cluster that offers make for a run and a goal, what each machine is worth in it, and why every other offer is not. */
import { flopPerToken, type TransformerConfig, parameterCount } from "../../engine/index.ts";
import type { CreatesOf } from "../creates.ts";
import type { MeasuredOf } from "../measured.ts";
import type { Offer } from "../offer.ts";
import { type Ranged, rangedOf } from "./draws.ts";
import { assumptions, byPrice, machineOf } from "./machines.ts";
import type { Machine, Member, TrainingRun } from "./model.ts";
import { groupsOf, rulesOf, whyApart } from "./modes.ts";
import { finalistsOf, type Goal, type Outcome, outcomeOf, type Task } from "./search.ts";

/** A run's numbers, out of its model. */
export function trainingRunOf(model: TransformerConfig, batchTokens: number, innerSteps: number): TrainingRun {
  const parameters = parameterCount(model);
  return {
    parameters,
    flopPerToken: flopPerToken(parameters, model),
    batchTokens,
    innerSteps,
    fragments: 4,
    // Pseudo-gradients in int8, parameters in fp32.
    payloadBytes: parameters,
    updateBytes: 4 * parameters,
    startBytes: assumptions.image + assumptions.data + assumptions.checkpointBytes * parameters,
    criticalBatch: assumptions.criticalBatch,
  };
}

/** A machine of a plan. */
interface Planned {
  readonly offer: Offer;
  readonly member: Member;
  /** Effective tokens of the cluster that it adds for each µUSD that it adds. */
  readonly worth: number;
}

export interface Plan {
  readonly outcome: Ranged;
  readonly machines: readonly Planned[];
  /** Why each other offer is not in it, by its id. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** What a machine adds to a cluster, and what that costs. */
function worthOf(machine: Machine, { cluster }: Outcome, task: Task): number {
  const others = cluster.members.filter((each) => each.machine !== machine).map((each) => each.machine);
  const without = outcomeOf(others, task)?.cluster;
  const [rate, cost] = without === undefined ? [0, 0] : [without.rate, without.cost];
  return (cluster.rate - rate) / (cluster.cost - cost);
}

/** Why a machine that fits was not taken: what the cluster would come to with it. */
function whyLeft(machine: Machine, best: Outcome, task: Task): string {
  const members = best.cluster.members.map((each) => each.machine);
  const apart = whyApart(machine, members, rulesOf(task.mode));
  if (apart !== undefined) return apart;
  if (members.reduce((sum, { gpus }) => sum + gpus, machine.gpus) > task.mostGpus)
    return `more than ${task.mostGpus} GPUs with it`;
  const cluster = outcomeOf([...members, machine], task)?.cluster;
  const left = cluster?.left.find((each) => each.machine === machine);
  if (cluster === undefined || left !== undefined) return left?.why ?? "no round with it";
  if (cluster.rate <= best.cluster.rate) {
    const slower = cluster.roundSeconds > best.cluster.roundSeconds * 1.05;
    return slower
      ? `each round would last ${Math.round(cluster.roundSeconds)} s and not ${Math.round(best.cluster.roundSeconds)}`
      : "more replicas would learn less from a token than it adds";
  }
  return "its tokens cost more than those of the plan";
}

/** Shares of budget or deadline that are searched for, until what is found keeps to all of it nearly always. */
const tighter = [1, 0.95, 0.9, 0.8, 0.65, 0.5] as const;

/** Clusters whose draws are made. */
const FINALISTS = 4;
const byScore = (a: Outcome, b: Outcome): number => (a.score === b.score ? 0 : a.score - b.score);

function tightened(goal: Goal, share: number): Goal {
  if (goal.kind === "least cost") return { ...goal, deadline: goal.deadline * share };
  return goal.kind === "most tokens" ? { ...goal, budget: goal.budget * share } : goal;
}

/** What is found: a plan's outcome, or the best by the mean that does not keep to its limits often enough; nothing where none does. */
export function bestOf(machines: readonly Machine[], task: Task): { readonly sure?: Ranged; readonly mean?: Outcome } {
  let mean: Outcome | undefined;
  for (const share of tighter) {
    const goal = tightened(task.goal, share);
    const found = groupsOf(machines, rulesOf(task.mode)).flatMap((group) => finalistsOf(group, { ...task, goal }));
    const [best] = found.toSorted(byScore);
    if (mean === undefined || mean.score === Infinity) mean = best ?? mean;
    if (best === undefined || best.score === Infinity) break;
    const [sure] = found
      .toSorted(byScore)
      .slice(0, FINALISTS)
      .flatMap((outcome) => rangedOf(outcome, task) ?? [])
      .toSorted(byScore);
    if (sure !== undefined) return { sure, mean: sure };
  }
  return mean === undefined ? {} : { mean };
}

/** Why there is no plan with machines that fit. */
function whyNoPlan(mean: Outcome | undefined, { goal, mode }: Task): string {
  if (mean === undefined)
    return mode === "loose" ? "no loose cluster of eight GPUs can be made" : "no whole round fits into its lease";
  const limit = goal.kind === "least cost" ? "deadline" : "budget";
  return mean.score === Infinity
    ? "the deadline cannot be met with it"
    : `no cluster keeps to the ${limit} in nine draws of ten`;
}

/**
 * The best plan that is found.
 * @param sample whether samples may stand for offers
 * @param known what is known of machines by measuring, and of creates that were tried
 * @returns where there is none, why each offer is left out, by its id
 */
export function planOf(
  offers: readonly Offer[],
  task: Task,
  now: number,
  sample: boolean,
  known: { readonly measuredOf?: MeasuredOf | undefined; readonly createsOf?: CreatesOf | undefined } = {},
): Plan | ReadonlyMap<string, string> {
  const skipped = new Map<string, string>();
  const byId = new Map(offers.map((offer) => [offer.id, offer]));
  const machines = offers.flatMap((offer) => {
    const machine = machineOf(offer, task.run, { now, sample, mode: task.mode, ...known });
    if (typeof machine !== "string") return [machine];
    skipped.set(offer.id, machine);
    return [];
  });
  const { sure: outcome, mean } = bestOf(machines, task);
  if (outcome === undefined) {
    for (const { id } of machines) skipped.set(id, whyNoPlan(mean, task));
    return skipped;
  }
  const taken = new Map(outcome.cluster.members.map((member) => [member.machine.id, member]));
  for (const machine of machines) if (!taken.has(machine.id)) skipped.set(machine.id, whyLeft(machine, outcome, task));
  const planned = [...taken].flatMap(([id, member]) => {
    const offer = byId.get(id);
    return offer === undefined ? [] : [{ offer, member, worth: worthOf(member.machine, outcome, task) }];
  });
  return { outcome, machines: planned.toSorted((a, b) => byPrice(a.offer, b.offer)), skipped };
}
