/**
 * Akash, through its console's API (its published description). A reverse auction: what is listed is what others paid for a GPU, so
 * that no price is firm before providers have bid; the bids of a deployment are what is rented by.
 */
import type { Adapter } from "../base/adapter.ts";
import { fieldOf, listOf, rowOf } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import { akashRenting } from "./renting/akash.ts";

export const akash: Adapter = {
  name: "akash",
  title: "Akash",
  adds: "an auction among hosts; its listing is public, its prices are what others paid",
  base: "https://console-api.akash.network",
  key: {
    variable: "AKASH_API_KEY",
    header: "x-api-key",
    from: "console.akash.network, Settings, API Keys",
    optional: true,
  },
  // Paid by blocks of six seconds, until a time that is set before.
  capabilities: { backstop: "prepaid", granularitySeconds: 6, bootBilled: true, prepaid: true },
  limits: {
    read: { perMinute: 30, interval: 500 },
    create: { perMinute: 10, interval: 1_000 },
    bids: { perMinute: 10, interval: 6_000 },
    terminate: { perMinute: 30 },
  },
  refusals: [{ status: 404, words: /not found/i, kind: "absent" }],
  validFor: 10 * 60_000,
  rows: async function* prices(api) {
    const answer = await api({ method: "GET", path: "/v1/gpu-prices", endpoint: "read", repeatable: true });
    yield listOf(fieldOf(answer, "models"), "models");
  },
  offers: (row) => {
    const [model, ram, form] = [row.requireText("model"), row.text("ram"), row.text("interface")];
    const gpu = gpuOf(`${model} ${(ram ?? "").replace(/Gi$/, "GB")}`, undefined, form);
    if (gpu === undefined) return [];
    const isUsd = row.text("price.currency") === "USD";
    return [
      {
        providerId: [row.text("vendor") ?? "", model, ram ?? "", form ?? ""].join("/"),
        upstream: "akash",
        kind: "container",
        gpu,
        count: 1,
        architecture: "x86_64",
        tier: "community",
        price: {
          charge: "on-demand",
          perHour: isUsd ? row.money("price.med", "usd") : undefined,
          firm: false,
          auction: true,
        },
        stock: (row.whole("availability.available") ?? 0) > 0 ? "in stock" : "none",
      },
    ];
  },
  account: async (api) => {
    const answer = await api({ method: "GET", path: "/v1/balances", endpoint: "read", repeatable: true });
    const row = rowOf(fieldOf(answer, "data"));
    return [["balance", row.balance("balance")]];
  },
  renting: akashRenting,
};
