/** Wallets that stay where a run begins anew on a chain of somebody else's. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import { keepWallets } from "../../../offchain/src/localnet/funds.ts";
import { lockSigner } from "../../../offchain/src/service/index.ts";
import { temporaryDirectory } from "../cli/support.ts";

it("stay, and what they have signed for the model that is put aside is no matter of the new one", async () => {
  const [archived, state] = [join(temporaryDirectory(), "old"), join(temporaryDirectory(), "new")];
  const wallet = join(archived, "keys", "validator-1.json");
  mkdirSync(join(archived, "keys"), { recursive: true });
  writeFileSync(wallet, "{}");
  const address = `0x${"a9".repeat(20)}`;
  (await lockSigner(wallet, address))?.release();
  expect(await keepWallets(archived, state)).toBe(true);
  const kept = join(state, "keys", "validator-1.json");
  expect(existsSync(kept)).toBe(true);
  const lock = await lockSigner(kept, address);
  expect(lock?.usedBefore).toBe(false);
  lock?.release();
});
