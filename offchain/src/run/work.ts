/** Whose work a run is made of: what the receipts under its checkpoints name, whomever its workers are paid for now. */
import type { Address, Digest, RunId } from "@cotrain/sdk/protocol";

import type { BlobSource } from "./ports.ts";
import { receiptsOf } from "./unpaid.ts";

/** Tokens that are in the newest of these checkpoints, by the beneficiary (lower-case) that their receipts named. */
export async function workOf(
  blobs: BlobSource,
  runId: RunId,
  checkpoints: readonly Digest[],
): Promise<Map<Address, bigint>> {
  const work = new Map<Address, bigint>();
  for (const checkpoint of checkpoints)
    for (const { receipt, tokens, outcome } of await receiptsOf(blobs, runId, checkpoint)) {
      if (outcome !== 0) continue;
      const account = receipt.beneficiary.toLowerCase() as Address;
      work.set(account, (work.get(account) ?? 0n) + BigInt(tokens));
    }
  return work;
}
