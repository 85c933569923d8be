/**
 * io.net, containers (io.net/docs/reference/caas). Three calls make an offer: which hardware there is, where how many replicas are
 * free, and what an hour costs there. It is paid before it begins, by the hour.
 */
import type { Adapter } from "../base/adapter.ts";
import type { Api } from "../base/api.ts";
import { fieldOf, listOf, present, rowOf } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import type { OfferDraft } from "../offer.ts";
import { ionetRenting } from "./renting/ionet.ts";

const get = async (api: Api, path: string, query: Readonly<Record<string, string | number>> = {}): Promise<unknown> =>
  fieldOf(await api({ method: "GET", path, query, endpoint: "read", repeatable: true }), "data");

async function* hardware(api: Api): AsyncGenerator<readonly unknown[]> {
  const found = listOf(fieldOf(await get(api, "/hardware/max-gpus-per-container"), "hardware"), "hardware");
  for (const item of found) {
    const row = rowOf(item);
    const [id, most] = [row.requireWhole("hardware_id"), row.whole("max_gpus_per_container") ?? 0];
    if ((row.whole("available") ?? 0) === 0 || gpuOf(row.text("hardware_name") ?? "") === undefined) continue;
    for (const count of new Set([1, most])) {
      const places = await get(api, "/available-replicas", { hardware_id: id, hardware_qty: count });
      const free = listOf(places, "data").filter((place) => (rowOf(place).whole("available_replicas") ?? 0) > 0);
      for (const place of free) {
        const price = await get(api, "/price", {
          location_ids: JSON.stringify([rowOf(place).requireWhole("id")]),
          hardware_id: id,
          duration_hours: 1,
          gpus_per_container: count,
          replica_count: 1,
          currency: "usdc",
        });
        yield [{ hardware: item, count, place, price }];
      }
    }
  }
}

export const ionet: Adapter = {
  name: "ionet",
  title: "io.net",
  adds: "many hosts' machines, paid for by the hour before they begin",
  base: "https://api.io.solutions/enterprise/v1/io-cloud/caas",
  key: { variable: "IOCLOUD_API_KEY", header: "X-API-KEY", from: "ai.io.net/ai/api-keys, project IO Cloud" },
  capabilities: { backstop: "prepaid", granularitySeconds: 3_600, bootBilled: false, prepaid: true },
  limits: {
    read: { perMinute: 300, interval: 100 },
    create: { perMinute: 20, interval: 1_000 },
    terminate: { perMinute: 60 },
  },
  refusals: [
    { status: 404, words: /not found/i, kind: "absent" },
    // What ends already.
    { status: 410, endpoint: "terminate", kind: "absent" },
    { endpoint: "create", words: /not enough|no capacity|not available/i, kind: "capacity" },
  ],
  validFor: 5 * 60_000,
  rows: hardware,
  offers: (row) => {
    const name = row.requireText("hardware.hardware_name");
    const gpu = gpuOf(name);
    if (gpu === undefined) return [];
    const [id, count, place] = [
      row.requireWhole("hardware.hardware_id"),
      row.requireWhole("count"),
      row.requireWhole("place.id"),
    ];
    return [
      {
        providerId: `${id}/${count}/${place}`,
        upstream: "ionet",
        kind: "container",
        gpu,
        count,
        architecture: "x86_64",
        tier: "community",
        price: { charge: "on-demand", perHour: row.money("price.total_cost_usdc", "usd"), firm: true },
        minTermSeconds: 3_600,
        stock: "in stock",
        ...present<Partial<OfferDraft>>({ region: row.text("place.name"), country: row.text("place.iso2") }),
      },
    ];
  },
  account: async (api) => {
    const answer = await get(api, "/deployments");
    return [["deployments of the account", String(listOf(fieldOf(answer, "deployments"), "deployments").length)]];
  },
  renting: ionetRenting,
};
