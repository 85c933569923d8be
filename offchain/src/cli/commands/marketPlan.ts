import { countOf, formatDuration, formatShort, UserError, wrap } from "../../base/index.ts";
import {
  assumptions,
  ASSUMED_MFU,
  type Catalogue,
  DRAWS,
  type Filter,
  type Goal,
  machineText,
  isLimit,
  type MeasuredOf,
  type Plan,
  type Range,
  type Source,
  whyNot,
} from "../../market/index.ts";
import { defineCommand } from "../command.ts";
import { sourceText } from "../market.ts";
import { columnsOf, tableWithin } from "../output.ts";
import { createsText, isPlan, limitsText, planOptions, USD, whyNotRented, withPlan } from "../planning.ts";

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

/** How many machines of a plan were measured before, or others with such GPUs. */
function measuredText({ machines }: Plan, known: MeasuredOf | undefined): string {
  const of = machines.map(({ offer }) => known?.(offer)?.of);
  const count = (what: (typeof of)[number]): number => of.filter((each) => each === what).length;
  const [own, alike] = [count("this machine"), count("such GPUs")];
  if (own + alike === 0) return "No machine of it was measured, nor another with such GPUs: its speeds are assumed.";
  const words = [`${own} of its machines ${own === 1 ? "was" : "were"} measured before`];
  if (alike > 0) words.push(`${alike} ${alike === 1 ? "has" : "have"} GPUs that were, of other machines`);
  if (own + alike < of.length) words.push(`the speed of ${of.length - own - alike} is assumed`);
  return `${words.join(", ")}.`;
}

function planRows({ machines, outcome }: Plan): string[][] {
  return [
    ["machine", "USD/h", "steps", "share of tokens", "tokens for a USD more", "what stops its bill", "offer"],
    ...machines.map(({ offer, member, worth }) => [
      machineText(offer),
      `${isLimit(offer) ? "at most " : ""}${usd(member.cost * 3_600)}`,
      String(member.steps),
      `${Math.round((100 * outcome.cluster.effectiveness * member.tokens) / outcome.cluster.rate)}%`,
      Number.isFinite(worth) ? formatShort(worth * USD) : "–",
      offer.backstop,
      offer.id,
    ]),
  ];
}

const dollarsOf = ({ p10, p50, p90 }: Range): Range => ({ p10: p10 / USD, p50: p50 / USD, p90: p90 / USD });

const documentOf = ({ outcome, machines }: Plan, known: MeasuredOf | undefined) => ({
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
    atMost: isLimit(offer),
    steps: member.steps,
    tokensPerSecond: member.tokens,
    tokensPerUsdMore: Number.isFinite(worth) ? worth * USD : null,
    backstop: offer.backstop,
    measured: known?.(offer)?.of ?? null,
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
  section: "market",
  examples: [
    ["npx cotrain market plan --budget 200", "the most training for 200 dollars, an hour being worth one"],
    [
      "npx cotrain market plan --preset 1b --tokens 2e9 --deadline 48h --tier secure",
      "the least that it costs in two days",
    ],
    ["npx cotrain market plan --budget 50 --sample --offline", "without any key, by the sample"],
    ["npx cotrain market plan -f run.yaml", "what a file says of budget, deadline, prices and machines"],
  ],
  notes: [
    `What machines of --leases were measured to do counts, for the same machine or, without its link, for others with such GPUs. Else GPUs are taken at ${ASSUMED_MFU * 100}% of their makers' figures, links that are not told at ${assumptions.mbps.secure} Mbit/s (secure) or ${assumptions.mbps.community}, spot machines as lasting ${assumptions.lifetime.spot / 3_600} hours.`,
    `What is told is the mean, and what ${DRAWS} draws of boots, deaths, stock and prices under the same assumptions come to. A budget with a deadline holds in nine of ten, and so does a deadline.`,
    "An effective token is one of a single worker that reaches the same loss.",
  ],
  async run({ options, output }) {
    return withPlan(options, ({ found, goal, catalogue, wishes, offers, now, id, known, createsOf }) => {
      const columns = columnsOf(process.stdout);
      const skipped = isPlan(found) ? found.skipped : found;
      const others = unwished(catalogue, wishes, new Set(offers.map(({ id }) => id)));
      const taken = new Set(isPlan(found) ? found.machines.map(({ offer }) => offer.id) : []);
      const told =
        options.whyNot === undefined
          ? [...reasonsOf(skipped), ...unwishedText(others.size), ...sourcesText(catalogue.sources, now)]
          : [whyNotOf(options.whyNot, taken, skipped, others)];
      const all = Object.fromEntries([...others, ...skipped]);
      output.result(
        isPlan(found)
          ? { ...(id === undefined ? {} : { id }), ...documentOf(found, known), skipped: all }
          : { machines: [], skipped: all },
        [
          ...(isPlan(found)
            ? [
                ...[
                  ...sentences(found, goal),
                  measuredText(found, known),
                  ...limitsText(found.machines.map(({ offer }) => offer)),
                  ...createsText(
                    found.machines.map(({ offer }) => offer),
                    createsOf,
                  ),
                ].flatMap((line) => wrap(line, columns)),
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
