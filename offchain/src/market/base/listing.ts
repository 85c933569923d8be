/** A provider's listing: its rows read one by one, each offer within bounds, no id twice. */
import { CotrainError } from "@cotrain/sdk/errors";

import { findMiss } from "../../service/index.ts";
import { type Offer, OfferForm, type OfferDraft } from "../offer.ts";
import type { Adapter, Listing, ListingContext } from "./adapter.ts";
import { providerError } from "./errors.ts";
import { rowOf } from "./rows.ts";

/** More than any provider has; what lists more is not read to its end. */
const MAX_OFFERS = 20_000;

function offerOf({ name, capabilities, validFor }: Adapter, draft: OfferDraft, observedAt: number): Offer {
  return {
    id: `${name}:${draft.providerId}${draft.price.charge === "spot" ? ":spot" : ""}`,
    provider: name,
    ...draft,
    ...capabilities,
    observedAt,
    expiresAt: observedAt + validFor,
    source: "live",
  };
}

/** Why a row was refused, in a few words that are the same for the same fault. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof CotrainError)) throw error;
  return error.message;
};

/**
 * Everything that a provider offers now. A row that cannot be read is left out and counted; the others stand.
 * @throws as {@link Api}; RetryableError `PROVIDER_UNREADABLE` where the listing itself is no listing
 */
export async function listOffers(adapter: Adapter, { api, wanted, clock }: ListingContext): Promise<Listing> {
  const observedAt = clock.now();
  const offers = new Map<string, Offer>();
  const refused: Record<string, number> = {};
  let read = 0;
  let listed = 0;
  const refuse = (reason: string): void => void (refused[reason] = (refused[reason] ?? 0) + 1);
  try {
    for await (const page of adapter.rows(api, wanted)) {
      for (const value of page) {
        let drafts: readonly OfferDraft[];
        try {
          drafts = adapter.offers(rowOf(value), wanted);
          read += 1;
        } catch (error) {
          refuse(reasonOf(error));
          continue;
        }
        for (const draft of drafts) {
          listed += 1;
          if (listed > MAX_OFFERS)
            throw providerError("unreadable", adapter.title, `it lists more than ${MAX_OFFERS} offers`);
          const offer = offerOf(adapter, draft, observedAt);
          const miss = findMiss(OfferForm, offer);
          if (miss === undefined) offers.set(offer.id, offer);
          else refuse(miss);
        }
      }
    }
  } catch (error) {
    if (error instanceof CotrainError && error.code === "ROW_FIELD")
      throw providerError("unreadable", adapter.title, error.message);
    throw error;
  }
  // A form that changed must not pass for a market that is empty.
  const [reason] = Object.keys(refused);
  if (read === 0 && reason !== undefined)
    throw providerError("unreadable", adapter.title, `of its listing no row can be read, the first because ${reason}`);
  return { provider: adapter.name, offers: [...offers.values()], refused, observedAt };
}
