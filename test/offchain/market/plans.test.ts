/** Plans that are kept, and what they cost now. */
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { gpuOf } from "../../../offchain/src/market/gpus.ts";
import { machineText, type Offer } from "../../../offchain/src/market/offer.ts";
import { keepPlan, type KeptPlan, planId, readPlan } from "../../../offchain/src/market/plans.ts";
import { requote, standIns } from "../../../offchain/src/market/requote.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { NOW, offerOf } from "./offers.ts";

const offers = [
  offerOf({ id: "vast:1", usd: 2 }),
  offerOf({ id: "vast:2", usd: 1, gpu: gpuOf("RTX 4090") ?? offerOf().gpu }),
];
const planOf = (change: Partial<KeptPlan> = {}): KeptPlan => ({
  version: 1,
  madeAt: NOW,
  expiresAt: NOW + 3_600_000,
  preset: "150m",
  mode: "value",
  budget: "20000000",
  seconds: 7_200,
  diskGb: 100,
  machines: offers.map((offer) => ({
    offer: offer.id,
    provider: "vast",
    machine: machineText(offer),
    perHour: String(offer.price.perHour),
  })),
  ...change,
});
const paths = () => {
  const directory = temporaryDirectory();
  return { cache: join(directory, "cache"), keys: join(directory, "keys") };
};
const fileOf = ({ cache }: { cache: string }, id: string): string => join(cache, "plans", `${id}.json`);

describe("a plan", () => {
  test("is kept under the digest of what it says, for its owner alone, and read back", async () => {
    const at = paths();
    const id = await keepPlan(at, planOf());
    expect(id).toBe(planId(planOf()));
    expect(id).not.toBe(planId(planOf({ budget: "20000001" })));
    expect(await readPlan(at, id, NOW)).toEqual(planOf());
    expect(await keepPlan(at, planOf())).toBe(id);
    expect(statSync(join(at.keys, "plans.key")).mode & 0o777).toBe(0o600);
    expect(statSync(fileOf(at, id)).mode & 0o777).toBe(0o600);
  });

  test("of another installation is not believed, nor one without a seal, nor of another form", async () => {
    const [here, there] = [paths(), paths()];
    const id = await keepPlan(there, planOf());
    await keepPlan(here, planOf({ preset: "1b" }));
    mkdirSync(join(here.cache, "plans"), { recursive: true });
    const change = async (content: unknown): Promise<void> => {
      writeFileSync(fileOf(here, id), JSON.stringify(content));
      await expect(readPlan(here, id, NOW)).rejects.toMatchObject({ code: "PLAN_CHANGED" });
    };
    await change({ plan: planOf(), seal: "ab".repeat(32) });
    await change({ plan: planOf() });
    await change({ plan: { ...planOf(), machines: [] }, seal: "ab".repeat(32) });
    await change("x".repeat(2_000_000));
    await expect(readPlan(paths(), id, NOW)).rejects.toMatchObject({ code: "PLAN_UNKNOWN" });
  });

  test("is good until its time is over, and not before it was made", async () => {
    const at = paths();
    const id = await keepPlan(at, planOf());
    expect(await readPlan(at, id, NOW + 3_599_999)).toEqual(planOf());
    for (const now of [NOW + 3_600_000, NOW - 300_001])
      await expect(readPlan(at, id, now)).rejects.toMatchObject({ code: "PLAN_EXPIRED" });
  });

  test("whose key others can read is not believed", async () => {
    const at = paths();
    const id = await keepPlan(at, planOf());
    chmodSync(join(at.keys, "plans.key"), 0o644);
    await expect(readPlan(at, id, NOW)).rejects.toMatchObject({ code: "KEYSTORE_PERMISSIONS" });
  });

  test("is one of two hundred at the most: those that end first go", async () => {
    const at = paths();
    const ids: string[] = [];
    for (let index = 0; index <= 200; index++) ids.push(await keepPlan(at, planOf({ expiresAt: NOW + 1_000 + index })));
    const left = new Set(readdirSync(join(at.cache, "plans")));
    expect(left.size).toBe(101);
    expect(ids.slice(-101).every((id) => left.has(`${id}.json`))).toBe(true);
  });
});

/** A market of these offers. */
const marketOf = (listed: readonly Offer[], roads: Record<string, { id: string; perHour: bigint }[]> = {}) => ({
  offers: listed,
  roads: new Map(Object.entries(roads)),
});
const at = (offer: Offer, perHour: bigint): Offer => ({ ...offer, price: { ...offer.price, perHour } });
const [one, two] = offers as [Offer, Offer];

describe("quoted again it", () => {
  test("is what it was at the prices of now, each with what it may become", () => {
    const { offers: now, perHour, planned } = requote(planOf(), marketOf([at(two, 900_000n), one]), NOW, 5);
    expect(now.map(({ id }) => id)).toEqual(["vast:1", "vast:2"]);
    expect(perHour).toBe(2_900_000n);
    expect(planned).toEqual({
      0: { offer: "vast:1", machine: machineText(one), maximumPerHour: 2_100_000n },
      1: { offer: "vast:2", machine: machineText(two), maximumPerHour: 945_000n },
    });
  });

  test("may be dearer by so many percent, and no millionth more", () => {
    expect(requote(planOf(), marketOf([at(one, 2_150_000n), two]), NOW, 5).perHour).toBe(3_150_000n);
    expect(() => requote(planOf(), marketOf([at(one, 2_150_001n), two]), NOW, 5)).toThrowError(
      expect.objectContaining({ code: "PLAN_DEARER" }),
    );
  });

  test.each([
    ["not listed", [two]],
    ["stale", [{ ...one, expiresAt: NOW }, two]],
    ["out of stock", [{ ...one, stock: "none" as const }, two]],
    ["another machine", [{ ...one, count: 2 }, two]],
  ])("is none where a machine is %s", (_, listed) => {
    expect(() => requote(planOf(), marketOf(listed), NOW, 5)).toThrowError(
      expect.objectContaining({
        code: "PLAN_GONE",
        message: expect.stringMatching(/^1 of 2 machines .*vast:1/) as string,
      }),
    );
  });

  test("has a machine by the road that is cheaper now", () => {
    const road = at({ ...one, id: "prime:9", provider: "prime" }, 1_500_000n);
    const market = marketOf([road, two], { "prime:9": [{ id: "vast:1", perHour: 2_000_000n }] });
    expect(requote(planOf(), market, NOW, 5).offers.map(({ id }) => id)).toEqual(["prime:9", "vast:2"]);
  });

  test("has the same machines of others standing by, the cheapest first, and no others", () => {
    const like = (id: string, perHour: bigint): Offer => at({ ...one, id }, perHour);
    const all = [
      like("vast:8", 3n),
      like("vast:7", 2n),
      one,
      two,
      { ...like("vast:9", 1n), count: 4 },
      { ...like("vast:6", 1n), stock: "none" as const },
    ];
    const requoted = requote(planOf(), marketOf(all), NOW, 5);
    expect(standIns(requoted, all, NOW).map(({ id }) => id)).toEqual(["vast:1", "vast:2", "vast:7", "vast:8"]);
  });
});
