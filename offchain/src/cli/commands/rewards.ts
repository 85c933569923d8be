import { delegateOf, votesOf } from "@cotrain/sdk/actions";
import { asAddress, type Address, type Hex, type RunId } from "@cotrain/sdk/protocol";
import { formatUnits } from "viem";

import { formatAddress, formatShares, shortAddress, UserError, wrap } from "../../base/index.ts";
import type { ChainReader } from "../../chain/index.ts";
import {
  contractAt,
  isNobody,
  type ActiveRewards,
  activeRewards,
  claimLeaves,
  earningsOf,
  knownRewards,
  lacksVotes,
  namedWallet,
  type RevenueEarnings,
  type RevenueOwed,
  revenueOwed,
  takeUpVotes,
  tokenText,
  UNPAID_EPOCHS,
  type UnpaidWork,
} from "../../run/index.ts";
import { account as accountOption, integer, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, table } from "../output.ts";
import {
  atPlace,
  type Place,
  placeOptions,
  requireEntries,
  signingAs,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";
import { claimOwed, lossOption, revenueHints } from "../revenueClaims.ts";
import { MOST_EPOCHS, restText, runsOf, shownUnpaid, unpaidLines } from "../unpaid.ts";

/** A place with what is paid there. */
interface PaidPlace extends Place {
  readonly rewards: ActiveRewards | undefined;
  /** Whether rounds were anchored that no active root pays yet. */
  readonly unsettled: boolean;
}

/** An account and what it is owed: shares, and money of the model's revenue, which nothing adds to them. */
type Standing = Awaited<ReturnType<typeof standing>> & { readonly revenue: RevenueEarnings | undefined };

/** Whether there are heads that the active root does not cover: for the sake of a hint no command asks much, or fails. */
async function isUnsettled(reader: ChainReader, runId: RunId, rewards: ActiveRewards | undefined): Promise<boolean> {
  const last = await reader.head(runId).catch(() => undefined);
  if (!last || last.round === 0) return false;
  return rewards === undefined || (rewards.through.runId === runId && rewards.through.head !== last.head);
}

/** @param only of which accounts it is wanted; if left out of all */
async function paidAt(place: Place, only?: readonly Address[]): Promise<PaidPlace> {
  const { reader, modelId, runId, blobs } = place;
  const rewards = await activeRewards(modelId, blobs, reader, only && knownRewards(only));
  return { ...place, rewards, unsettled: await isUnsettled(reader, runId, rewards) };
}

async function standing(place: PaidPlace, account: Address) {
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
function listed({ entries, rewards }: PaidPlace, unpaid: readonly UnpaidWork[]): Address[] {
  const others = [...(rewards?.accounts ?? []), ...unpaid.map(({ account }) => account)];
  return [...new Set([...entries.map(({ account }) => account), ...others])];
}

const unsettledText =
  "The newest rounds are not settled yet: what they earned is here once their epoch is, for a run at rest after its next start.";

interface Hints {
  readonly unsettled: boolean;
  /** Roots whose documents are not to be had. */
  readonly missing: readonly number[];
  /** Roots that were false. */
  readonly unsound: readonly number[];
}

const hintsOf = ({ unsettled, rewards }: PaidPlace): Hints => ({
  unsettled,
  missing: rewards?.missing ?? [],
  unsound: rewards?.unsound ?? [],
});

const rootsText = (numbers: readonly number[]): string =>
  `${numbers.length === 1 ? "root" : "roots"} ${runsOf(numbers)}`;

/** Wallets of this directory whose shares nobody votes with. */
const voteless = (rows: readonly { readonly name: string; readonly lacksVotes: boolean }[]): string[] =>
  rows
    .filter((row) => row.name !== ELSEWHERE && row.lacksVotes)
    .map(({ name }) => `${name} holds shares that have no votes: rewards claim takes them up.`);

const ELSEWHERE = "elsewhere";

const hintLines = ({ unsettled, missing, unsound }: Hints): string[] =>
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
    ...(unsettled ? [unsettledText] : []),
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

/** `cotrain rewards list`. */
export const rewardsListCommand = defineCommand({
  name: "rewards list",
  summary: "what wallets earned, claimed and can claim: shares, and revenue in its own token",
  options: {
    ...placeOptions,
    account: accountOption({ description: "only this address" }),
    epochs: integer(1, MOST_EPOCHS, {
      description: "newest epochs in which is looked for work that earned nothing",
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
    const { rows, owed, unpaid, rest, names, ...hints } = await atPlace(
      options,
      undefined,
      async (at) => {
        const place = await paidAt(at, only === undefined ? undefined : [only]);
        const names = new Map<string, string>(place.entries.map(({ name, account }) => [account, name]));
        const { works, rest } = (await place.rewards?.unpaid(options.epochs)) ?? { works: [], rest: "none" as const };
        const unpaid = works.filter(({ account }) => only === undefined || account === only);
        const accounts = only === undefined ? listed(place, unpaid) : [only];
        const owed = await revenueOwed(place, accounts);
        const found: ({ readonly name: string } & Standing)[] = [];
        for (let at = 0; at < accounts.length; at += ASKED_AT_ONCE) {
          const some = accounts.slice(at, at + ASKED_AT_ONCE);
          for (const each of await Promise.all(
            some.map(async (account) => ({ ...(await standing(place, account)), revenue: await owed?.of(account) })),
          ))
            found.push({ name: names.get(each.account) ?? ELSEWHERE, ...each });
        }
        return { rows: found, owed, unpaid, rest, names, ...hintsOf(place) };
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
        ...hintLines(hints),
      ],
    );
  },
});

interface Claimed {
  readonly name: string;
  readonly account: Address;
  readonly amount: bigint;
  readonly transaction: Hex | null;
  /** Who was paid in its place; null for the account itself. */
  readonly to: Address | null;
  /** Whether it chose who votes with its shares, itself unless another was named. */
  readonly delegated: boolean;
  /** Who votes with them; null for nobody. */
  readonly delegate: Address | null;
  /** What it was paid of revenue. */
  readonly revenue: Pick<Claimed, "amount" | "transaction"> | undefined;
}

const whoText = ({ name, account }: Pick<Claimed, "name" | "account">): string => `${name} ${shortAddress(account)}`;

const toText = ({ to }: Pick<Claimed, "to">): string => (to === null ? "" : ` for ${formatAddress(to)}`);

/** What became of its votes. @param wanted who was named to have them */
function votesText({ account, delegated, delegate: voter }: Claimed, wanted: Address | undefined): string {
  const named = wanted !== undefined && formatAddress(wanted);
  if (delegated) return voter === account ? "took up its votes" : `gave its votes to ${voter}`;
  if (named === false || voter === named) return "";
  if (voter === null) return "holds no shares whose votes it could give away";
  return `had given its votes to ${voter === account ? "itself" : voter}, which delegate changes`;
}

function claimLine(claimed: Claimed, wanted: Address | undefined): string {
  const { amount, to, transaction } = claimed;
  const votes = votesText(claimed, wanted);
  const done = transaction
    ? `claimed ${formatShares(amount)} shares${toText({ to })} in ${transaction}`
    : "has nothing to claim";
  return `${whoText(claimed)} ${done}${votes === "" ? "" : `, and ${votes}`}`;
}

/** What was claimed of revenue, or why nothing was. */
function revenueLines(owed: RevenueOwed | undefined, claims: readonly Claimed[], taken: boolean): string[] {
  if (!owed) return [];
  const { token } = owed.revenue;
  const made = claims.flatMap((each) =>
    each.revenue?.transaction
      ? [
          `${whoText(each)} claimed ${tokenText(each.revenue.amount, token)} of revenue${toText(each)} in ${each.revenue.transaction}`,
        ]
      : [],
  );
  return [...made, ...revenueHints(owed, taken)];
}

/** `cotrain rewards claim`. */
export const rewardsClaimCommand = defineCommand({
  name: "rewards claim",
  summary: "claim what was earned, shares and revenue; each wallet pays its own gas",
  options: {
    ...signingOptions,
    delegate: toggle({
      description: "take up the votes too, by delegating to oneself, unless delegated already",
      default: true,
    }),
    delegateTo: accountOption({
      description: "who votes with what is claimed, where the wallet has chosen nobody yet",
    }),
    loss: lossOption,
    to: accountOption({ description: "who is paid, by a signature of each wallet (default: the wallet itself)" }),
  },
  examples: [
    ["npx cotrain rewards claim", "for every worker's wallet of this directory"],
    ["npx cotrain rewards claim --wallet me.json --passphrase-file pass", "for one wallet"],
    [
      "npx cotrain rewards claim --to 0x00000000000000000000000000000000000000aa",
      "from the keys of machines to an account that lies elsewhere",
    ],
    [
      "npx cotrain rewards claim --delegate-to 0x00000000000000000000000000000000000000aa",
      "and have somebody who follows the votes vote with it",
    ],
    [
      "npx cotrain rewards claim --coordinator https://train.example.org --rpc https://rpc.example.org",
      "for this directory's worker in somebody else's run",
    ],
  ],
  notes: [
    "With --coordinator the contracts are its word alone unless --deployment pins them: the wallet pays the gas of whatever they",
    "do, up to --max-fee a transaction; no coins are sent along.",
    "What --to is paid has the votes of whoever that delegates to; a wallet's own shares keep theirs.",
  ],
  async run({ options, output }) {
    const { delegateTo } = options;
    if (delegateTo !== undefined && !options.delegate)
      throw new UserError("USAGE", "--delegate-to names who votes, and --no-delegate that nobody is to be named.");
    const own = await namedWallet(options);
    const { claims, owed, ...hints } = await atPlace(
      options,
      own,
      async (at) => {
        const entries = requireEntries(at, options);
        const wanted = entries.map(({ account }) => account);
        const place = await paidAt(at, wanted);
        const owed = await revenueOwed(place, wanted);
        const { addresses, modelId } = place;
        const made: Claimed[] = [];
        for (const entry of entries) {
          const { name, account } = entry;
          const { leaves, shares, ...before } = await standing(place, account);
          let delegated = false;
          let paid: Awaited<ReturnType<typeof claimLeaves>> = { amount: 0n, transaction: null };
          // Others may have claimed for it before: then its shares have no votes yet.
          if (leaves.length > 0 || (options.delegate && before.lacksVotes)) {
            const client = await signingAs(place, entry, options);
            paid = await claimLeaves(client, { addresses, modelId, account, to: options.to }, leaves);
            delegated = options.delegate && (await takeUpVotes(client, { shares, account }, delegateTo));
          }
          const voter = asAddress(await place.connection.call((client) => delegateOf(client, { shares, account })));
          const delegate = isNobody(voter) ? null : formatAddress(voter);
          const revenue = owed && (await claimOwed(place, owed, entry, options));
          const to = options.to === undefined ? null : formatAddress(options.to);
          made.push({ name, account: formatAddress(account), to, ...paid, delegated, delegate, revenue });
        }
        return { claims: made, owed, ...hintsOf(place) };
      },
      unpinnedNotice(options, output),
      { party: "workers" },
    );
    output.result(
      claims.map(({ revenue, ...claim }) => ({
        ...claim,
        revenue: owed && revenue ? { token: owed.revenue.token, ...revenue } : null,
      })),
      [
        ...claims.map((claim) => claimLine(claim, delegateTo)),
        ...revenueLines(owed, claims, options.loss),
        ...hintLines(hints),
      ],
    );
  },
});
