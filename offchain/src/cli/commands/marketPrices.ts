import { wrap } from "../../base/index.ts";
import {
  ASSUMED_MFU,
  comparePrices,
  isLimit,
  offerPriceText,
  perGpuHour,
  type PriceComparison,
  priceText,
  rank,
  usdPerBillionTokens,
} from "../../market/index.ts";
import { choice } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { alternativesOf, catalogueOptions, sourceText, wishOptions, withCatalogue } from "../market.ts";
import { columnsOf, tableWithin } from "../output.ts";

/** How much dearer the dearest road is, in hundredths rounded down; a dash where there is one road. */
function timesText(cheapest: bigint, dearest: bigint, roads: number): string {
  if (roads < 2 || cheapest === 0n) return "–";
  const hundredths = (dearest * 100n) / cheapest;
  return `${hundredths / 100n}.${String(hundredths % 100n).padStart(2, "0")}x`;
}

const priceRows = ({ roads, rows }: PriceComparison): string[][] => [
  ["GPU", ...roads, "spread", "USD/10^9 tokens", "cheapest offer"],
  ...rows.map((row) => [
    row.gpu,
    ...roads.map((road) => {
      const offer = row.roads.get(road);
      return offer === undefined ? priceText(undefined) : offerPriceText(offer, perGpuHour(offer));
    }),
    timesText(perGpuHour(row.cheapest) ?? 0n, perGpuHour(row.dearest) ?? 0n, row.roads.size),
    offerPriceText(row.cheapest, usdPerBillionTokens(row.cheapest)),
    row.cheapest.id,
  ]),
];

const documentOf = ({ roads, rows }: PriceComparison) => ({
  roads,
  gpus: rows.map((row) => ({
    gpu: row.gpu,
    roads: Object.fromEntries(
      [...row.roads].map(([road, offer]) => [
        road,
        { offer: offer.id, perGpuHour: perGpuHour(offer) ?? null, atMost: isLimit(offer) },
      ]),
    ),
    cheapest: row.cheapest.id,
    dearest: row.dearest.id,
    perBillionTokens: usdPerBillionTokens(row.cheapest) ?? null,
  })),
});

/** `cotrain market prices`. */
export const marketPricesCommand = defineCommand({
  name: "market prices",
  summary: "what each GPU costs for an hour, road beside road",
  options: {
    ...wishOptions,
    ...catalogueOptions,
    by: choice(["tier", "provider"], {
      description: "roads: on demand in a data centre or on somebody's machine, and spot; or each provider",
      default: "tier",
    }),
  },
  examples: [
    ["npx cotrain market prices", "every model, the cheapest first"],
    ["npx cotrain market prices --by provider --gpu H100,A100 --charge on-demand", "who lets it for the least"],
  ],
  notes: [
    "A cell is the lowest price of one GPU for an hour in US dollars, rounded up. What is stale, has no firm price or stock, or is a sample counts only where nothing can be rented.",
    `Tokens are of the cheapest offer, an estimate before any measurement: the makers' figure in half precision at ${ASSUMED_MFU * 100}% for a model of 10^9 parameters.`,
  ],
  async run({ options, output }) {
    const alternatives = alternativesOf(options);
    await withCatalogue(options, (catalogue, _, now) => {
      const ranked = rank(catalogue.offers, alternatives, "price", now);
      const compared = comparePrices(ranked, options.by);
      const columns = columnsOf(process.stdout);
      const none = compared.rows.length > 0 && ranked[0]?.never !== undefined;
      output.result(
        {
          at: new Date(now).toISOString(),
          by: options.by,
          rentable: compared.rows.length > 0 && !none,
          ...documentOf(compared),
          sources: catalogue.sources,
        },
        [
          ...(none ? [`Nothing of this can be rented now: ${ranked[0]?.never}.`, ""] : []),
          ...(compared.rows.length === 0
            ? ["Nothing fits."]
            : tableWithin(
                columns,
                priceRows(compared),
                Array.from({ length: compared.roads.length + 2 }, (_each, i) => i + 1),
              )),
          "",
          ...catalogue.sources.flatMap((source) => wrap(sourceText(source, now), columns)),
        ],
      );
    });
  },
});
