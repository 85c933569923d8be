/**
 * In which order offers are rented where no plan says it: by what a GPU's hour costs, the time that goes by until one is to be had counted as
 * a plan counts it. So what lately came to no machine stands behind what did, where that is not much dearer.
 */
import type { CreatesOf } from "./creates.ts";
import { perGpuHour, type Offer } from "./offer.ts";
import { waitFor } from "./planner/machines.ts";

/** µUSD of a GPU's hour, as if the time that is waited for it were paid; what is waited for to the end costs without end. */
function priceWith(offer: Offer, createsOf: CreatesOf | undefined, seconds: number): number {
  const wait = waitFor(offer, createsOf);
  const perHour = Number(perGpuHour(offer) ?? Infinity);
  return wait < seconds ? (perHour * seconds) / (seconds - wait) : Infinity;
}

/** Offers in the order in which they are rented for so many seconds; those of one price stay as they stand. */
export const firstChoices = (
  offers: readonly Offer[],
  createsOf: CreatesOf | undefined,
  seconds: number,
): readonly Offer[] =>
  offers
    .map((offer) => ({ offer, price: priceWith(offer, createsOf, seconds) }))
    .toSorted((a, b) => (a.price === b.price ? 0 : a.price - b.price))
    .map(({ offer }) => offer);
