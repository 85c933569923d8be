/** What `market rent` is to rent: machines that fit wishes, or those of a plan at the prices of now. */
import { formatUsd, UserError } from "../base/index.ts";
import {
  type ClusterSpec,
  type CreatesOf,
  defaultRules,
  firstChoices,
  isLimit,
  machineText,
  microUsdOf,
  type Offer,
  offerPriceText,
  priceText,
  rank,
  readPlan,
  requote,
  standIns,
  whyNever,
} from "../market/index.ts";
import { type ConfigOf, duration, integer, real, text, toggle } from "../service/index.ts";
import { identityOption, keepingOptions } from "./leases.ts";
import { alternativesOf, catalogueOptions, wishOptions, withCatalogue } from "./market.ts";
import { knownBy } from "./planning.ts";
import { joiningOptions } from "./rentedRun.ts";
import { fileOption } from "./runYaml.ts";

const DAY = 86_400_000;
/** Offers that stand by for a slot, the best first. */
const STANDING_BY = 40;

export const rentOptions = {
  budget: real(0.01, 100_000, {
    value: "USD",
    description: "US dollars for all of it, never more (default: the plan's)",
  }),
  count: integer(1, 256, { description: "machines, without a plan (default: 1)" }),
  minimum: integer(1, 256, { description: "machines without which all are given up (default: all)" }),
  for: duration({ description: "time after which they are ended (default: the plan's, or a day)" }),
  dearer: integer(0, 1_000, {
    description: "percent by which a plan may have become dearer",
    default: defaultRules.dearer,
  }),
  image: text({ value: "reference", description: "container image, by digest" }),
  start: text({ value: "file", description: "script of sh that each machine starts with" }),
  sshKey: text({ value: "file", description: "public key of OpenSSH that may log in" }),
  identity: identityOption,
  acceptNoBackstop: toggle({
    description: "rent also where nothing but this process, or a watchdog, ends the bill",
    default: false,
  }),
  idle: duration({
    description: "time without work of the run after which a machine is idle, and told of",
    default: 3_600_000,
  }),
  autostop: toggle({ description: "end machines that are idle, and rent no others for them", default: false }),
  dryRun: toggle({ description: "show what would be rented, and rent nothing", default: false }),
  confirmAbove: real(0, 100_000, {
    value: "USD",
    description: "rent up to this budget without a question",
    default: 0,
  }),
  yes: toggle({ description: "rent, without a question", default: false }),
  file: fileOption,
  ...joiningOptions,
  ...wishOptions,
  ...catalogueOptions,
  ...keepingOptions,
} as const;
export type RentOptions = ConfigOf<typeof rentOptions>;

/** What is wanted of a cluster, and its offers. */
export interface Wanted extends Pick<
  ClusterSpec,
  "slots" | "minimum" | "budget" | "maximumPerHour" | "diskGb" | "planned"
> {
  /** Milliseconds after which it ends. */
  readonly lasts: number;
  /** Whose accounts are asked; undefined for all. */
  readonly provider: readonly string[] | undefined;
  /** Percent above what others paid, up to which is bid at auctions. */
  readonly auction: number | undefined;
  /** As they were when it was shown, the first choice of each slot first. */
  readonly shown: readonly Offer[];
  /** What became of creates of such machines, where that says which are the first choices. */
  readonly createsOf: CreatesOf | undefined;
  /** As they are now. @param also ids of those that a new plan has */
  readonly offers: (also?: ReadonlySet<string>) => Promise<readonly Offer[]>;
}

/** When machines that join a run are idle there, and what becomes of them then. */
export const idleOf = ({
  idle,
  autostop,
}: Pick<RentOptions, "idle" | "autostop">): NonNullable<ClusterSpec["idle"]> => ({
  after: idle,
  ends: autostop,
});

/** Offers that fit the wishes and can be rented now, the first choice first, and the creates by which they are. */
async function choicesOf(
  options: RentOptions,
  until: number,
  maxAge = options.maxAge,
): Promise<Pick<Wanted, "shown" | "createsOf">> {
  const { createsOf } = await knownBy(options.leases, Date.now());
  return withCatalogue({ ...options, maxAge }, (catalogue, _, now) => {
    const offers = rank(catalogue.offers, alternativesOf(options), "price", now)
      .filter(({ never }) => never === undefined)
      .map(({ offer }) => offer);
    return { shown: firstChoices(offers, createsOf, (until - now) / 1_000), createsOf };
  });
}

/** Of the choices so many as stand by, and those that were named. */
const standingBy = (offers: readonly Offer[], also: ReadonlySet<string> = new Set()): readonly Offer[] =>
  offers.filter(({ id }, index) => index < STANDING_BY || also.has(id));

/** A minimum that is no more than all. @throws UserError `USAGE` */
function minimumOf({ minimum }: RentOptions, slots: number): number {
  if ((minimum ?? slots) > slots) throw new UserError("USAGE", "--minimum cannot be above --count.");
  return minimum ?? slots;
}

async function byWishes(options: RentOptions): Promise<Wanted> {
  const budget = options.budget === undefined ? undefined : microUsdOf(options.budget, "usd");
  if (budget === undefined) throw new UserError("USAGE", "Name what may be spent: --budget USD.");
  const slots = options.count ?? 1;
  const most = options.maxHour === undefined ? undefined : microUsdOf(options.maxHour, "usd");
  const lasts = options.for ?? DAY;
  const until = Date.now() + lasts;
  const { shown, createsOf } = await choicesOf(options, until);
  return {
    slots,
    minimum: minimumOf(options, slots),
    budget,
    maximumPerHour: most ?? budget,
    diskGb: options.disk ?? 100,
    lasts,
    provider: options.provider,
    auction: options.auction,
    shown: standingBy(shown),
    createsOf,
    offers: async (also) => standingBy((await choicesOf(options, until, defaultRules.quotesFor)).shown, also),
  };
}

/** What a plan says by itself. */
const ofPlan = [
  "count",
  "provider",
  "without",
  "anyOf",
  "auction",
  ...(Object.keys(wishOptions) as (keyof typeof wishOptions)[]),
] as const;

/** @throws UserError `USAGE`, and as `readPlan` and `requote` */
async function byPlan(options: RentOptions, id: string): Promise<Wanted> {
  const beside = ofPlan.find((name) => options[name] !== undefined);
  if (beside !== undefined)
    throw new UserError(
      "USAGE",
      `A plan says what is rented: leave out --${beside.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.`,
    );
  const plan = await readPlan(options, id, Date.now());
  const provider = [...new Set(plan.machines.map((machine) => machine.provider))].toSorted();
  const asked = { ...options, provider, disk: plan.diskGb, auction: plan.auction };
  // Whoever listed them is asked again, whatever is kept.
  const requoted = await withCatalogue({ ...asked, maxAge: 0 }, (catalogue, _, now) =>
    requote(plan, catalogue, now, options.dearer),
  );
  const { planned, offers } = requoted;
  const budget = options.budget === undefined ? BigInt(plan.budget) : microUsdOf(options.budget, "usd");
  return {
    slots: offers.length,
    minimum: minimumOf(options, offers.length),
    budget: budget ?? BigInt(plan.budget),
    maximumPerHour: Object.values(planned).reduce(
      (most, each) => (each.maximumPerHour > most ? each.maximumPerHour : most),
      0n,
    ),
    diskGb: plan.diskGb,
    planned,
    auction: plan.auction,
    lasts: options.for ?? plan.seconds * 1_000,
    provider,
    shown: offers,
    createsOf: undefined,
    offers: (also = new Set()) =>
      withCatalogue({ ...asked, maxAge: defaultRules.quotesFor }, (catalogue, _, now) => {
        const { offers: listed } = catalogue;
        const those = standIns(requoted, listed, now);
        const isNew = (offer: Offer): boolean => also.has(offer.id) && whyNever(offer, now) === undefined;
        return [...those, ...listed.filter((offer) => isNew(offer) && !those.includes(offer))];
      }),
  };
}

/** Options beside a plan that was made of the same wishes: what it says by itself is left to it. */
export const besidePlan = (options: RentOptions): RentOptions => ({
  ...options,
  ...(Object.fromEntries([...ofPlan, "budget"].map((name) => [name, undefined])) as Pick<RentOptions, "budget">),
});

/** What is to be rented: a plan by its name, else what fits the wishes. @throws as {@link byPlan} */
export const wantedOf = (options: RentOptions, plan: string | undefined): Promise<Wanted> =>
  plan === undefined ? byWishes(options) : byPlan(options, plan);

/** Its machines as a table. */
export const choiceRows = ({ shown, slots }: Wanted): string[][] => [
  ["", "machine", "USD/h", "what stops its bill", "offer"],
  ...shown.map((offer, index) => [
    index < slots ? "first choice" : "stands by",
    machineText(offer),
    offerPriceText(offer, offer.price.perHour),
    offer.backstop,
    offer.id,
  ]),
];

/** µUSD of its first choices for an hour. */
export const hourOf = ({ shown, slots }: Wanted): bigint =>
  shown.slice(0, slots).reduce((sum, { price }) => sum + (price.perHour ?? 0n), 0n);

/** The same in words, which say where it is a limit. */
export const hourText = (wanted: Wanted): string =>
  `${wanted.shown.slice(0, wanted.slots).some(isLimit) ? "at most " : ""}${priceText(hourOf(wanted))}`;

/** Dollars without the zeros that say nothing. */
export const dollars = (money: bigint): string => formatUsd(money).replace(/\.?0+$/, "");
