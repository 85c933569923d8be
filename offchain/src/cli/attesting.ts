/** What stands between a validator's wallet and a root of revenue that it signs by hand: a second look, and its journal. */
import type { Attestation, Hex } from "@cotrain/sdk/protocol";

import { systemClock } from "../base/index.ts";
import { checkRevenueAgain, type FreshReader, type Looking, patienceOn, untilLaterBlock } from "../run/index.ts";
import type { Place } from "./place.ts";

type LookingPlace = Pick<Place, "connection" | "reader" | "addresses" | "fromBlock" | "modelId">;

/**
 * Holds a root against the chain once more, in a later block: one answer that lies has nobody sign.
 * @throws as `checkRevenueAgain`
 */
export async function lookAgain(
  place: LookingPlace,
  struct: Attestation,
  { readerOf, ...looking }: Partial<Looking> & { readonly readerOf?: FreshReader } = {},
): Promise<void> {
  const { clock = systemClock, patience = patienceOn(place.connection.chainId) } = looking;
  await untilLaterBlock(place.reader, { clock, patience });
  await checkRevenueAgain(place, struct, readerOf);
}

/** Signs by the journal of the wallet's key. @throws as `attestByHand` */
export async function signedByHand(
  { reader }: Pick<Place, "reader">,
  { account, keystore: wallet, directory }: Place["entries"][number],
  struct: Attestation,
  said: { readonly first: boolean; readonly lost: boolean },
  sign: () => Promise<Hex>,
): Promise<Hex> {
  const { attestByHand } = await import("../validator/index.ts");
  const { block: tip } = await reader.tip();
  return attestByHand({ account, wallet, directory, ...said, tip }, struct, sign);
}
