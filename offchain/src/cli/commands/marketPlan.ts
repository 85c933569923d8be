import { countOf, formatDuration, formatShort, UserError, wrap } from "../../base/index.ts";
import { presetNames, presetOf } from "../../engine/index.ts";
import {
  assumptions,
  ASSUMED_MFU,
  type Goal,
  machineText,
  type Offer,
  type Plan,
  planOf,
  rank,
  type Source,
  trainingRunOf,
} from "../../market/index.ts";
import { choice, duration, integer, real, text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { alternativesOf, catalogueOptions, sourceText, wishOptions, withCatalogue } from "../market.ts";
import { columnsOf, tableWithin } from "../output.ts";

const DAY = 86_400_000;
/** Bytes a second of a Mbit/s, µUSD of a dollar. */
const [LINK, USD] = [125_000, 1e6];

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

/** The plan in words. */
function sentences({ outcome, machines }: Plan): string[] {
  const { cluster, seconds, tokens, cost } = outcome;
  const gpus = machines.reduce((sum, { offer }) => sum + offer.count, 0);
  return [
    `${countOf(machines.length, "machine")} with ${countOf(gpus, "GPU")} of ${countOf(new Set(machines.map(({ offer }) => offer.upstream)).size, "cloud")} for ${formatDuration(seconds * 1_000)}: ${usd(cost)} USD, ${formatShort(tokens)} effective tokens (${formatShort(tokens / cluster.effectiveness)} as they are counted), ${usd((cost * 1e9) / tokens)} USD for 10^9.`,
    `A round takes ${formatDuration(cluster.roundSeconds * 1_000)}, of it ${Math.round((100 * cluster.computeSeconds) / cluster.roundSeconds)}% training.`,
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

const documentOf = ({ outcome, machines, skipped }: Plan) => ({
  seconds: outcome.seconds,
  usd: outcome.cost / USD,
  effectiveTokens: outcome.tokens,
  effectiveness: outcome.cluster.effectiveness,
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
  skipped: Object.fromEntries(skipped),
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

const isPlan = (found: Plan | ReadonlyMap<string, string>): found is Plan => "outcome" in found;

/** Why one offer is not in a plan. @throws UserError `OFFER_UNKNOWN` */
function whyNotOf(id: string, offers: readonly Offer[], skipped: ReadonlyMap<string, string>): string {
  if (!offers.some((offer) => offer.id === id))
    throw new UserError("OFFER_UNKNOWN", `There is no offer "${id}" among those that fit the wishes.`);
  return `${id}: ${skipped.get(id) ?? "it is in the plan"}.`;
}

/** `cotrain market plan`. */
export const marketPlanCommand = defineCommand({
  name: "market plan",
  summary: "which machines of which clouds train a model for a budget, or until a deadline; rents nothing",
  options: {
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
    sample: toggle({ description: "plan with the sample too, which cannot be rented", default: false }),
    whyNot: text({ value: "id", description: "say why this offer is not in the plan" }),
    ...wishOptions,
    ...catalogueOptions,
  },
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
    "What is told is the mean, with no range around it yet. An effective token is one of a single worker that reaches the same loss.",
  ],
  async run({ options, output }) {
    const goal = goalOf(options);
    const preset = presetOf(options.preset);
    const run = trainingRunOf(preset.model, batchOf(preset), options.innerSteps);
    const rate = options.hubLink * LINK;
    const hub = { inRate: rate, outRate: rate, reduceSeconds: 10, cost: (options.hubCost * USD) / 3_600 };
    return withCatalogue(options, (catalogue, _, now) => {
      const offers = rank(catalogue.offers, alternativesOf(options), "value", now).map(({ offer }) => offer);
      const found = planOf(offers, run, hub, goal, options.mostGpus, now, options.sample);
      const columns = columnsOf(process.stdout);
      const skipped = isPlan(found) ? found.skipped : found;
      const told =
        options.whyNot === undefined
          ? [...reasonsOf(skipped), ...sourcesText(catalogue.sources, now)]
          : [whyNotOf(options.whyNot, offers, skipped)];
      output.result(isPlan(found) ? documentOf(found) : { machines: [], skipped: Object.fromEntries(skipped) }, [
        ...(isPlan(found)
          ? [
              ...sentences(found).flatMap((line) => wrap(line, columns)),
              "",
              ...tableWithin(columns, planRows(found), [1, 2, 3, 4]),
            ]
          : ["There is no plan: nothing that can be rented fits."]),
        "",
        ...told.flatMap((line) => wrap(line, columns)),
      ]);
      return isPlan(found) ? 0 : 1;
    });
  },
});
