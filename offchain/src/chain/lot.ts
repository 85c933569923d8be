/** The lot: which fragment of a head each validator recomputes, decided by a block after the head's (protocol.md, "Lot"). */
import { type Address, drawnFragment, drawsGateAudit, LOT_DELAY_BLOCKS, lotSeed } from "@cotrain/sdk/protocol";

import type { ChainReader, PostedHead } from "./ports.ts";

/**
 * The fragment of a head's aggregate that a validator drew; undefined while the block that decides is still to come. It follows
 * from the blocks as they are now: where a reorganisation put others in their place, another fragment is drawn.
 */
export async function drawnBy(
  reader: Pick<ChainReader, "blockHash">,
  { head, block }: Pick<PostedHead, "head" | "block">,
  validator: Address,
  fragments: number,
): Promise<number | undefined> {
  const hash = await reader.blockHash(block + Number(LOT_DELAY_BLOCKS));
  return hash && drawnFragment(lotSeed(hash, head, validator), fragments);
}

/** What each validator looks at of one head. */
export interface Lot {
  /** Nobody can foresee it before the head stands. */
  seedOf(validator: Address): bigint;
  fragmentOf(validator: Address): number;
  auditsGate(validator: Address): boolean;
}

/** All lots of a head at once; undefined while the block that decides them is still to come. */
export async function lotOf(
  reader: Pick<ChainReader, "blockHash">,
  { head, block }: Pick<PostedHead, "head" | "block">,
  { fragments, oneIn }: { readonly fragments: number; readonly oneIn: number },
): Promise<Lot | undefined> {
  const hash = await reader.blockHash(block + Number(LOT_DELAY_BLOCKS));
  if (!hash) return undefined;
  const seedOf = (validator: Address): bigint => lotSeed(hash, head, validator);
  return {
    seedOf,
    fragmentOf: (validator) => drawnFragment(seedOf(validator), fragments),
    auditsGate: (validator) => drawsGateAudit(seedOf(validator), fragments, oneIn),
  };
}
