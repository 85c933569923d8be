import { countOf, formatDuration, formatShort, UserError, wrap } from "../../base/index.ts";
import { presetNames, presetOf } from "../../engine/index.ts";
import {
  assumptions,
  ASSUMED_MFU,
  type Catalogue,
  DRAWS,
  type Filter,
  type Goal,
  keepPlan,
  type KeptPlan,
  machineText,
  modeNames,
  type Plan,
  planOf,
  type Range,
  rank,
  runsScripts,
  type Source,
  type Task,
  trainingRunOf,
  whyNot,
} from "../../market/index.ts";
import { choice, type ConfigOf, duration, integer, real, text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { alternativesOf, catalogueOptions, sourceText, wishOptions, withCatalogue } from "../market.ts";
import { columnsOf, tableWithin } from "../output.ts";

const DAY = 86_400_000;
/** Bytes a second of a Mbit/s, µUSD of a dollar. */
const [LINK, USD] = [125_000, 1e6];

const planOptions = {
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
  ...wishOptions,
  ...catalogueOptions,
} as const;
type Options = ConfigOf<typeof planOptions>;

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
const usd = (money: number): string => (money / USD).toFixed(2);

/** What nine draws of ten come to, in words. */
function surely({ ranges: { seconds, tokens, cost, sure } }: Plan["outcome"], goal: Goal): string {
  if (goal.kind === "budget")
    return `In nine draws of ten the money lasts for at least ${formatDuration(seconds.p10 * 1_000)} and trains at least ${formatShort(tokens.p10)} tokens.`;
  const kept = `Of ${DRAWS} draws ${Math.round(sure * DRAWS)} keep to the ${goal.kind === "least cost" ? "deadline" : "budget"}.`;
  return goal.kind === "least cost"
    ? `${kept} Nine of ten take at most ${formatDuration(seconds.p90 * 1_000)} and ${usd(cost.p90)} USD.`
    : `${kept} Nine of ten cost at most ${usd(cost.p90)} USD and train at least ${formatShort(tokens.p10)} tokens.`;
}

const rangeRow = (name: string, { p10, p50, p90 }: Range, shown: (value: number) => string): string[] => [
  name,
  ...[p10, p50, p90].map(shown),
];

/** Time, tokens and cost as they may come. */
const rangeRows = ({ outcome: { ranges } }: Plan): string[][] => [
  ["of 100 draws not above it", "10", "50", "90"],
  rangeRow("time", ranges.seconds, (seconds) => formatDuration(seconds * 1_000)),
  rangeRow("effective tokens", ranges.tokens, formatShort),
  rangeRow("USD", ranges.cost, usd),
];

/** The plan in words. */
function sentences({ outcome, machines }: Plan, goal: Goal): string[] {
  const { cluster, seconds, tokens, cost } = outcome;
  const gpus = machines.reduce((sum, { offer }) => sum + offer.count, 0);
  return [
    `${countOf(machines.length, "machine")} with ${countOf(gpus, "GPU")} of ${countOf(new Set(machines.map(({ offer }) => offer.upstream)).size, "cloud")} for ${formatDuration(seconds * 1_000)}: ${usd(cost)} USD, ${formatShort(tokens)} effective tokens (${formatShort(tokens / cluster.effectiveness)} as they are counted), ${usd((cost * 1e9) / tokens)} USD for 10^9.`,
    `A round takes ${formatDuration(cluster.roundSeconds * 1_000)}, of it ${Math.round((100 * cluster.computeSeconds) / cluster.roundSeconds)}% training.`,
    surely(outcome, goal),
  ];
}

function planRows({ machines, outcome }: Plan): string[][] {
  return [
    ["machine", "USD/h", "steps", "share of tokens", "tokens for a USD more", "what stops its bill", "offer"],
    ...machines.map(({ offer, member, worth }) => [
      machineText(offer),
      usd(member.cost * 3_600),
      String(member.steps),
      `${Math.round((100 * outcome.cluster.effectiveness * member.tokens) / outcome.cluster.rate)}%`,
      Number.isFinite(worth) ? formatShort(worth * USD) : "–",
      offer.backstop,
      offer.id,
    ]),
  ];
}

const dollarsOf = ({ p10, p50, p90 }: Range): Range => ({ p10: p10 / USD, p50: p50 / USD, p90: p90 / USD });

const documentOf = ({ outcome, machines }: Plan) => ({
  seconds: outcome.seconds,
  usd: outcome.cost / USD,
  effectiveTokens: outcome.tokens,
  effectiveness: outcome.cluster.effectiveness,
  ranges: {
    seconds: outcome.ranges.seconds,
    effectiveTokens: outcome.ranges.tokens,
    usd: dollarsOf(outcome.ranges.cost),
    sure: outcome.ranges.sure,
  },
  roundSeconds: outcome.cluster.roundSeconds,
  computeSeconds: outcome.cluster.computeSeconds,
  machines: machines.map(({ offer, member, worth }) => ({
    offer: offer.id,
    machine: machineText(offer),
    usdPerHour: (member.cost * 3_600) / USD,
    steps: member.steps,
    tokensPerSecond: member.tokens,
    tokensPerUsdMore: Number.isFinite(worth) ? worth * USD : null,
    backstop: offer.backstop,
  })),
});

/** Reasons and how many offers have each, the most common first; figures are those of one offer alone. */
function reasonsOf(skipped: ReadonlyMap<string, string>): string[] {
  const alike = Map.groupBy(skipped.values(), (why) => why.replaceAll(/\d+/g, "…"));
  return [...alike]
    .toSorted((a, b) => b[1].length - a[1].length)
    .map(([words, all]) => `${countOf(all.length, "offer")} left out: ${all.length === 1 ? all[0] : words}.`);
}

/** What went wrong with providers, and how many were not asked at all. */
function sourcesText(sources: readonly Source[], now: number): string[] {
  const silent = sources.filter(({ state }) => state === "missing").length;
  const wrong = sources.filter(({ state, problem }) => state === "failed" || problem !== undefined);
  return [
    ...wrong.map((source) => sourceText(source, now)),
    ...(silent === 0
      ? []
      : [`${countOf(silent, "provider")} not asked: "npx cotrain market offers" says what each wants.`]),
  ];
}

const unwishedText = (count: number): string[] =>
  count === 0 ? [] : [`${countOf(count, "offer")} beside the wishes: --why-not ID says of one why.`];

/** A plan as `market rent` takes it up: machines, their prices, and what of the money is theirs. */
function keptOf({ outcome, machines }: Plan, { goal, hub }: Task, options: Options, now: number): KeptPlan {
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
    machines: machines.map(({ offer }) => ({
      offer: offer.id,
      provider: offer.provider,
      machine: machineText(offer),
      perHour: String(offer.price.perHour ?? 0n),
    })),
  };
}

/** Why a plan cannot be rented by its name; undefined where it can. */
function whyNotRented({ machines }: Plan): string | undefined {
  if (machines.some(({ offer }) => offer.source === "sample")) return "it has samples in it";
  const other = machines.find(({ offer }) => !runsScripts(offer.provider));
  return other === undefined ? undefined : `${other.offer.id} runs no script of whoever rents`;
}

const isPlan = (found: Plan | ReadonlyMap<string, string>): found is Plan => "outcome" in found;

/** Offers that are not looked at, with why: a wish that they miss, an alternative before theirs, a cheaper road to the same machine. */
function unwished({ offers, roads }: Catalogue, wishes: readonly Filter[], fit: ReadonlySet<string>) {
  const why = new Map<string, string>();
  for (const offer of offers)
    if (!fit.has(offer.id))
      why.set(
        offer.id,
        wishes.map((filter) => whyNot(offer, filter)).find((miss) => miss !== undefined) ??
          "an alternative before it can be rented",
      );
  for (const [best, dearer] of roads) for (const { id } of dearer) why.set(id, `the same machine as ${best}, dearer`);
  return why;
}

/** Why one offer is not in a plan. @throws UserError `OFFER_UNKNOWN` */
function whyNotOf(id: string, taken: ReadonlySet<string>, ...whys: readonly ReadonlyMap<string, string>[]): string {
  const why = whys.map((each) => each.get(id)).find((each) => each !== undefined);
  if (why === undefined && !taken.has(id)) throw new UserError("OFFER_UNKNOWN", `Nobody lists an offer "${id}" now.`);
  return `${id}: ${why ?? "it is in the plan"}.`;
}

/** `cotrain market plan`. */
export const marketPlanCommand = defineCommand({
  name: "market plan",
  summary: "which machines of which clouds train a model for a budget, or until a deadline; rents nothing",
  options: planOptions,
  examples: [
    ["npx cotrain market plan --budget 200", "the most training for 200 dollars, an hour being worth one"],
    [
      "npx cotrain market plan --preset 1b --tokens 2e9 --deadline 48h --tier secure",
      "the least that it costs in two days",
    ],
    ["npx cotrain market plan --budget 50 --sample --offline", "without any key, by the sample"],
  ],
  notes: [
    `Nothing has been measured: GPUs are taken at ${ASSUMED_MFU * 100}% of their makers' figures, links that are not told at ${assumptions.mbps.secure} Mbit/s (secure) or ${assumptions.mbps.community}, spot machines as lasting ${assumptions.lifetime.spot / 3_600} hours.`,
    `What is told is the mean, and what ${DRAWS} draws of boots, deaths, stock and prices under the same assumptions come to. A budget with a deadline holds in nine of ten, and so does a deadline.`,
    "An effective token is one of a single worker that reaches the same loss.",
  ],
  async run({ options, output }) {
    const goal = goalOf(options);
    const preset = presetOf(options.preset);
    const run = trainingRunOf(preset.model, batchOf(preset), options.innerSteps);
    const rate = options.hubLink * LINK;
    const hub = { inRate: rate, outRate: rate, reduceSeconds: 10, cost: (options.hubCost * USD) / 3_600 };
    const task = { run, hub, goal, mostGpus: options.mostGpus, mode: options.mode };
    return withCatalogue(options, async (catalogue, _, now) => {
      const wishes = alternativesOf(options);
      const offers = rank(catalogue.offers, wishes, "value", now).map(({ offer }) => offer);
      const found = planOf(offers, task, now, options.sample);
      const columns = columnsOf(process.stdout);
      const skipped = isPlan(found) ? found.skipped : found;
      const others = unwished(catalogue, wishes, new Set(offers.map(({ id }) => id)));
      const taken = new Set(isPlan(found) ? found.machines.map(({ offer }) => offer.id) : []);
      const told =
        options.whyNot === undefined
          ? [...reasonsOf(skipped), ...unwishedText(others.size), ...sourcesText(catalogue.sources, now)]
          : [whyNotOf(options.whyNot, taken, skipped, others)];
      const isKept = isPlan(found) && options.whyNot === undefined && whyNotRented(found) === undefined;
      const id = isKept ? await keepPlan(options, keptOf(found, task, options, now)) : undefined;
      const all = Object.fromEntries([...others, ...skipped]);
      output.result(
        isPlan(found)
          ? { ...(id === undefined ? {} : { id }), ...documentOf(found), skipped: all }
          : { machines: [], skipped: all },
        [
          ...(isPlan(found)
            ? [
                ...sentences(found, goal).flatMap((line) => wrap(line, columns)),
                "",
                ...tableWithin(columns, rangeRows(found), [1, 2, 3]),
                "",
                ...tableWithin(columns, planRows(found), [1, 2, 3, 4]),
              ]
            : ["There is no plan: nothing that can be rented fits."]),
          "",
          ...(isPlan(found) && options.whyNot === undefined
            ? [
                id === undefined
                  ? `It cannot be rented: ${whyNotRented(found)}.`
                  : `For ${formatDuration(options.valid)} it can be rented: npx cotrain market rent ${id}`,
                "",
              ]
            : []),
          ...told.flatMap((line) => wrap(line, columns)),
        ],
      );
      return isPlan(found) ? 0 : 1;
    });
  },
});
