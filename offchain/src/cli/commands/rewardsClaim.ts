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
import { type CommandContext, defineCommand } from "../command.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";
import { claimOwed, isHeldBack, lossOption, revenueHints } from "../revenueClaims.ts";
import { hintLines, hintsOf, paidAt, standing } from "./rewards.ts";

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

const claimOptions = {
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
  dryRun: toggle({ description: "say what would be claimed, and send nothing", default: false }),
};

/** Whose claims are meant, and what of revenue waits for them. */
async function claimsAt(at: Place, options: Parameters<typeof requireEntries>[1]) {
  const entries = requireEntries(at, options);
  const wanted = entries.map(({ account }) => account);
  const place = await paidAt(at, wanted);
  return { entries, place, owed: await revenueOwed(place, wanted) };
}

/** What a claim would fetch now, by the chain and the published documents. */
async function showClaims({ options, output }: Pick<CommandContext<typeof claimOptions>, "options" | "output">) {
  const own = await namedWallet(options);
  const { rows, owed, ...hints } = await atPlace(
    options,
    own,
    async (at) => {
      const { entries, place, owed } = await claimsAt(at, options);
      const rows = [];
      for (const { name, account } of entries) {
        const { claimable, lacksVotes } = await standing(place, account);
        const held = owed && isHeldBack(owed, options.loss);
        const revenue = owed && !held ? (await owed.of(account)).claimable : 0n;
        const votes = options.delegate && lacksVotes;
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

/** `cotrain rewards claim`. */
export const rewardsClaimCommand = defineCommand({
  name: "rewards claim",
  summary: "claim what was earned, shares and revenue; each wallet pays its own gas",
  options: claimOptions,
  examples: [
    ["npx cotrain rewards claim", "for every worker's wallet of this directory"],
    ["npx cotrain rewards claim --dry-run", "says what that would fetch, and sends nothing"],
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
    if (options.dryRun) return showClaims({ options, output });
    const { delegateTo } = options;
    if (delegateTo !== undefined && !options.delegate)
      throw new UserError("USAGE", "--delegate-to names who votes, and --no-delegate that nobody is to be named.");
    const own = await namedWallet(options);
    const { claims, owed, ...hints } = await atPlace(
      options,
      own,
      async (at) => {
        const { entries, place, owed } = await claimsAt(at, options);
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
