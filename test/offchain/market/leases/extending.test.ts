/** Machines that are paid for an hour before: when a further one is paid, by whom it is bounded, and what it counts as. */
import { describe, expect, test } from "vitest";

import { createRandom, RetryableError, UserError } from "../../../../offchain/src/base/index.ts";
import type { RentedAccount } from "../../../../offchain/src/market/base/renting.ts";
import { openKeeper } from "../../../../offchain/src/market/leases/keeper.ts";
import { costOf, spentOn } from "../../../../offchain/src/market/leases/cost.ts";
import { applied, type Ledger } from "../../../../offchain/src/market/leases/ledger.ts";
import { type ClusterSpec, emptyKept, leasesOf, openBook } from "../../../../offchain/src/market/leases/state.ts";
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

/** A machine at work, of a cloud that ends it when what was paid is over, and what may go wrong with paying for longer. */
async function stage(change: Partial<ClusterSpec> = {}, answer: () => void = () => undefined) {
  const clock = worldClock(NOW);
  const cloud = cloudOf({ name: "cloud", terms, clock, random: createRandom("extending") });
  const entries: unknown[] = [];
  const alarms: string[] = [];
  const paid: number[] = [];
  const ledger: Ledger = {
    read: () => Promise.resolve(openBook(INSTALLATION, entries.reduce<typeof emptyKept>(applied, emptyKept))),
    append: (entry) => Promise.resolve(void entries.push(structuredClone(entry.rows))),
  };
  let ends: number | undefined;
  const account: RentedAccount = {
    ...cloud.account(),
    terms,
    extend: async (_, hours) => {
      answer();
      paid.push(clock.now() - NOW);
      ends = (ends ?? 0) + hours * HOUR;
    },
  };
  const open = () =>
    openKeeper({
      ledger,
      accounts: [account],
      clock,
      rules,
      quote: () => Promise.resolve(offers),
      prepare: () => Promise.resolve({ image: "base", script: "true", environment: {} }),
      onAlarm: ({ sentence }) => void alarms.push(sentence),
    });
  let keeper = await open();
  await keeper.look();
  await keeper.tell({ type: "rent", cluster: clusterOf({ slots: 1, joins: "running", ...change }), offers });
  /** Looks each minute until then; the cloud ends what is not paid for any more. */
  const until = async (time: number): Promise<void> => {
    while (clock.now() < NOW + time) {
      const [machine] = cloud.machines;
      if (machine !== undefined && machine.endsAt === undefined) {
        ends ??= machine.bornAt + HOUR;
        if (clock.now() >= ends) machine.endsAt = ends;
      }
      await keeper.look();
      clock.pass(MINUTE);
    }
  };
  return {
    clock,
    cloud,
    paid,
    alarms,
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
