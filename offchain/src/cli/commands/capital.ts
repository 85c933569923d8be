import { unsettledSales } from "@cotrain/sdk/actions";
import type { Address } from "@cotrain/sdk/protocol";
import { formatEther, formatUnits } from "viem";

import {
  countOf,
  formatAddress,
  formatSharesExactly,
  shortAddress,
  timeText,
  UserError,
  wrap,
} from "../../base/index.ts";
import {
  capitalAt,
  type CapitalSale,
  fetchedBack,
  presentSale,
  shareCost,
  type SoldEpoch,
  soldEpoch,
  soldEpochs,
  tokenText,
} from "../../run/index.ts";
import { account as accountOption, integer } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable, table } from "../output.ts";
import { atPlace, type Place, placeOptions } from "../place.ts";

/** The latest epoch that can be asked about: JavaScript counts no further. */
const LAST_EPOCH = Number.MAX_SAFE_INTEGER;

/** Where an epoch's sale stands, in words. */
const standingTexts: Readonly<Record<SoldEpoch["state"], string>> = {
  none: "nobody has deposited",
  open: "open",
  due: "to be settled",
  settled: "settled",
  failed: "to be fetched back",
};

/** @param back epochs whose deposits all were fetched back */
const standingText = ({ epoch, state }: SoldEpoch, back: ReadonlySet<bigint>): string =>
  back.has(epoch) ? "fetched back" : standingTexts[state];

/** What a whole share came to in an epoch that is settled; undefined in any other. */
const paidAShare = (found: SoldEpoch): bigint | undefined =>
  found.state === "settled" ? shareCost(found, found.total) : undefined;

const documentOf = (found: SoldEpoch) => ({
  epoch: found.epoch,
  state: found.state,
  price: found.price,
  minimum: found.minimum,
  total: found.total,
  sold: found.sold,
  perShare: paidAShare(found) ?? null,
  end: found.end,
  deposits: found.deposits.map(({ account, amount }) => ({ account: formatAddress(account), amount })),
});

/** A row of the list; amounts without the token's symbol, which stands above. */
function rowOf(each: SoldEpoch, { decimals }: CapitalSale["token"], back: ReadonlySet<bigint>): string[] {
  const perShare = paidAShare(each);
  const here = each.deposits.reduce((sum, { amount }) => sum + amount, 0n);
  return [
    String(each.epoch),
    formatUnits(each.total, decimals),
    formatSharesExactly(each.sold),
    perShare === undefined ? "" : formatUnits(perShare, decimals),
    formatUnits(here, decimals),
    standingText(each, back),
  ];
}

/** Whose deposits are shown: one that is named, or this directory's wallets. */
const shownOf = ({ entries }: Place, { account }: { readonly account?: Address | undefined }) =>
  account === undefined ? entries.map((entry) => entry.account) : [account];

const accountFlag = accountOption({ description: "whose deposits are shown (default: this directory's wallets)" });

/** `cotrain capital list`. */
export const capitalListCommand = defineCommand({
  name: "capital list",
  summary: "epochs in which shares were bought, and what of them can be settled, claimed or paid back",
  options: { ...placeOptions, account: accountFlag },
  examples: [
    ["npx cotrain capital list", "every epoch with deposits, oldest first, and those of this directory's wallets"],
  ],
  async run({ options, output }) {
    const { token, epochs, back } = await atPlace(options, undefined, async (place) => {
      const capital = await capitalAt(place);
      const epochs = await soldEpochs(place, capital, shownOf(place, options));
      return { token: capital.token, epochs, back: await fetchedBack(place, capital, epochs) };
    });
    output.result(
      { token, epochs: epochs.map((each) => ({ ...documentOf(each), fetchedBack: back.has(each.epoch) })) },
      epochs.length === 0
        ? ["Nobody has bought shares."]
        : table(
            [
              ["epoch", `brought in (${token.symbol})`, "shares", "a share", "here, not fetched", ""],
              ...epochs.map((each) => rowOf(each, token, back)),
            ],
            [0, 1, 2, 3, 4],
          ),
    );
  },
});

/** Whether deposits can change what comes of it. */
const lasts = ({ state }: SoldEpoch): boolean => state === "open" || state === "none";

interface Shown {
  readonly capital: CapitalSale;
  readonly found: SoldEpoch;
  /** The epoch after the present one, where that is shown: its terms hold whatever is deposited. */
  readonly next: SoldEpoch | undefined;
  readonly back: ReadonlySet<bigint>;
  readonly unsettled: bigint;
}

/** By which terms the next epoch sells, in a line. */
const nextText = ({ price, minimum, forSale }: SoldEpoch, token: CapitalSale["token"]): string =>
  `${formatEther(forSale)} shares, ${tokenText(price, token)} a share at the least, ${tokenText(minimum, token)} an epoch at the least`;

function factsOf({ capital: { sale, book, token }, found, next, back, unsettled }: Shown): string[] {
  const { epoch, price, minimum, total, sold, end, forSale, deposits } = found;
  const perShare = paidAShare(found);
  const terms: (readonly [string, string])[] =
    price === 0n
      ? []
      : [
          [
            "price",
            `${tokenText(price, token)} a share at the least; never below ${tokenText(book.priceFloor, token)}`,
          ],
          ...(lasts(found)
            ? [["costs now", `${tokenText(shareCost(found, total), token)} a share, by what was deposited`] as const]
            : []),
          ["minimum", `${tokenText(minimum, token)}, else all is paid back`],
        ];
  return factTable(
    [
      ["contract", formatAddress(sale)],
      ["token", `${token.symbol}, ${formatAddress(token.address)}`],
      ["vault", `${formatAddress(book.vault)}, which holds ${tokenText(book.held, token)}`],
      ["epoch", `${epoch}, which ends at ${timeText(end)}`],
      ["for sale", `${formatEther(forSale)} shares`],
      ...terms,
      ["brought in", tokenText(total, token)],
      ...(sold === 0n ? [] : [["sold", `${formatEther(sold)} shares`] as const]),
      ...(perShare === undefined ? [] : [["cost", `${tokenText(perShare, token)} a share`] as const]),
      ...deposits.map(({ account, amount }) => [shortAddress(account), tokenText(amount, token)] as const),
      ["stands", standingText(found, back)],
      ...(next ? [["next epoch", nextText(next, token)] as const] : []),
      ["unsettled", `${countOf(unsettled, "epoch")} that reached the minimum, the present one included`],
    ],
    columnsOf(process.stdout),
  );
}

/** The epoch that is asked for, or the present one. @throws UserError `EPOCH_LATE` */
async function saleFor(place: Place, options: Parameters<typeof shownOf>[1] & { readonly epoch?: number | undefined }) {
  const accounts = shownOf(place, options);
  if (options.epoch === undefined) return presentSale(place, accounts);
  const capital = await capitalAt(place);
  const epoch = BigInt(options.epoch);
  if (epoch > capital.epoch + 1n)
    throw new UserError("EPOCH_LATE", `Epoch ${epoch} is not near: this is epoch ${capital.epoch}.`);
  return { capital, found: await soldEpoch(place, capital, epoch, accounts) };
}

/** `cotrain capital show`. */
export const capitalShowCommand = defineCommand({
  name: "capital show",
  summary: "an epoch's sale: what a share costs, what was deposited, and where the money is",
  options: {
    ...placeOptions,
    account: accountFlag,
    epoch: integer(1, LAST_EPOCH, { description: "which epoch (default: the present one)" }),
  },
  examples: [["npx cotrain capital show", "what is for sale now, in which token, and at which price"]],
  notes: ["Decimals and symbol of the token are its own word; --json has amounts in its smallest units."],
  async run({ options, output }) {
    const shown = await atPlace(options, undefined, async (place): Promise<Shown> => {
      const { capital, found } = await saleFor(place, options);
      const { modelId, connection } = place;
      const { count } = await connection.call((client) => unsettledSales(client, { sale: capital.sale, modelId }));
      // An epoch that is over while this is read has no terms of its own any more; the one after the next has the same or later ones.
      const next =
        lasts(found) && found.epoch >= capital.epoch
          ? await soldEpoch(place, capital, found.epoch + 1n, [])
          : undefined;
      return { capital, found, next, back: await fetchedBack(place, capital, [found]), unsettled: count };
    });
    const { capital, found, next, back, unsettled } = shown;
    const { sale, book, token } = capital;
    output.result(
      {
        contract: sale,
        token,
        vault: book.vault,
        held: book.held,
        priceFloor: book.priceFloor,
        forSale: found.forSale,
        unsettled,
        ...documentOf(found),
        fetchedBack: back.has(found.epoch),
        next: next ? { price: next.price, minimum: next.minimum, forSale: next.forSale } : null,
      },
      [
        ...factsOf(shown),
        ...(lasts(found)
          ? wrap(
              "What is deposited stays until the epoch is over. Then anybody settles it, and each claims its part: what it bought at this price, or less where more was bought than is for sale.",
              columnsOf(process.stdout),
            )
          : []),
      ],
    );
  },
});
