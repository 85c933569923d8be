/** A cluster of a plan: which machine each slot is for, what takes its place, and what that may cost. */
import { expect, test } from "vitest";

import { canonicalJson } from "@cotrain/sdk/protocol";

import type { LeaseEvent } from "../../../../offchain/src/market/leases/events.ts";
import { applied } from "../../../../offchain/src/market/leases/ledger.ts";
import { step } from "../../../../offchain/src/market/leases/machine.ts";
import {
  type Book,
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
function scene(offers: readonly Offer[]) {
  let book: Book = openBook(INSTALLATION, emptyKept);
  let at = NOW;
  const tell = (event: Untimed): void => {
    at += 1_000;
    ({ book } = step(book, { ...event, at }, rules));
  };
  tell({ type: "listed", account: "cloud", identity: "owner", startedAt: at, terms, instances: [] });
  tell({ type: "rent", cluster: clusterOf({ slots: 2, minimum: 2, planned }), offers });
  tell({ type: "tick" });
  return {
    tell,
    book: () => book,
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
