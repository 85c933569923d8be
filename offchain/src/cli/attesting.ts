/** What stands between a validator's wallet and a root of revenue that it signs by hand: a second look, and its journal. */
import { type Attestation, type Hex, rewardKind } from "@cotrain/sdk/protocol";

import { systemClock, UserError } from "../base/index.ts";
import { type ChainReader, createReader } from "../chain/index.ts";
import { checkRevenueRoot, type Looking, patienceOn, revenueAt, untilLaterBlock } from "../run/index.ts";
import type { Place } from "./place.ts";

type LookingPlace = Pick<Place, "connection" | "reader" | "addresses" | "fromBlock" | "modelId">;

/** A reader that remembers nothing. */
const freshReader = ({ connection, addresses: contracts, fromBlock }: LookingPlace): ChainReader =>
  createReader(connection, { contracts, fromBlock });

/**
 * Holds a root against the chain once more, in a later block: one answer that lies has nobody sign.
 * @throws UserError `REVENUE_VOIDED` where holders voided the same before; as `checkRevenueRoot`
 */
export async function lookAgain(
  place: LookingPlace,
  struct: Attestation,
  { readerOf = freshReader, ...looking }: Partial<Looking> & { readonly readerOf?: typeof freshReader } = {},
): Promise<void> {
  const { clock = systemClock, patience = patienceOn(place.connection.chainId) } = looking;
  await untilLaterBlock(place.reader, { clock, patience });
  const again = { ...place, reader: readerOf(place) };
  await checkRevenueRoot(again, await revenueAt(again), struct, { what: "What was seen first" });
  if (await again.reader.rootsOfKind(rewardKind.revenue).isVoided(place.modelId, struct))
    throw new UserError("REVENUE_VOIDED", "Holders have voided this root by a vote: it is not signed again.");
}

/** Signs by the journal of the wallet's key. @throws as `attestByHand` */
export async function signedByHand(
  { reader }: Pick<Place, "reader">,
  { account, keystore: wallet, directory }: Place["entries"][number],
  struct: Attestation,
  first: boolean,
  sign: () => Promise<Hex>,
): Promise<Hex> {
  const { attestByHand } = await import("../validator/index.ts");
  const { block: tip } = await reader.tip();
  return attestByHand({ account, wallet, directory, first, tip }, struct, sign);
}
