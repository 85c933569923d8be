/** `cotrain rewards claim`: fetches what was earned, shares and revenue. */
import { delegateOf } from "@cotrain/sdk/actions";
import { asAddress, type Address, type Hex } from "@cotrain/sdk/protocol";

import { formatAddress, formatShares, shortAddress, UserError } from "../../base/index.ts";
import {
  claimLeaves,
  isNobody,
  namedWallet,
  type RevenueOwed,
  revenueOwed,
  takeUpVotes,
  tokenText,
} from "../../run/index.ts";
import { account as accountOption, toggle } from "../../service/index.ts";
import { byEach } from "../byEach.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { atPlace, type Place, signingAs, signingOptions, unpinnedNotice } from "../place.ts";
import {
  type Claimant,
  claimantsOf,
  claimedAccount,
  claimOwed,
  isHeldBack,
  lossOption,
  revenueHints,
} from "../revenueClaims.ts";
import { hintLines, hintsOf, paidAt, standing } from "./rewards.ts";

interface Claimed {
  readonly name: string;
  readonly account: Address;
  /** Whether its own wallet sent that. */
  readonly own: boolean;
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
function votesText({ account, own, amount, delegated, delegate: voter }: Claimed, wanted: Address | undefined): string {
  if (!own) return voter === null && amount > 0n ? "their votes are nobody's unless it delegates them itself" : "";
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

const claimOptions = {
  ...signingOptions,
  account: claimedAccount,
  delegate: toggle({
    description: "take up the votes too, by delegating to oneself, unless delegated already",
    default: true,
  }),
  delegateTo: accountOption({
    description: "who votes with what is claimed, where the wallet has chosen nobody yet",
  }),
  loss: lossOption,
  to: accountOption({ description: "who is paid, by a signature of each wallet (default: the wallet itself)" }),
  dryRun: toggle({ description: "say what would be claimed, and send nothing", default: false }),
};

type ClaimFlags = Parameters<typeof claimantsOf>[1] & {
  readonly to?: Address | undefined;
  readonly delegateTo?: Address | undefined;
};

/**
 * Whose claims are meant, and what of revenue waits for them.
 * @throws UserError `CLAIM_ELSEWHERE` where only the account's own key could do what is asked
 */
async function claimsAt(at: Place, options: ClaimFlags) {
  const claimants = await claimantsOf(at, options);
  if (claimants.some(({ own }) => !own) && (options.to !== undefined || options.delegateTo !== undefined))
    throw new UserError(
      "CLAIM_ELSEWHERE",
      "--to and --delegate-to need the account's own wallet: what --account names by its address alone is paid itself.",
    );
  const wanted = claimants.map(({ account }) => account);
  const place = await paidAt(at, wanted);
  return { claimants, place, owed: await revenueOwed(place, wanted) };
}

/** What a claim would fetch now, by the chain and the published documents. */
async function showClaims({ options, output }: Pick<CommandContext<typeof claimOptions>, "options" | "output">) {
  const own = await namedWallet(options);
  const { rows, owed, ...hints } = await atPlace(
    options,
    own,
    async (at) => {
      const { claimants, place, owed } = await claimsAt(at, options);
      const rows = [];
      for (const { name, account, own } of claimants) {
        const { claimable, lacksVotes } = await standing(place, account);
        const held = owed && isHeldBack(owed, options.loss);
        const revenue = owed && !held ? (await owed.of(account)).claimable : 0n;
        const votes = own && options.delegate && lacksVotes;
        rows.push({ name, account: formatAddress(account), amount: claimable, revenue, votes });
      }
      return { rows, owed, ...hintsOf(place) };
    },
    undefined,
    { party: "workers" },
  );
  const to = options.to === undefined ? null : formatAddress(options.to);
  const token = owed?.revenue.token;
  output.result(
    rows.map(({ name, account, amount, revenue, votes }) => ({
      name,
      account,
      to,
      amount,
      transaction: null,
      delegated: false,
      wouldDelegate: votes,
      revenue: token ? { token, amount: revenue, transaction: null } : null,
    })),
    [
      ...rows.map(({ name, account, amount, revenue, votes }) => {
        const parts = [
          ...(amount > 0n ? [`${formatShares(amount)} shares`] : []),
          ...(token && revenue > 0n ? [`${tokenText(revenue, token)} of revenue`] : []),
        ];
        const what = parts.length > 0 ? `would claim ${parts.join(" and ")}${toText({ to })}` : "has nothing to claim";
        return `${whoText({ name, account })} ${what}${votes ? ", and take up its votes" : ""}`;
      }),
      "Nothing was sent.",
      ...(owed ? revenueHints(owed, options.loss) : []),
      ...hintLines(hints),
    ],
  );
}

type SendFlags = Parameters<typeof claimOwed>[3] & {
  readonly delegate: boolean;
  readonly delegateTo?: Address | undefined;
};

/** Claims all that waits for one account, and takes up its votes where its own wallet is here. */
async function claimOne(
  place: Awaited<ReturnType<typeof paidAt>>,
  owed: RevenueOwed | undefined,
  claimant: Claimant,
  options: SendFlags,
): Promise<Claimed> {
  const { addresses, modelId, connection } = place;
  const { name, account, own, sender } = claimant;
  const { leaves, shares, ...before } = await standing(place, account);
  const votes = own && options.delegate;
  let delegated = false;
  let paid: Awaited<ReturnType<typeof claimLeaves>> = { amount: 0n, transaction: null };
  // Others may have claimed for it before: then its shares have no votes yet.
  if (sender && (leaves.length > 0 || (votes && before.lacksVotes))) {
    const client = await signingAs(place, sender, options);
    paid = await claimLeaves(client, { addresses, modelId, account, to: options.to }, leaves);
    delegated = votes && (await takeUpVotes(client, { shares, account }, options.delegateTo));
  }
  const voter = asAddress(await connection.call((client) => delegateOf(client, { shares, account })));
  const delegate = isNobody(voter) ? null : formatAddress(voter);
  const revenue = owed && (await claimOwed(place, owed, claimant, options));
  const to = options.to === undefined ? null : formatAddress(options.to);
  return { name, account: formatAddress(account), own, to, ...paid, delegated, delegate, revenue };
}

/** `cotrain rewards claim`. */
export const rewardsClaimCommand = defineCommand({
  name: "rewards claim",
  summary: "claim what was earned, shares and revenue, by each wallet for itself, or for any account",
  options: claimOptions,
  examples: [
    ["npx cotrain rewards claim", "for every worker's wallet of this directory"],
    ["npx cotrain rewards claim --dry-run", "says what that would fetch, and sends nothing"],
    ["npx cotrain rewards claim --wallet me.json --passphrase-file pass", "for one wallet"],
    [
      "npx cotrain rewards claim --account 0x00000000000000000000000000000000000000aa",
      "for another account, such as a Safe or the treasury: it is paid, and the first wallet here pays the gas",
    ],
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
    if (options.dryRun) return showClaims({ options, output });
    const { delegateTo } = options;
    if (delegateTo !== undefined && !options.delegate)
      throw new UserError("USAGE", "--delegate-to names who votes, and --no-delegate that nobody is to be named.");
    const own = await namedWallet(options);
    const { claims, owed, ...hints } = await atPlace(
      options,
      own,
      async (at) => {
        const { claimants, place, owed } = await claimsAt(at, options);
        const made = await byEach(
          claimants,
          (claimant) => claimOne(place, owed, claimant, options),
          ({ transaction, revenue }) => [transaction, revenue?.transaction],
        );
        return { claims: made, owed, ...hintsOf(place) };
      },
      unpinnedNotice(options, output),
      { party: "workers" },
    );
    output.result(
      claims.map(({ own: _own, revenue, ...claim }) => ({
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
