/** The wallet that a worker or a validator keeps in its own directory. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, onTestFinished, test } from "vitest";

import { openWorkplace } from "../../../offchain/src/run/index.ts";
import { openKeystore, openStateDirectory } from "../../../offchain/src/service/index.ts";
import { createManualClock } from "../manualClock.ts";

test("is made by who holds the directory's lock, and works while it is held: who begins beside it makes none", async () => {
  const parent = mkdtempSync(join(tmpdir(), "cotrain-wallets-"));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  const state = join(parent, "worker");
  const wallet = { keystore: join(state, "wallet.json"), passphrase: join(state, "passphrase") };
  // One that has no wallet yet.
  const first = await openStateDirectory(state, { create: true });
  const clock = createManualClock();
  const second = openWorkplace(state, { clock }).catch((error: unknown) => error);
  while (clock.sleepers === 0) await new Promise(setImmediate);
  await clock.advance(5_000);
  expect(await second).toMatchObject({ code: "STATE_LOCKED" });
  expect(Object.values(wallet).filter((file) => existsSync(file))).toEqual([]);
  first.close();

  const { directory, account } = await openWorkplace(state, {});
  onTestFinished(() => directory.close());
  await expect(openStateDirectory(state)).rejects.toMatchObject({ code: "STATE_LOCKED" });
  expect((await openKeystore(wallet)).address).toBe(account.address);
});
