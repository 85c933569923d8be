/**
 * Lambda's on-demand cloud (its published API description): types of instances with the regions where one is free now. US cents an
 * hour of the instance; everything comes in `{ data }`.
 */
import type { Adapter } from "../base/adapter.ts";
import { fieldOf, listOf, present, valuesOf } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import type { OfferDraft } from "../offer.ts";
import { lambdaRenting } from "./renting/lambda.ts";

/** By the end of a region's description: "Texas, USA". */
const COUNTRIES: Readonly<Record<string, string>> = {
  USA: "US",
  Japan: "JP",
  Germany: "DE",
  Israel: "IL",
  India: "IN",
  Australia: "AU",
  "United Kingdom": "GB",
};

export const lambda: Adapter = {
  name: "lambda",
  title: "Lambda",
  adds: "A10 to B200 in Lambda's own data centres, no stock shown that is not there",
  base: "https://cloud.lambda.ai/api/v1",
  key: { variable: "LAMBDA_API_KEY", header: "bearer", from: "cloud.lambda.ai, API keys" },
  capabilities: { backstop: "none", granularitySeconds: 60, bootBilled: false, prepaid: false },
  limits: { read: { perMinute: 60, interval: 1_000 }, launch: { perMinute: 5, interval: 12_000 } },
  refusals: [
    { code: /^global\/(invalid-api-key|account-inactive)$/, kind: "auth" },
    { code: /^global\/quota-exceeded$/, kind: "quota" },
    // Of a launch it is the region, the type or the key.
    { code: /^global\/object-does-not-exist$/, endpoint: "read", kind: "absent" },
    { code: /insufficient-capacity$/, kind: "capacity" },
    { code: /^provider\//, kind: "away" },
  ],
  validFor: 2 * 60_000,
  rows: async function* types(api) {
    const answer = await api({ method: "GET", path: "/instance-types", endpoint: "read", repeatable: true });
    yield valuesOf(fieldOf(answer, "data"), "data");
  },
  offers: (row) => {
    const count = row.requireWhole("instance_type.specs.gpus");
    if (count === 0) return [];
    const name = row.requireText("instance_type.name");
    const words = row.requireText("instance_type.gpu_description");
    const gpu = gpuOf(words);
    if (gpu === undefined) return [];
    return row.list("regions_with_capacity_available").map((region) => {
      const dataCenter = region.requireText("name");
      return {
        providerId: `${name}/${dataCenter}`,
        upstream: "lambda",
        upstreamId: name,
        dataCenter,
        kind: "vm",
        gpu,
        count,
        architecture: gpu.model === "GH200" ? "arm64" : "x86_64",
        tier: "secure",
        price: { charge: "on-demand", perHour: row.money("instance_type.price_cents_per_hour", "cents"), firm: true },
        stock: "in stock",
        region: dataCenter,
        ...present<Partial<OfferDraft>>({
          cpus: row.whole("instance_type.specs.vcpus"),
          ramGb: row.whole("instance_type.specs.memory_gib", 1.073_741_824),
          diskGb: row.whole("instance_type.specs.storage_gib", 1.073_741_824),
          diskIncludedGb: row.whole("instance_type.specs.storage_gib", 1.073_741_824),
          country: COUNTRIES[(region.text("description") ?? "").split(",").at(-1)?.trim() ?? ""],
          interconnect: gpu.form === "SXM" && count > 1 ? "nvlink" : undefined,
        }),
      };
    });
  },
  account: async (api) => {
    const answer = await api({ method: "GET", path: "/instances", endpoint: "read", repeatable: true });
    return [["instances of the account", String(listOf(fieldOf(answer, "data"), "data").length)]];
  },
  renting: lambdaRenting,
};
