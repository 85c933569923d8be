/** The ledger on the disk: what was intended before it was sent, what is read back, and who may write. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, onTestFinished, test } from "vitest";

import { createRandom, RetryableError } from "../../../../offchain/src/base/index.ts";
import type { RentedAccount } from "../../../../offchain/src/market/base/renting.ts";
import { openKeeper } from "../../../../offchain/src/market/leases/keeper.ts";
import { type Ledger, openLedger } from "../../../../offchain/src/market/leases/ledger.ts";
import { leasesOf } from "../../../../offchain/src/market/leases/state.ts";
import { NOW, offerOf } from "../offers.ts";
import { cloudOf, worldClock } from "./cloud.ts";
import { clusterOf, kinds, rules } from "./world.ts";

const offers = [offerOf({ id: "cloud:1", provider: "cloud", backstop: "own" })];

async function opened() {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-leases-"));
  const ledger = await openLedger(directory, () => NOW);
  onTestFinished(async () => {
    await ledger.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { directory, ledger };
}

function keeping(ledger: Ledger, change: Partial<RentedAccount> = {}) {
  const clock = worldClock(NOW);
  const cloud = cloudOf({ name: "cloud", terms: kinds[0]!, clock, random: createRandom("ledger") });
  const keeper = openKeeper({
    ledger,
    accounts: [{ ...cloud.account(), ...change }],
    clock,
    rules,
    quote: () => Promise.resolve(offers),
    prepare: () => Promise.resolve({ image: "base", script: "true", environment: {} }),
  });
  return { clock, cloud, keeper };
}

const rent = { type: "rent", cluster: clusterOf({ slots: 1 }), offers } as const;

test("that a machine is created is on the disk before it is sent", async () => {
  const { directory, ledger } = await opened();
  let seen: string[] = [];
  const { keeper } = keeping(ledger, {
    create: async ({ label }) => {
      const other = await openLedger(directory, () => NOW);
      seen = leasesOf(await other.read()).map((lease) => `${lease.label === label} ${lease.state}`);
      await other.close();
      throw new RetryableError("PROVIDER_CAPACITY", "none left");
    },
  });
  const keeps = await keeper;
  await keeps.look();
  await keeps.tell(rent);
  await keeps.look();
  expect(seen).toEqual(["true creating"]);
});

test("what cannot be written down is not sent, and nothing after it", async () => {
  const { ledger } = await opened();
  let isFull = false;
  const { keeper, cloud } = keeping({
    read: () => ledger.read(),
    append: (entry) =>
      isFull ? Promise.reject(new RetryableError("DISK_FULL", "The disk is full.")) : ledger.append(entry),
  });
  const keeps = await keeper;
  await keeps.look();
  await keeps.tell(rent);
  isFull = true;
  await expect(keeps.look()).rejects.toMatchObject({ code: "DISK_FULL" });
  isFull = false;
  await expect(keeps.look()).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(cloud.machines).toEqual([]);
});

test("a book that is opened again is as it was, money included", async () => {
  const { directory, ledger } = await opened();
  const { keeper, clock, cloud } = keeping(ledger);
  const keeps = await keeper;
  await keeps.look();
  await keeps.tell(rent);
  for (let times = 0; times < 5; times++) {
    await keeps.look();
    clock.pass(30_000);
  }
  expect(cloud.machines).toHaveLength(1);
  const { leases, clusters, accounts, installation } = keeps.book();
  const again = await openLedger(directory, () => NOW);
  const book = await again.read();
  expect(book).toMatchObject({ leases, clusters, accounts, installation });
  expect(installation).toMatch(/^[0-9a-f]{8}$/);
  const types = [];
  for await (const { type } of again.history()) types.push(type);
  expect(types.slice(0, 2)).toEqual(["listed", "rent"]);
  expect(types).toContain("created");
  await again.close();
});

test("who was followed by another writes nothing, and so sends nothing", async () => {
  const { directory, ledger } = await opened();
  const first = keeping(ledger);
  const old = await first.keeper;
  await old.look();
  await old.tell(rent);
  const successor = await openLedger(directory, () => NOW);
  const second = keeping(successor);
  const next = await second.keeper;
  await next.look();
  await next.look();
  await expect(old.look()).rejects.toMatchObject({ code: "EVENT_LOG_MOVED" });
  expect(first.cloud.machines).toEqual([]);
  expect(second.cloud.machines).toHaveLength(1);
  await successor.close();
});

test("a long ledger is read from the last time that all was kept together", async () => {
  const { directory, ledger } = await opened();
  const { installation } = await ledger.read();
  for (let at = 1; at <= 502; at++)
    await ledger.append({
      type: "tick",
      at,
      rows: { blocked: { [`offer:${at}`]: { until: NOW + at, why: "none left" } } },
    });
  for (let times = 0; times < 2; times++) {
    const again = await openLedger(directory, () => NOW);
    const book = await again.read();
    expect(Object.keys(book.blocked)).toHaveLength(502);
    expect(book.installation).toBe(installation);
    await again.close();
  }
});
