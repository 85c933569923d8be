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

/** Whether a validator measures the losses of a head's gate, once in `oneIn` heads; false while the block is still to come. */
export async function auditsGate(
  reader: Pick<ChainReader, "blockHash">,
  { head, block }: Pick<PostedHead, "head" | "block">,
  validator: Address,
  { fragments, oneIn }: { readonly fragments: number; readonly oneIn: number },
): Promise<boolean> {
  const hash = await reader.blockHash(block + Number(LOT_DELAY_BLOCKS));
  return hash !== undefined && drawsGateAudit(lotSeed(hash, head, validator), fragments, oneIn);
}
