/**
 * Policies that rent a cluster for a run and a deadline, by what they are told: the listing alone, or, for the oracle, what its machines
 * really are. All have the same offers, the same failover and the same rule that nine of ten draws, of what they believe, meet the deadline.
 */
import { flopsOf } from "../../../offchain/src/market/speed.ts";
import type { Offer } from "../../../offchain/src/market/offer.ts";
import type { Machine } from "../../../offchain/src/market/planner/model.ts";
import { type Kind, modes } from "../../../offchain/src/market/planner/modes.ts";
import { bestOf } from "../../../offchain/src/market/planner/plan.ts";
import type { Task } from "../../../offchain/src/market/planner/search.ts";

export const policyNames = ["per hour", "per FLOP", "one provider", "secure", "planner"] as const;
/** The planner without one thing that it knows, in a clause. */
export const ablated = [
  "without links",
  "without deaths and stock",
  "without boots and terms",
  "without the penalty of replicas",
  "without exchanges",
] as const;
type Ablated = (typeof ablated)[number];
export type PolicyName = (typeof policyNames)[number] | Ablated;

/** Machines of a market, as a policy believes them to be. */
export interface Believed {
  readonly machine: Machine;
  readonly offer: Offer;
}

const perFlop = ({ machine, offer }: Believed): number =>
  (machine.price + machine.storage) / (machine.gpus * (flopsOf(offer.gpu) ?? Number.MIN_VALUE));

/** What each looks for, over the machines that it may have. */
function kindOf(name: PolicyName, market: readonly Believed[]): Kind {
  if (name === "per hour") return "price";
  if (name === "one provider") return { ...modes.value, oneCloud: true };
  if (name !== "per FLOP") return "value";
  const prices = new Map(market.map((each) => [each.machine.id, perFlop(each)]));
  return { ...modes.value, price: ({ id }) => prices.get(id) ?? Infinity, swaps: 0 };
}

/** Machines as a planner without one thing takes them. Links are as fast as anybody's. */
const blind: Partial<Record<PolicyName, (machine: Machine) => Machine>> = {
  "without links": (machine) => ({ ...machine, up: 1.25e9, down: 1.25e9 }),
  "without deaths and stock": (machine) => ({ ...machine, deathRate: 0, missing: 0 }),
  "without boots and terms": (machine) => ({
    ...machine,
    provisioning: 0,
    bootSpread: 0,
    granularity: 1,
    minTerm: 0,
    bootBilled: false,
  }),
};

/** What a policy thinks that it looks for. Of a batch that is never too large, replicas lose what training apart costs alone. */
function taskOf(name: PolicyName, task: Task, market: readonly Believed[]): Task {
  const mode = name === "without exchanges" ? { ...modes.value, swaps: 0 } : kindOf(name, market);
  const run = name === "without the penalty of replicas" ? { ...task.run, criticalBatch: Infinity } : task.run;
  return { ...task, run, mode };
}

/** The machines that a policy rents; undefined where it finds no plan. */
export function chosenBy(name: PolicyName, market: readonly Believed[], task: Task): readonly string[] | undefined {
  const allowed = name === "secure" ? market.filter(({ offer }) => offer.tier === "secure") : market;
  const { sure } = bestOf(
    allowed.map(({ machine }) => blind[name]?.(machine) ?? machine),
    taskOf(name, task, market),
  );
  return sure?.cluster.members.map(({ machine }) => machine.id);
}
