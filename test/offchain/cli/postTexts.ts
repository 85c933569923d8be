/** Heads on a real node of checkpoints that are no more than their names. */
import { headOf, postHead } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { keccak256, stringToHex } from "viem";

import { poster } from "../chain/world.ts";
import type { Staged } from "./staged.ts";

export const digestOfText = (text: string): Hex => keccak256(stringToHex(text));

/** Posts heads of these checkpoints, one round each. @returns the last */
export async function postTexts(stage: Staged, ...checkpoints: readonly string[]): Promise<Hex> {
  const { contracts: addresses, runId } = stage.world;
  for (const text of checkpoints) {
    const { head, round } = await headOf(stage.client, { addresses, runId });
    await postHead.sync(stage.client, {
      addresses,
      account: poster,
      pollingInterval: 20,
      runId,
      parentHead: head,
      round: round + 1n,
      paramsVersion: 1,
      checkpointDigest: digestOfText(text),
      receiptsRoot: digestOfText(`${text}'s receipts`),
    });
  }
  return (await headOf(stage.client, { addresses, runId })).head;
}
