/** Wallets that stay where a run begins anew on a chain of somebody else's. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import { prepareHeir, takeUpHeir } from "../../../offchain/src/localnet/funds.ts";
import { lockSigner } from "../../../offchain/src/service/index.ts";
import { temporaryDirectory } from "../cli/support.ts";

it("stay, and what they have signed for the model that is put aside is no matter of the new one", async () => {
  const state = join(temporaryDirectory(), "state");
  const wallet = join(state, "keys", "validator-1.json");
  mkdirSync(join(state, "keys"), { recursive: true });
  writeFileSync(wallet, "{}");
  const address = `0x${"a9".repeat(20)}`;
  (await lockSigner(wallet, address))?.release();
  (await prepareHeir(state))?.close();
  renameSync(state, `${state}.old`);
  expect(await takeUpHeir(state)).toBe(true);
  expect(existsSync(wallet)).toBe(true);
  const lock = await lockSigner(wallet, address);
  expect(lock?.usedBefore).toBe(false);
  lock?.release();
});
