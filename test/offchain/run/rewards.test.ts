/** What an account earned, as the commands that list, claim and follow it read it. */
import { type Address, asModelId } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import { type BlobSource, computeEpoch, activeRewards } from "../../../offchain/src/run/index.ts";
import { accounts, createLedger, type Ledger, modelId } from "./ledger.ts";

const [a, b] = accounts;
const lower = (address: string): Address => address.toLowerCase() as Address;

/** Two epochs paid, the second active. */
async function settled(): Promise<{ ledger: Ledger; rewards: string }> {
  const ledger = createLedger();
  let rewards = "";
  for (const [epoch, account] of [a, b].entries()) {
    ledger.add({ anchoredAt: 1_005 + 16 * epoch, receipts: [{ account, tokens: 1n }] });
    ledger.now = 1_017 + 16 * epoch;
    const result = await computeEpoch(ledger.modules, { modelId, epoch: epoch + 1, verdicts: [] });
    if (result.kind === "nothing") throw new TypeError(result.reason);
    ledger.activate(result.computation);
    rewards = result.computation.manifest.rewards;
  }
  return { ledger, rewards };
}

/** @param lost the digest that is not there @param code what is said of it */
const without = (blobs: BlobSource, lost: string, code: string): BlobSource => ({
  blob: async (run, digest, limit) => {
    if (digest === lost) throw new UserError(code, `No ${digest}.`);
    return blobs.blob(run, digest, limit);
  },
});

it("rewards under the active root that were lost are added up, and held against it", async () => {
  const { ledger, rewards } = await settled();
  const { reader } = ledger.modules;
  const read = (blobs: BlobSource) => activeRewards(asModelId(modelId), blobs, reader);
  const known = await read(ledger.modules.blobs);
  const lost = await read(without(ledger.modules.blobs, rewards, "BLOB_MISSING"));
  for (const account of [a, b]) {
    expect(known?.of(lower(account))).toBeDefined();
    expect(lost?.of(lower(account))).toEqual(known?.of(lower(account)));
  }
  // What says nothing about the blob is told as it is.
  await expect(read(without(ledger.modules.blobs, rewards, "BUSY"))).rejects.toMatchObject({ code: "BUSY" });
});
