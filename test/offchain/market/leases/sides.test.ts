/** Keys for SSH that were put into an account for machines: taken out with the last of them, and nobody else's. */
import { expect, onTestFinished, test } from "vitest";

import { createRandom, RetryableError } from "../../../../offchain/src/base/index.ts";
import type { SideResource } from "../../../../offchain/src/market/base/renting.ts";
import { keepLeases, type KeepingOptions } from "../../../../offchain/src/market/leases/keeping.ts";
import { openLedger } from "../../../../offchain/src/market/leases/ledger.ts";
import { leasesOf } from "../../../../offchain/src/market/leases/state.ts";
import { temporaryDirectory } from "../../cli/support.ts";
import { NOW, offerOf } from "../offers.ts";
import { cloudOf, worldClock } from "./cloud.ts";
import { clusterOf, kinds } from "./world.ts";

const offers = [offerOf({ id: "cloud:1", provider: "cloud", backstop: "own" })];

const away = () => Promise.reject(new RetryableError("PROVIDER_AWAY", "The cloud does not answer."));

async function stage() {
  const directory = temporaryDirectory();
  const clock = worldClock(NOW);
  const ledger = await openLedger(directory, () => NOW);
  const { installation } = await ledger.read();
  await ledger.close();
  const cloud = cloudOf({ name: "cloud", terms: kinds[0]!, clock, random: createRandom("sides") });
  const keys: SideResource[] = ["web", `ct-${installation}-key`, "ct-ffffffff-key"].map((name, index) => ({
    kind: "ssh-key",
    id: `k${index}`,
    name,
  }));
  const faults: string[] = [];
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const account = {
    ...cloud.account(),
    sides: async () => keys,
    removeSide: async (id: string) =>
      void keys.splice(
        keys.findIndex((key) => key.id === id),
        1,
      ),
  };
  const keep = (parts: Partial<KeepingOptions> = {}) =>
    keepLeases({
      directory,
      accounts: [account],
      clock,
      quote: () => Promise.resolve(offers),
      prepare: () => Promise.resolve({ image: "base", script: "true", environment: {} }),
      signal: ending.signal,
      onFault: (sentence) => void faults.push(sentence),
      isDone: () => true,
      ...parts,
    });
  return { keep, account, faults, names: () => keys.map(({ name }) => name), ours: `ct-${installation}-key` };
}

test("stay while a machine may be there, and are taken out after the last, but for others' keys", async () => {
  const { keep, names, ours } = await stage();
  const cluster = clusterOf({ slots: 1, joins: "running" });
  await keep({
    begin: (keeper) => keeper.tell({ type: "rent", cluster, offers }),
    isDone: (book) => leasesOf(book).some(({ state }) => state === "joined"),
  });
  expect(names()).toContain(ours);
  await keep({
    begin: (keeper) => keeper.tell({ type: "stop", cluster: cluster.id, reason: "stopped", words: "", drainMs: 0 }),
    isDone: (book) => leasesOf(book).every(({ state }) => state === "gone"),
  });
  expect(names()).toEqual(["web", "ct-ffffffff-key"]);
});

test("stay where the account was not listed, or does not tell them", async () => {
  const { keep, account, names, ours, faults } = await stage();
  await keep({ accounts: [{ ...account, list: away }] });
  expect(names()).toContain(ours);
  await keep({ accounts: [{ ...account, sides: away }] });
  expect(names()).toContain(ours);
  expect(faults.at(-1)).toBe("cloud, keys for SSH: The cloud does not answer.");
});
