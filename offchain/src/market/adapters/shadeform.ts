/**
 * Shadeform, which resells many clouds (its published API description): US cents an hour of the instance, and for each type the
 * regions with whether one is free. Whether a platform fee comes on top is not told.
 */
import type { Adapter } from "../base/adapter.ts";
import { fieldOf, listOf, present } from "../base/rows.ts";
import { gpuOf } from "../gpus.ts";
import type { OfferDraft } from "../offer.ts";
import { shadeformRenting } from "./renting/shadeform.ts";

const KINDS: Readonly<Record<string, OfferDraft["kind"]>> = {
  vm: "vm",
  container: "container",
  baremetal: "bare-metal",
};

export const shadeform: Adapter = {
  name: "shadeform",
  title: "Shadeform",
  adds: "some twenty further clouds under one account",
  base: "https://api.shadeform.ai/v1",
  key: { variable: "SHADEFORM_API_KEY", header: "X-API-KEY", from: "platform.shadeform.ai, Settings, API" },
  capabilities: { backstop: "provider-ttl", granularitySeconds: 60, bootBilled: false, prepaid: true },
  limits: {
    read: { perMinute: 60, interval: 200 },
    create: { perMinute: 20, interval: 1_000 },
    terminate: { perMinute: 60 },
  },
  refusals: [
    { status: 404, words: /not found/i, kind: "absent" },
    { endpoint: "create", words: /no (longer )?available|out of stock|no capacity/i, kind: "capacity" },
  ],
  validFor: 5 * 60_000,
  rows: async function* types(api) {
    const answer = await api({ method: "GET", path: "/instances/types", endpoint: "read", repeatable: true });
    yield listOf(fieldOf(answer, "instance_types"), "instance_types");
  },
  offers: (row) => {
    const words = row.text("configuration.interconnect") ?? "";
    const type = row.requireText("cloud_instance_type");
    const gpu = gpuOf(
      row.requireText("configuration.gpu_type"),
      row.whole("configuration.vram_per_gpu_in_gb"),
      `${words} ${type}`,
    );
    const count = row.requireWhole("configuration.num_gpus");
    if (gpu === undefined || count === 0) return [];
    const [cloud, kind] = [row.requireText("cloud"), KINDS[row.text("deployment_type") ?? "vm"]];
    return row.list("availability").flatMap((place): OfferDraft[] => {
      const region = place.requireText("region");
      // Nothing stands for what is not free: whole catalogues of it would hide what is.
      if (place.flag("available") !== true || kind === undefined) return [];
      return [
        {
          providerId: `${cloud}/${type}/${region}`,
          upstream: cloud,
          upstreamId: type,
          dataCenter: region,
          kind,
          gpu,
          count,
          architecture: gpu.model === "GH200" ? "arm64" : "x86_64",
          tier: "secure",
          price: { charge: "on-demand", perHour: row.money("hourly_price", "cents"), firm: true },
          stock: "in stock",
          region,
          rentBy: { type: row.text("shade_instance_type") ?? type },
          ...present<Partial<OfferDraft>>({
            cpus: row.whole("configuration.vcpus"),
            ramGb: row.whole("configuration.memory_in_gb"),
            diskGb: row.whole("configuration.storage_in_gb"),
            diskIncludedGb: row.whole("configuration.storage_in_gb"),
            bootSeconds: row.whole("boot_time.max_boot_in_sec"),
            country: COUNTRIES[region.split("-").at(-2) ?? ""],
            interconnect: count > 1 && (gpu.form === "SXM" || /nvlink/i.test(words)) ? "nvlink" : undefined,
          }),
        },
      ];
    });
  },
  account: async (api) => {
    const answer = await api({ method: "GET", path: "/instances", endpoint: "read", repeatable: true });
    return [["instances of the account", String(listOf(fieldOf(answer, "instances"), "instances").length)]];
  },
  renting: shadeformRenting,
};

/** By the last word but one of a region: `kansascity-usa-2`. */
const COUNTRIES: Readonly<Record<string, string>> = {
  usa: "US",
  canada: "CA",
  france: "FR",
  norway: "NO",
  finland: "FI",
  iceland: "IS",
  sweden: "SE",
  netherlands: "NL",
  germany: "DE",
  india: "IN",
  japan: "JP",
  australia: "AU",
};
