/** What a book forgets: what is over and old, whatever it is; and what it must not. The ledger on the disk has all of it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, onTestFinished, test } from "vitest";

import { labelOf } from "../../../../offchain/src/market/base/labels.ts";
import type { LeaseEvent } from "../../../../offchain/src/market/leases/events.ts";
import { forgettingRules, withoutOld } from "../../../../offchain/src/market/leases/forgetting.ts";
import { changesOf, openLedger } from "../../../../offchain/src/market/leases/ledger.ts";
import { step } from "../../../../offchain/src/market/leases/machine.ts";
import {
  type Book,
  type Cluster,
  type Kept,
  type Lease,
  newLease,
  openBook,
} from "../../../../offchain/src/market/leases/state.ts";
import { NOW } from "../offers.ts";
import { clusterOf, INSTALLATION, kinds, rules } from "./world.ts";

const DAY = 86_400_000;
const stopping = { reason: "stopped", words: "", drainMs: 0 } as const;
const cluster = (id: string, change: Partial<Cluster> = {}): Cluster => ({
  ...clusterOf({ id }),
  rentedAt: NOW - 200 * DAY,
  assembled: true,
  stopping,
  warned: 0,
  ...change,
});

/** A lease that is gone since so many days. */
const lease = (attempt: number, days: number, change: Partial<Lease> = {}): Lease => ({
  ...newLease,
  label: labelOf({ installation: INSTALLATION, lease: "00000001", attempt }),
  cluster: "c1",
  slot: 0,
  attempt,
  account: "cloud",
  identity: "owner",
  offer: "cloud:1",
  machine: "1x RTX 3090 24 GB",
  host: "cloud:1",
  state: "gone",
  since: NOW - days * DAY,
  sentAt: NOW - days * DAY,
  answeredAt: NOW - days * DAY,
  instance: `i${attempt}`,
  goneAt: NOW - days * DAY,
  perHour: 1_000_000n,
  maximum: 1_000_000n,
  terms: kinds[0]!,
  ...change,
});
const bookOf = (leases: readonly Lease[], kept: Partial<Kept> = {}): Book =>
  openBook(INSTALLATION, {
    clusters: { c1: cluster("c1") },
    accounts: { cloud: { identity: "owner" } },
    blocked: {},
    leases: Object.fromEntries(leases.map((each) => [each.label, each])),
    ...kept,
  });
const attemptsIn = (book: Kept): number[] => Object.values(book.leases).map(({ attempt }) => attempt);
const told = (book: Book, event: LeaseEvent): Book => step(book, event, rules).book;

describe("a book", () => {
  test("forgets what is gone for 90 days, and its cluster with the last of it", () => {
    const book = withoutOld(bookOf([lease(1, 91), lease(2, 89)]), NOW);
    expect(attemptsIn(book)).toEqual([2]);
    expect(book.clusters).toHaveProperty("c1");
    const later = withoutOld(book, NOW + 2 * DAY);
    expect([later.leases, later.clusters]).toEqual([{}, {}]);
  });

  test("keeps what is not gone, and all of a cluster that goes on, whose budget it counts towards", () => {
    const open = lease(2, 300, { state: "terminating", goneAt: null });
    expect(attemptsIn(withoutOld(bookOf([lease(1, 91), open]), NOW))).toEqual([2]);
    const clusters = { c1: cluster("c1", { stopping: null }) };
    expect(attemptsIn(withoutOld(bookOf([lease(1, 91)], { clusters }), NOW))).toEqual([1]);
  });

  test("remembers so many of what is gone, the newest, and all of a day", () => {
    const { most } = forgettingRules;
    const of = (days: number) =>
      bookOf(Array.from({ length: most + 10 }, (_, index) => lease(index + 1, days + index / 1e6, { cluster: null })));
    const left = attemptsIn(withoutOld(of(2), NOW));
    expect([left.length, Math.max(...left)]).toEqual([most, most]);
    expect(attemptsIn(withoutOld(of(0.5), NOW))).toHaveLength(most + 10);
  });

  test("forgets what was left alone until now", () => {
    const blocked = { "offer:a": { until: NOW, why: "" }, "offer:b": { until: NOW + 1, why: "" } };
    expect(Object.keys(withoutOld(bookOf([], { blocked }), NOW).blocked)).toEqual(["offer:b"]);
  });

  test("is the very same where nothing is old", () => {
    const book = bookOf([lease(1, 1)]);
    expect(withoutOld(book, NOW)).toBe(book);
  });

  test("forgets at each look, and writes nothing for it", () => {
    const book = bookOf([lease(1, 91, { billed: 0n }), lease(2, 3, { billed: 0n })]);
    const next = told(book, { type: "tick", at: NOW });
    expect(attemptsIn(next)).toEqual([2]);
    expect(changesOf(book, next)).toEqual({});
  });

  test("takes a machine under a forgotten label for a stranger, which is ended", () => {
    const { label } = lease(1, 91);
    let book = told(bookOf([lease(1, 91)]), { type: "tick", at: NOW });
    const instances = [{ id: "i1", label, state: "running", words: "running", perHour: 1_000_000n } as const];
    const listing = { type: "listed", account: "cloud", identity: "owner", instances, terms: kinds[0]! } as const;
    book = told(book, { ...listing, startedAt: NOW, at: NOW });
    expect(book.leases[label]?.state).toBe("quarantined");
    expect(told(book, { type: "tick", at: NOW + rules.quarantine }).leases[label]?.state).toBe("terminating");
  });
});

test("a ledger that is opened has forgotten what is old; the disk has all of it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-leases-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const first = await openLedger(directory, () => NOW);
  await first.read();
  const { leases, clusters } = bookOf([lease(1, 91), lease(2, 3)]);
  await first.append({ type: "rent", at: NOW, rows: { leases, clusters } });
  // As many as are kept together.
  for (let at = 1; at <= 501; at++) await first.append({ type: "tick", at, rows: {} });
  await first.close();
  for (let times = 0; times < 2; times++) {
    const again = await openLedger(directory, () => NOW);
    expect(attemptsIn(await again.read())).toEqual([2]);
    expect(attemptsIn(await again.whole())).toEqual([1, 2]);
    await again.close();
  }
});
