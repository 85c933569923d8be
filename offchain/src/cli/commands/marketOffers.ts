import { wrap } from "../../base/index.ts";
import {
  ASSUMED_MFU,
  type Catalogue,
  isLimit,
  machineText,
  offerPriceText,
  perGpuHour,
  priceText,
  type PriceRange,
  rank,
  type Ranked,
  usdPerBillionTokens,
} from "../../market/index.ts";
import { choice, integer, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { alternativesOf, catalogueOptions, seenText, sourceText, wishOptions, withCatalogue } from "../market.ts";
import { columnsOf, tableWithin } from "../output.ts";

const WEEK = 7 * 86_400_000;
/** Above a table of samples, and of what cannot be had. */
const NONE_RENTED = "Nothing of this can be rented now: the last column says why.";

/** The prices of a week, where they changed. */
const weekText = (range: PriceRange | undefined): string =>
  range === undefined || range.lowest === range.highest ? "" : `${priceText(range.lowest)}–${priceText(range.highest)}`;

function offerRows(ranked: readonly Ranked[], ranges: ReadonlyMap<string, PriceRange>, now: number): string[][] {
  return [
    [
      "machine",
      "USD/GPU-h",
      "USD/h",
      "USD/10^9 tokens",
      "charge",
      "tier",
      "country",
      "up Mbit/s",
      "seen",
      "7 days, USD/h",
      "offer",
      "",
    ],
    ...ranked.map(({ offer, never }) => [
      machineText(offer),
      offerPriceText(offer, perGpuHour(offer)),
      offerPriceText(offer, offer.price.perHour),
      offerPriceText(offer, usdPerBillionTokens(offer)),
      offer.price.charge,
      offer.tier,
      offer.country ?? "–",
      offer.upMbps?.toLocaleString("en-US") ?? "–",
      seenText(offer.observedAt, now),
      weekText(ranges.get(offer.id)),
      offer.id,
      never === undefined ? "" : `not: ${never}`,
    ]),
  ];
}

const documentOf = (ranked: readonly Ranked[], { roads }: Catalogue, ranges: ReadonlyMap<string, PriceRange>) =>
  ranked.map(({ offer, never }) => ({
    ...offer,
    perGpuHour: perGpuHour(offer) ?? null,
    atMost: isLimit(offer),
    perBillionTokens: usdPerBillionTokens(offer) ?? null,
    wins: never === undefined,
    never: never ?? null,
    also: roads.get(offer.id) ?? [],
    week: ranges.get(offer.id) ?? null,
  }));

/** `cotrain market offers`. */
export const marketOffersCommand = defineCommand({
  name: "market offers",
  summary: "GPUs that clouds and hosts let now, the cheapest first",
  options: {
    ...wishOptions,
    ...catalogueOptions,
    order: choice(["price", "value"], { description: "by a GPU's hour, or by a token as estimated", default: "price" }),
    lowest: toggle({ description: "show the cheapest alone", default: false }),
    limit: integer(1, 100_000, { description: "how many to show", default: 30 }),
  },
  examples: [
    ["npx cotrain market offers", "all of them; without a key those of public listings, and a sample"],
    [
      "npx cotrain market offers --gpu H100,A100 --vram 80 --tier secure --max-price 2.5",
      "what fits, by the price of a GPU's hour",
    ],
    [
      "npx cotrain market offers --provider akash --auction 25",
      "what an auction may come to: what others paid and 25%",
    ],
    ['npx cotrain market offers --any-of "gpu=4090,charge=spot; gpu=4090" --lowest', "spot, or else on-demand"],
  ],
  notes: [
    "A price contains everything that is told of it, rounded up. What is stale, has no firm price or stock, or is a sample, stands behind what can be rented, with its reason.",
    `A token's price is an estimate before any measurement: the makers' figure in half precision at ${ASSUMED_MFU * 100}% for a model of 10^9 parameters.`,
    "Keys come out of the environment: each provider that is not asked says which. --json has money in millionths of a dollar.",
  ],
  async run({ options, output }) {
    const alternatives = alternativesOf(options);
    await withCatalogue(options, async (catalogue, store, now) => {
      const all = rank(catalogue.offers, alternatives, options.order, now);
      const ranked = all.slice(0, options.lowest ? 1 : options.limit);
      const ranges = new Map<string, PriceRange>();
      for (const provider of new Set(ranked.map(({ offer }) => offer.provider)))
        for (const [id, range] of await store.ranges(provider, now - WEEK)) ranges.set(id, range);
      const columns = columnsOf(process.stdout);
      output.result(
        {
          at: new Date(now).toISOString(),
          order: options.order,
          found: all.length,
          offers: documentOf(ranked, catalogue, ranges),
          sources: catalogue.sources,
        },
        [
          ...(ranked.length === 0
            ? ["Nothing fits."]
            : [
                // What can be rented stands first.
                ...(ranked[0]?.never === undefined ? [] : [NONE_RENTED, ""]),
                ...tableWithin(columns, offerRows(ranked, ranges, now), [1, 2, 3, 7, 8]),
              ]),
          "",
          ...(all.length > ranked.length ? [`${ranked.length} of ${all.length} that fit.`] : []),
          ...catalogue.sources.flatMap((source) => wrap(sourceText(source, now), columns)),
        ],
      );
    });
  },
});
