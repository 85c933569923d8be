/** `cotrain capital deposit`: shares are bought with what a wallet pays. */
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { formatEther, formatUnits } from "viem";

import { formatAddress, timeText, UserError, wrap } from "../../base/index.ts";
import type { WalletClient } from "../../chain/index.ts";
import {
  type BuyingPlace,
  type CapitalSale,
  depositInPresent,
  namedWallet,
  permitDeposit,
  prepareDeposit,
  presentSale,
  type SignedPermit,
  soldEpoch,
  type SoldEpoch,
  shareCost,
  tokenAmount,
  tokenText,
} from "../../run/index.ts";
import { account as accountOption, text as textOption, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, requireEntries, signingAs, signingOptions } from "../place.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

/** What somebody is about to buy. */
interface Purchase {
  readonly amount: bigint;
  readonly payer: Address;
  readonly beneficiary: Address;
  /** What a share may cost when the deposit is sent, in the token's smallest units; what it cost when shown if not said. */
  readonly most?: bigint | undefined;
  /** By which the sale may take the amount, where it may not without. */
  readonly permit?: SignedPermit | undefined;
}

/** What a share costs if nothing follows this deposit. */
const costWith = (found: SoldEpoch, { amount }: Purchase): bigint => shareCost(found, found.total + amount);

/** Where an epoch has not brought in what it takes; empty where it has. @param total with this deposit */
const shortText = ({ token }: Pick<CapitalSale, "token">, minimum: bigint, total: bigint): string =>
  total < minimum
    ? ` With this the epoch has ${tokenText(total, token)} of the ${tokenText(minimum, token)} that it takes at the least, and is paid back unless more comes.`
    : "";

function purchaseText(capital: CapitalSale, found: SoldEpoch, purchase: Purchase): string {
  const { token, book } = capital;
  const { epoch, end, price, minimum, total, forSale } = found;
  const { amount, payer, beneficiary } = purchase;
  return `${formatAddress(payer)} deposits ${tokenText(amount, token)} (${amount} of the smallest units of ${formatAddress(token.address)}) for ${beneficiary === payer ? "itself" : formatAddress(beneficiary)} in epoch ${epoch}, which ends at ${timeText(end)}, has ${formatEther(forSale)} shares for sale and has brought in ${tokenText(total, token)}. A share would now cost ${tokenText(costWith(found, purchase), token)}, this deposit included: ${tokenText(price, token)} at the least, and more with each deposit that follows once more is bought than is for sale. What is deposited cannot be taken back unless the epoch brings in less than ${tokenText(minimum, token)} or is not settled within 30 days; else it goes to the model's treasury. It lies in ${formatAddress(book.vault)} until then.${shortText(capital, minimum, total + amount)}`;
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

/** Deposits in the present epoch, or in the next one where that began meanwhile and sells as was shown, or for less. */
export function depositNow(place: BuyingPlace, client: WalletClient, shown: SoldEpoch, purchase: Purchase) {
  const { most = costWith(shown, purchase) } = purchase;
  return depositInPresent(place, client, purchase, (found, capital) => {
    requireTerms(shown, found);
    requireCost(capital, found, purchase, most);
  });
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
    permit: toggle({
      description:
        "where the token has permits (ERC-2612), let the sale take the amount by one, in the deposit's own transaction",
      default: true,
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
    const { words, purchase, found, epoch, arrived, transaction, token, short } = await atPlace(
      options,
      own,
      async (place) => {
        const [entry] = requireEntries(place, options);
        const { capital, found } = await presentSale(place, []);
        const amount = tokenAmount(text, capital.token);
        const payer = entry?.account ?? capital.sale;
        const most = options.priceAtMost === undefined ? undefined : tokenAmount(options.priceAtMost, capital.token);
        const purchase: Purchase = { amount, payer, beneficiary: options.for ?? payer, most };
        if (most !== undefined) requireCost(capital, found, purchase, most);
        const words = purchaseText(capital, found, purchase);
        const nothing = { words, purchase, found, token: capital.token, epoch: found.epoch, arrived: 0n, short: "" };
        if (!options.yes || !entry) return { ...nothing, transaction: null as Hex | null };
        if (!place.pinned)
          throw new UserError(
            "CAPITAL_UNPINNED",
            "Whom the wallet would pay is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
          );
        requireUsual(capital, found, purchase);
        if (!output.json) output.notice(words);
        const client = await signingAs(place, entry, options);
        let permit: SignedPermit | undefined;
        if (options.permit) permit = await permitDeposit(place, client, capital, amount);
        else await prepareDeposit(place, client, capital, amount);
        const { event, receipt } = await depositNow(place, client, found, { ...purchase, permit });
        const { epoch, amount: arrived } = event;
        const after = await soldEpoch(place, capital, epoch, []);
        const short = shortText(capital, after.minimum, after.total);
        return { ...nothing, epoch, arrived, short, transaction: receipt.transactionHash };
      },
    );
    const { amount, payer, beneficiary } = purchase;
    const { forSale } = found;
    const later = epoch === found.epoch ? "" : ` (epoch ${found.epoch} was over, and this one sells alike)`;
    const cost = costWith(found, purchase);
    // Without it these fetch for this directory's wallets, of which it may be none.
    const whose = own || options.for ? ` --account ${formatAddress(beneficiary)}` : "";
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
            `${tokenText(arrived, token)} are deposited for ${formatAddress(beneficiary)} in epoch ${epoch}${later}, by ${transaction}.${short} Once it is over, "npx cotrain capital claim${whose}" settles it and fetches the shares, or "npx cotrain capital refund${whose}" the money.`,
          ),
    );
  },
});
