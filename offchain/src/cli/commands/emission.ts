import { budgetOf, drawTreasury, epochOf, setBudget, successionOf, yearlyCapOf } from "@cotrain/sdk/actions";
import { rewardKind } from "@cotrain/sdk/protocol";

import { formatAddress, formatSharesExactly, timeText, UserError, wrap } from "../../base/index.ts";
import { real, text } from "../../service/index.ts";
import { sharesOf } from "../amounts.ts";
import { showDuration } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf, titledWhole } from "../decision.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, placeOptions } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

/** What an epoch's budget is split among, in the contract's order. */
const kinds = ["compute", "code", "capital", "treasury"] as const;
type Kind = (typeof kinds)[number];

/** A budget: share wei an epoch, and basis points of it for each kind. */
interface Split {
  readonly perEpoch: bigint;
  readonly bps: Readonly<Record<Kind, number>>;
}

/** The same, and from when on. */
interface Budget extends Split {
  readonly fromEpoch: number;
  /** Its number among the model's budgets. */
  readonly version: number;
}

const percentText = (bps: number): string => `${bps / 100}%`;

/** The budget of the present epoch, and that of the next one, which is the newest. */
async function budgetsAt({ connection, addresses, modelId }: Place) {
  const timestamp = Number((await connection.call((client) => client.getBlock())).timestamp);
  const epoch = await connection.call((client) => epochOf(client, { addresses, modelId, timestamp }));
  const read = async (of: bigint): Promise<Budget> => {
    const budget = await connection.call((client) => budgetOf(client, { addresses, modelId, epoch: of }));
    const { fromEpoch, version, perEpoch, computeBps, codeBps, capitalBps, treasuryBps } = budget;
    const bps = { compute: computeBps, code: codeBps, capital: capitalBps, treasury: treasuryBps };
    return { fromEpoch, version, perEpoch, bps };
  };
  const yearlyCap = await connection.call((client) => yearlyCapOf(client, { addresses, modelId }));
  return { epoch, inForce: await read(epoch), newest: await read(epoch + 1n), yearlyCap };
}

/** Of each kind for which the holders named another contract than at first, that and from when on it mints. */
async function successionsAt({ connection, addresses, modelId }: Place) {
  const each = kinds.map(async (kind) => {
    const args = { addresses, modelId, kind: rewardKind[kind] };
    const named = await connection.call((client) => successionOf(client, args));
    return named === undefined ? [] : [{ kind, ...named }];
  });
  return (await Promise.all(each)).flat();
}

const rowsOf = ({ perEpoch, bps }: Budget): (readonly [string, string])[] => [
  ["an epoch", `at most ${formatSharesExactly(perEpoch)} shares`],
  ...kinds.map((kind) => {
    const part = (perEpoch * BigInt(bps[kind])) / 10_000n;
    return [`for ${kind}`, `${percentText(bps[kind])}, at most ${formatSharesExactly(part)} shares`] as const;
  }),
];

/** Why the supply grows by less than an epoch's budget. */
const MINTED =
  "Only what training earned, what was granted for code, what was sold and what the holders draw is minted: an epoch without any of it mints nothing, and what is left of a budget lapses after 30 days. The treasury's part is minted when the holders vote to draw it.";

/** `cotrain emission show`. */
export const emissionShowCommand = defineCommand({
  name: "emission show",
  summary: "how many shares an epoch may mint, and for what",
  options: placeOptions,
  examples: [["npx cotrain emission show", "the budget of this directory's model"]],
  async run({ options, output }) {
    const { epoch, inForce, newest, yearlyCap, successions, schedule } = await atPlace(
      options,
      undefined,
      async (place) => ({
        ...(await budgetsAt(place)),
        schedule: await place.reader.schedule(place.modelId),
        successions: await successionsAt(place),
      }),
    );
    const next = newest.fromEpoch > inForce.fromEpoch ? newest : undefined;
    const columns = columnsOf(process.stdout);
    const { epochLength, window } = schedule;
    output.result({ epoch, epochLength, window, inForce, next: next ?? null, yearlyCap, successions }, [
      ...factTable(
        [
          [
            "epoch",
            `${epoch}, of ${showDuration(epochLength * 1_000)}; a root pays ${showDuration(window * 1_000)} after it was posted at the earliest`,
          ],
          ...rowsOf(inForce),
          ...(next ? ([["from epoch", String(next.fromEpoch)], ...rowsOf(next)] as const) : []),
          ["a year", `at most ${formatSharesExactly(yearlyCap)} shares, for ever`],
          ...successions.map(
            ({ kind, successor, from }) =>
              [`for ${kind}`, `minted by ${formatAddress(successor)} from ${timeText(from)} on`] as const,
          ),
        ],
        columns,
      ),
      "",
      ...wrap(MINTED, columns),
    ]);
  },
});

/** What somebody wants: share wei an epoch, and percents. */
type Wanted = { readonly perEpoch?: bigint | undefined } & { readonly [K in Kind]?: number | undefined };

/** @throws UserError `EMISSION_PART` where it is no whole number of basis points */
function bpsOf(kind: Kind, percent: number): number {
  const bps = Math.round(percent * 100);
  if (bps / 100 === percent) return bps;
  throw new UserError("EMISSION_PART", `--${kind} has at most two decimals, such as 12.25, not ${percent}.`);
}

/** @throws UserError `EMISSION_SPLIT` where the parts are not the whole */
function requireWhole(bps: Budget["bps"]): void {
  const sum = kinds.reduce((all, kind) => all + bps[kind], 0);
  if (sum === 10_000) return;
  const parts = kinds.map((kind) => `${kind} ${percentText(bps[kind])}`).join(", ");
  throw new UserError(
    "EMISSION_SPLIT",
    `The parts must add up to 100%, and ${parts} are ${percentText(sum)}: give another part as well.`,
  );
}

/** What setting this budget changes, in a line; empty where that is nothing. */
function budgetTitle(before: Split, after: Split): string {
  return titledWhole("emission", [
    {
      before: formatSharesExactly(before.perEpoch),
      after: formatSharesExactly(after.perEpoch),
      of: "shares an epoch",
    },
    ...kinds.map((kind) => ({
      before: percentText(before.bps[kind]),
      after: percentText(after.bps[kind]),
      of: `for ${kind}`,
    })),
  ]);
}

async function intentionFor(place: DecidingPlace, wanted: Wanted): Promise<Intention> {
  const { addresses, modelId } = place;
  const { newest } = await budgetsAt(place);
  const { version: replaces } = newest;
  const { perEpoch = newest.perEpoch } = wanted;
  const partOf = (kind: Kind): number => {
    const percent = wanted[kind];
    return percent === undefined ? newest.bps[kind] : bpsOf(kind, percent);
  };
  const [compute, code, capital, treasury] = [
    partOf("compute"),
    partOf("code"),
    partOf("capital"),
    partOf("treasury"),
  ] as const;
  const after = { compute, code, capital, treasury };
  requireWhole(after);
  const title = budgetTitle(newest, { perEpoch, bps: after });
  const bps = [compute, code, capital, treasury] as const;
  return intentionOf(
    place,
    setBudget,
    { addresses, modelId, replaces, perEpoch, bps },
    { title, document: { perEpoch, bps: after, replaces } },
  );
}

const part = (what: string) =>
  real(0, 100, { value: "percent", description: `the part of it ${what} (default: as it is)` });

/** `cotrain emission propose`. */
export const emissionProposeCommand = defineCommand({
  name: "emission propose",
  summary: "propose to the holders how many shares an epoch may mint, and for what",
  options: {
    ...decisionOptions,
    perEpoch: text({ value: "shares", description: "what an epoch may mint in all (default: as it is)" }),
    compute: part("for training"),
    code: part("for code"),
    capital: part("that is sold"),
    treasury: part("for the treasury"),
  },
  examples: [
    [
      "npx cotrain emission propose --compute 65 --capital 20",
      "another part for sale, by the wallet of this directory that has the most votes",
    ],
    ["npx cotrain emission propose --per-epoch 500 --dry-run", "what would be proposed"],
  ],
  notes: [
    "It replaces the newest budget, in force or not: of two such decisions the first that is executed holds. It holds from the epoch after its execution on. The parts add up to 100%. What a year's epochs may mint is bounded for ever, as emission show tells.",
  ],
  run: async ({ options: { perEpoch, compute, code, capital, treasury, ...options }, output }) => {
    const wanted = {
      perEpoch: perEpoch === undefined ? undefined : sharesOf(perEpoch),
      compute,
      code,
      capital,
      treasury,
    };
    await decide({ options, output }, (place) => intentionFor(place, wanted));
  },
});

/** `cotrain emission draw`. */
export const emissionDrawCommand = defineCommand({
  name: "emission draw",
  summary: "propose to the holders that a part of the emission is minted to the treasury",
  options: {
    ...decisionOptions,
    amount: text({ value: "shares", description: "how much of the treasury's part of the present budgets" }),
  },
  examples: [["npx cotrain emission draw --amount 100", "by the wallet of this directory that has the most votes"]],
  notes: [
    "The treasury is the model's timelock, whose shares do not vote but count in every quorum: draw what is to be spent. What is not drawn within 30 days of its epoch is never minted.",
  ],
  run: async ({ options: { amount: given, ...options }, output }) => {
    if (given === undefined) throw new UserError("EMISSION_AMOUNT", "Say how many shares with --amount.");
    const amount = sharesOf(given);
    await decide({ options, output }, async (place) => {
      const { addresses, modelId } = place;
      return intentionOf(
        place,
        drawTreasury,
        { addresses, modelId, amount },
        {
          title:
            amount === 0n ? "" : `treasury: ${formatSharesExactly(amount)} shares drawn of its part of the emission`,
          document: { amount },
        },
      );
    });
  },
});
