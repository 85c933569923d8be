/** Sortition: which fragment of a head each validator recomputes, decided by a block after the head's (protocol.md, "Sortition"). */
import {
  type Address,
  drawnFragment,
  drawsGateAudit,
  SORTITION_DELAY_BLOCKS,
  sortitionSeed,
} from "@cotrain/sdk/protocol";

import type { ChainReader, PostedHead } from "../chain/index.ts";

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
  const hash = await reader.blockHash(block + Number(SORTITION_DELAY_BLOCKS));
  return hash && drawnFragment(sortitionSeed(hash, head, validator), fragments);
}

/** What each validator looks at of one head. */
export interface Sortition {
  /** Nobody can foresee it before the head stands. */
  seedOf(validator: Address): bigint;
  fragmentOf(validator: Address): number;
  auditsGate(validator: Address): boolean;
}

/** All draws of a head at once; undefined while the block that decides them is still to come. */
export async function sortitionOf(
  reader: Pick<ChainReader, "blockHash">,
  { head, block }: Pick<PostedHead, "head" | "block">,
  { fragments, oneIn }: { readonly fragments: number; readonly oneIn: number },
): Promise<Sortition | undefined> {
  const hash = await reader.blockHash(block + Number(SORTITION_DELAY_BLOCKS));
  if (!hash) return undefined;
  const seedOf = (validator: Address): bigint => sortitionSeed(hash, head, validator);
  return {
    seedOf,
    fragmentOf: (validator) => drawnFragment(seedOf(validator), fragments),
    auditsGate: (validator) => drawsGateAudit(seedOf(validator), fragments, oneIn),
  };
}
