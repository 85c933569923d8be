/** `cotrain revenue`: what a model earned, and what of it holders get. */
import { activeRoot } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex, rewardKind } from "@cotrain/sdk/protocol";
import { isAddressEqual } from "viem";

import { formatAddress, shortAddress, timeText, UserError, wrap } from "../../base/index.ts";
import {
  computeRevenue,
  contractAt,
  countPaid,
  type EarningEpoch,
  earningEpochs,
  namedWallet,
  payRevenue,
  prepareDeposit,
  type Revenue,
  type RevenueOwed,
  revenueAt,
  revenueOwed,
  revenueRoots,
  tokenAmount,
  tokenText,
  uncountedAt,
} from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { byEach } from "../byEach.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable, table } from "../output.ts";
import { atPlace, type Place, placeOptions, requireEntries, signingAs, signingOptions } from "../place.ts";
import { claimantsOf, claimedAccount, claimOwed, lossOption, revenueHints, TREASURY } from "../revenueClaims.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

/** @throws UserError `REVENUE_UNPINNED` */
function requirePinned({ pinned }: Place, what: string): void {
  if (pinned) return;
  throw new UserError(
    "REVENUE_UNPINNED",
    `${what} is the coordinator's word alone: name the run with --run and its contracts with --deployment.`,
  );
}

/** `cotrain revenue deposit`. */
export const revenueDepositCommand = defineCommand({
  name: "revenue deposit",
  summary: "pay a model revenue, in its capital token, which its holders share",
  args: [{ name: "amount", description: "what is paid, in the capital token, such as 12.5" }],
  options: {
    ...signingOptions,
    yes: toggle({ description: "pay; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain revenue deposit 12.5", "says whom that pays, and sends nothing"],
    ["npx cotrain revenue deposit 12.5 --yes", "paid by the first wallet of this directory"],
  ],
  notes: [
    "In somebody else's run name it with --run and its contracts with --deployment: the wallet pays whom these name.",
    "On the local chain the wallet is given the test dollars that it lacks.",
  ],
  async run({ args: [text = ""], options, output }) {
    const own = await namedWallet(options);
    const { words, said, ...paid } = await atPlace(options, own, async (place) => {
      const [entry] = requireEntries(place, options);
      const revenue = await revenueAt(place);
      const { token, epoch } = revenue;
      const amount = tokenAmount(text, token);
      const payer = entry?.account ?? null;
      const words = `${payer === null ? "The wallet" : formatAddress(payer)} pays ${tokenText(amount, token)} (${amount} of the smallest units of ${formatAddress(token.address)}) as revenue of epoch ${epoch}. It is shared among those who hold shares in that epoch, each by what it holds and for how long; what nobody is owed goes to the model's treasury. Nobody can take it back.`;
      const nothing = { words, said: epoch, payer, token, amount, epoch, arrived: 0n, transaction: null };
      if (!options.yes || !entry) return nothing;
      requirePinned(place, "Whom the wallet would pay");
      if (!output.json) output.notice(words);
      const client = await signingAs(place, entry, options);
      await prepareDeposit(place, client, { sale: revenue.revenue, token }, amount);
      const { event, receipt } = await payRevenue(place, client, revenue, amount);
      return { ...nothing, epoch: Number(event.epoch), arrived: event.amount, transaction: receipt.transactionHash };
    });
    const { arrived, token, epoch, transaction } = paid;
    output.result(
      paid,
      transaction === null
        ? [...told(words), ...told("Nothing was sent: --yes pays it.")]
        : told(
            `${tokenText(arrived, token)} are revenue of epoch ${epoch}${epoch === said ? "" : ` (epoch ${said} was over by then)`}, by ${transaction}.`,
          ),
    );
  },
});

type EpochState = "set aside" | "to be set aside" | "lasts";

/** What came to the vault by itself. */
const uncountedText = (uncounted: bigint, { token }: Pick<Revenue, "token">): string =>
  `${tokenText(uncounted, token)} were sent to the vault by themselves, and are no revenue yet: "npx cotrain revenue count" counts them.`;

function epochLines({ token, book }: Revenue, epochs: readonly (EarningEpoch & { readonly state: EpochState })[]) {
  const plain = { ...token, symbol: "" };
  return [
    ...table(
      [
        ["epoch", `arrived (${token.symbol})`, "deposits", ""],
        ...epochs.map(({ epoch, arrived, deposits, state }) => [
          String(epoch),
          tokenText(arrived, plain).trimEnd(),
          String(deposits),
          state,
        ]),
      ],
      [0, 1, 2],
    ),
    ...told(
      `Roots have set ${tokenText(book?.setAside ?? 0n, token)} aside for holders; ${tokenText(book?.held ?? 0n, token)} lie in the model's vault.`,
    ),
    ...(epochs.some(({ state }) => state === "to be set aside")
      ? told(
          'A coordinator sets aside what has come once it is enough (coordinator --revenue-at-least, 1 token if its operator said nothing); with "npx cotrain revenue attest FILE" validators whose processes are stopped do it at any time.',
        )
      : []),
  ];
}

/** What is owed to a wallet of this directory. */
interface OwnRevenue {
  readonly name: string;
  readonly account: string;
  readonly earned: bigint;
  readonly claimed: bigint;
  readonly claimable: bigint;
}

/** What is owed to whom, of all that roots have set aside. */
interface OwedRevenue {
  readonly own: readonly OwnRevenue[];
  /** What the model's treasury is owed, which has at least what rounding leaves; null where that is nothing. */
  readonly treasury: OwnRevenue | null;
}

/** What the roots owe the wallets of this directory, whatever they hold shares for, and the treasury; those that are owed nothing are left out. */
async function ownRevenue(place: Place): Promise<OwedRevenue> {
  const treasury = { name: TREASURY, account: asAddress(await contractAt(place, "timelock")) };
  const all = [...place.entries.filter(({ account }) => account !== treasury.account), treasury];
  const owed = await revenueOwed(
    place,
    all.map(({ account }) => account),
  );
  if (!owed) return { own: [], treasury: null };
  const found = await Promise.all(
    all.map(async ({ name, account }) => {
      const { earned, claimed, claimable } = await owed.of(account);
      return { name, account: formatAddress(account), earned, claimed, claimable };
    }),
  );
  const last = found.at(-1);
  return {
    own: found.slice(0, -1).filter(({ earned }) => earned > 0n),
    treasury: last && last.earned > 0n ? last : null,
  };
}

/** The wallets here, the treasury and all others: together what roots have set aside. */
function ownLines({ token, book }: Revenue, { own, treasury }: OwedRevenue): string[] {
  if (own.length === 0) return [];
  const plain = (amount: bigint): string => tokenText(amount, { ...token, symbol: "" }).trimEnd();
  const named = [...own, ...(treasury ? [treasury] : [])];
  const rest = (book?.setAside ?? 0n) - named.reduce((sum, { earned }) => sum + earned, 0n);
  return [
    ...table(
      [
        ["wallet", "", `earned (${token.symbol})`, "claimed", "claimable"],
        ...named.map(({ name, account, earned, claimed, claimable }) => [
          name,
          shortAddress(account as Address),
          ...[earned, claimed, claimable].map(plain),
        ]),
        ...(rest > 0n ? [["others", "", plain(rest), "", ""]] : []),
      ],
      [2, 3, 4],
    ),
    ...(own.some(({ claimable }) => claimable > 0n) ? told('"npx cotrain revenue claim" fetches it.') : []),
  ];
}

/** Where no vault is open yet. */
const emptyBook = { vault: null, arrived: 0n, setAside: 0n, held: 0n };

/** `cotrain revenue list`. */
export const revenueListCommand = defineCommand({
  name: "revenue list",
  summary:
    "what a model earned in which epoch, what of it roots have set aside, and what this directory's wallets are owed",
  options: placeOptions,
  examples: [["npx cotrain revenue list", "every epoch in which revenue arrived, oldest first"]],
  async run({ options, output }) {
    const { revenue, epochs, roots, owed, uncounted, pinned } = await atPlace(options, undefined, async (place) => {
      const revenue = await revenueAt(place);
      const newest = await place.connection.call((client) => client.getBlockNumber());
      const [epochs, roots, uncounted] = await Promise.all([
        earningEpochs(place, revenue, newest),
        revenueRoots(place),
        uncountedAt(place, revenue),
      ]);
      return { revenue, epochs, roots, owed: await ownRevenue(place), uncounted, pinned: place.pinned };
    });
    const covered = roots.at(-1)?.toEpoch ?? 0;
    const stateOf = (epoch: number): EpochState => {
      if (epoch <= covered) return "set aside";
      return epoch < revenue.epoch ? "to be set aside" : "lasts";
    };
    const listed = epochs.map((each) => ({ ...each, state: stateOf(each.epoch) }));
    const { vault, arrived, setAside, held } = revenue.book ?? emptyBook;
    output.result(
      {
        token: revenue.token,
        contract: revenue.revenue,
        // Whoever reads it sends tokens there: it is no coordinator's to name.
        vault: pinned ? vault : null,
        arrived,
        setAside,
        held,
        uncounted,
        epochs: listed,
        roots,
        ...owed,
      },
      [
        ...(listed.length === 0
          ? ["Nobody has paid this model anything that is counted."]
          : [...epochLines(revenue, listed), ...ownLines(revenue, owed)]),
        ...(uncounted > 0n ? told(uncountedText(uncounted, revenue)) : []),
      ],
    );
  },
});

/** `cotrain revenue count`. */
export const revenueCountCommand = defineCommand({
  name: "revenue count",
  summary: "count as revenue what was sent to the model's vault by itself, and open the vault where there is none",
  options: signingOptions,
  examples: [["npx cotrain revenue count", "by the first wallet of this directory, which pays gas alone"]],
  notes: [
    "Whoever can only send tokens, such as an exchange, sends them to the vault; they are revenue of the epoch in which anybody counts them.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { revenue, counted, transaction, vault } = await atPlace(options, own, async (place) => {
      const [entry] = requireEntries(place, options);
      requirePinned(place, "Where tokens are sent that it counts");
      const revenue = await revenueAt(place);
      const before = await uncountedAt(place, revenue);
      const nothing = { revenue, counted: 0n, transaction: null, vault: revenue.book?.vault ?? null };
      if (!entry || (revenue.book !== undefined && before === 0n)) return nothing;
      const done = await countPaid(place, await signingAs(place, entry, options), revenue);
      return { revenue, ...done };
    });
    const { token, epoch } = revenue;
    output.result(
      { token, epoch, counted, transaction, vault },
      told(
        transaction === null || counted === 0n
          ? `Nothing lies in the vault that is not counted${transaction === null ? "" : `, which was opened in ${transaction}`}. Tokens for it go to ${vault}, on this chain, and are counted by this command.`
          : `${tokenText(counted, token)} are revenue now, by ${transaction}.`,
      ),
    );
  },
});

/** What the next root would be, of the epochs that are over. */
async function nextRoot(place: Place, epoch: number) {
  const { addresses, modelId } = place;
  const kind = rewardKind.revenue;
  const active = await place.connection.call((client) => activeRoot(client, { addresses, modelId, kind }));
  return { index: (active?.index ?? 0) + 1, fromEpoch: (active?.toEpoch ?? 0) + 1, toEpoch: epoch - 1 };
}

/** A wallet of this directory by its name, and by its address as everybody else. */
function ownName(entries: Place["entries"], account: Address): string {
  const own = entries.find((entry) => isAddressEqual(entry.account, account));
  return own ? `${own.name} ${formatAddress(account)}` : formatAddress(account);
}

/** `cotrain revenue show`. */
export const revenueShowCommand = defineCommand({
  name: "revenue show",
  summary: "how the revenue that no root has set aside yet is shared, computed here from the chain",
  options: placeOptions,
  examples: [["npx cotrain revenue show", "of the epochs that are over: who gets how much, and why"]],
  notes: ["It is what validators should sign: docs/protocol.md has the rule."],
  async run({ options, output }) {
    const { token, root, found, now, entries } = await atPlace(options, undefined, async (place) => {
      const revenue = await revenueAt(place);
      const root = await nextRoot(place, revenue.epoch);
      const newest = await place.connection.call((client) => client.getBlockNumber());
      const isOver = root.toEpoch >= root.fromEpoch;
      const found = isOver ? await computeRevenue(place, revenue, root, newest) : undefined;
      return { token: revenue.token, root, found, now: revenue.now, entries: place.entries };
    });
    const { index, fromEpoch, toEpoch } = root;
    const treasury = found?.inputs.treasury;
    const nameOf = (account: string): string =>
      account === treasury ? "the treasury" : ownName(entries, account as Address);
    output.result(
      { token, index, fromEpoch, toEpoch, total: found?.total ?? 0n, leaves: found?.rewards.leaves ?? [] },
      found === undefined
        ? told(`At ${timeText(now)} there is no revenue of an epoch that is over and that no root has set aside.`)
        : [
            ...factTable(
              [
                ["root", `${index}, of the epochs ${fromEpoch} to ${toEpoch}`],
                ["sets aside", tokenText(found.total, token)],
              ],
              columnsOf(process.stdout),
            ),
            ...table(
              [
                ["who", `gets (${token.symbol})`],
                ...found.rewards.leaves.map(({ account, amount }) => [
                  nameOf(account),
                  tokenText(BigInt(amount), { ...token, symbol: "" }).trimEnd(),
                ]),
              ],
              [1],
            ),
          ],
    );
  },
});

const nothingPaid = { amount: 0n, transaction: null };

/** What came of a claim, or would come of it now. */
function claimText(
  { amount, transaction }: { readonly amount: bigint; readonly transaction: Hex | null },
  owed: RevenueOwed | undefined,
  { loss, dryRun }: { readonly loss: boolean; readonly dryRun: boolean },
): string {
  if (owed && transaction !== null) return `claimed ${tokenText(amount, owed.revenue.token)} in ${transaction}`;
  if (owed && dryRun && amount > 0n) return `would claim ${tokenText(amount, owed.revenue.token)}`;
  return owed && owed.short > 0n && !loss ? "claimed no revenue" : "has no revenue to claim";
}

/** `cotrain revenue claim`. */
export const revenueClaimCommand = defineCommand({
  name: "revenue claim",
  summary: "claim a wallet's share of revenue, whose gas it pays itself, or anybody's",
  options: {
    ...signingOptions,
    account: claimedAccount,
    loss: lossOption,
    dryRun: toggle({ description: "say what would be claimed, and send nothing", default: false }),
  },
  examples: [
    ["npx cotrain revenue claim", "for every wallet of this directory"],
    ["npx cotrain revenue claim --dry-run", "says what that would fetch, and sends nothing"],
    ["npx cotrain revenue claim --wallet me.json --passphrase-file pass", "for one wallet"],
    [
      "npx cotrain revenue claim --account 0x00000000000000000000000000000000000000aa",
      "for another account, such as a Safe or the treasury: it is paid, and the first wallet here pays the gas",
    ],
  ],
  notes: ["Nobody has to publish anything for it: what each root pays is computed from the chain."],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { owed, claims } = await atPlace(options, own, async (place) => {
      const claimants = await claimantsOf(place, options);
      const owed = await revenueOwed(
        place,
        claimants.map(({ account }) => account),
      );
      const claims = await byEach(
        claimants,
        async (claimant) => {
          const paid = owed ? await claimOwed(place, owed, claimant, options) : nothingPaid;
          return { name: claimant.name, account: formatAddress(claimant.account), ...paid };
        },
        ({ transaction }) => [transaction],
      );
      return { owed, claims };
    });
    output.result({ token: owed?.revenue.token ?? null, claims, unsound: owed?.unsound ?? [] }, [
      ...claims.map((claim) => `${claim.name} ${shortAddress(claim.account)} ${claimText(claim, owed, options)}`),
      ...(options.dryRun ? ["Nothing was sent."] : []),
      ...(owed ? revenueHints(owed, options.loss) : []),
    ]);
  },
});
