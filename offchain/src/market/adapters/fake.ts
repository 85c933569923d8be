/**
 * The fake provider: a server of tests and demonstrations, which speaks a plain form of its own. It has no address; who starts one
 * names it with `--endpoint fake=URL`.
 */
import type { Adapter } from "../base/adapter.ts";
import { byPage, countedPage } from "../base/pages.ts";
import { present } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import type { OfferDraft } from "../offer.ts";
import { fakeRenting } from "./renting/fake.ts";

export const fake: Adapter = {
  name: "fake",
  title: "The fake provider",
  adds: "machines that do not exist, for tests and demonstrations",
  capabilities: { backstop: "provider-ttl", granularitySeconds: 1, bootBilled: false, prepaid: false },
  limits: {
    offers: { perMinute: 600 },
    read: { perMinute: 600 },
    create: { perMinute: 600 },
    terminate: { perMinute: 600 },
  },
  refusals: [
    { status: 404, words: /^no such instance$/, kind: "absent" },
    { status: 409, words: /^no stock$/, kind: "capacity" },
  ],
  validFor: 60_000,
  rows: (api) =>
    byPage("The fake provider", async (page) =>
      countedPage(
        await api({ method: "GET", path: "/offers", query: { page }, endpoint: "offers", repeatable: true }),
        "offers",
        "total",
      ),
    ),
  offers: (row) => {
    const gpu = gpuOf(row.requireText("gpu"), row.whole("vram_gb"));
    if (gpu === undefined) return [];
    return [
      {
        providerId: row.requireText("id"),
        upstream: "fake",
        kind: "container",
        gpu,
        count: row.requireWhole("gpus"),
        architecture: "x86_64",
        tier: "secure",
        price: {
          charge: row.flag("spot") === true ? "spot" : "on-demand",
          perHour: row.money("usd_per_hour", "usd"),
          firm: true,
        },
        stock: "in stock",
        ...present<Partial<OfferDraft>>({
          country: row.text("country"),
          upMbps: row.whole("up_mbps"),
          ramGb: row.whole("ram_gb"),
        }),
      },
    ];
  },
  account: async (api) => {
    await api({ method: "GET", path: "/account", endpoint: "offers", repeatable: true });
    return [["account", "answers"]];
  },
  renting: fakeRenting,
};
