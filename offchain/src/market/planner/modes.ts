/** What kind of cluster is looked for: which offers it may have, which first, and what holds for all of them together. */
import type { Offer } from "../offer.ts";
import type { Machine } from "./model.ts";

export const modeNames = ["value", "price", "secure", "fabric", "loose"] as const;
export type Mode = (typeof modeNames)[number];

/** A kind of cluster. */
export interface ModeRules {
  /** Why an offer is not for it, in a clause. */
  readonly misses: (offer: Offer) => string | undefined;
  /** By what machines come first; by default what a token costs. */
  readonly price?: (machine: Machine) => number;
  /** Whether clouds take turns. */
  readonly inTurns: boolean;
  readonly allows: (machines: readonly Machine[]) => boolean;
  /** Whether all machines are of one cloud. */
  readonly oneCloud: boolean;
  /** Exchanges that are tried. */
  readonly swaps: number;
}

/** GPUs of a loose cluster at the least, and the share of one cloud at the most. */
const LEAST_LOOSE = 8;
const MOST_OF_ONE = 0.5;

const nothing = (): undefined => undefined;
const value: ModeRules = { misses: nothing, inTurns: false, allows: () => true, oneCloud: false, swaps: 1_000 };

/** No cloud has more than half of the GPUs. */
function isSpread(machines: readonly Machine[]): boolean {
  const of = new Map<string, number>();
  for (const { island, gpus } of machines) of.set(island, (of.get(island) ?? 0) + gpus);
  const all = machines.reduce((sum, { gpus }) => sum + gpus, 0);
  return all >= LEAST_LOOSE && Math.max(...of.values()) <= MOST_OF_ONE * all;
}

export const modes: Readonly<Record<Mode, ModeRules>> = {
  /** The most for the money. */
  value,
  /** The cheapest GPUs by the hour, whatever they train. */
  price: { ...value, price: ({ price, storage, gpus }) => (price + storage) / gpus, swaps: 0 },
  /** Audited data centres alone. */
  secure: {
    ...value,
    misses: ({ tier }) => (tier === "secure" ? undefined : `tier: ${tier}, and the mode is secure`),
  },
  /** One cloud, with a fast interconnect inside each machine. */
  fabric: {
    ...value,
    oneCloud: true,
    misses: ({ interconnect, count }) =>
      interconnect === "nvlink" && count > 1
        ? undefined
        : `${count > 1 ? `interconnect: ${interconnect ?? "not told"}` : "one GPU"}, and the mode is fabric`,
  },
  /** Islands of several clouds, so that none takes the whole run away. */
  loose: { ...value, inTurns: true, allows: isSpread },
};

/** What is told of a task: a mode by its name, or rules of one's own. Default `value`. */
export type Kind = Mode | ModeRules;
export const rulesOf = (kind: Kind = "value"): ModeRules => (typeof kind === "string" ? modes[kind] : kind);

/** Machines that may stand together, each group by itself. */
export const groupsOf = (machines: readonly Machine[], { oneCloud }: ModeRules): readonly (readonly Machine[])[] =>
  oneCloud ? [...Map.groupBy(machines, ({ island }) => island).values()] : [machines];

/** Why a machine cannot join those of a cluster, by the mode. */
export function whyApart(
  machine: Machine,
  members: readonly Machine[],
  { oneCloud, allows, price }: ModeRules,
): string | undefined {
  if (oneCloud && members.some(({ island }) => island !== machine.island))
    return `it is ${machine.island}'s, and the mode is fabric, of one cloud alone`;
  if (!allows([...members, machine])) return `more than half of the GPUs would be ${machine.island}'s`;
  if (price === undefined) return undefined;
  return price(machine) > Math.max(...members.map(price))
    ? "an hour of its GPUs costs more than those of the plan"
    : undefined;
}
