/** What the contracts owe accounts, fetched for whoever is named, whoever sends: fees of offences, and what bonds brought. */
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { asAddress } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { formatAddress, wrap } from "../base/index.ts";
import type { WalletClient } from "../chain/index.ts";
import { namedWallet } from "../run/index.ts";
import { account as accountOption, toggle } from "../service/index.ts";
import { columnsOf, type Output } from "./output.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, unpinnedNotice } from "./place.ts";

/** Options of a command that fetches. @param whose what is fetched, such as "fees" */
export const fetchingOptions = (whose: string) => ({
  ...signingOptions,
  account: accountOption({
    description: `whose ${whose} are fetched, whoever sends (default: those of the wallets here)`,
  }),
  dryRun: toggle({ description: "say what there is, and send nothing", default: false }),
});

interface Owed {
  readonly account: Address;
  readonly amount: bigint;
}

/** Where it is owed. */
interface Owing {
  /** Of these accounts those that have something. */
  readonly due: (accounts: readonly Address[]) => Promise<readonly Owed[]>;
  /** Pays one all that is there for it. */
  readonly pay: (
    client: WalletClient,
    account: Address,
  ) => Promise<{
    readonly receipt: { readonly transactionHash: Hex };
    readonly event?: { readonly amount: bigint } | undefined;
  }>;
}

type Options = Parameters<typeof atPlace>[0] &
  Parameters<typeof namedWallet>[0] &
  Parameters<typeof signingAs>[2] & { readonly account?: Address | undefined; readonly dryRun: boolean };

/** Fetches it; the first wallet pays the gas for all. @param words what it is, as after an amount, and what is said of nothing */
export async function fetchOwed(
  { options, output }: { readonly options: Options; readonly output: Output },
  owingAt: (place: Place) => Promise<Owing>,
  words: { readonly what: string; readonly none: string },
): Promise<void> {
  const fetched = await atPlace(
    options,
    await namedWallet(options),
    async (place) => {
      const entries = requireEntries(place, options);
      const { due, pay } = await owingAt(place);
      const wanted = options.account === undefined ? entries.map(({ account }) => account) : [options.account];
      const owed = await due([...new Set(wanted.map((account) => asAddress(account)))]);
      const [payer] = entries;
      if (options.dryRun || !payer || owed.length === 0) return owed.map((each) => ({ ...each, transaction: null }));
      const client = await signingAs(place, payer, options);
      const paid: (Owed & { readonly transaction: Hex | null })[] = [];
      for (const { account } of owed) {
        const { receipt, event } = await pay(client, account);
        paid.push({ account, amount: event?.amount ?? 0n, transaction: receipt.transactionHash });
      }
      return paid;
    },
    unpinnedNotice(options, output),
  );
  const texts = fetched.map(({ account, amount, transaction }) => {
    const sum = `${formatEther(amount)} coins${words.what}`;
    return transaction === null
      ? `${formatAddress(account)} would be paid ${sum}; nothing was sent.`
      : `${formatAddress(account)} was paid ${sum} in ${transaction}.`;
  });
  output.result(
    fetched,
    (texts.length === 0 ? [words.none] : texts).flatMap((text) => wrap(text, columnsOf(process.stdout))),
  );
}
