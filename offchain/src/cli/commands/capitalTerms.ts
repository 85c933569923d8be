import { newestSaleTerms, setSaleTerms } from "@cotrain/sdk/actions";

import { formatUnits } from "viem";

import { UserError } from "../../base/index.ts";
import { capitalAt, type CapitalSale, type CapitalToken, tokenAmount, tokenText } from "../../run/index.ts";
import { text } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf, titledWhole } from "../decision.ts";
import type { DecidingPlace } from "../proposing.ts";

/** Terms of a sale, in the token's smallest units. */
interface Terms {
  /** What a whole share costs at the least. */
  readonly price: bigint;
  /** What an epoch must bring in, else it is paid back. */
  readonly minimum: bigint;
}

/** The largest numbers that the contract has room for. */
const MOST_PRICE = 2n ** 96n - 1n;
const MOST_MINIMUM = 2n ** 128n - 1n;
const SHARE = 10n ** 18n;

/** The contract's rules of terms. @throws UserError `CAPITAL_PRICE`, `CAPITAL_MINIMUM` */
export function requireTerms({ price, minimum }: Terms, { book, token }: Pick<CapitalSale, "book" | "token">): void {
  if (price < book.priceFloor)
    throw new UserError(
      "CAPITAL_PRICE",
      `No vote sells a share of this model for less than ${tokenText(book.priceFloor, token)}, for ever: name a higher --price than ${tokenText(price, token)}.`,
    );
  if (price > MOST_PRICE)
    throw new UserError("CAPITAL_PRICE", `A share cannot cost more than ${tokenText(MOST_PRICE, token)}.`);
  const least = (price + SHARE - 1n) / SHARE;
  if (minimum < least || minimum > MOST_MINIMUM)
    throw new UserError(
      "CAPITAL_MINIMUM",
      `An epoch must bring in from ${tokenText(least, token)} to ${tokenText(MOST_MINIMUM, token)} at this price, not ${tokenText(minimum, token)}: name another --minimum.`,
    );
}

/** What setting these terms changes, in a line; empty where that is nothing. */
function termsTitle(before: Terms, after: Terms, { symbol, decimals }: CapitalToken): string {
  const plain = (amount: bigint): string => formatUnits(amount, decimals);
  return titledWhole("sale of shares", [
    { before: plain(before.price), after: plain(after.price), of: `${symbol} a share at the least` },
    { before: plain(before.minimum), after: plain(after.minimum), of: `${symbol} an epoch at the least` },
  ]);
}

/** Other terms of the sale. */
export async function saleIntention(
  place: DecidingPlace,
  given: { readonly price?: string | undefined; readonly minimum?: string | undefined },
): Promise<Intention> {
  const { connection, modelId } = place;
  const capital = await capitalAt(place);
  const { sale, token } = capital;
  const before = await connection.call((client) => newestSaleTerms(client, { sale, modelId }));
  const { version: replaces } = before;
  const price = given.price === undefined ? before.price : tokenAmount(given.price, token);
  const minimum = given.minimum === undefined ? before.minimum : tokenAmount(given.minimum, token);
  requireTerms({ price, minimum }, capital);
  const title = termsTitle(before, { price, minimum }, token);
  const document = { contract: sale, token, price, minimum, replaces };
  return intentionOf(place, setSaleTerms, { sale, modelId, replaces, price, minimum }, { title, document });
}

/** `cotrain capital propose`. */
export const capitalProposeCommand = defineCommand({
  name: "capital propose",
  summary: "propose to the holders what a share costs at the least, and what an epoch must bring in",
  options: {
    ...decisionOptions,
    price: text({
      value: "amount",
      description: "what a share costs at the least, in the capital token, such as 0.02 (default: as it is)",
    }),
    minimum: text({
      value: "amount",
      description: "what an epoch must bring in, else all is paid back, in the capital token (default: as it is)",
    }),
  },
  examples: [
    ["npx cotrain capital propose --price 0.03", "by the wallet of this directory that has the most votes"],
    ["npx cotrain capital propose --price 0.05 --minimum 100 --dry-run", "what would be proposed"],
  ],
  notes: [
    "It replaces the newest terms, in force or not: of two such decisions the first that is executed holds. It holds from the epoch after its execution on; what is deposited before is sold by the terms of its epoch. How much of an epoch is for sale says the emission.",
  ],
  run: async ({ options: { price, minimum, ...options }, output }) =>
    decide({ options, output }, (place) => saleIntention(place, { price, minimum })),
});
