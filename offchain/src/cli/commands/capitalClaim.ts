/** `cotrain capital claim`: shares that were bought, fetched once their epoch is over. */
import { claimCapital } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatAddress, formatSharesExactly, wrap } from "../../base/index.ts";
import { type SoldEpoch, soldEpochs, tokenText } from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import {
  amountOf,
  collect,
  collectingOptions,
  epochDocument,
  leftOutText,
  settledLines,
  settlements,
  type Wanted,
  type Wish,
} from "./capitalCollect.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

/** Claims of what was bought, and before them the settlements that they need, those of earlier epochs among them. */
async function claims(wanted: Wanted, epochs: readonly SoldEpoch[]): Promise<Wish[]> {
  const { place, capital } = wanted;
  const ready = epochs.filter(({ state, deposits }) => (state === "settled" || state === "due") && deposits.length > 0);
  const before = ready.some(({ state }) => state === "due") ? await settlements(wanted) : [];
  const { sale } = capital;
  return [
    ...before,
    ...ready.flatMap(({ epoch, deposits }) =>
      deposits.map(({ account }) => ({
        call: claimCapital.call({ sale, modelId: place.modelId, epoch, beneficiary: account }),
        what: `what ${formatAddress(account)} bought in epoch ${epoch}`,
        told: (returned: Hex) => `, ${formatSharesExactly(amountOf(returned))} shares`,
      })),
    ),
  ];
}

const votelessText = (account: Address): string =>
  `The shares of ${formatAddress(account)} have votes once it delegates them: "npx cotrain delegate self".`;

/** `cotrain capital claim`. */
export const capitalClaimCommand = defineCommand({
  name: "capital claim",
  summary: "fetch the shares that were bought, and settle the epochs that are over first",
  options: {
    ...collectingOptions,
    dryRun: toggle({ description: "say what would be settled and claimed, and send nothing", default: false }),
  },
  examples: [
    ["npx cotrain capital claim", "for every wallet of this directory, in one transaction"],
    ["npx cotrain capital claim --dry-run", "says what that would fetch, and sends nothing"],
  ],
  async run({ options, output }) {
    let epochs: readonly SoldEpoch[] = [];
    const { done, token, voteless, would } = await collect(options, output, async (wanted) => {
      const { place, capital, accounts } = wanted;
      epochs = await soldEpochs(place, capital, accounts, { ofThese: true });
      return claims(wanted, epochs);
    });
    const back = epochs.flatMap(({ epoch, state, deposits }) =>
      state === "failed" ? deposits.map(({ account, amount }) => ({ epoch, account, amount })) : [],
    );
    const whose = options.account === undefined ? "" : ` --account ${formatAddress(options.account)}`;
    const lines = [
      ...would.map((what) => `It would fetch or settle: ${what}.`),
      ...settledLines(done, token),
      ...done.claimed.map(
        ({ epoch, account, shares }) =>
          `${formatAddress(account)} has ${formatSharesExactly(shares)} shares of epoch ${epoch}.`,
      ),
      ...done.leftOut.map(leftOutText),
      ...voteless.map(votelessText),
    ];
    const nothing = lines.length === 0 ? ["No shares that were bought are to be claimed."] : [];
    const refunds = back.map(
      ({ epoch, account, amount }) =>
        `${tokenText(amount, token)} that ${formatAddress(account)} deposited in epoch ${epoch} are paid back: "npx cotrain capital refund${whose}" fetches them.`,
    );
    output.result(
      {
        ...epochDocument(done),
        claimed: done.claimed.map(({ epoch, account, shares }) => ({ epoch, account: formatAddress(account), shares })),
        paidBack: back.map((each) => ({ ...each, account: formatAddress(each.account) })),
        would,
      },
      [...lines, ...nothing, ...refunds, ...(options.dryRun ? ["Nothing was sent."] : [])].flatMap(told),
    );
  },
});
