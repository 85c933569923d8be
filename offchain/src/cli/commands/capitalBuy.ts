/** `cotrain capital deposit`: shares are bought with what a wallet pays. */
import { allowCapital, depositCapital, epochOf } from "@cotrain/sdk/actions";
import { CapitalSaleOtherEpochError, TransactionRevertedError } from "@cotrain/sdk/errors";
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, formatEther, formatUnits, parseAbi } from "viem";
import { sendTransaction } from "viem/actions";

import { formatAddress, timeText, UserError, wrap } from "../../base/index.ts";
import { DEVELOPMENT_CHAIN_ID, type WalletClient } from "../../chain/index.ts";
import {
  capitalAt,
  type CapitalSale,
  type CapitalToken,
  namedWallet,
  type SoldEpoch,
  shareCost,
  soldEpoch,
  tokenAmount,
  tokenText,
} from "../../run/index.ts";
import { account as accountOption, text as textOption, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions } from "../place.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

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
export async function prepare(place: Place, client: WalletClient, { sale, token }: CapitalSale, amount: bigint) {
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
  /** What a share may cost when the deposit is sent, in the token's smallest units; what it cost when shown if not said. */
  readonly most?: bigint | undefined;
}

/** What a share costs if nothing follows this deposit. */
const costWith = (found: SoldEpoch, { amount }: Purchase): bigint => shareCost(found, found.total + amount);

function purchaseText({ token, book }: CapitalSale, found: SoldEpoch, purchase: Purchase): string {
  const { epoch, end, price, minimum, total, forSale } = found;
  const { amount, payer, beneficiary } = purchase;
  return `${formatAddress(payer)} deposits ${tokenText(amount, token)} (${amount} of the smallest units of ${formatAddress(token.address)}) for ${beneficiary === payer ? "itself" : formatAddress(beneficiary)} in epoch ${epoch}, which ends at ${timeText(end)}, has ${formatEther(forSale)} shares for sale and has brought in ${tokenText(total, token)}. A share would now cost ${tokenText(costWith(found, purchase), token)}, this deposit included: ${tokenText(price, token)} at the least, and more with each deposit that follows once more is bought than is for sale. What is deposited cannot be taken back unless the epoch brings in less than ${tokenText(minimum, token)} or is not settled within 30 days; else it goes to the model's treasury. It lies in ${formatAddress(book.vault)} until then.`;
}

/** @throws UserError `CAPITAL_PRICE` where a share costs more than it may */
function requireCost({ token }: CapitalSale, found: SoldEpoch, purchase: Purchase, most: bigint): void {
  const cost = costWith(found, purchase);
  if (cost > most)
    throw new UserError(
      "CAPITAL_PRICE",
      `Nothing was deposited: a share of epoch ${found.epoch} would now cost ${tokenText(cost, token)}, and ${tokenText(most, token)} is the most that ${purchase.most === undefined ? "was shown" : "--price-at-most allows"}.`,
    );
}

/** So many times what holders ask for a share at the least is no price that anybody means who does not name it. */
const USUAL_TIMES = 100n;

/** @throws UserError `CAPITAL_DEAR` where a share costs far more than at the least, and nobody said what it may cost */
function requireUsual({ token }: CapitalSale, found: SoldEpoch, purchase: Purchase): void {
  const cost = costWith(found, purchase);
  if (purchase.most === undefined && cost > USUAL_TIMES * found.price)
    throw new UserError(
      "CAPITAL_DEAR",
      `Nothing was deposited: with ${tokenText(purchase.amount, token)} a share of epoch ${found.epoch} would cost ${tokenText(cost, token)}, more than ${USUAL_TIMES} times the ${tokenText(found.price, token)} that it costs at the least. If you mean it, add --price-at-most ${formatUnits(cost, token.decimals)}.`,
    );
}

/** @throws UserError `CAPITAL_TERMS` where an epoch sells otherwise than was shown, be it the same or the next */
function requireTerms(shown: SoldEpoch, found: SoldEpoch): void {
  if (found.price !== shown.price || found.minimum !== shown.minimum || found.forSale !== shown.forSale)
    throw new UserError(
      "CAPITAL_TERMS",
      `Nothing was deposited: epoch ${found.epoch} has another price, another minimum or another number of shares for sale than was shown.`,
    );
}

/** @throws UserError `CAPITAL_LATE` where a deposit reverted since its epoch was over when it was mined */
async function requireInTime(
  { connection, addresses, modelId }: Place,
  epoch: bigint,
  { details }: TransactionRevertedError,
): Promise<void> {
  const hash = details?.["transaction"] as Hex;
  const { blockNumber } = await connection.call((client) => client.getTransactionReceipt({ hash }));
  const block = await connection.call((client) => client.getBlock({ blockNumber }));
  const timestamp = Number(block.timestamp);
  const mined = await connection.call((client) => epochOf(client, { addresses, modelId, timestamp }));
  if (mined !== epoch)
    throw new UserError(
      "CAPITAL_LATE",
      `Nothing was deposited: transaction ${hash} was mined in epoch ${mined}, when epoch ${epoch} was over; deposit anew.`,
    );
}

/** Deposits in the present epoch, or in the next one where that began meanwhile and sells as was shown, or for less. */
export async function depositNow(place: Place, client: WalletClient, shown: SoldEpoch, purchase: Purchase) {
  const { modelId } = place;
  const { amount, beneficiary, most = costWith(shown, purchase) } = purchase;
  for (let met = 1; ; met++) {
    const capital = await capitalAt(place);
    const found = await soldEpoch(place, capital, capital.epoch, []);
    // It ended since, and nobody had deposited: such an epoch has no terms any more.
    if (found.price === 0n && met < MOST_EPOCHS_MET) continue;
    requireTerms(shown, found);
    requireCost(capital, found, purchase, most);
    const deposit = { sale: capital.sale, modelId, epoch: found.epoch, beneficiary, amount };
    try {
      await depositCapital.simulate(client, deposit);
      return await depositCapital.sync(client, deposit);
    } catch (error) {
      if (error instanceof TransactionRevertedError) await requireInTime(place, found.epoch, error);
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
    priceAtMost: textOption({
      value: "price",
      description:
        "what a share may cost with this deposit, in the capital token, such as 0.05; dearer nothing is sent (default: what is shown)",
    }),
    yes: toggle({ description: "deposit; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain capital deposit 12.5", "says what that buys, and sends nothing"],
    ["npx cotrain capital deposit 12.5 --yes", "paid by the first wallet of this directory"],
    [
      "npx cotrain capital deposit 12.5 --price-at-most 0.09 --yes",
      "only if a share costs no more than you were shown",
    ],
  ],
  notes: [
    "In somebody else's run name it with --run and its contracts with --deployment: the wallet pays whom these name.",
    "Whoever deposits later in the epoch raises what a share costs: no bound holds against that.",
    "On the local chain the wallet is given the test dollars that it lacks.",
  ],
  async run({ args: [text = ""], options, output }) {
    const own = await namedWallet(options);
    const { words, purchase, found, epoch, arrived, transaction, token } = await atPlace(
      options,
      own,
      async (place) => {
        const [entry] = requireEntries(place, options);
        const capital = await capitalAt(place);
        const amount = tokenAmount(text, capital.token);
        const payer = entry?.account ?? capital.sale;
        const most = options.priceAtMost === undefined ? undefined : tokenAmount(options.priceAtMost, capital.token);
        const purchase: Purchase = { amount, payer, beneficiary: options.for ?? payer, most };
        const found = await soldEpoch(place, capital, capital.epoch, []);
        if (most !== undefined) requireCost(capital, found, purchase, most);
        const words = purchaseText(capital, found, purchase);
        const nothing = { words, purchase, found, token: capital.token, epoch: found.epoch, arrived: 0n };
        if (!options.yes || !entry) return { ...nothing, transaction: null as Hex | null };
        if (!place.pinned)
          throw new UserError(
            "CAPITAL_UNPINNED",
            "Whom the wallet would pay is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
          );
        requireUsual(capital, found, purchase);
        if (!output.json) output.notice(words);
        const client = await signingAs(place, entry, options);
        await prepare(place, client, capital, amount);
        const { event, receipt } = await depositNow(place, client, found, purchase);
        return { ...nothing, epoch: event.epoch, arrived: event.amount, transaction: receipt.transactionHash };
      },
    );
    const { amount, payer, beneficiary } = purchase;
    const { forSale } = found;
    const later = epoch === found.epoch ? "" : ` (epoch ${found.epoch} was over, and this one sells alike)`;
    const cost = costWith(found, purchase);
    output.result(
      { payer, beneficiary, token, amount, epoch, forSale, cost, arrived, transaction },
      transaction === null
        ? [
            ...told(words),
            ...told(
              `Nothing was sent: --yes deposits it, and with --price-at-most ${formatUnits(cost, token.decimals)} only while a share costs no more than this.`,
            ),
          ]
        : told(
            `${tokenText(arrived, token)} are deposited for ${formatAddress(beneficiary)} in epoch ${epoch}${later}, by ${transaction}. Once it is over, "npx cotrain capital claim" settles it and fetches the shares, or "npx cotrain capital refund" the money.`,
          ),
    );
  },
});
