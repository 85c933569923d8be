/** A plan: the cluster that offers make for a run and a goal, what each machine is worth in it, and why every other offer is not. */
import { type TransformerConfig, parameterCount } from "../../engine/index.ts";
import type { Offer } from "../offer.ts";
import { flopPerToken } from "../speed.ts";
import { assumptions, byPrice, machineOf } from "./machines.ts";
import type { Hub, Machine, Member, TrainingRun } from "./model.ts";
import { bestCluster, type Goal, type Outcome, outcomeOf, type Task } from "./search.ts";

/** A run's numbers, out of its model. */
export function trainingRunOf(model: TransformerConfig, batchTokens: number, innerSteps: number): TrainingRun {
  const parameters = parameterCount(model);
  return {
    parameters,
    flopPerToken: flopPerToken(parameters, model.layers, model.width, model.sequence),
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
  readonly outcome: Outcome;
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

/**
 * The best plan that is found.
 * @param sample whether samples may stand for offers
 * @returns where there is none, why each offer is left out, by its id
 */
export function planOf(
  offers: readonly Offer[],
  run: TrainingRun,
  hub: Hub,
  goal: Goal,
  mostGpus: number,
  now: number,
  sample: boolean,
): Plan | ReadonlyMap<string, string> {
  const skipped = new Map<string, string>();
  const byId = new Map(offers.map((offer) => [offer.id, offer]));
  const machines = offers.flatMap((offer) => {
    const machine = machineOf(offer, run, now, sample);
    if (typeof machine !== "string") return [machine];
    skipped.set(offer.id, machine);
    return [];
  });
  const task: Task = { run, hub, goal, mostGpus };
  const outcome = bestCluster(machines, task);
  if (outcome === undefined || outcome.score === Infinity) {
    for (const { id } of machines)
      skipped.set(
        id,
        outcome === undefined ? "no whole round fits into its lease" : "the deadline cannot be met with it",
      );
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
