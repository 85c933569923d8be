/** Machines that are paid for an hour before, or whose time is set: when a further hour is, by whom it is bounded, what it counts as. */
import { describe, expect, test } from "vitest";

import { createRandom, RetryableError, UserError } from "../../../../offchain/src/base/index.ts";
import type { RentedAccount } from "../../../../offchain/src/market/base/renting.ts";
import { openKeeper } from "../../../../offchain/src/market/leases/keeper.ts";
import { costOf, spentOn } from "../../../../offchain/src/market/leases/cost.ts";
import { applied, type Ledger } from "../../../../offchain/src/market/leases/ledger.ts";
import { type ClusterSpec, emptyKept, leasesOf, openBook } from "../../../../offchain/src/market/leases/state.ts";
import type { Offer } from "../../../../offchain/src/market/offer.ts";
import { NOW, offerOf } from "../offers.ts";
import { cloudOf, worldClock } from "./cloud.ts";
import { clusterOf, INSTALLATION, kinds, rules } from "./world.ts";

const [HOUR, MINUTE] = [3_600_000, 60_000];
const PRICE = 1_000_000n;
const terms = { ...kinds[2]!, prepaidSeconds: 3_600 };
const offers = [
  offerOf({
    id: "cloud:1",
    provider: "cloud",
    backstop: "prepaid",
    granularitySeconds: 3_600,
    price: { charge: "on-demand", perHour: PRICE, firm: true },
  }),
];

/** The same where what is put down for the time comes back as far as it is not used. */
const lent = { ...kinds[1]!, prepaidSeconds: 3_600, deposit: 5n * PRICE };
const lentOffers = [{ ...offers[0]!, granularitySeconds: 60 }];

interface Kind {
  readonly terms: typeof terms & { readonly deposit?: bigint };
  readonly offers: readonly Offer[];
  /** Whether the answer of a further hour is lost after it was paid. */
  readonly isLost?: () => boolean;
}

/** A machine at work, of a cloud that ends it when what was paid is over, and what may go wrong with paying for longer. */
async function stage(
  change: Partial<ClusterSpec> = {},
  answer: () => void = () => undefined,
  { terms: own, offers: its, isLost = () => false }: Kind = { terms, offers },
) {
  const clock = worldClock(NOW);
  const cloud = cloudOf({ name: "cloud", terms: own, clock, random: createRandom("extending") });
  const entries: unknown[] = [];
  const alarms: string[] = [];
  const paid: number[] = [];
  const totals: number[] = [];
  const ledger: Ledger = {
    read: () => Promise.resolve(openBook(INSTALLATION, entries.reduce<typeof emptyKept>(applied, emptyKept))),
    append: (entry) => Promise.resolve(void entries.push(structuredClone(entry.rows))),
  };
  const further = new Map<string, number>();
  const account: RentedAccount = {
    ...cloud.account(),
    terms: own,
    extend: async (id, hours, total) => {
      answer();
      paid.push(clock.now() - NOW);
      totals.push(total);
      further.set(id, (further.get(id) ?? 0) + hours * HOUR);
      if (isLost()) throw new RetryableError("PROVIDER_AWAY", "The answer is lost.");
    },
  };
  /** The cloud ends what is not paid for any more. */
  const end = (): void => {
    for (const machine of cloud.machines) {
      const due = machine.bornAt + HOUR + (further.get(machine.id) ?? 0);
      if (clock.now() >= due) machine.endsAt ??= due;
    }
  };
  const open = () =>
    openKeeper({
      ledger,
      accounts: [account],
      clock,
      rules,
      quote: () => Promise.resolve(its),
      prepare: () => Promise.resolve({ image: "base", script: "true", environment: {} }),
      onAlarm: ({ sentence }) => void alarms.push(sentence),
    });
  let keeper = await open();
  await keeper.look();
  await keeper.tell({ type: "rent", cluster: clusterOf({ slots: 1, joins: "running", ...change }), offers: its });
  /** Looks each minute until then. */
  const until = async (time: number): Promise<void> => {
    while (clock.now() < NOW + time) {
      end();
      await keeper.look();
      clock.pass(MINUTE);
    }
  };
  return {
    clock,
    cloud,
    paid,
    totals,
    alarms,
    /** Nobody looks from now on. */
    abandon: (): bigint => {
      clock.pass(100 * HOUR);
      end();
      return cloud.machines.reduce((sum, machine) => sum + cloud.meter(machine), 0n);
    },
    until,
    lease: () => leasesOf(keeper.book())[0]!,
    book: () => keeper.book(),
    reopen: async () => {
      keeper = await open();
    },
  };
}

describe("a machine that is paid for an hour before", () => {
  test("is paid for one more shortly before it is over, hour after hour, and costs what was paid", async () => {
    const { until, paid, lease, cloud, clock } = await stage();
    await until(2.5 * HOUR);
    expect(paid).toHaveLength(2);
    for (const [index, time] of paid.entries()) {
      expect(time).toBeGreaterThanOrEqual((index + 1) * HOUR - rules.extendBefore);
      expect(time).toBeLessThan((index + 1) * HOUR);
    }
    expect(cloud.machines).toHaveLength(1);
    expect(lease()).toMatchObject({ state: "joined", extendedSeconds: 7_200 });
    expect(costOf(lease(), clock.now())).toBe(3n * PRICE);
  });

  test("is not where its cluster is over by then, nor where the budget does not hold the hour", async () => {
    const short = await stage({ endsAt: NOW + 50 * MINUTE });
    await short.until(58 * MINUTE);
    expect(short.paid).toEqual([]);
    const poor = await stage({ budget: 2n * PRICE, endsAt: NOW + 5 * HOUR });
    await poor.until(2 * HOUR);
    expect(poor.paid).toHaveLength(1);
    expect(spentOn(poor.book(), "c1", poor.clock.now())).toBeLessThanOrEqual(2n * PRICE);
  });

  test("costs no more where that is refused, which is told and tried again", async () => {
    let isRefused = true;
    const { until, paid, lease, alarms, clock } = await stage({}, () => {
      if (!isRefused) return;
      isRefused = false;
      throw new UserError("PROVIDER_FUNDS", "The cloud says that the account has no funds.");
    });
    await until(0.8 * HOUR);
    expect(paid).toEqual([]);
    expect(costOf(lease(), clock.now())).toBe(PRICE);
    expect(alarms.filter((sentence) => sentence.includes("is not paid for longer"))).toHaveLength(1);
    await until(0.95 * HOUR);
    expect(paid).toHaveLength(1);
  });

  test("counts as paid where nobody knows, and is not asked for twice, also by who comes after", async () => {
    let asked = 0;
    const { until, lease, clock, reopen } = await stage({}, () => {
      asked += 1;
      throw new RetryableError("PROVIDER_AWAY", "The cloud does not answer.");
    });
    await until(0.9 * HOUR);
    await reopen();
    await until(0.98 * HOUR);
    expect(asked).toBe(1);
    expect(costOf(lease(), clock.now())).toBe(2n * PRICE);
  });
});

describe("a machine whose time is set", () => {
  const kind: Kind = { terms: lent, offers: lentOffers };

  test("is given a new total hour after hour, and costs what is used of it", async () => {
    const { until, totals, lease, cloud, clock } = await stage({}, undefined, kind);
    await until(2.5 * HOUR);
    expect(totals).toEqual([2, 3]);
    expect(cloud.machines).toHaveLength(1);
    expect(lease()).toMatchObject({ state: "joined", extendedSeconds: 7_200 });
    expect(costOf(lease(), clock.now())).toBeLessThan((26n * PRICE) / 10n);
    // All of it is in hand: with the end that the provider has, and what that takes.
    expect(lease().backedUntil).toBe((lease().sentAt ?? 0) + 3 * HOUR + lent.killWithin);
  });

  test("has its time from when it is sent, however long after it was wanted", async () => {
    const { until, book } = await stage(
      { slots: rules.createsAtOnce + 1, minimum: 1, budget: 90n * PRICE },
      undefined,
      kind,
    );
    await until(5 * MINUTE);
    const leases = leasesOf(book());
    expect(new Set(leases.map(({ sentAt }) => sentAt)).size).toBe(2);
    for (const { sentAt, backedUntil } of leases) expect(backedUntil).toBe((sentAt ?? 0) + HOUR + lent.killWithin);
  });

  test.each([
    ["what is put down", PRICE, 5n * PRICE],
    ["what the hour costs", 6n * PRICE, 6n * PRICE + (6n * PRICE) / 60n],
  ])("is rented without a watchdog where the budget holds %s", async (_, perHour, budget) => {
    const dear = lentOffers.map((offer) => ({ ...offer, price: { ...offer.price, perHour } }));
    const own = { ...kind, offers: dear };
    const bounds = { maximumPerHour: perHour };
    const enough = await stage({ ...bounds, budget }, undefined, own);
    await enough.until(5 * MINUTE);
    expect(enough.cloud.machines).toHaveLength(1);
    const less = await stage({ ...bounds, budget: budget - 1n }, undefined, own);
    await less.until(5 * MINUTE);
    expect(less.cloud.machines).toEqual([]);
    const accepted = await stage({ ...bounds, budget: budget - 1n, acceptNoBackstop: true }, undefined, own);
    await accepted.until(5 * MINUTE);
    expect(accepted.cloud.machines).toHaveLength(1);
  });

  test("that could not be raised ends, and what was in hand for it is free again", async () => {
    const { until, lease } = await stage(
      {},
      () => {
        throw new UserError("PROVIDER_REFUSED", "The cloud says that it is closed.");
      },
      kind,
    );
    await until(55 * MINUTE);
    expect(lease()).toMatchObject({ state: "joined", extendedSeconds: 0 });
    expect(lease().backedUntil).toBe((lease().sentAt ?? 0) + HOUR + lent.killWithin);
    await until(1.2 * HOUR);
    expect(lease()).toMatchObject({ state: "gone" });
  });

  test.each(Array.from({ length: 60 }, (_, seed) => seed))(
    "never costs more than the budget, whenever nobody looks any more (seed %i)",
    async (seed) => {
      const random = createRandom(`abandoned ${seed}`);
      const fails = (): boolean => random.float() < 0.3;
      const budget = 4n * PRICE + BigInt(random.below(16_000_000));
      const { until, abandon } = await stage(
        { slots: 1 + random.below(3), minimum: 1, budget },
        () => {
          if (fails()) throw new UserError("PROVIDER_REFUSED", "The cloud refuses.");
          if (fails()) throw new RetryableError("PROVIDER_AWAY", "The cloud does not answer.");
        },
        { ...kind, isLost: fails },
      );
      await until(random.below(8 * HOUR));
      expect(abandon()).toBeLessThanOrEqual(budget);
    },
  );
});
