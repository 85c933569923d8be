/**
 * Vast.ai: machines of many hosts, data centres among them. Shapes: its published API description (docs.vast.ai, August 2026).
 * Prices are of the whole machine and contain the disk that the search names.
 */
import type { Adapter } from "../base/adapter.ts";
import type { Api } from "../base/api.ts";
import { byToken } from "../base/pages.ts";
import { fieldOf, listOf, present, type Row, rowOf } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import type { OfferDraft } from "../offer.ts";
import { vastRenting } from "./renting/vast.ts";

/** Offers of one search; the default of the search itself is far fewer. */
const LIMIT = 5_000;

async function* search(api: Api, diskGb: number): AsyncGenerator<readonly unknown[]> {
  for (const type of ["on-demand", "bid"]) {
    const answer = await api({
      method: "POST",
      path: "/v0/bundles/",
      json: {
        type,
        limit: LIMIT,
        rentable: { eq: true },
        rented: { eq: false },
        order: [["dph_total", "asc"]],
        allocated_storage: diskGb,
      },
      endpoint: "search",
      repeatable: true,
    });
    yield listOf(fieldOf(answer, "offers"), "offers").map((offer) =>
      typeof offer === "object" && offer !== null ? { ...offer, asked: type } : offer,
    );
  }
}

/** All instances of the account, of whatever label; the API gives 25 at a time. */
async function countInstances(api: Api): Promise<number> {
  let found = 0;
  const pages = byToken("Vast.ai", async (token) => {
    const query = { limit: 25, ...(token === undefined ? {} : { after_token: token }) };
    const answer = await api({ method: "GET", path: "/v1/instances/", query, endpoint: "account", repeatable: true });
    return { items: listOf(fieldOf(answer, "instances"), "instances"), next: rowOf(answer).text("next_token") };
  });
  for await (const page of pages) found += page.length;
  return found;
}

/** The share of the machine's memory, GB: by the share of its cores. */
function ramOf(row: Row): number | undefined {
  const [ram, cores, effective] = [row.whole("cpu_ram"), row.whole("cpu_cores"), row.whole("cpu_cores_effective")];
  if (ram === undefined) return undefined;
  const share = cores && effective ? Math.min(1, effective / cores) : 1;
  return Math.round((ram * share) / 1_000);
}

/** `Sweden, SE` → SE. */
const countryOf = (place: string | undefined): string | undefined => /(?:^|[\s,])([A-Z]{2})$/.exec(place ?? "")?.[1];

/** Of a bid the dearer of the least bid and the total, which has the disk in it: what is shown is never below the bill. */
function priceOf(row: Row, spot: boolean): bigint | undefined {
  const total = row.money("dph_total", "usd");
  const bid = row.money("min_bid", "usd");
  if (!spot || total === undefined) return total;
  return bid !== undefined && bid > total ? bid : total;
}

export const vast: Adapter = {
  name: "vast",
  title: "Vast.ai",
  adds: "the most machines, RTX 3060 to H200, many hosts, on-demand and spot",
  base: "https://console.vast.ai/api",
  key: { variable: "VAST_API_KEY", header: "bearer", from: "cloud.vast.ai, Keys" },
  capabilities: { backstop: "scoped-key", granularitySeconds: 1, bootBilled: false, prepaid: true },
  limits: {
    search: { perMinute: 10 },
    account: { perMinute: 30, interval: 1_000 },
    list: { perMinute: 30, interval: 1_000 },
    show: { perMinute: 30, interval: 2_000 },
    create: { perMinute: 12, interval: 4_500 },
    terminate: { perMinute: 20, interval: 3_000 },
  },
  refusals: [
    // Its description has 404 for a missing key.
    { status: 404, words: /invalid user key/i, kind: "auth" },
    { status: 410, code: /no_such_ask/, kind: "capacity" },
    { status: 404, words: /no_such_ask/, kind: "capacity" },
    { status: 404, words: /no_such_instance|instance.*not found/i, kind: "absent" },
  ],
  validFor: 5 * 60_000,
  rows: (api, { diskGb }) => search(api, diskGb),
  offers: (row, { diskGb }) => {
    const vram = row.whole("gpu_ram", 1 / 1_024);
    const gpu = gpuOf(row.requireText("gpu_name"), vram);
    if (gpu === undefined || row.flag("rentable") === false || row.flag("rented") === true) return [];
    const spot = row.text("asked") === "bid";
    const place = row.text("geolocation");
    const ends = row.whole("end_date", 1_000);
    const isDataCentre = row.whole("hosting_type") === 1 && row.text("verification") === "verified";
    return [
      {
        providerId: row.requireText("id"),
        upstream: "vast",
        kind: "container",
        gpu,
        count: row.requireWhole("num_gpus"),
        architecture: row.text("cpu_arch") === "arm64" ? "arm64" : "x86_64",
        tier: isDataCentre ? "secure" : "community",
        price: { charge: spot ? "spot" : "on-demand", perHour: priceOf(row, spot), firm: true },
        stock: "in stock",
        diskIncludedGb: diskGb,
        ...present<Partial<OfferDraft>>({
          machineId: row.text("machine_id"),
          cudaTenths: row.whole("cuda_max_good", 10),
          capabilityTenths: row.whole("compute_cap", 0.1),
          cpus: row.whole("cpu_cores_effective"),
          ramGb: ramOf(row),
          diskGb: row.whole("disk_space"),
          country: countryOf(place),
          region: place,
          interconnect: (row.whole("bw_nvlink") ?? 0) > 0 ? "nvlink" : undefined,
          downMbps: row.whole("inet_down"),
          upMbps: row.whole("inet_up"),
          storagePerGbMonth: row.money("storage_cost", "usd"),
          ingressPerGb: row.money("inet_down_cost", "usd"),
          egressPerGb: row.money("inet_up_cost", "usd"),
          endsAt: ends === 0 ? undefined : ends,
          reliabilityPpm: row.whole("reliability2", 1e6) ?? row.whole("reliability", 1e6),
        }),
      },
    ];
  },
  account: async (api) => {
    const row = rowOf(await api({ method: "GET", path: "/v0/users/current/", endpoint: "account", repeatable: true }));
    return [
      ["balance", row.balance("balance")],
      ["instances of the account", String(await countInstances(api))],
    ];
  },
  renting: vastRenting,
};
