/**
 * A sample catalogue, ours: what a reader sees before any key is set. Round figures of the order of what such machines cost in 2026,
 * from no provider's list; each is marked as a sample, which is never rented and never wins against an offer.
 */
import { gpuOf } from "./gpus.ts";
import { microUsdOf } from "./money.ts";
import type { Offer } from "./offer.ts";

/** GPU, count, US cents an hour of the machine, tier, country, charge. */
const rows = [
  ["RTX 3060", 1, 8, "community", "PL", "on-demand"],
  ["RTX 3090", 1, 18, "community", "SE", "on-demand"],
  ["RTX 3090", 4, 80, "community", "US", "on-demand"],
  ["RTX 4090", 1, 35, "community", "DE", "on-demand"],
  ["RTX 4090", 1, 22, "community", "DE", "spot"],
  ["RTX 4090", 8, 320, "secure", "US", "on-demand"],
  ["RTX 5090", 1, 55, "community", "CZ", "on-demand"],
  ["RTX 5090", 1, 85, "secure", "US", "on-demand"],
  ["A4000", 1, 20, "secure", "US", "on-demand"],
  ["A6000", 1, 50, "secure", "US", "on-demand"],
  ["L4", 1, 45, "secure", "US", "on-demand"],
  ["L40S", 1, 90, "secure", "US", "on-demand"],
  ["RTX 6000 Ada", 1, 80, "secure", "CA", "on-demand"],
  ["RTX PRO 6000", 1, 180, "secure", "US", "on-demand"],
  ["A100 PCIe 80 GB", 1, 130, "secure", "US", "on-demand"],
  ["A100 SXM 80 GB", 8, 1_200, "secure", "NO", "on-demand"],
  ["H100 PCIe", 1, 220, "secure", "CA", "on-demand"],
  ["H100 SXM", 1, 260, "secure", "US", "on-demand"],
  ["H100 SXM", 8, 2_000, "secure", "US", "on-demand"],
  ["H100 SXM", 8, 1_300, "secure", "FI", "spot"],
  ["H200 SXM", 8, 2_600, "secure", "FR", "on-demand"],
  ["B200", 8, 4_200, "secure", "US", "on-demand"],
  ["GH200", 1, 190, "secure", "US", "on-demand"],
  ["MI300X", 8, 1_800, "secure", "US", "on-demand"],
] as const;

const DAY = 86_400_000;

/** @param now they are as fresh as the looking */
export const sampleOffers = (now: number): Offer[] =>
  rows.flatMap(([name, count, cents, tier, country, charge], index) => {
    const gpu = gpuOf(name);
    if (gpu === undefined) return [];
    return [
      {
        id: `sample:${index + 1}`,
        provider: "sample",
        providerId: String(index + 1),
        upstream: "sample",
        kind: "container",
        gpu,
        count,
        architecture: gpu.model === "GH200" ? "arm64" : "x86_64",
        cpus: 16 * count,
        ramGb: 64 * count,
        diskGb: 500,
        diskIncludedGb: 100,
        country,
        tier,
        upMbps: tier === "secure" ? 1_000 : 300,
        downMbps: tier === "secure" ? 1_000 : 500,
        price: { charge, perHour: microUsdOf(cents, "cents"), firm: true },
        stock: "in stock",
        backstop: "none",
        granularitySeconds: 1,
        bootBilled: true,
        prepaid: false,
        observedAt: now,
        expiresAt: now + DAY,
        source: "sample",
      },
    ];
  });
