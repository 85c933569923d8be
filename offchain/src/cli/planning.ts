/** Plans of the market as commands make them: what is wanted, what the catalogue has, and the plan that is kept under a name. */
import { UserError } from "../base/index.ts";
import { presetNames, presetOf } from "../engine/index.ts";
import {
  type Catalogue,
  CREATES_DAYS,
  type Filter,
  type Goal,
  gpuText,
  isLimit,
  hasLeases,
  keepPlan,
  type KeptPlan,
  machineText,
  createsIn,
  type CreatesOf,
  measuredIn,
  type MeasuredOf,
  modeNames,
  type Offer,
  type Plan,
  planOf,
  rank,
  type Task,
  trainingRunOf,
} from "../market/index.ts";
import { choice, type ConfigOf, duration, integer, real, text, toggle } from "../service/index.ts";
import { leasesOption, withLedger } from "./ledger.ts";
import { alternativesOf, catalogueOptions, wishOptions, withCatalogue } from "./market.ts";
import { fileOption } from "./runYaml.ts";

const DAY = 86_400_000;
/** Bytes a second of a Mbit/s; µUSD of a dollar. */
const LINK = 125_000;
export const USD = 1e6;

export const planOptions = {
  preset: choice(presetNames, {
    value: "name",
    description: `the model: ${presetNames.join(", ")}`,
    default: "150m",
  }),
  budget: real(0.01, 1e9, { value: "USD", description: "US dollars to spend at the most" }),
  tokens: real(1, 1e18, { description: "effective tokens to train" }),
  deadline: duration({ description: "time in which it must be done" }),
  valueOfTime: real(0, 1e6, { description: "US dollars that an hour is worth, with a budget alone", default: 1 }),
  mostGpus: integer(1, 1_024, { description: "GPUs at the most", default: 128 }),
  innerSteps: integer(4, 1_000_000, { description: "inner steps of a round, in the mean", default: 500 }),
  hubLink: integer(1, 1_000_000, { description: "Mbit/s of the coordinator, either way", default: 1_000 }),
  hubCost: real(0, 1e6, { description: "US dollars of coordinator and validators for an hour", default: 0.2 }),
  mode: choice(modeNames, {
    description:
      "value: the most for the money; price: the cheapest GPUs by the hour; secure: audited data centres; fabric: one cloud, NVLink; loose: 8 GPUs and more, half of them of one cloud at the most",
    default: "value",
  }),
  valid: duration({ description: "time for which the plan can be rented", default: 3_600_000 }),
  sample: toggle({ description: "plan with the sample too, which cannot be rented", default: false }),
  whyNot: text({ value: "id", description: "say why this offer is not in the plan" }),
  leases: leasesOption,
  file: fileOption,
  ...wishOptions,
  ...catalogueOptions,
} as const;
export type PlanOptions = ConfigOf<typeof planOptions>;

interface Given {
  readonly budget?: number | undefined;
  readonly tokens?: number | undefined;
  readonly deadline?: number | undefined;
  readonly valueOfTime: number;
}

/** What is wanted of a plan, by what is given. @throws UserError `USAGE` */
function goalOf({ budget, tokens, deadline, valueOfTime }: Given): Goal {
  const seconds = deadline === undefined ? undefined : deadline / 1_000;
  if (tokens !== undefined && budget === undefined)
    return { kind: "least cost", tokens, deadline: seconds ?? (30 * DAY) / 1_000 };
  if (budget === undefined || tokens !== undefined)
    throw new UserError("USAGE", "Give either --budget, with or without --deadline, or --tokens with a --deadline.");
  return seconds === undefined
    ? { kind: "budget", budget: budget * USD, valueOfTime: (valueOfTime * USD) / 3_600 }
    : { kind: "most tokens", budget: budget * USD, deadline: seconds };
}

const batchOf = ({ microBatch, accumulation = 1, model }: ReturnType<typeof presetOf>): number =>
  microBatch * accumulation * model.sequence;
/** A plan as `market rent` takes it up: machines, their prices, and what of the money is theirs. */
function keptOf({ outcome, machines }: Plan, { goal, hub }: Task, options: PlanOptions, now: number): KeptPlan {
  const { seconds, cost } = outcome.ranges;
  const money = goal.kind === "least cost" ? cost.p90 : goal.budget;
  return {
    version: 1,
    madeAt: now,
    expiresAt: now + options.valid,
    preset: options.preset,
    mode: options.mode,
    budget: String(Math.max(1, Math.floor(money - hub.cost * seconds.p50))),
    seconds: Math.ceil(seconds.p90),
    diskGb: options.disk ?? 100,
    ...(options.auction !== undefined && machines.some(({ offer }) => isLimit(offer))
      ? { auction: options.auction }
      : {}),
    machines: machines.map(({ offer }) => ({
      offer: offer.id,
      provider: offer.provider,
      machine: machineText(offer),
      perHour: String(offer.price.perHour ?? 0n),
    })),
  };
}

/** What became of creates of such machines; nothing where none was tried. */
export function createsText(offers: readonly Offer[], createsOf: CreatesOf | undefined): string[] {
  const kinds = new Map(offers.map((offer) => [`${offer.provider}, ${gpuText(offer.gpu)}`, createsOf?.(offer)]));
  const words = [...kinds].flatMap(([kind, creates]) =>
    creates === undefined ? [] : [`${kind}: ${creates.failed} of ${creates.tried}`],
  );
  return words.length === 0
    ? []
    : [`Creates of ${CREATES_DAYS} days that came to no machine, which count beside the stock: ${words.join("; ")}.`];
}

/** That some of these prices are limits; nothing where none is. */
export function limitsText(offers: readonly Offer[]): string[] {
  const count = offers.filter(isLimit).length;
  return count === 0
    ? []
    : [
        `${count} of ${offers.length} at an auction: a bid is taken up to the price, and costs what is bid; without one there is no machine.`,
      ];
}

/** Why a plan cannot be rented by its name; undefined where it can. */
export function whyNotRented({ machines }: Plan): string | undefined {
  return machines.some(({ offer }) => offer.source === "sample") ? "it has samples in it" : undefined;
}

export const isPlan = (found: Plan | ReadonlyMap<string, string>): found is Plan => "outcome" in found;

/** What was found, and of what. */
interface Made {
  readonly found: Plan | ReadonlyMap<string, string>;
  readonly goal: Goal;
  readonly catalogue: Catalogue;
  readonly wishes: readonly Filter[];
  /** Those that fit the wishes. */
  readonly offers: readonly Offer[];
  readonly now: number;
  /** Its name, where it can be rented. */
  readonly id: string | undefined;
  /** What was measured of machines like them. */
  readonly known: MeasuredOf | undefined;
  /** What became of creates of machines like them. */
  readonly createsOf: CreatesOf | undefined;
}

/** What the ledger knows of machines that were rented; nothing where none ever was. */
export const knownBy = async (
  directory: string,
  now: number,
): Promise<{ readonly measuredOf?: MeasuredOf; readonly createsOf?: CreatesOf }> =>
  hasLeases(directory)
    ? withLedger(directory, (book) => ({ measuredOf: measuredIn(book), createsOf: createsIn(book, now) }))
    : {};

/** What is to be trained, and where payloads meet. */
export function taskOf(
  options: Pick<PlanOptions, "preset" | "innerSteps" | "hubLink" | "hubCost" | "mostGpus" | "mode">,
  goal: Goal,
): Task {
  const preset = presetOf(options.preset);
  const run = trainingRunOf(preset.model, batchOf(preset), options.innerSteps);
  const rate = options.hubLink * LINK;
  const hub = { inRate: rate, outRate: rate, reduceSeconds: 10, cost: (options.hubCost * USD) / 3_600 };
  return { run, hub, goal, mostGpus: options.mostGpus, mode: options.mode };
}

/** Makes a plan of what is offered now, keeps it unless it is only asked about, and does something with it. @throws UserError `USAGE` */
export function withPlan<T>(options: PlanOptions, work: (made: Made) => T | Promise<T>): Promise<T> {
  const goal = goalOf(options);
  const task = taskOf(options, goal);
  return withCatalogue(options, async (catalogue, _, now) => {
    const wishes = alternativesOf(options);
    const offers = rank(catalogue.offers, wishes, "value", now).map(({ offer }) => offer);
    const { measuredOf: known, createsOf } = await knownBy(options.leases, now);
    const found = planOf(offers, task, now, options.sample, { measuredOf: known, createsOf });
    const isKept = isPlan(found) && options.whyNot === undefined && whyNotRented(found) === undefined;
    const id = isKept ? await keepPlan(options, keptOf(found, task, options, now)) : undefined;
    return work({ found, goal, catalogue, wishes, offers, now, id, known, createsOf });
  });
}
