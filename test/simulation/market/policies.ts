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
export type PolicyName = (typeof policyNames)[number];

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

/** The machines that a policy rents; undefined where it finds no plan. */
export function chosenBy(name: PolicyName, market: readonly Believed[], task: Task): readonly string[] | undefined {
  const allowed = name === "secure" ? market.filter(({ offer }) => offer.tier === "secure") : market;
  const { sure } = bestOf(
    allowed.map(({ machine }) => machine),
    { ...task, mode: kindOf(name, market) },
  );
  return sure?.cluster.members.map(({ machine }) => machine.id);
}
