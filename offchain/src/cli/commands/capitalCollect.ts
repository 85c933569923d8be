/** `cotrain capital settle`, `claim` and `refund`: what becomes of deposits once their epoch is over. */
import { batchCapital, claimCapital, refundCapital, settleSale, unsettledSales } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatAddress, formatSharesExactly, wrap } from "../../base/index.ts";
import type { WalletClient } from "../../chain/index.ts";
import { capitalAt, type CapitalSale, type CapitalToken, namedWallet, soldEpochs, tokenText } from "../../run/index.ts";
import { account as accountOption } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, type Output } from "../output.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

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
