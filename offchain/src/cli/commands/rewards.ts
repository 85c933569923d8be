/** `cotrain rewards list`: what wallets earned, and which roots were false. */
import { votesOf } from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
import { type Address, asAddress, type RunId } from "@cotrain/sdk/protocol";
import { formatUnits } from "viem";

import { formatAddress, formatShares, shortAddress, wrap } from "../../base/index.ts";
import type { ChainReader } from "../../chain/index.ts";
import {
  contractAt,
  type ActiveRewards,
  activeRewards,
  earningsOf,
  fitDefinition,
  isUnfit,
  knownRewards,
  lacksVotes,
  type PaidFalsely,
  paidRoots,
  type RevenueEarnings,
  type RevenueOwed,
  revenueOwed,
  UNPAID_EPOCHS,
  type UnpaidWork,
} from "../../run/index.ts";
import { account as accountOption, integer } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, table } from "../output.ts";
import { markText, wrongPayOf } from "../paidFalsely.ts";
import { atPlace, type Place, placeOptions } from "../place.ts";
import { ELSEWHERE, TREASURY } from "../revenueClaims.ts";
import { MOST_EPOCHS, restText, runsOf, shownUnpaid, unpaidLines } from "../unpaid.ts";

/** A place with what is paid there. */
interface PaidPlace extends Place {
  readonly rewards: ActiveRewards | undefined;
  /** Whether rounds were anchored that no active root pays yet. */
  readonly unsettled: boolean;
  /** Why nobody can judge what is done in the run, where that is so: then it earns nothing. Asked for unsettled rounds alone. */
  readonly unfit: string | undefined;
}

/** An account and what it is owed: shares, and money of the model's revenue, which nothing adds to them. */
type Standing = Awaited<ReturnType<typeof standing>> & { readonly revenue: RevenueEarnings | undefined };

/** Whether there are heads that the active root does not cover: for the sake of a hint no command asks much, or fails. */
async function isUnsettled(reader: ChainReader, runId: RunId, rewards: ActiveRewards | undefined): Promise<boolean> {
  const last = await reader.head(runId).catch(() => undefined);
  if (!last || last.round === 0) return false;
  return rewards === undefined || (rewards.through.runId === runId && rewards.through.head !== last.head);
}

/** Why nobody can judge the rounds of a run; undefined where they can be, or where that cannot be said now: no hint fails. */
const whyUnfit = ({ reader, runId, blobs }: Place): Promise<string | undefined> =>
  fitDefinition({ reader, blobs }, runId).then(
    () => undefined,
    (error: unknown) => (isUnfit(error) ? error.message : undefined),
  );

/** @param only of which accounts it is wanted; if left out of all */
export async function paidAt(place: Place, only?: readonly Address[]): Promise<PaidPlace> {
  const { reader, modelId, runId, blobs } = place;
  const rewards = await activeRewards(modelId, blobs, reader, only && knownRewards(only));
  const unsettled = await isUnsettled(reader, runId, rewards);
  return { ...place, rewards, unsettled, unfit: unsettled ? await whyUnfit(place) : undefined };
}

export async function standing(place: PaidPlace, account: Address) {
  const { connection, modelId, addresses, rewards } = place;
  const { client } = connection;
  const [earnings, shares] = await Promise.all([
    earningsOf(client, { addresses, modelId, account }, rewards),
    contractAt(place, "shares"),
  ]);
  return {
    account,
    shares,
    ...earnings,
    votes: await votesOf(client, { shares, account }),
    lacksVotes: await lacksVotes(client, { shares, account }),
  };
}

/** This directory's wallets first, then everyone else whom active roots pay or whose work earned nothing. */
function listed(
  { entries, rewards }: PaidPlace,
  unpaid: readonly UnpaidWork[],
  falseRoots: readonly PaidFalsely[],
): Address[] {
  const wronged = falseRoots.flatMap(({ accounts }) => accounts ?? []);
  const others = [...(rewards?.accounts ?? []), ...[...unpaid, ...wronged].map(({ account }) => account)];
  return [...new Set([...entries.map(({ account }) => account), ...others])];
}

/** How an account is called. */
interface Named {
  readonly name: string;
  /** Whether it is a wallet of this directory. */
  readonly here: boolean;
}

const unsettledText =
  "The newest rounds are not settled yet: what they earned is here once their epoch is, which takes a run that is up.";

const unfitText = (why: string): string => `The newest rounds earn nothing, since nobody can judge them: ${why}`;

interface Hints extends Pick<PaidPlace, "unsettled" | "unfit"> {
  /** Roots whose documents are not to be had. */
  readonly missing: readonly number[];
  /** Roots that were false. */
  readonly unsound: readonly number[];
}

export const hintsOf = ({ unsettled, unfit, rewards }: PaidPlace): Hints => ({
  unsettled,
  unfit,
  missing: rewards?.missing ?? [],
  unsound: rewards?.unsound ?? [],
});

const rootsText = (numbers: readonly number[]): string =>
  `${numbers.length === 1 ? "root" : "roots"} ${runsOf(numbers)}`;

/** Wallets of this directory whose shares nobody votes with. */
const voteless = (rows: readonly (Named & { readonly lacksVotes: boolean })[]): string[] =>
  rows
    .filter((row) => row.here && row.lacksVotes)
    .map(({ name }) => `${name} holds shares that have no votes: rewards claim takes them up.`);

export const hintLines = ({ unsettled, unfit, missing, unsound }: Hints): string[] =>
  [
    ...(missing.length > 0
      ? [
          `What ${rootsText(missing)} granted is not shown: the documents are not to be had here. Whoever has them can claim it at any time.`,
        ]
      : []),
    ...(unsound.length > 0
      ? [
          `Nothing of ${rootsText(unsound)} is shown or claimed: the published rewards are not what validators signed, or more than was minted for them.`,
        ]
      : []),
    ...(unsettled ? [unfit === undefined ? unsettledText : unfitText(unfit)] : []),
  ].flatMap((line) => wrap(line, columnsOf(process.stdout)));

/** What is owed of revenue as JSON; null where no root of revenue is active. */
const revenueDocument = (owed: RevenueOwed | undefined, earnings: RevenueEarnings | undefined) =>
  owed && earnings
    ? {
        token: owed.revenue.token,
        earned: earnings.earned,
        claimed: earnings.claimed,
        claimable: earnings.claimable,
      }
    : null;

/** What is owed of revenue, by those who are owed some, in a table of its own. */
function revenueTable(
  owed: RevenueOwed | undefined,
  rows: readonly Pick<Standing & { readonly name: string }, "name" | "account" | "revenue">[],
): string[] {
  const owing = rows.filter(({ revenue }) => revenue !== undefined && revenue.earned > 0n);
  if (!owed || owing.length === 0) return [];
  const { symbol, decimals } = owed.revenue.token;
  const amounts = ({ earned, claimed, claimable }: RevenueEarnings) =>
    [earned, claimed, claimable].map((amount) => formatUnits(amount, decimals));
  return table(
    [
      [`revenue (${symbol})`, "", "earned", "claimed", "claimable"],
      ...owing.map(({ name, account, revenue }) => [name, shortAddress(account), ...amounts(revenue!)]),
    ],
    [2, 3, 4],
  );
}

/** Accounts asked about at a time: an RPC takes no thousands of requests at once. */
const ASKED_AT_ONCE = 16;

/** Roots of the newest epochs that were false; who is away for that keeps nobody from the rest. */
async function judgedRoots(place: Place, newest: number) {
  try {
    return { falseRoots: (await paidRoots(place, place.modelId, { newest })).false, unjudged: "" };
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return {
      falseRoots: [],
      unjudged: `Whether these roots pay what was due could not be looked at: ${error.message}`,
    };
  }
}

/** `cotrain rewards list`. */
export const rewardsListCommand = defineCommand({
  name: "rewards list",
  summary: "what wallets earned, claimed and can claim: shares, and revenue in its own token",
  options: {
    ...placeOptions,
    account: accountOption({ description: "only this address" }),
    epochs: integer(1, MOST_EPOCHS, {
      description: "newest epochs in which is looked for work that earned nothing, and for roots that are false",
      default: UNPAID_EPOCHS,
    }),
  },
  examples: [
    ["npx cotrain rewards list", "everyone whom the run of this directory pays"],
    [
      "npx cotrain rewards list --coordinator https://train.example.org --rpc https://rpc.example.org",
      "everyone whom somebody else's run pays, this directory's worker among them",
    ],
  ],
  async run({ options, output }) {
    const only = options.account;
    const { rows, owed, unpaid, rest, names, falseRoots, unjudged, ...hints } = await atPlace(
      options,
      undefined,
      async (at) => {
        const place = await paidAt(at, only === undefined ? undefined : [only]);
        const here = new Map<string, string>(place.entries.map(({ name, account }) => [account, name]));
        const names = new Map([[asAddress(await contractAt(place, "timelock")), TREASURY], ...here]);
        // Both are many questions to machines that may be far away.
        const [{ works, rest }, { falseRoots, unjudged }] = await Promise.all([
          place.rewards?.unpaid(options.epochs) ?? { works: [], rest: "none" as const },
          judgedRoots(place, options.epochs),
        ]);
        const unpaid = works.filter(({ account }) => only === undefined || account === only);
        const accounts = only === undefined ? listed(place, unpaid, falseRoots) : [only];
        const owed = await revenueOwed(place, accounts);
        const found: (Named & Standing)[] = [];
        for (let at = 0; at < accounts.length; at += ASKED_AT_ONCE) {
          const some = accounts.slice(at, at + ASKED_AT_ONCE);
          for (const each of await Promise.all(
            some.map(async (account) => ({ ...(await standing(place, account)), revenue: await owed?.of(account) })),
          ))
            found.push({ name: names.get(each.account) ?? ELSEWHERE, here: here.has(each.account), ...each });
        }
        return { rows: found, owed, unpaid, rest, names, falseRoots, unjudged, ...hintsOf(place) };
      },
      undefined,
      { party: "workers" },
    );
    output.result(
      rows.map(({ name, account, earned, claimed: paid, claimable, votes, revenue }) => ({
        name,
        account: formatAddress(account),
        earned,
        claimed: paid,
        claimable,
        votes,
        revenue: revenueDocument(owed, revenue),
        unpaid: unpaid
          .filter((work) => work.account === account)
          .map(({ epoch, round, worker, tokens, reason }) => ({ epoch, round, worker, tokens, reason })),
        falsely: wrongPayOf(falseRoots, account),
      })),
      [
        ...table(
          [
            ["wallet", "", "earned", "claimed", "claimable", "votes"],
            ...rows.map((row) => [
              row.name,
              shortAddress(row.account),
              ...[row.earned, row.claimed, row.claimable, row.votes].map(formatShares),
            ]),
          ],
          [2, 3, 4, 5],
        ),
        ...revenueTable(owed, rows),
        ...shownUnpaid(
          unpaidLines(unpaid, (account) => names.get(account)),
          columnsOf(process.stdout),
        ),
        ...wrap(restText(rest, options.epochs), columnsOf(process.stdout)),
        ...voteless(rows).flatMap((line) => wrap(line, columnsOf(process.stdout))),
        ...falseRoots.flatMap((root) => wrap(markText(root), columnsOf(process.stdout))),
        ...wrap(unjudged, columnsOf(process.stdout)),
        ...hintLines(hints),
      ],
    );
  },
});
