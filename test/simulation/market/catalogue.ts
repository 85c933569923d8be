/**
 * Catalogues of clouds out of files, for the simulation of policies: the tables that SkyPilot's catalogues have (`NAME.vms.csv`: a row for
 * each type and region, with its price). Links, terms and stock stand in none of them and are those of the synthetic market.
 */
import { basename } from "node:path";

import { createRandom, type Random } from "../../../offchain/src/base/index.ts";
import { readFileBounded } from "../../../offchain/src/base/node/index.ts";
import { gpuOf } from "../../../offchain/src/market/gpus.ts";
import type { Offer } from "../../../offchain/src/market/offer.ts";
import { offerOf } from "../../offchain/market/offers.ts";
import { linkOf, standing } from "./world.ts";

const MAX_BYTES = 16 << 20;

/** A line's fields; those with commas stand in quotes, a quote in them twice. */
const fieldsOf = (line: string): string[] =>
  [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, bare]) =>
    (quoted?.replaceAll('""', '"') ?? bare ?? "").trim(),
  );

/** Clouds of single hosts; all others are data centres. */
const isCommunity = (cloud: string, type: string): boolean => cloud === "vast" || /COMMUNITY/i.test(type);

/** A row's offers, on demand and as spot; none where it has no GPU that is known, or no price. */
function offersOf(row: ReadonlyMap<string, string>, cloud: string, index: number): Offer[] {
  const gpu = gpuOf(row.get("AcceleratorName") ?? "", undefined, row.get("InstanceType"));
  const count = Math.round(Number(row.get("AcceleratorCount")));
  if (gpu?.known !== true || !(count >= 1)) return [];
  const community = isCommunity(cloud, row.get("InstanceType") ?? "");
  const [upstream = cloud] = cloud === "shadeform" ? (row.get("InstanceType") ?? "").split("_") : [];
  return (["on-demand", "spot"] as const).flatMap((charge) => {
    const usd = Number(row.get(charge === "spot" ? "SpotPrice" : "Price"));
    if (!(usd > 0)) return [];
    return offerOf({
      ...standing(community ? "community" : "secure", count),
      id: `${cloud}:${index}:${charge}`,
      provider: cloud,
      upstream,
      providerId: `${index}:${charge}`,
      gpu,
      count,
      interconnect: /nvlink|sxm/i.test(`${row.get("InstanceType")} ${gpu.form ?? ""}`) ? "nvlink" : "pcie",
      price: { charge, perHour: BigInt(Math.ceil(usd * 1e6)), firm: true },
    });
  });
}

/** What files list: offers without links. @throws as `readFileBounded` */
export async function readCatalogues(files: readonly string[]): Promise<readonly Offer[]> {
  const all = await Promise.all(
    files.map(async (file) => {
      const [head = "", ...lines] = new TextDecoder().decode(await readFileBounded(file, MAX_BYTES)).split(/\r?\n/);
      const names = fieldsOf(head);
      const cloud = basename(file).split(".")[0] ?? "cloud";
      return lines.flatMap((line, index) => {
        const fields = fieldsOf(line);
        return offersOf(new Map(names.map((name, at) => [name, fields[at] ?? ""])), cloud, index);
      });
    }),
  );
  return all.flat();
}

/** So many different ones of them. */
function drawn(all: readonly Offer[], count: number, random: Random): readonly Offer[] {
  const left = [...all];
  return Array.from(
    { length: Math.min(count, left.length) },
    () => left.splice(random.below(left.length), 1)[0],
  ).filter((offer) => offer !== undefined);
}

/** Markets of a catalogue: so many of its rows, by the seed, with links and stock as in the synthetic one. */
export const marketsOf =
  (all: readonly Offer[]) =>
  (seed: string, count: number): Offer[] => {
    const random = createRandom(`catalogue ${seed}`);
    return drawn(all, count, random).map((offer) => ({
      ...offer,
      ...linkOf(offer.tier === "secure" ? 1_500 : 300, random),
      stock: random.below(5) === 0 ? "low" : "in stock",
    }));
  };
