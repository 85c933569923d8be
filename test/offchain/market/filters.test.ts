/** What is looked for, why an offer is not it, and which wins. */
import { assert, property, shuffledSubarray } from "fast-check";
import { describe, expect, test } from "vitest";

import { type Filter, rank, whyNot } from "../../../offchain/src/market/filters.ts";
import { gpuOf } from "../../../offchain/src/market/gpus.ts";
import { perGpuHour, whyNever } from "../../../offchain/src/market/offer.ts";
import { usdPerBillionTokens } from "../../../offchain/src/market/speed.ts";
import { manyOffers, NOW, offerOf } from "./offers.ts";

const gpu = (name: string) => gpuOf(name) ?? offerOf().gpu;

describe("a wish", () => {
  const { price } = offerOf();
  test.each<[string, Filter, Parameters<typeof offerOf>[0], string]>([
    ["a GPU", { gpus: ["H100", "RTX 40"] }, { gpu: gpu("A100 80GB") }, "GPU: 1x A100 80 GB, wanted H100 or RTX 40"],
    ["a form of it", { gpus: ["h100 sxm"] }, { gpu: gpu("H100 PCIe") }, "GPU: 1x H100 PCIe 80 GB, wanted h100 sxm"],
    ["a count", { count: 1 }, { count: 8 }, "GPUs: 8, wanted 1"],
    ["a least count", { least: 1 }, { count: 0 }, "GPUs: 0 GPUs, wanted 1"],
    ["VRAM", { vramGb: 80 }, { gpu: gpu("A100 40GB") }, "memory of a GPU: 40 GB, wanted 80"],
    ["CPUs", { cpus: 32 }, { cpus: 31 }, "CPUs: 31 CPUs, wanted 32"],
    ["memory", { ramGb: 256 }, { ramGb: 255 }, "memory: 255 GB, wanted 256"],
    ["disk", { diskGb: 1_000 }, { diskGb: 999 }, "disk: 999 GB, wanted 1000"],
    ["a country", { countries: ["se", "NO"] }, { country: "US" }, "country: US, wanted se or NO"],
    ["a region", { region: "gothenburg" }, { region: "Oslo, NO" }, "region: Oslo, NO, wanted gothenburg"],
    ["a tier", { tier: "secure" }, { tier: "unknown" }, "tier: unknown, wanted secure"],
    [
      "an interconnect",
      { interconnect: "nvlink" },
      { interconnect: "pcie", count: 2 },
      "interconnect: pcie, wanted nvlink",
    ],
    ["an uplink", { upMbps: 1_000 }, { upMbps: 999 }, "uplink: 999 Mbit/s, wanted 1000"],
    ["a charge", { charge: "on-demand" }, { price: { ...price, charge: "spot" } }, "spot, wanted on-demand"],
    [
      "a price of a GPU",
      { maxPerGpuHour: 2_000_000n },
      { usd: 2.000001 },
      "a GPU for an hour: 2.0001 USD, at most 2.0000",
    ],
    [
      "a price of the machine",
      { maxPerHour: 2_000_000n },
      { usd: 3, count: 8 },
      "the machine for an hour: 3.0000 USD, at most 2.0000",
    ],
    ["a price of tokens", { maxPerBillionTokens: 20_000_000n }, { usd: 20 }, "10^9 tokens: 103.5676 USD"],
    [
      "a provider",
      { providers: ["vast"] },
      { provider: "runpod", upstream: "runpod" },
      "provider: runpod, wanted vast",
    ],
    [
      "no provider",
      { without: ["hyperstack"] },
      { provider: "prime", upstream: "hyperstack" },
      "provider: prime, not wanted",
    ],
    ["reliability", { reliabilityPpm: 990_000 }, { reliabilityPpm: 989_999 }, "reliability: 0.989999, wanted 0.99"],
  ])("for %s", (_, filter, change, miss) => {
    expect(whyNot(offerOf(), filter)).toBeUndefined();
    expect(whyNot(offerOf(change), filter)).toContain(miss);
  });

  test("for what an offer does not tell is missed", () => {
    const { upMbps: _, ...told } = offerOf();
    expect(whyNot(told, { upMbps: 1 })).toBe("uplink: not told, wanted 1");
    const none = offerOf({ price: { charge: "on-demand", perHour: undefined, firm: true } });
    expect(whyNot(none, { maxPerGpuHour: 10n ** 11n })).toContain("not known");
    expect(whyNot(offerOf({ gpu: gpu("A16 16GB") }), { maxPerBillionTokens: 10n ** 11n })).toContain("not known");
  });

  test("for an interconnect is had by one GPU, which needs none", () => {
    const { interconnect: _, ...told } = offerOf();
    expect(whyNot(told, { interconnect: "nvlink" })).toBeUndefined();
  });
});

describe("never wins", () => {
  test.each<[string, Parameters<typeof offerOf>[0]]>([
    ["stale", { expiresAt: NOW }],
    ["it has ended", { endsAt: NOW }],
    ["no price", { price: { charge: "on-demand", perHour: undefined, firm: true } }],
    ["no firm price", { price: { charge: "on-demand", perHour: 1n, firm: false } }],
    ["out of stock", { stock: "none" }],
    ["stock not told", { stock: "unknown" }],
    ["a sample, not to be rented", { source: "sample" }],
  ])("%s", (why, change) => {
    const cheap = offerOf({ id: "vast:cheap", usd: 0.01, ...change });
    const ranked = rank([cheap, offerOf({ usd: 90 })], [{}], "price", NOW);
    expect(ranked.map(({ offer, never }) => [offer.id, never])).toEqual([
      ["vast:1", undefined],
      ["vast:cheap", why],
    ]);
  });
});

describe("ranking", () => {
  test("the cheapest hour of a GPU first, whatever the order they come in; what cannot be rented last", () => {
    const offers = manyOffers(300, "ranking");
    assert(
      property(shuffledSubarray(offers, { minLength: offers.length }), (shuffled) => {
        expect(rank(shuffled, [{}], "price", NOW)).toEqual(rank(offers, [{}], "price", NOW));
      }),
      { numRuns: 10 },
    );
    const ranked = rank(offers, [{}], "price", NOW);
    expect(ranked).toHaveLength(offers.length);
    const winners = ranked.filter(({ never }) => never === undefined).map(({ offer }) => perGpuHour(offer) ?? -1n);
    expect(winners).toEqual(winners.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    expect(ranked.slice(0, winners.length).every(({ never }) => never === undefined)).toBe(true);
    for (const { offer, never } of ranked) expect(never).toBe(whyNever(offer, NOW));
  });

  test("by a token a faster GPU at a higher price may come first", () => {
    const slow = offerOf({ id: "vast:slow", usd: 0.5, gpu: gpu("RTX 3090") });
    const fast = offerOf({ id: "vast:fast", usd: 2 });
    expect(rank([slow, fast], [{}], "price", NOW)[0]?.offer.id).toBe("vast:slow");
    expect(rank([slow, fast], [{}], "value", NOW)[0]?.offer.id).toBe("vast:fast");
    // 2 USD/h over 989 TFLOP/s at 35% and 6.45 GFLOP a token.
    expect(usdPerBillionTokens(fast)).toBe(10_356_758n);
  });

  test("alternatives are taken in their order: the first of which something can be rented", () => {
    const spot = offerOf({ id: "vast:spot", usd: 1, price: { charge: "spot", perHour: 1_000_000n, firm: true } });
    const alternatives: Filter[] = [{ charge: "spot" }, { charge: "on-demand" }];
    const first = (...offers: ReturnType<typeof offerOf>[]) => rank(offers, alternatives, "price", NOW)[0]?.offer.id;
    expect(first(offerOf({ usd: 0.1 }), spot)).toBe("vast:spot");
    expect(first(offerOf({ usd: 0.1 }), { ...spot, stock: "none" })).toBe("vast:1");
    expect(first({ ...spot, stock: "none" })).toBe("vast:spot");
    expect(first()).toBeUndefined();
  });
});
