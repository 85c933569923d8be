/** A plan's machines at the prices of now: the same cluster, or a sentence why it is not to be had as it was planned. */
import { formatUsd, UserError } from "../base/index.ts";
import type { Catalogue } from "./catalogue.ts";
import type { SlotWish } from "./leases/state.ts";
import type { MicroUsd } from "./money.ts";
import { isLimit, limitedTo, machineText, type Offer, whyNever } from "./offer.ts";
import type { KeptPlan } from "./plans.ts";

/** A plan as it can be rented now. */
export interface Requoted {
  /** Of each slot, in the order of the plan. */
  readonly offers: readonly Offer[];
  /** µUSD of all of them for an hour. */
  readonly perHour: MicroUsd;
  readonly planned: Readonly<Record<string, SlotWish>>;
}

const sumOf = (money: readonly MicroUsd[]): MicroUsd => money.reduce((sum, each) => sum + each, 0n);
const dearerBy = (money: MicroUsd, percent: number): MicroUsd => money + (money * BigInt(percent)) / 100n;

/** An offer by its id, or by a cheaper road to the same machine. */
function offerNow({ offers, roads }: Pick<Catalogue, "offers" | "roads">, id: string): Offer | undefined {
  const best = [...roads].find(([, others]) => others.some((each) => each.id === id))?.[0] ?? id;
  return offers.find((offer) => offer.id === best);
}

type PlannedMachine = KeptPlan["machines"][number];

/** At an auction what was planned is the limit, whatever others pay by now. */
const asPlanned = ({ perHour }: PlannedMachine, offer: Offer | undefined): Offer | undefined =>
  offer !== undefined && isLimit(offer) ? limitedTo(offer, BigInt(perHour)) : offer;

/** Why a machine of a plan is not to be had; undefined where it is. */
function whyGone({ offer: id, machine }: PlannedMachine, offer: Offer | undefined, now: number): string | undefined {
  if (offer === undefined) return `${id} is not listed any more`;
  if (machineText(offer) !== machine) return `${id} is ${machineText(offer)} now`;
  const never = whyNever(offer, now);
  return never === undefined ? undefined : `${id}: ${never}`;
}

/**
 * Quotes a plan again.
 * @param dearer percent by which all of it together may cost more for an hour than it was planned
 * @throws UserError `PLAN_GONE` where a machine is not to be had, `PLAN_DEARER`
 */
export function requote(
  plan: KeptPlan,
  catalogue: Pick<Catalogue, "offers" | "roads">,
  now: number,
  dearer: number,
): Requoted {
  const found = plan.machines.map((machine) => ({
    machine,
    offer: asPlanned(machine, offerNow(catalogue, machine.offer)),
  }));
  const gone = found.flatMap(({ machine, offer }) => whyGone(machine, offer, now) ?? []);
  if (gone.length > 0)
    throw new UserError(
      "PLAN_GONE",
      `${gone.length} of ${found.length} machines cannot be rented as they were planned: ${gone.slice(0, 3).join("; ")}. Plan anew.`,
    );
  const offers = found.flatMap(({ offer }) => offer ?? []);
  const planned = sumOf(plan.machines.map(({ perHour }) => BigInt(perHour)));
  const perHour = sumOf(offers.map(({ price }) => price.perHour ?? 0n));
  if (perHour > dearerBy(planned, dearer))
    throw new UserError(
      "PLAN_DEARER",
      `The plan costs ${formatUsd(perHour)} USD an hour now and not ${formatUsd(planned)}, which is more than ${dearer}% above it: plan anew, or allow more with --dearer.`,
    );
  return {
    offers,
    perHour,
    planned: Object.fromEntries(
      offers.map((offer, slot): [string, SlotWish] => [
        String(slot),
        {
          offer: offer.id,
          machine: machineText(offer),
          // What is as dear as now, or as dear as it may have become; a limit is that already.
          maximumPerHour: dearerBy(offer.price.perHour ?? 0n, isLimit(offer) ? 0 : dearer),
        },
      ]),
    ),
  };
}

/** What takes the place of a plan's machines that are lost: others of the same, the cheapest first. */
export function standIns(requoted: Requoted, offers: readonly Offer[], now: number): readonly Offer[] {
  const wanted = new Set(Object.values(requoted.planned).map(({ machine }) => machine));
  const own = new Set(Object.values(requoted.planned).map(({ offer }) => offer));
  const fit = (offer: Offer): boolean => whyNever(offer, now) === undefined;
  const limits = new Map(requoted.offers.filter(isLimit).map(({ id, price }) => [id, price.perHour]));
  const asLimited = (offer: Offer): Offer => {
    const limit = isLimit(offer) ? limits.get(offer.id) : undefined;
    return limit === undefined ? offer : limitedTo(offer, limit);
  };
  return [
    ...offers.filter((offer) => own.has(offer.id) && fit(offer)).map(asLimited),
    ...offers
      .filter((offer) => !own.has(offer.id) && wanted.has(machineText(offer)) && fit(offer))
      .toSorted((a, b) => Number((a.price.perHour ?? 0n) - (b.price.perHour ?? 0n)) || (a.id < b.id ? -1 : 1)),
  ];
}
