/**
 * Prime Intellect, which resells many clouds (docs.primeintellect.ai): prices of the whole configuration, its default disk in them
 * although `defaultIncludedInPrice` may say false, so that only what goes beyond is added.
 */
import type { Adapter } from "../base/adapter.ts";
import { byPage, countedPage } from "../base/pages.ts";
import { fieldOf, present, type Row } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import { type MicroUsd, storagePerHour } from "../money.ts";
import type { OfferDraft, Stock } from "../offer.ts";
import { primeRenting } from "./renting/prime.ts";

/** The most that the API gives at a time. */
const PAGE = 100;

const STOCK: Readonly<Record<string, Stock>> = {
  Available: "in stock",
  High: "in stock",
  Medium: "in stock",
  Low: "low",
  Unavailable: "none",
};

/** The price with the disk that is wanted. */
function priceOf(row: Row, diskGb: number, perGbMonth: MicroUsd | undefined): MicroUsd | undefined {
  if (row.text("prices.currency") !== "USD") return undefined;
  const price = row.money("prices.onDemand", "usd") ?? row.money("prices.communityPrice", "usd");
  const beyond = Math.max(0, diskGb - (row.whole("disk.defaultCount") ?? 0));
  return price === undefined || beyond === 0 || perGbMonth === undefined
    ? price
    : price + storagePerHour(perGbMonth, beyond);
}

/** More disk than can be added is not to be had. */
function stockOf(row: Row, diskGb: number): Stock {
  const most = row.whole("disk.maxCount") ?? row.whole("disk.defaultCount");
  if (most !== undefined && most < diskGb) return "none";
  const told = row.text("stockStatus");
  return told === undefined ? "unknown" : (STOCK[told] ?? "unknown");
}

export const prime: Adapter = {
  name: "prime",
  title: "Prime Intellect",
  adds: "a dozen further clouds under one account",
  base: "https://api.primeintellect.ai/api/v1",
  key: {
    variable: "PRIME_API_KEY",
    header: "bearer",
    from: "app.primeintellect.ai, API Keys, permission Availability: Read",
  },
  capabilities: { backstop: "none", granularitySeconds: 60, bootBilled: false, prepaid: true },
  limits: {
    availability: { perMinute: 60, interval: 200 },
    account: { perMinute: 60 },
    create: { perMinute: 20, interval: 1_000 },
    terminate: { perMinute: 60 },
  },
  refusals: [
    { status: 402, kind: "funds" },
    { status: 404, words: /not found/i, kind: "absent" },
    { endpoint: "create", words: /no (longer )?available|out of stock|no capacity/i, kind: "capacity" },
  ],
  validFor: 5 * 60_000,
  rows: (api) =>
    byPage("Prime Intellect", async (page) =>
      countedPage(
        await api({
          method: "GET",
          path: "/availability/gpus",
          query: { page, page_size: PAGE },
          endpoint: "availability",
          repeatable: true,
        }),
        "items",
        "totalCount",
      ),
    ),
  offers: (row, { diskGb }) => {
    const gpu = gpuOf(row.requireText("gpuType"), row.whole("gpuMemory"), row.text("socket"));
    if (gpu === undefined) return [];
    const [cloudId, upstream, count] = [
      row.requireText("cloudId"),
      row.requireText("provider"),
      row.requireWhole("gpuCount"),
    ];
    const dataCenter = row.text("dataCenter");
    const spot = row.flag("isSpot") === true;
    const security = row.text("security");
    const perGbMonth = row.money("disk.pricePerUnit", "usdPerGbHour");
    return [
      {
        providerId: [upstream, cloudId, count, dataCenter ?? "anywhere", row.text("socket") ?? ""].join("/"),
        upstream,
        upstreamId: cloudId,
        kind: "vm",
        gpu,
        count,
        architecture: gpu.model === "GH200" ? "arm64" : "x86_64",
        tier: security === "secure_cloud" ? "secure" : security === "community_cloud" ? "community" : "unknown",
        price: {
          charge: spot ? "spot" : "on-demand",
          perHour: priceOf(row, diskGb, perGbMonth),
          firm: row.flag("prices.isVariable") !== true,
        },
        stock: stockOf(row, diskGb),
        rentBy: { gpuType: row.requireText("gpuType"), socket: row.text("socket") ?? "PCIe" },
        ...present<Partial<OfferDraft>>({
          dataCenter,
          region: row.text("region"),
          country: row.text("country"),
          cpus: row.whole("vcpu.defaultCount"),
          ramGb: row.whole("memory.defaultCount"),
          diskGb: row.whole("disk.maxCount") ?? row.whole("disk.defaultCount"),
          diskIncludedGb: row.whole("disk.defaultCount"),
          storagePerGbMonth: perGbMonth,
          interconnect: gpu.form === "SXM" && count > 1 ? "nvlink" : undefined,
          downMbps: row.whole("internetSpeed"),
        }),
      },
    ];
  },
  account: async (api) => {
    const answer = await api({
      method: "GET",
      path: "/pods",
      query: { offset: 0, limit: 1 },
      endpoint: "account",
      repeatable: true,
    });
    return [["pods of the account", String(fieldOf(answer, "total_count"))]];
  },
  renting: primeRenting,
};
