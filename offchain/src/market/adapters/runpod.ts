/**
 * RunPod, by REST v2 (its published description). It lists kinds of GPU, not machines: prices are of one GPU, and what is in stock
 * depends on cloud and count, so each pair is asked for. A price of 0 says "not offered", and so may 0.5: neither is a price here.
 */
import type { Adapter } from "../base/adapter.ts";
import type { Api } from "../base/api.ts";
import { fieldOf, listOf, present, type Row } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import type { OfferDraft, Stock } from "../offer.ts";
import { runpodRenting } from "./renting/runpod.ts";

const CLOUDS = ["secure", "community"] as const;
const COUNTS = [1, 2, 4, 8];

const STOCK: Readonly<Record<string, Stock>> = { HIGH: "in stock", MEDIUM: "in stock", LOW: "low", NONE: "none" };
const stockOf = (level: string | undefined): Stock => (level === undefined ? "unknown" : (STOCK[level] ?? "unknown"));

/** 0.50 is shown for GPUs that are not to be had. */
const SENTINEL = 500_000n;

/** `US-KS-2` → US; of `EU-RO-1` the second part, for the first is no country. */
function countryOf(dataCenter: string | undefined): string | undefined {
  const [first = "", second = ""] = dataCenter?.split("-") ?? [];
  const country = /^(EU|EUR|AP|OC|SEA|NA|SA|ME|AF)$/.test(first) ? second : first;
  return /^[A-Z]{2}$/.test(country) ? country : undefined;
}

async function* catalogue(api: Api): AsyncGenerator<readonly unknown[]> {
  for (const cloud of CLOUDS)
    for (const count of COUNTS) {
      const answer = await api({
        method: "GET",
        path: "/catalog/gpus",
        query: { include: "AVAILABILITY", product: "POD", cloud: cloud.toUpperCase(), count },
        endpoint: "catalog",
        repeatable: true,
      });
      yield listOf(fieldOf(answer, "gpus"), "gpus").map((gpu) => ({ gpu, cloud, count }));
    }
}

/** Where it stands, and whether one is there; one place without a name where none is told. */
function placesOf(row: Row): { readonly dataCenter?: string; readonly stock: Stock }[] {
  const places = row.list("gpu.dataCenters").map((place) => ({
    dataCenter: place.requireText("id"),
    stock: stockOf(place.text("availability")),
  }));
  const stock = stockOf(row.text("gpu.availability"));
  return places.length > 0 ? places.filter((place) => place.stock !== "none") : stock === "none" ? [] : [{ stock }];
}

export const runpod: Adapter = {
  name: "runpod",
  title: "RunPod",
  adds: "RTX 3070 to B300, secure and community, by the second",
  base: "https://api.runpod.io/v2",
  key: { variable: "RUNPOD_API_KEY", header: "bearer", from: "console.runpod.io, Settings, API Keys" },
  capabilities: { backstop: "scoped-key", granularitySeconds: 1, bootBilled: true, prepaid: true },
  limits: {
    catalog: { perMinute: 60, interval: 200 },
    account: { perMinute: 60 },
    create: { perMinute: 20, interval: 1_000 },
    terminate: { perMinute: 60 },
  },
  refusals: [
    { status: 403, kind: "auth" },
    // A broken rule or no capacity: it does not tell which.
    { status: 400, endpoint: "create", kind: "capacity" },
    { status: 404, words: /not found/i, kind: "absent" },
  ],
  validFor: 5 * 60_000,
  rows: catalogue,
  offers: (row) => {
    const [id, cloud, count] = [row.requireText("gpu.id"), row.requireText("cloud"), row.requireWhole("count")];
    const gpu = gpuOf(id, row.whole("gpu.memory"));
    if (gpu === undefined || row.flag(`gpu.${cloud}`) !== true || (row.whole(`gpu.maxCount.${cloud}`) ?? 0) < count)
      return [];
    const single = row.money(`gpu.price.${cloud}`, "usd");
    const perHour = single === SENTINEL ? undefined : row.money(`gpu.price.${cloud}`, "usd", count);
    return placesOf(row).map(({ dataCenter, stock }) => ({
      providerId: [id, cloud, count, dataCenter ?? "anywhere"].join("/"),
      upstream: "runpod",
      upstreamId: id,
      kind: "container",
      gpu,
      count,
      architecture: "x86_64",
      tier: cloud === "secure" ? "secure" : "community",
      price: { charge: "on-demand", perHour, firm: true },
      stock,
      ...present<Partial<OfferDraft>>({ dataCenter, region: dataCenter, country: countryOf(dataCenter) }),
    }));
  },
  account: async (api) => {
    const answer = await api({ method: "GET", path: "/pods", endpoint: "account", repeatable: true });
    return [["pods of the account", String(listOf(fieldOf(answer, "pods"), "pods").length)]];
  },
  renting: runpodRenting,
};
