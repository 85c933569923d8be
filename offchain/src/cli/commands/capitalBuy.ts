import {
  allowCapital,
  batchCapital,
  claimCapital,
  depositCapital,
  refundCapital,
  settleSale,
  unsettledSales,
} from "@cotrain/sdk/actions";
import { CapitalSaleOtherEpochError } from "@cotrain/sdk/errors";
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, parseAbi } from "viem";
import { sendTransaction } from "viem/actions";

import { formatAddress, formatSharesExactly, timeText, UserError, wrap } from "../../base/index.ts";
import { DEVELOPMENT_CHAIN_ID, type WalletClient } from "../../chain/index.ts";
import {
  capitalAt,
  type CapitalSale,
  type CapitalToken,
  namedWallet,
  type SoldEpoch,
  soldEpoch,
  soldEpochs,
  tokenAmount,
  tokenText,
} from "../../run/index.ts";
import { account as accountOption, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, type Output } from "../output.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

// --- deposit --------------------------------------------------------------------------------------------------------

/** Times that a deposit begins anew because its epoch is over: those of local chains last for seconds. */
const MOST_EPOCHS_MET = 4;

const mintAbi = parseAbi(["function mint(address to, uint256 amount)"]);

/** Test dollars are play money as fees are on the local chain: whoever pays with them makes them first. */
async function mintLocally({ connection }: Place, client: WalletClient, token: CapitalToken, amount: bigint) {
  if (connection.chainId !== DEVELOPMENT_CHAIN_ID) return;
  const data = encodeFunctionData({ abi: mintAbi, functionName: "mint", args: [client.account.address, amount] });
  const call = { account: client.account.address, to: token.address, data };
  // Another token makes none for everybody: a deposit says then what is lacking.
  const makes = await connection.call((chain) =>
    chain.call(call).then(
      () => true,
      () => false,
    ),
  );
  if (!makes) return;
  const hash = await sendTransaction(client, { chain: null, account: client.account, to: token.address, data });
  await connection.call((chain) => chain.waitForTransactionReceipt({ hash }));
}

/** Sees to it that the payer has the amount and that the sale may take it. @throws UserError `CAPITAL_FUNDS` */
async function prepare(place: Place, client: WalletClient, { sale, token }: CapitalSale, amount: bigint) {
  const owner = client.account.address;
  const at = { address: token.address, abi: erc20Abi } as const;
  const balanceOf = () =>
    place.connection.call((chain) => chain.readContract({ ...at, functionName: "balanceOf", args: [owner] }));
  const before = await balanceOf();
  if (before < amount) await mintLocally(place, client, token, amount - before);
  const balance = await balanceOf();
  if (balance < amount)
    throw new UserError(
      "CAPITAL_FUNDS",
      `${formatAddress(owner)} has ${tokenText(balance, token)}, and ${tokenText(amount, token)} are to be deposited: send it the rest.`,
    );
  const allowed = await place.connection.call((chain) =>
    chain.readContract({ ...at, functionName: "allowance", args: [owner, sale] }),
  );
  if (allowed >= amount) return;
  const allow = { token: token.address, sale };
  // Some tokens change an allowance from nothing and to nothing alone.
  if (allowed > 0n) await allowCapital.sync(client, { ...allow, amount: 0n });
  await allowCapital.sync(client, { ...allow, amount });
}

/** What somebody is about to buy. */
interface Purchase {
  readonly amount: bigint;
  readonly payer: Address;
  readonly beneficiary: Address;
}

function purchaseText(
  { token, book }: CapitalSale,
  found: SoldEpoch,
  { amount, payer, beneficiary }: Purchase,
): string {
  const { epoch, end, price, minimum, total } = found;
  return `${formatAddress(payer)} deposits ${tokenText(amount, token)} (${amount} of the smallest units of ${formatAddress(token.address)}) for ${beneficiary === payer ? "itself" : formatAddress(beneficiary)} in epoch ${epoch}, which ends at ${timeText(end)} and has brought in ${tokenText(total, token)}. A share costs ${tokenText(price, token)} at the least, and more where more is bought than is for sale. What is deposited cannot be taken back unless the epoch brings in less than ${tokenText(minimum, token)} or is not settled within 30 days; else it goes to the model's treasury. It lies in ${formatAddress(book.vault)} until then.`;
}

/** Deposits in the present epoch, or in the next one where that began meanwhile and has the same terms. */
export async function depositNow(
  place: Place,
  client: WalletClient,
  shown: SoldEpoch,
  { amount, beneficiary }: Purchase,
) {
  const { modelId } = place;
  let found = shown;
  for (let met = 1; ; met++) {
    const capital = await capitalAt(place);
    if (capital.epoch !== found.epoch) found = await soldEpoch(place, capital, capital.epoch, []);
    if (found.price !== shown.price || found.minimum !== shown.minimum)
      throw new UserError(
        "CAPITAL_TERMS",
        `Epoch ${shown.epoch} is over, and epoch ${found.epoch} has other terms: look at them and deposit anew. Nothing was deposited.`,
      );
    const deposit = { sale: capital.sale, modelId, epoch: found.epoch, beneficiary, amount };
    try {
      await depositCapital.simulate(client, deposit);
      return await depositCapital.sync(client, deposit);
    } catch (error) {
      if (!(error instanceof CapitalSaleOtherEpochError) || met === MOST_EPOCHS_MET) throw error;
    }
  }
}

/** `cotrain capital deposit`. */
export const capitalDepositCommand = defineCommand({
  name: "capital deposit",
  summary: "buy shares of a model in the present epoch, for its capital token",
  args: [{ name: "amount", description: "what is paid, in the capital token, such as 12.5" }],
  options: {
    ...signingOptions,
    for: accountOption({ description: "who gets the shares, or the money back (default: who pays)" }),
    yes: toggle({ description: "deposit; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain capital deposit 12.5", "says what that buys, and sends nothing"],
    ["npx cotrain capital deposit 12.5 --yes", "paid by the first wallet of this directory"],
  ],
  notes: [
    "In somebody else's run name it with --run and its contracts with --deployment: the wallet pays whom these name.",
    "On the local chain the wallet is given the test dollars that it lacks.",
  ],
  async run({ args: [text = ""], options, output }) {
    const own = await namedWallet(options);
    const { words, purchase, epoch, arrived, transaction, token } = await atPlace(options, own, async (place) => {
      const [entry] = requireEntries(place, options);
      const capital = await capitalAt(place);
      const amount = tokenAmount(text, capital.token);
      const payer = entry?.account ?? capital.sale;
      const purchase: Purchase = { amount, payer, beneficiary: options.for ?? payer };
      const found = await soldEpoch(place, capital, capital.epoch, []);
      const words = purchaseText(capital, found, purchase);
      const nothing = { words, purchase, token: capital.token, epoch: found.epoch, arrived: 0n };
      if (!options.yes || !entry) return { ...nothing, transaction: null as Hex | null };
      if (!place.pinned)
        throw new UserError(
          "CAPITAL_UNPINNED",
          "Whom the wallet would pay is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
        );
      if (!output.json) output.notice(words);
      const client = await signingAs(place, entry, options);
      await prepare(place, client, capital, amount);
      const { event, receipt } = await depositNow(place, client, found, purchase);
      return { ...nothing, epoch: event.epoch, arrived: event.amount, transaction: receipt.transactionHash };
    });
    const { amount, payer, beneficiary } = purchase;
    output.result(
      { payer, beneficiary, token, amount, epoch, arrived, transaction },
      transaction === null
        ? [...told(words), ...told("Nothing was sent: --yes deposits it.")]
        : told(
            `${tokenText(arrived, token)} are deposited for ${formatAddress(beneficiary)} in epoch ${epoch}, by ${transaction}. Once it is over, "cotrain capital claim" settles it and fetches the shares, or "cotrain capital refund" the money.`,
          ),
    );
  },
});

// --- settle, claim and refund ---------------------------------------------------------------------------------------

/** Calls of the sale that one transaction makes at the most. */
const MOST_CALLS = 32;

interface Batched {
  readonly transactions: readonly Hex[];
  readonly settled: readonly { readonly epoch: bigint; readonly proceeds: bigint; readonly sold: bigint }[];
  readonly expired: readonly { readonly epoch: bigint }[];
  readonly claimed: readonly { readonly epoch: bigint; readonly account: Address; readonly shares: bigint }[];
  readonly refunded: readonly { readonly epoch: bigint; readonly account: Address; readonly amount: bigint }[];
}

const nothingDone: Batched = { transactions: [], settled: [], expired: [], claimed: [], refunded: [] };

type SaleCall = Parameters<typeof batchCapital.call>[0]["calls"][number];

/** Sends calls, some at a time; none where there is none. */
async function sendAll(client: WalletClient, sale: Address, calls: readonly SaleCall[]): Promise<Batched> {
  let done = nothingDone;
  for (let from = 0; from < calls.length; from += MOST_CALLS) {
    const some = { sale, calls: calls.slice(from, from + MOST_CALLS) };
    await batchCapital.simulate(client, some);
    const { receipt, event } = await batchCapital.sync(client, some);
    done = {
      transactions: [...done.transactions, receipt.transactionHash],
      settled: [...done.settled, ...event.settled],
      expired: [...done.expired, ...event.expired],
      claimed: [...done.claimed, ...event.claimed],
      refunded: [...done.refunded, ...event.refunded],
    };
  }
  return done;
}

/** As many settlements as there are epochs that may take one: one too many does nothing. */
async function settlements({ place, capital }: Omit<Wanted, "accounts">): Promise<SaleCall[]> {
  const { connection, modelId } = place;
  const { sale } = capital;
  const { oldest, count } = await connection.call((client) => unsettledSales(client, { sale, modelId }));
  if (count === 0n) return [];
  const all = await soldEpochs(place, capital, []);
  // The present epoch may have reached its minimum already, and others never have.
  const over = all.filter(({ epoch, state }) => epoch >= oldest && (state === "due" || state === "failed")).length;
  return Array.from({ length: Math.min(Number(count), over) }, () => settleSale.call({ sale, modelId }));
}

function settledLines({ settled, expired }: Batched, token: CapitalToken): string[] {
  return [
    ...settled.map(
      ({ epoch, proceeds, sold }) =>
        `Epoch ${epoch} is settled: ${formatSharesExactly(sold)} shares for ${tokenText(proceeds, token)}, which the treasury has.`,
    ),
    ...expired.map(({ epoch }) => `Epoch ${epoch} was not settled within 30 days, and is paid back.`),
  ];
}

const epochDocument = ({ transactions, settled, expired }: Batched) => ({
  transactions,
  settled: settled.map(({ epoch, proceeds, sold }) => ({ epoch, proceeds, sold })),
  expired: expired.map(({ epoch }) => epoch),
});

/** What somebody is to have, where. */
interface Wanted {
  readonly place: Place;
  readonly capital: CapitalSale;
  /** Whose shares or money are wanted. */
  readonly accounts: readonly Address[];
}

type CollectFlags = Parameters<typeof atPlace>[0] &
  Parameters<typeof namedWallet>[0] &
  Parameters<typeof signingAs>[2] & { readonly account?: Address | undefined };

/** Makes the calls that are wanted; the first wallet pays the gas for all. */
async function collect(
  options: CollectFlags,
  output: Output,
  callsOf: (wanted: Wanted) => Promise<readonly SaleCall[]>,
): Promise<{ readonly done: Batched; readonly token: CapitalToken }> {
  return atPlace(
    options,
    await namedWallet(options),
    async (place) => {
      const entries = requireEntries(place, options);
      const capital = await capitalAt(place);
      const accounts = options.account === undefined ? entries.map(({ account }) => account) : [options.account];
      const calls = await callsOf({ place, capital, accounts });
      const [payer] = entries;
      if (!payer || calls.length === 0) return { done: nothingDone, token: capital.token };
      const client = await signingAs(place, payer, options);
      return { done: await sendAll(client, capital.sale, calls), token: capital.token };
    },
    unpinnedNotice(options, output),
  );
}

/** `cotrain capital settle`. */
export const capitalSettleCommand = defineCommand({
  name: "capital settle",
  summary: "settle the epochs that are over: shares are minted, and the treasury gets what they brought in",
  options: signingOptions,
  examples: [["npx cotrain capital settle", "sent by the first wallet of this directory; anybody may"]],
  async run({ options, output }) {
    const { done, token } = await collect(options, output, settlements);
    const lines = settledLines(done, token);
    output.result(epochDocument(done), lines.length === 0 ? ["No epoch is to be settled."] : lines.flatMap(told));
  },
});

const collectingOptions = {
  ...signingOptions,
  account: accountOption({ description: "for this address (default: this directory's wallets)" }),
};

/** Claims of what was bought, and before them the settlements that they need, those of earlier epochs among them. */
async function claims(wanted: Wanted): Promise<SaleCall[]> {
  const { place, capital, accounts } = wanted;
  const epochs = await soldEpochs(place, capital, accounts, { ofThese: true });
  const ready = epochs.filter(({ state, deposits }) => (state === "settled" || state === "due") && deposits.length > 0);
  const before = ready.some(({ state }) => state === "due") ? await settlements(wanted) : [];
  const { sale } = capital;
  return [
    ...before,
    ...ready.flatMap(({ epoch, deposits }) =>
      deposits.map(({ account }) => claimCapital.call({ sale, modelId: place.modelId, epoch, beneficiary: account })),
    ),
  ];
}

/** `cotrain capital claim`. */
export const capitalClaimCommand = defineCommand({
  name: "capital claim",
  summary: "fetch the shares that were bought, and settle the epochs that are over first",
  options: collectingOptions,
  examples: [["npx cotrain capital claim", "for every wallet of this directory, in one transaction"]],
  async run({ options, output }) {
    const { done, token } = await collect(options, output, claims);
    output.result(
      {
        ...epochDocument(done),
        claimed: done.claimed.map(({ epoch, account, shares }) => ({ epoch, account: formatAddress(account), shares })),
      },
      done.claimed.length === 0
        ? ["No shares that were bought are to be claimed."]
        : [
            ...settledLines(done, token),
            ...done.claimed.map(
              ({ epoch, account, shares }) =>
                `${formatAddress(account)} has ${formatSharesExactly(shares)} shares of epoch ${epoch}.`,
            ),
            'They have votes once their holder delegates them: "cotrain delegate self".',
          ].flatMap(told),
    );
  },
});

/** Refunds of what is paid back. */
async function refunds({ place, capital, accounts }: Wanted): Promise<SaleCall[]> {
  const epochs = await soldEpochs(place, capital, accounts, { ofThese: true });
  const failed = epochs.filter(({ state }) => state === "failed");
  return failed.flatMap(({ epoch, deposits }) =>
    deposits.map(({ account }) =>
      refundCapital.call({ sale: capital.sale, modelId: place.modelId, epoch, beneficiary: account }),
    ),
  );
}

/** `cotrain capital refund`. */
export const capitalRefundCommand = defineCommand({
  name: "capital refund",
  summary: "fetch what was deposited in epochs that are paid back",
  options: collectingOptions,
  examples: [["npx cotrain capital refund", "for every wallet of this directory, in one transaction"]],
  async run({ options, output }) {
    const { done, token } = await collect(options, output, refunds);
    output.result(
      {
        transactions: done.transactions,
        refunded: done.refunded.map(({ epoch, account, amount }) => ({
          epoch,
          account: formatAddress(account),
          amount,
        })),
      },
      done.refunded.length === 0
        ? ["No deposit is paid back."]
        : done.refunded.flatMap(({ epoch, account, amount }) =>
            told(`${formatAddress(account)} has ${tokenText(amount, token)} of epoch ${epoch} back.`),
          ),
    );
  },
});
