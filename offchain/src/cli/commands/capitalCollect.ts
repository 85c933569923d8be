/** `cotrain capital settle` and `refund`: what becomes of deposits once their epoch is over. Claims are in capitalClaim.ts. */
import { batchCapital, delegateOf, refundCapital, saleOf, settleSale, unsettledSales } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { hexToBigInt } from "viem";

import { formatAddress, formatSharesExactly, printable, UserError, wrap } from "../../base/index.ts";
import { isRevert, saysReverted, type WalletClient } from "../../chain/index.ts";
import {
  contractAt,
  capitalAt,
  type CapitalSale,
  type CapitalToken,
  isNobody,
  namedWallet,
  soldEpochs,
  tokenText,
} from "../../run/index.ts";
import { account as accountOption, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, type Output } from "../output.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

/** Calls of the sale that one transaction makes at the most. */
const MOST_CALLS = 32;

type SaleCall = Parameters<typeof batchCapital.call>[0]["calls"][number];

/** A call of the sale that is wanted. */
export interface Wish {
  readonly call: SaleCall;
  /** What it is, in words. */
  readonly what: string;
  /** Why it is not to be made after all, by what it would return; undefined where it is. */
  readonly unwanted?: ((returned: Hex) => string | undefined) | undefined;
  /** The same call, for no less than it returned when it was tried. */
  readonly bound?: (returned: Hex) => SaleCall;
  /** What it would bring by what it would return, behind what it is. */
  readonly told?: (returned: Hex) => string;
}

/** What was not sent, since the chain would have refused it. */
interface LeftOut {
  readonly what: string;
  readonly why: string;
}

interface Batched {
  readonly transactions: readonly Hex[];
  readonly settled: readonly { readonly epoch: bigint; readonly proceeds: bigint; readonly sold: bigint }[];
  readonly expired: readonly { readonly epoch: bigint }[];
  readonly claimed: readonly { readonly epoch: bigint; readonly account: Address; readonly shares: bigint }[];
  readonly refunded: readonly {
    readonly epoch: bigint;
    readonly account: Address;
    readonly deposit: bigint;
    readonly amount: bigint;
  }[];
  readonly leftOut: readonly LeftOut[];
}

const nothingDone: Batched = { transactions: [], settled: [], expired: [], claimed: [], refunded: [], leftOut: [] };

/** Characters that are told of what a token says. */
const MOST_SAID = 200;

/** None of Cotrain's contracts refuses in words: they are the token's, whose author wrote them to be read here. */
function tokenRefusal(words: string): string {
  const cut = words.length > MOST_SAID ? `${words.slice(0, MOST_SAID)}…` : words;
  return `Its token refuses, in words of its own: ${JSON.stringify(printable(cut))}.`;
}

/** What calls would return if they were made one after the other now. @throws what the chain refuses; what the RPC does */
type Trial = (calls: readonly SaleCall[]) => Promise<readonly Hex[]>;

/**
 * Why the chain would refuse calls, or why one of them is not to be made; undefined where all can be.
 * @throws what the RPC does, silence included
 */
async function refusalOf(trial: Trial, wishes: readonly Wish[]): Promise<string | undefined> {
  try {
    const result = await trial(wishes.map(({ call }) => call));
    return wishes.map(({ unwanted }, i) => unwanted?.(result[i] ?? "0x")).find((why) => why !== undefined);
  } catch (error) {
    if (isRevert(error)) return error.errorName === "Error" ? tokenRefusal(String(error.args[0])) : error.message;
    if (saysReverted(error)) return "It reverts for no reason that the sale has; most likely that is its token's.";
    throw error;
  }
}

/** Those that the chain makes one after the other, and why not the rest: one that it refuses holds up no other. */
async function sift(trial: Trial, wishes: readonly Wish[]) {
  const made: Wish[] = [];
  const leftOut: LeftOut[] = [];
  if ((await refusalOf(trial, wishes)) === undefined) return { made: wishes, leftOut };
  for (const wish of wishes) {
    const why = await refusalOf(trial, [...made, wish]);
    if (why === undefined) made.push(wish);
    else if (leftOut.every(({ what }) => what !== wish.what)) leftOut.push({ what: wish.what, why });
  }
  return { made, leftOut };
}

/** The calls as they are sent: for no less than they brought when they were last tried. */
async function boundCalls(trial: Trial, made: readonly Wish[]): Promise<readonly SaleCall[]> {
  const calls = made.map(({ call }) => call);
  if (made.every(({ bound }) => bound === undefined)) return calls;
  const result = await trial(calls);
  return made.map(({ call, bound }, i) => bound?.(result[i] ?? "0x") ?? call);
}

/** Sends calls, some at a time; none where there is none. */
export async function sendAll(client: WalletClient, sale: Address, wishes: readonly Wish[]): Promise<Batched> {
  const trial: Trial = async (calls) => (await batchCapital.simulate(client, { sale, calls })).result;
  let done = nothingDone;
  for (let from = 0; from < wishes.length; from += MOST_CALLS) {
    const { made, leftOut } = await sift(trial, wishes.slice(from, from + MOST_CALLS));
    done = { ...done, leftOut: [...done.leftOut, ...leftOut] };
    if (made.length === 0) continue;
    const { receipt, event } = await batchCapital.sync(client, { sale, calls: await boundCalls(trial, made) });
    done = {
      transactions: [...done.transactions, receipt.transactionHash],
      settled: [...done.settled, ...event.settled],
      expired: [...done.expired, ...event.expired],
      claimed: [...done.claimed, ...event.claimed],
      refunded: [...done.refunded, ...event.refunded],
      leftOut: done.leftOut,
    };
  }
  return done;
}

/** What calls would come to now, which are not sent, however many they are. @param by who would send them */
async function rehearse(
  { connection }: Place,
  sale: Address,
  wishes: readonly Wish[],
  by: Address,
): Promise<Pick<Collected, "would" | "done">> {
  const trial: Trial = (calls) =>
    connection.call(async (client) => (await batchCapital.simulate(client, { sale, calls, account: by })).result);
  const { made, leftOut } = await sift(trial, wishes);
  const returned = await trial(made.map(({ call }) => call));
  return {
    would: made.map(({ what, told }, i) => `${what}${told?.(returned[i] ?? "0x") ?? ""}`),
    done: { ...nothingDone, leftOut },
  };
}

export const leftOutText = ({ what, why }: LeftOut): string => `Left out was ${what}: ${why}`;

/** As many settlements as there are epochs that may take one, by what the sale keeps: one too many does nothing. */
export async function settlements({ place, capital }: Omit<Wanted, "accounts">): Promise<Wish[]> {
  const { connection, modelId } = place;
  const { sale, epoch } = capital;
  // Read first: what reaches its minimum in between makes one too many, and none too few.
  const present = await connection.call((client) => saleOf(client, { sale, modelId, epoch }));
  const { oldest, count } = await connection.call((client) => unsettledSales(client, { sale, modelId }));
  const lasting = present.state === "open" && present.total >= present.minimum ? 1 : 0;
  return Array.from({ length: Number(count) - lasting }, (_, i) => ({
    call: settleSale.call({ sale, modelId }),
    what: i === 0 ? `the settlement of epoch ${oldest}` : `the settlement of what follows epoch ${oldest}`,
  }));
}

export function settledLines({ settled, expired }: Batched, token: CapitalToken): string[] {
  return [
    ...settled.map(
      ({ epoch, proceeds, sold }) =>
        `Epoch ${epoch} is settled: ${formatSharesExactly(sold)} shares for ${tokenText(proceeds, token)}, which the treasury has.`,
    ),
    ...expired.map(
      ({ epoch }) =>
        `Epoch ${epoch} was not settled within 30 days: "npx cotrain capital refund" fetches its deposits back.`,
    ),
  ];
}

const documentOf = ({ transactions, leftOut }: Pick<Batched, "transactions" | "leftOut">) => ({
  transactions,
  leftOut,
});

export const epochDocument = ({ settled, expired, ...rest }: Batched) => ({
  ...documentOf(rest),
  settled: settled.map(({ epoch, proceeds, sold }) => ({ epoch, proceeds, sold })),
  expired: expired.map(({ epoch }) => epoch),
});

/** What somebody is to have, where. */
export interface Wanted {
  readonly place: Place;
  readonly capital: CapitalSale;
  /** Whose shares or money are wanted. */
  readonly accounts: readonly Address[];
}

interface Collected {
  readonly done: Batched;
  readonly token: CapitalToken;
  /** Whose shares that were claimed nobody votes with. */
  readonly voteless: readonly Address[];
  /** Without leave to send: what would be done, in words. */
  readonly would: readonly string[];
}

type CollectFlags = Parameters<typeof atPlace>[0] &
  Parameters<typeof namedWallet>[0] &
  Parameters<typeof signingAs>[2] & { readonly account?: Address | undefined; readonly dryRun?: boolean };

/**
 * Makes the calls that are wanted; the first wallet pays the gas for all.
 * @throws UserError `CAPITAL_REFUSED` where the chain would make none of them
 */
export async function collect(
  options: CollectFlags,
  output: Output,
  wishesOf: (wanted: Wanted) => Promise<readonly Wish[]>,
): Promise<Collected> {
  return atPlace(
    options,
    await namedWallet(options),
    async (place) => {
      const entries = requireEntries(place, options);
      const capital = await capitalAt(place);
      const accounts = options.account === undefined ? entries.map(({ account }) => account) : [options.account];
      const wishes = await wishesOf({ place, capital, accounts });
      const [payer] = entries;
      const nothing = { done: nothingDone, token: capital.token, voteless: [], would: [] };
      if (!payer || wishes.length === 0) return nothing;
      if (options.dryRun) return { ...nothing, ...(await rehearse(place, capital.sale, wishes, payer.account)) };
      const done = await sendAll(await signingAs(place, payer, options), capital.sale, wishes);
      if (done.transactions.length === 0)
        throw new UserError("CAPITAL_REFUSED", `Nothing was sent. ${done.leftOut.map(leftOutText).join(" ")}`);
      const voteless = await votelessOf(
        place,
        done.claimed.map((claim) => claim.account),
      );
      return { ...nothing, done, voteless };
    },
    unpinnedNotice(options, output),
  );
}

/** Whose shares nobody votes with. */
async function votelessOf(place: Place, accounts: readonly Address[]): Promise<Address[]> {
  if (accounts.length === 0) return [];
  const { connection } = place;
  const shares = await contractAt(place, "shares");
  const found = await Promise.all(
    [...new Set(accounts)].map(async (account) => {
      const chosen = await connection.call((client) => delegateOf(client, { shares, account }));
      return isNobody(asAddress(chosen)) ? [account] : [];
    }),
  );
  return found.flat();
}

/** `cotrain capital settle`. */
export const capitalSettleCommand = defineCommand({
  name: "capital settle",
  summary: "settle the epochs that are over: shares are minted, and the treasury gets what they brought in",
  options: signingOptions,
  examples: [["npx cotrain capital settle", "sent by the first wallet of this directory; anybody may"]],
  async run({ options, output }) {
    const { done, token } = await collect(options, output, settlements);
    const lines = [...settledLines(done, token), ...done.leftOut.map(leftOutText)];
    output.result(epochDocument(done), lines.length === 0 ? ["No epoch is to be settled."] : lines.flatMap(told));
  },
});

export const collectingOptions = {
  ...signingOptions,
  account: accountOption({ description: "for this address (default: this directory's wallets)" }),
};

/** What a refund or a claim answers that it pays. */
export const amountOf = (returned: Hex): bigint => (returned === "0x" ? 0n : hexToBigInt(returned));

/**
 * Why a refund is not made that pays less than was deposited: the deposit would be gone with it. The sale itself refuses that to all
 * but the account, and commands send as the account.
 */
const lossOf =
  (deposited: bigint, token: CapitalToken) =>
  (returned: Hex): string | undefined => {
    const amount = amountOf(returned);
    return amount < deposited
      ? `Of ${tokenText(deposited, token)} it would bring ${tokenText(amount, token)} back, since the token took the rest, and nothing more ever: with --loss it is fetched all the same.`
      : undefined;
  };

/** Refunds of what is paid back. @param loss whether less is taken than was deposited */
async function refunds({ place, capital, accounts }: Wanted, loss: boolean): Promise<Wish[]> {
  const epochs = await soldEpochs(place, capital, accounts, { ofThese: true });
  const failed = epochs.filter(({ state }) => state === "failed");
  return failed.flatMap(({ epoch, deposits }) =>
    deposits.map(({ account, amount }) => ({
      call: refundCapital.call({ sale: capital.sale, modelId: place.modelId, epoch, beneficiary: account }),
      bound: (returned: Hex) =>
        refundCapital.call({
          sale: capital.sale,
          modelId: place.modelId,
          epoch,
          beneficiary: account,
          atLeast: amountOf(returned),
        }),
      what: `what ${formatAddress(account)} deposited in epoch ${epoch}`,
      told: (returned: Hex) => `, ${tokenText(amountOf(returned), capital.token)}`,
      unwanted: loss ? undefined : lossOf(amount, capital.token),
    })),
  );
}

/** `cotrain capital refund`. */
export const capitalRefundCommand = defineCommand({
  name: "capital refund",
  summary: "fetch what was deposited in epochs that are paid back",
  options: {
    ...collectingOptions,
    loss: toggle({
      description: "take less than was deposited where the token took the rest, and give up what is missing",
      default: false,
    }),
    dryRun: toggle({ description: "say what would be fetched, and send nothing", default: false }),
  },
  examples: [
    ["npx cotrain capital refund", "for every wallet of this directory, in one transaction"],
    ["npx cotrain capital refund --dry-run", "says what that would fetch, and sends nothing"],
  ],
  notes: [
    "What would bring less than was deposited is left out unless --loss says otherwise: the rest may be in the vault again later. What is sent is bound to what was shown to come back when it was tried: where the token takes more meanwhile, nothing is fetched.",
  ],
  async run({ options, output }) {
    const { done, token, would } = await collect(options, output, (wanted) => refunds(wanted, options.loss));
    const lines = [
      ...would.map((what) => `It would fetch: ${what}.`),
      ...done.refunded.map(
        ({ epoch, account, deposit, amount }) =>
          `${formatAddress(account)} has ${tokenText(amount, token)} of the ${tokenText(deposit, token)} back that were deposited for it in epoch ${epoch}.`,
      ),
      ...done.leftOut.map(leftOutText),
    ];
    output.result(
      {
        ...documentOf(done),
        refunded: done.refunded.map(({ epoch, account, deposit, amount }) => ({
          epoch,
          account: formatAddress(account),
          deposit,
          amount,
        })),
        would,
      },
      [
        ...(lines.length === 0 ? ["No deposit is paid back."] : lines),
        ...(options.dryRun ? ["Nothing was sent."] : []),
      ].flatMap(told),
    );
  },
});
