/** What commands on the market share: options, and how providers are reached from this machine. */
import { randomFillSync } from "node:crypto";

import { countOf, formatDuration, systemClock, UserError } from "../base/index.ts";
import {
  auctioned,
  type Catalogue,
  type CatalogueOptions,
  type CatalogueStore,
  type Filter,
  gpuClasses,
  gpuModels,
  gpuOf,
  hasLeases,
  microUsdOf,
  openCatalogue,
  providerNames,
  readCatalogue,
  type Source,
  storedKeys,
} from "../market/index.ts";
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
} from "../service/index.ts";
import { withLedger } from "./ledger.ts";

/** One or several providers, by the names that `market offers` shows. */
const providersOption = (description: string) =>
  wordsOf(/^[\w.-]{1,60}$/, "the name of a provider such as vast or lambda", { description });

export const endpointOption = wordsOf(
  /^[a-z]{1,20}=https?:\/\/\S+$/,
  "NAME=URL of a provider such as fake=http://127.0.0.1:9000",
  {
    description: "other addresses of providers: a proxy over TLS, or a fake one on this machine",
  },
);
export const machinesOption = text({
  value: "file",
  description: "JSON file of your own machines, which are offers too and are rented over SSH",
});
export const communityOption = text({
  value: "file",
  description: "JSON file by which community machines are rented: coordinator, escrow, tokens, wallet",
});
const cacheOption = text({
  value: "directory",
  description: "directory of what providers listed last, and of the history of prices",
  default: ".cotrain-market",
});

/** Uniform in [0, 1), for jitter. */
export const random = (): number => (randomFillSync(new Uint32Array(1))[0] ?? 0) / 2 ** 32;

/** Where keys of providers are. */
export const keysOptions = {
  keys: text({
    value: "directory",
    description: "directory of providers' keys, encrypted, as `market keys` keeps them",
    default: ".cotrain-keys",
  }),
  passphraseFile: text({
    value: "file",
    description: "file of that directory's passphrase (mode 0600; default: the file passphrase in it)",
  }),
} as const;

/** The keys that are kept, by provider. */
export const keptKeys = ({
  keys,
  passphraseFile,
}: ConfigOf<typeof keysOptions>): Promise<ReadonlyMap<string, string>> => storedKeys(keys, passphraseFile);

/** How providers are reached: keys out of the environment, else those that are kept, this machine's clock, until the signal ends it. */
export const reachOf = (
  endpoints: readonly string[] | undefined,
  signal: AbortSignal,
  keys: ReadonlyMap<string, string> = new Map(),
) => ({
  environment: process.env,
  keys,
  endpoints: new Map(
    (endpoints ?? []).map((each): [string, string] => [
      each.slice(0, each.indexOf("=")),
      each.slice(each.indexOf("=") + 1),
    ]),
  ),
  clock: systemClock,
  random,
  signal,
});

const MOST_USD = 100_000;

/** What an offer may be asked to have; each may stand in --any-of too. */
export const wishOptions = {
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
  reliability: real(0, 1, {
    description:
      "share of the time that the provider says it is up, of community machines share of their rented time that was paid for here; at the least",
  }),
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
export function alternativesOf(options: Wanted): Filter[] {
  const base = filterOf(options, options.provider, options.without);
  return (options.anyOf?.split(";") ?? [""]).map((words) =>
    words === "" ? base : { ...base, ...filterOf(alternativeOf(words)) },
  );
}

/** Whom to ask: those that were named, or all, where a name is that of a cloud that any of them may resell. */
const askedOf = (named: readonly string[] | undefined): { providers?: readonly string[] } =>
  named?.every((name) => name === "own" || name === "community" || providerNames.includes(name))
    ? { providers: named }
    : {};

/** Options of what is read, beside the wishes. */
export const catalogueOptions = {
  anyOf: text({
    value: "alternatives",
    description:
      'alternatives in their order, e.g. "gpu=H100,charge=spot; gpu=H100; gpu=A100/L40S": the first of which something can be rented',
  }),
  provider: providersOption("providers to ask, or clouds that they resell (default: all)"),
  without: providersOption("providers, or clouds that they resell, to leave out"),
  auction: integer(0, 1_000, {
    value: "percent",
    description: "count offers of auctions, at what others paid and so many percent: a bid is taken up to that",
  }),
  machines: machinesOption,
  community: communityOption,
  maxAge: duration({ description: "how old a listing may be before its provider is asked again", default: 120_000 }),
  offline: toggle({ description: "ask nobody: what was listed last", default: false }),
  cache: cacheOption,
  endpoint: endpointOption,
  ...keysOptions,
} as const;

/** GB of disk that prices are of, where nobody names another. */
const DISK_GB = 100;

/** What was ever rented from a directory. */
const rentedFrom = async (directory: string): Promise<NonNullable<CatalogueOptions["book"]>> =>
  hasLeases(directory) ? withLedger(directory, (book) => book) : { leases: {} };

/** Reads the catalogue, and does something with it and the store of its history. */
export async function withCatalogue<T>(
  options: ConfigOf<typeof catalogueOptions> & Pick<Wishes, "disk"> & { readonly leases?: string | undefined },
  work: (catalogue: Catalogue, store: CatalogueStore, now: number) => Promise<T> | T,
  failures?: CatalogueOptions["failures"],
): Promise<T> {
  const book = options.leases === undefined ? undefined : await rentedFrom(options.leases);
  const store = await openCatalogue(options.cache);
  try {
    const catalogue = await readCatalogue({
      ...reachOf(options.endpoint, new AbortController().signal, await keptKeys(options)),
      store,
      wanted: { diskGb: options.disk ?? DISK_GB },
      maxAge: options.maxAge,
      offline: options.offline,
      ...askedOf(options.provider),
      ...(options.machines === undefined ? {} : { machines: options.machines }),
      ...(options.community === undefined ? {} : { community: options.community }),
      ...(book === undefined ? {} : { book }),
      ...(failures === undefined ? {} : { failures }),
    });
    const offers = auctioned(catalogue.offers, options.auction);
    return await work({ ...catalogue, offers }, store, Date.now());
  } finally {
    await store.close();
  }
}

export const seenText = (at: number, now: number): string => `${formatDuration(now - at)} ago`;

/** What came of a provider, in a sentence. */
export function sourceText(
  { title, state, offers, observedAt, wants, adds, problem, refused }: Source,
  now: number,
): string {
  const rows = Object.values(refused).reduce((sum, count) => sum + count, 0);
  const unread = rows === 0 ? "" : `; ${countOf(rows, "row")} that cannot be read`;
  const age = observedAt === undefined ? "" : `, seen ${seenText(observedAt, now)}`;
  if (state === "live") return `${title}: ${countOf(offers, "offer")}${unread}.`;
  const because = problem ?? (wants === undefined ? undefined : `it wants ${wants}`);
  if (state === "kept")
    return `${title}: ${countOf(offers, "offer")}${age}${unread}${because === undefined ? "" : `; ${because}`}.`.replace(
      "..",
      ".",
    );
  return state === "missing" ? `${title} wants ${wants}; it would add ${adds}.` : `${title} failed: ${problem}`;
}
