/** The second look at a root of revenue that a validator is about to sign: one answer that lies costs nobody its stake. */
import { type Attestation, rewardKind } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { type ChainConnection, type ChainReader, createReader } from "../chain/index.ts";
import { type RevenuePlace, revenueAt } from "./revenue.ts";
import { checkRevenueRoot } from "./revenueRoot.ts";

/** Where it is looked again. */
export interface SecondLookPlace extends RevenuePlace {
  readonly connection: ChainConnection;
  readonly reader: Pick<ChainReader, "confirmations">;
}

/** A reader that remembers nothing, and believes as many blocks as the one before. */
const freshReader = ({ connection, addresses: contracts, fromBlock, reader }: SecondLookPlace): ChainReader =>
  createReader(connection, { contracts, fromBlock, confirmations: reader.confirmations });

export type FreshReader = typeof freshReader;

/**
 * Holds a root against the chain once more; that a later block has come by then is for who calls it to see to.
 * @throws UserError `REVENUE_VOIDED` where holders voided the same before; as `checkRevenueRoot`
 */
export async function checkRevenueAgain(
  place: SecondLookPlace,
  struct: Attestation,
  readerOf: FreshReader = freshReader,
): Promise<void> {
  const again = { ...place, reader: readerOf(place) };
  await checkRevenueRoot(again, await revenueAt(again), struct, { what: "What was seen first" });
  if (await again.reader.rootsOfKind(rewardKind.revenue).isVoided(place.modelId, struct))
    throw new UserError("REVENUE_VOIDED", "Holders have voided this root by a vote: it is not signed again.");
}
