/** Machines of an auction: what others paid is a limit where somebody says how far above it, and a limit stays one. */
import { assert, bigInt, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";

import { rank } from "../../../offchain/src/market/filters.ts";
import type { LeaseEvent } from "../../../offchain/src/market/leases/events.ts";
import { step } from "../../../offchain/src/market/leases/machine.ts";
import { type ClusterSpec, emptyKept, leasesOf, openBook } from "../../../offchain/src/market/leases/state.ts";
import { bidBelow, depositFor, microUsdOfBid } from "../../../offchain/src/market/money.ts";
import {
  auctioned,
  isLimit,
  machineText,
  type Offer,
  offerPriceText,
  whyNever,
} from "../../../offchain/src/market/offer.ts";
import type { KeptPlan } from "../../../offchain/src/market/plans.ts";
import { requote, standIns } from "../../../offchain/src/market/requote.ts";
import { clusterOf, INSTALLATION, kinds, rules } from "./leases/world.ts";
import { NOW, offerOf } from "./offers.ts";

const paid = (perHour: bigint, change: Partial<Offer> = {}): Offer =>
  offerOf({
    id: "akash:1",
    provider: "akash",
    backstop: "own",
    price: { charge: "on-demand", perHour, firm: false, auction: true },
    ...change,
  });
const limit = (perHour: bigint, change: Partial<Offer> = {}): Offer => ({
  ...paid(perHour, change),
  price: { charge: "on-demand", perHour, firm: true, auction: true },
});

describe("what others paid", () => {
  test("never wins by itself, and the reason names what makes it a limit", () => {
    expect(whyNever(paid(1_000_000n), NOW)).toBe("what others paid: --auction makes it a limit");
    const variable = offerOf({ price: { charge: "on-demand", perHour: 1_000_000n, firm: false } });
    expect(whyNever(variable, NOW)).toBe("no firm price");
    expect(auctioned([paid(1_000_000n)], undefined)).toEqual([paid(1_000_000n)]);
  });

  test("and so many percent is a limit, rounded up, by which it is ranked and shown", () => {
    const dearer = offerOf({ id: "vast:2", usd: 1.3 });
    const offers = auctioned([paid(1_000_001n), dearer, offerOf({ usd: 1.2 })], 25);
    expect(offers[0]).toEqual(limit(1_250_002n));
    expect(rank(offers, [{}], "price", NOW).map(({ offer }) => offer.id)).toEqual(["vast:1", "akash:1", "vast:2"]);
    expect(rank(offers, [{ maxPerHour: 1_250_001n }], "price", NOW)).toHaveLength(1);
    expect(offerPriceText(offers[0]!, 1_250_002n)).toBe("at most 1.2501");
    expect(offerPriceText(offers[1]!, 1_300_000n)).toBe("1.3000");
  });

  test("is raised once, for auctions alone, and not where nobody told a price", () => {
    const others: Offer[] = [
      limit(1_250_000n),
      offerOf(),
      offerOf({ price: { charge: "on-demand", perHour: 1_000_000n, firm: false } }),
      { ...paid(1n), price: { charge: "on-demand", perHour: undefined, firm: false, auction: true } },
    ];
    expect(auctioned(others, 25)).toEqual(others);
    expect(others.map(isLimit)).toEqual([true, false, false, false]);
  });

  test("as a bid by the block is never above the limit", () => {
    assert(
      property(bigInt({ min: 600n, max: 10n ** 9n }), integer({ min: 0, max: 1_000 }), (perHour, percent) => {
        const most = auctioned([paid(perHour)], percent)[0]?.price.perHour ?? 0n;
        expect(most * 100n).toBeGreaterThanOrEqual(perHour * BigInt(100 + percent));
        expect(microUsdOfBid(String(bidBelow(most)), "uact")).toBeLessThanOrEqual(most);
      }),
    );
  });
});

test("what is put down is what the time costs, and the least in any case", () => {
  expect(depositFor(5_000_001n, 3_600, 5_000_000n)).toBe(5_000_001n);
  expect(depositFor(300_000n, 3_600, 5_000_000n)).toBe(5_000_000n);
  expect(depositFor(1n, 1, 0n)).toBe(1n);
});

describe("a plan", () => {
  const plan: KeptPlan = {
    version: 1,
    madeAt: NOW,
    expiresAt: NOW + 3_600_000,
    preset: "150m",
    mode: "value",
    budget: "20000000",
    seconds: 7_200,
    diskGb: 100,
    auction: 25,
    machines: [
      { offer: "akash:1", provider: "akash", machine: machineText(paid(1n)), perHour: "1250000" },
      { offer: "vast:1", provider: "vast", machine: machineText(offerOf()), perHour: "2000000" },
    ],
  };
  const now = (perHour: bigint) => ({
    offers: auctioned([paid(perHour), paid(perHour, { id: "akash:2" }), offerOf()], plan.auction),
    roads: new Map(),
  });

  test.each([800_000n, 1_000_000n, 9_000_000n])("holds its limit where others pay %d", (perHour) => {
    const catalogue = now(perHour);
    const found = requote(plan, catalogue, NOW, 5);
    expect(found.offers.map(({ price }) => price.perHour)).toEqual([1_250_000n, 2_000_000n]);
    expect(found.planned[0]?.maximumPerHour).toBe(1_250_000n);
    expect(found.planned[1]?.maximumPerHour).toBe(2_100_000n);
    const standing = standIns(found, catalogue.offers, NOW);
    expect(standing.find(({ id }) => id === "akash:1")?.price.perHour).toBe(1_250_000n);
    expect(standing.find(({ id }) => id === "akash:2")?.price.perHour).toBe((perHour * 125n) / 100n);
  });

  test("that was made without an auction has nothing of one", () => {
    expect(() => requote(plan, { ...now(1_000_000n), offers: [paid(1_000_000n), offerOf()] }, NOW, 5)).toThrow(
      "akash:1: what others paid",
    );
  });
});

describe("a lease", () => {
  type Untimed = LeaseEvent extends infer E ? (E extends LeaseEvent ? Omit<E, "at"> : never) : never;
  /** A cluster of one machine that is rented of these. */
  function scene(offers: readonly Offer[], change: Partial<ClusterSpec> = {}) {
    let book = openBook(INSTALLATION, emptyKept);
    let at = NOW;
    const tell = (event: Untimed): void => {
      at += 1_000;
      ({ book } = step(book, { ...event, at }, rules));
    };
    for (const account of ["akash", "vast"])
      tell({ type: "listed", account, identity: "owner", startedAt: at, terms: kinds[0]!, instances: [] });
    tell({ type: "rent", cluster: clusterOf({ slots: 1, ...change }), offers });
    tell({ type: "tick" });
    return { tell, leases: () => leasesOf(book), label: () => leasesOf(book).at(-1)?.label ?? "" };
  }

  test("takes nothing above the limit, where another's price may be a little more", () => {
    expect(scene([limit(1_250_000n)]).leases()).toMatchObject([{ perHour: 1_250_000n, maximum: 1_250_000n }]);
    const firm = offerOf({ backstop: "own", usd: 1.25 });
    expect(scene([firm]).leases()).toMatchObject([{ perHour: 1_250_000n, maximum: 1_312_500n }]);
    expect(scene([limit(1_250_000n)], { maximumPerHour: 1_249_999n }).leases()).toEqual([]);
    expect(scene([paid(1_000_000n)]).leases()).toEqual([]);
  });

  test("counts as what was bid once that is listed", () => {
    const { tell, leases, label } = scene([limit(1_250_000n)]);
    const instance = { id: "i1", label: label(), state: "running", words: "", perHour: 900_000n } as const;
    tell({ type: "created", label: label(), instance });
    tell({
      type: "listed",
      account: "akash",
      identity: "owner",
      startedAt: NOW,
      terms: kinds[0]!,
      instances: [instance],
    });
    expect(leases()).toMatchObject([{ perHour: 900_000n, doomed: null }]);
  });

  test("for which nobody bids is over, and the next offer is rented", () => {
    const { tell, leases, label } = scene([limit(1_250_000n), offerOf({ backstop: "own" })]);
    tell({ type: "refused", label: label(), what: "offer", words: "no host bid within the price" });
    tell({ type: "tick" });
    expect(leases()).toMatchObject([
      { offer: "akash:1", state: "gone" },
      { offer: "vast:1", state: "creating" },
    ]);
  });
});
