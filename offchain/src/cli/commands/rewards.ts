import { votesOf } from "@cotrain/sdk/actions";
import type { Address, Hex, RunId } from "@cotrain/sdk/protocol";

import { formatAddress, formatShares, shortAddress, wrap } from "../../base/index.ts";
import type { ChainReader } from "../../chain/index.ts";
import {
  contractAt,
  type ActiveRewards,
  activeRewards,
  claimLeaves,
  earningsOf,
  knownRewards,
  lacksVotes,
  namedWallet,
  takeUpVotes,
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
import { MOST_EPOCHS, restText, runsOf, shownUnpaid, unpaidLines } from "../unpaid.ts";

/** A place with what is paid there. */
interface PaidPlace extends Place {
  readonly rewards: ActiveRewards | undefined;
  /** Whether rounds were anchored that no active root pays yet. */
  readonly unsettled: boolean;
}

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

/** Accounts asked about at a time: an RPC takes no thousands of requests at once. */
const ASKED_AT_ONCE = 16;

/** `cotrain rewards list`. */
export const rewardsListCommand = defineCommand({
  name: "rewards list",
  summary: "what wallets earned, claimed and can claim",
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
    const { rows, unpaid, rest, names, ...hints } = await atPlace(
      options,
      undefined,
      async (at) => {
        const place = await paidAt(at, only === undefined ? undefined : [only]);
        const names = new Map<string, string>(place.entries.map(({ name, account }) => [account, name]));
        const { works, rest } = (await place.rewards?.unpaid(options.epochs)) ?? { works: [], rest: "none" as const };
        const unpaid = works.filter(({ account }) => only === undefined || account === only);
        const accounts = only === undefined ? listed(place, unpaid) : [only];
        const found: ({ readonly name: string } & Awaited<ReturnType<typeof standing>>)[] = [];
        for (let at = 0; at < accounts.length; at += ASKED_AT_ONCE) {
          const some = accounts.slice(at, at + ASKED_AT_ONCE);
          for (const each of await Promise.all(some.map((account) => standing(place, account))))
            found.push({ name: names.get(each.account) ?? ELSEWHERE, ...each });
        }
        return { rows: found, unpaid, rest, names, ...hintsOf(place) };
      },
      undefined,
      { party: "workers" },
    );
    output.result(
      rows.map(({ name, account, earned, claimed: paid, claimable, votes }) => ({
        name,
        account: formatAddress(account),
        earned,
        claimed: paid,
        claimable,
        votes,
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
  /** Whether it took up its votes. */
  readonly delegated: boolean;
}

function claimLine({ name, account, amount, transaction, delegated }: Claimed): string {
  const who = `${name} ${shortAddress(account)}`;
  if (transaction) return `${who} claimed ${formatShares(amount)} shares in ${transaction}`;
  return delegated ? `${who} has nothing to claim, and took up its votes` : `${who} has nothing to claim`;
}

/** `cotrain rewards claim`. */
export const rewardsClaimCommand = defineCommand({
  name: "rewards claim",
  summary: "claim what was earned; each wallet pays its own gas",
  options: {
    ...signingOptions,
    delegate: toggle({
      description: "take up the votes too, by delegating to oneself, unless delegated already",
      default: true,
    }),
  },
  examples: [
    ["npx cotrain rewards claim", "for every worker's wallet of this directory"],
    ["npx cotrain rewards claim --wallet me.json --passphrase-file pass", "for one wallet"],
    [
      "npx cotrain rewards claim --coordinator https://train.example.org --rpc https://rpc.example.org",
      "for this directory's worker in somebody else's run",
    ],
  ],
  notes: [
    "With --coordinator the contracts are its word alone unless --deployment pins them: the wallet pays the gas of whatever they",
    "do, up to --max-fee a transaction; no coins are sent along.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { claims, ...hints } = await atPlace(
      options,
      own,
      async (at) => {
        const entries = requireEntries(at, options);
        const place = await paidAt(
          at,
          entries.map(({ account }) => account),
        );
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
            paid = await claimLeaves(client, { addresses, modelId, account }, leaves);
            delegated = options.delegate && (await takeUpVotes(client, { shares, account }));
          }
          made.push({ name, account: formatAddress(account), ...paid, delegated });
        }
        return { claims: made, ...hintsOf(place) };
      },
      unpinnedNotice(options, output),
      { party: "workers" },
    );
    output.result(claims, [...claims.map(claimLine), ...hintLines(hints)]);
  },
});
