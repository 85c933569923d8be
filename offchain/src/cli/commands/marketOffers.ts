import { formatDuration, UserError, wrap } from "../../base/index.ts";
import {
  ASSUMED_MFU,
  type Catalogue,
  type Filter,
  gpuClasses,
  gpuModels,
  gpuOf,
  machineText,
  microUsdOf,
  openCatalogue,
  perGpuHour,
  priceText,
  providerNames,
  type PriceRange,
  rank,
  type Ranked,
  readCatalogue,
  type Source,
  usdPerBillionTokens,
} from "../../market/index.ts";
import {
  choice,
  type ConfigOf,
  duration,
  integer,
  type Option,
  real,
  text,
  toggle,
  wordsOf,
} from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { cacheOption, endpointOption, providersOption, reachOf } from "../market.ts";
import { columnsOf, tableWithin } from "../output.ts";

const MOST_USD = 100_000;
const WEEK = 7 * 86_400_000;

/** What an offer may be asked to have; each may stand in --any-of too. */
const wishOptions = {
  gpu: wordsOf(/^[\w .-]{1,60}$/, "a GPU such as H100, 4090 or RTX 40", {
    description: 'models, or classes such as "RTX 40" and "data centre"',
  }),
  gpus: integer(1, 1_024, { description: "GPUs of the machine, exactly" }),
  leastGpus: integer(1, 1_024, { description: "GPUs of the machine, at the least" }),
  vram: integer(1, 2_048, { description: "GB of memory of one GPU, at the least" }),
  cpus: integer(1, 16_384, { description: "CPUs, at the least" }),
  ram: integer(1, 131_072, { description: "GB of the machine's memory, at the least" }),
  disk: integer(1, 1_000_000, {
    description: "GB of disk: offers that have it, at the price with it (default: 100, at the price)",
  }),
  country: wordsOf(/^[A-Za-z]{2}$/, "a country of two letters such as US", { description: "countries" }),
  region: text({ description: "part of the provider's name for region or data centre" }),
  tier: choice(["secure", "community"], { description: "audited data centre, or somebody's machine" }),
  interconnect: choice(["nvlink", "pcie"], { description: "between the GPUs of one machine" }),
  uplink: integer(1, 10_000_000, { description: "Mbit/s that are advertised, at the least" }),
  charge: choice(["on-demand", "spot"], { description: "whether the machine may be taken away" }),
  maxPrice: real(0.000_001, MOST_USD, { description: "US dollars of one GPU for an hour, at the most" }),
  maxHour: real(0.000_001, MOST_USD, { description: "US dollars of the machine for an hour, at the most" }),
  maxToken: real(0.000_001, MOST_USD, { description: "US dollars of 10^9 tokens as estimated, at the most" }),
  reliability: real(0, 1, { description: "share of the time that the provider says it is up, at the least" }),
} as const;
type Wishes = Partial<ConfigOf<typeof wishOptions>>;

/** A GPU as people type it: a class as it is, else by its canonical name. */
function gpuName(typed: string): string {
  const series = /^RTX (\d)000$/i.exec(typed);
  const group = gpuClasses.find((each) => each.toLowerCase() === (series ? `RTX ${series[1]}0` : typed).toLowerCase());
  if (group !== undefined) return group;
  const gpu = gpuOf(typed);
  if (gpu === undefined || !gpuModels.includes(gpu.model)) return typed;
  return gpu.form === undefined || gpu.model.endsWith(gpu.form) ? gpu.model : `${gpu.model} ${gpu.form}`;
}

const usd = (dollars: number | undefined) => (dollars === undefined ? undefined : microUsdOf(dollars, "usd"));

function filterOf(wishes: Wishes, providers?: readonly string[], without?: readonly string[]): Filter {
  const filter: { readonly [K in keyof Filter]-?: Filter[K] | undefined } = {
    gpus: wishes.gpu?.map(gpuName),
    count: wishes.gpus,
    least: wishes.leastGpus,
    vramGb: wishes.vram,
    cpus: wishes.cpus,
    ramGb: wishes.ram,
    diskGb: wishes.disk,
    countries: wishes.country,
    region: wishes.region,
    tier: wishes.tier,
    interconnect: wishes.interconnect,
    upMbps: wishes.uplink,
    charge: wishes.charge,
    maxPerGpuHour: usd(wishes.maxPrice),
    maxPerHour: usd(wishes.maxHour),
    maxPerBillionTokens: usd(wishes.maxToken),
    reliabilityPpm: wishes.reliability === undefined ? undefined : Math.round(wishes.reliability * 1e6),
    providers,
    without,
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** One alternative of --any-of: `gpu=H100,charge=spot`. @throws UserError `USAGE` */
function alternativeOf(words: string): Wishes {
  const known: Readonly<Record<string, Option<unknown>>> = wishOptions;
  return Object.fromEntries(
    words.split(",").map((word) => {
      const [key = "", ...rest] = word.trim().split("=");
      const option = Object.hasOwn(known, key) ? known[key] : undefined;
      if (option === undefined)
        throw new UserError("USAGE", `--any-of: "${key}" is none of ${Object.keys(known).join(", ")}.`);
      // Lists have their commas, which part the wishes here.
      const value = option.parse(rest.join("=").replaceAll("/", ",").trim());
      if (value === undefined) throw new UserError("USAGE", `--any-of: ${key} must be ${option.allowed}.`);
      return [key, value];
    }),
  );
}

type Wanted = Wishes & {
  readonly anyOf?: string | undefined;
  readonly provider?: readonly string[] | undefined;
  readonly without?: readonly string[] | undefined;
};

/** What is looked for, the alternatives in their order. @throws UserError `USAGE` */
function alternativesOf(options: Wanted): Filter[] {
  const base = filterOf(options, options.provider, options.without);
  return (options.anyOf?.split(";") ?? [""]).map((words) =>
    words === "" ? base : { ...base, ...filterOf(alternativeOf(words)) },
  );
}

/** Whom to ask: those that were named, or all, where a name is that of a cloud that any of them may resell. */
const askedOf = (named: readonly string[] | undefined): { providers?: readonly string[] } =>
  named?.every((name) => name === "own" || providerNames.includes(name)) ? { providers: named } : {};

const seenText = (at: number, now: number): string => `${formatDuration(now - at)} ago`;

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
      priceText(perGpuHour(offer)),
      priceText(offer.price.perHour),
      priceText(usdPerBillionTokens(offer)),
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

/** What came of a provider, in a sentence. */
function sourceText({ title, state, offers, observedAt, wants, adds, problem, refused }: Source, now: number): string {
  const rows = Object.values(refused).reduce((sum, count) => sum + count, 0);
  const unread = rows === 0 ? "" : `; ${rows} rows that cannot be read`;
  const age = observedAt === undefined ? "" : `, seen ${seenText(observedAt, now)}`;
  if (state === "live") return `${title}: ${offers} offers${unread}.`;
  const because = problem ?? (wants === undefined ? undefined : `it wants ${wants}`);
  if (state === "kept")
    return `${title}: ${offers} offers${age}${unread}${because === undefined ? "" : `; ${because}`}.`.replace(
      "..",
      ".",
    );
  return state === "missing" ? `${title} wants ${wants}; it would add ${adds}.` : `${title} failed: ${problem}`;
}

const documentOf = (ranked: readonly Ranked[], { roads }: Catalogue, ranges: ReadonlyMap<string, PriceRange>) =>
  ranked.map(({ offer, never }) => ({
    ...offer,
    perGpuHour: perGpuHour(offer) ?? null,
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
    anyOf: text({
      value: "alternatives",
      description:
        'alternatives in their order, e.g. "gpu=H100,charge=spot; gpu=H100; gpu=A100/L40S": the first of which something can be rented',
    }),
    provider: providersOption("providers to ask, or clouds that they resell (default: all)"),
    without: providersOption("providers, or clouds that they resell, to leave out"),
    order: choice(["price", "value"], { description: "by a GPU's hour, or by a token as estimated", default: "price" }),
    lowest: toggle({ description: "show the cheapest alone", default: false }),
    limit: integer(1, 100_000, { description: "how many to show", default: 30 }),
    machines: text({ value: "file", description: "JSON file of your own machines, which are offers too" }),
    maxAge: duration({ description: "how old a listing may be before its provider is asked again", default: 120_000 }),
    offline: toggle({ description: "ask nobody: what was listed last", default: false }),
    cache: cacheOption,
    endpoint: endpointOption,
  },
  examples: [
    ["npx cotrain market offers", "all of them; without a key those of public listings, and a sample"],
    [
      "npx cotrain market offers --gpu H100,A100 --vram 80 --tier secure --max-price 2.5",
      "what fits, by the price of a GPU's hour",
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
    const store = await openCatalogue(options.cache);
    try {
      const catalogue = await readCatalogue({
        ...reachOf(options.endpoint, new AbortController().signal),
        store,
        wanted: { diskGb: options.disk ?? 100 },
        maxAge: options.maxAge,
        offline: options.offline,
        ...askedOf(options.provider),
        ...(options.machines === undefined ? {} : { machines: options.machines }),
      });
      const now = Date.now();
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
            : tableWithin(columns, offerRows(ranked, ranges, now), [1, 2, 3, 7, 8])),
          "",
          ...(all.length > ranked.length ? [`${ranked.length} of ${all.length} that fit.`] : []),
          ...catalogue.sources.flatMap((source) => wrap(sourceText(source, now), columns)),
        ],
      );
    } finally {
      await store.close();
    }
  },
});
