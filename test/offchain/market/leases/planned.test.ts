/** A cluster of a plan: which machine each slot is for, what takes its place, and what that may cost. */
import { expect, test } from "vitest";

import { canonicalJson } from "@cotrain/sdk/protocol";

import type { LeaseEvent } from "../../../../offchain/src/market/leases/events.ts";
import { applied } from "../../../../offchain/src/market/leases/ledger.ts";
import { step } from "../../../../offchain/src/market/leases/machine.ts";
import {
  type Book,
  type ClusterSpec,
  emptyKept,
  leasesOf,
  openBook,
  type SlotWish,
} from "../../../../offchain/src/market/leases/state.ts";
import { machineText, type Offer } from "../../../../offchain/src/market/offer.ts";
import { gpuOf } from "../../../../offchain/src/market/gpus.ts";
import { NOW, offerOf } from "../offers.ts";
import { clusterOf, INSTALLATION, kinds, rules } from "./world.ts";

const terms = kinds[0]!;
const offer = (id: string, usd: number, gpu = "H100 SXM"): Offer =>
  offerOf({ id, provider: "cloud", backstop: "own", gpu: gpuOf(gpu) ?? offerOf().gpu, usd });
const wish = (of: Offer, most: bigint): SlotWish => ({ offer: of.id, machine: machineText(of), maximumPerHour: most });

const [first, second] = [offer("cloud:1", 2), offer("cloud:2", 1, "RTX 4090")];
const planned = { 0: wish(first, 2_100_000n), 1: wish(second, 1_050_000n) };

type Untimed = LeaseEvent extends infer E ? (E extends LeaseEvent ? Omit<E, "at"> : never) : never;

/** A cluster of the plan with these offers. */
function scene(offers: readonly Offer[], change: Partial<ClusterSpec> = {}) {
  let book: Book = openBook(INSTALLATION, emptyKept);
  let at = NOW;
  const alarms: string[] = [];
  const tell = (event: Untimed): void => {
    at += 1_000;
    const { book: next, effects } = step(book, { ...event, at }, rules);
    book = next;
    for (const effect of effects) if (effect.type === "alarm") alarms.push(effect.sentence);
  };
  tell({ type: "listed", account: "cloud", identity: "owner", startedAt: at, terms, instances: [] });
  tell({ type: "rent", cluster: clusterOf({ slots: 2, minimum: 2, planned, ...change }), offers });
  tell({ type: "tick" });
  return {
    tell,
    book: () => book,
    alarms,
    rented: () => leasesOf(book).map((lease) => [lease.slot, lease.offer, lease.maximum]),
  };
}

test("each slot has its own machine, whatever is cheaper or stands before it", () => {
  const { rented } = scene([offer("cloud:0", 0.1), offer("cloud:3", 0.1, "RTX 4090"), second, first]);
  expect(rented()).toEqual([
    [0, "cloud:1", 2_100_000n],
    [1, "cloud:2", 1_050_000n],
  ]);
});

test("where it is not to be had, the same machine of another offer takes its place, never another's", () => {
  const { tell, book, rented } = scene([first, second, offer("cloud:5", 2.05), offer("cloud:6", 1, "RTX 3090")]);
  for (const { label } of leasesOf(book())) tell({ type: "refused", label, what: "offer", words: "none left" });
  tell({ type: "tick" });
  expect(rented().slice(2)).toEqual([[0, "cloud:5", 2_100_000n]]);
  expect(book().empty["c1"]).toBe("cloud:2: it was refused");
});

test("at more than its slot may cost it is not rented, and the others are", () => {
  const dear = { ...first, price: { ...first.price, perHour: 2_100_001n } };
  const { rented, book } = scene([dear, second, offer("cloud:5", 2.2)]);
  expect(rented()).toEqual([[1, "cloud:2", 1_050_000n]]);
  expect(book().empty["c1"]).toBe("cloud:5: it is too dear, or its price is not firm");
});

test("what it is for is read back as it was written", () => {
  const { clusters } = scene([first, second]).book();
  const read = applied(emptyKept, JSON.parse(canonicalJson({ clusters })) as unknown);
  expect(read.clusters).toEqual(clusters);
});

/** A cluster whose machines train, with what a new plan says of the first. */
function again(wished: SlotWish | null, change: Partial<ClusterSpec> = {}) {
  const made = scene([first, second], change);
  const { tell, book } = made;
  const [label = "", other = ""] = Object.keys(book().leases);
  for (const each of [label, other]) {
    const instance = { id: `i-${each}`, label: each, state: "running", words: "running", perHour: 1_000_000n } as const;
    tell({ type: "created", label: each, instance });
    tell({ type: "beat", label: each });
  }
  const replace = (whom = label) =>
    tell({ type: "replace", label: whom, wish: wished, words: "A new plan.", drainMs: 60_000 });
  replace();
  /** The machine is seen to be gone, and what is offered then is told. */
  const settle = (offers: readonly Offer[]): void => {
    tell({ type: "drained", label });
    tell({ type: "asked", label, answer: "accepted" });
    tell({ type: "listed", account: "cloud", identity: "owner", startedAt: LATER, terms, instances: [] });
    tell({ type: "listed", account: "cloud", identity: "owner", startedAt: LATER * 1.0001, terms, instances: [] });
    tell({ type: "got", label, account: "cloud", identity: "owner", startedAt: LATER * 1.0002, instance: null });
    for (const each of [other]) tell({ type: "beat", label: each });
    tell({ type: "tick" });
    tell({ type: "quoted", cluster: "c1", offers });
    tell({ type: "tick" });
  };
  return { ...made, label, settle, replace };
}
const LATER = NOW + 10_000_000;
const better = offer("cloud:7", 1.5, "A40");

test("by a new plan a machine finishes its round first, and its place is the other's, which is asked for anew", () => {
  const { book, label } = again(wish(better, 1_600_000n));
  expect(book().leases[label]).toMatchObject({ state: "draining", doomed: { reason: "replaced" } });
  expect(book().quotes).toEqual({});
  expect(book().clusters["c1"]).toMatchObject({ replaced: 1, again: { 0: { offer: "cloud:7" } } });
});

test("the other is rented when the first is gone, and no machine that was let go comes back", () => {
  const { book, settle, label } = again(wish(better, 1_600_000n));
  settle([first, second, better]);
  expect(book().leases[label]?.state).toBe("gone");
  expect(leasesOf(book()).filter(({ slot }) => slot === 0)).toMatchObject([{}, { offer: "cloud:7" }]);
});

test("a place that is nobody's stays empty", () => {
  const { book, settle } = again(null);
  settle([first, second, better]);
  expect(leasesOf(book()).filter(({ slot }) => slot === 0)).toHaveLength(1);
});

test("what does not fit the budget beside it, or is dearer than a machine may be, replaces nothing", () => {
  const { book, label, alarms } = again(wish(better, 1_600_000n), { budget: 700_000n });
  expect(book().leases[label]?.doomed).toBeNull();
  expect(alarms.at(-1)).toMatch(
    /^ct-\S+ is not replaced: with cloud:7 the budget would have to hold [\d.]+ USD, or it is too dear\.$/,
  );
  const dear = again(wish(better, 5_000_001n));
  expect(dear.book().leases[dear.label]?.doomed).toBeNull();
});

test("a cluster lets go of so many machines and no more", () => {
  const { book, label, replace } = again(wish(better, 1_600_000n));
  const cluster = book().clusters["c1"];
  expect(cluster?.replaced).toBe(1);
  // One that ends already is let go once.
  replace(label);
  expect(book().clusters["c1"]?.replaced).toBe(1);
  const full = again(wish(better, 1_600_000n), { replaced: rules.replacements * 2 } as Partial<ClusterSpec>);
  expect(full.book().leases[full.label]?.doomed).toBeNull();
  expect(full.alarms.at(-1)).toMatch(/its cluster has let go of as many as it may\.$/);
});
