/** Revenue as `rewards claim` and `revenue claim` claim it: never for less than is owed, unless that is asked for. */
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";

import { wrap } from "../base/index.ts";
import { claimRevenue, contractAt, type RevenueOwed, tokenText } from "../run/index.ts";
import { account as accountOption, toggle } from "../service/index.ts";
import { columnsOf } from "./output.ts";
import { type Place, type PlaceFlags, requireEntries, signingAs } from "./place.ts";

export const lossOption = toggle({
  description: "claim revenue for less than is owed, where its token took from the vault, and give up the rest",
  default: false,
});

/** Whether a claim would bring a part of what is owed, for good, and nobody asked for that. */
export const isHeldBack = ({ short }: Pick<RevenueOwed, "short">, loss: boolean): boolean => short > 0n && !loss;

export const claimedAccount = accountOption({
  description: "whose part is claimed, and paid to it, whoever sends (default: those of the wallets here)",
});

/** Who is paid, and which wallet sends that: its own, or where its key lies elsewhere whichever is here. */
export interface Claimant {
  readonly name: string;
  readonly account: Address;
  readonly sender: Place["entries"][number] | undefined;
  /** Whether the account's own wallet sends, which alone can have others paid and give its votes away. */
  readonly own: boolean;
}

const ownOf = (entry: Place["entries"][number]): Claimant => ({
  name: entry.name,
  account: entry.account,
  sender: entry,
  own: true,
});

/** What an account is called that is no wallet's here: the model's own treasury, and anybody else's. */
export const TREASURY = "treasury";
export const ELSEWHERE = "elsewhere";

/** @param account the one that is wanted; default every wallet here. @throws UserError `WALLET_MISSING` where none is here and one would send */
export async function claimantsOf(
  place: Place,
  {
    account,
    dryRun = false,
    ...flags
  }: PlaceFlags & { readonly account?: Address | undefined; readonly dryRun?: boolean },
): Promise<readonly Claimant[]> {
  if (account === undefined) return requireEntries(place, flags).map(ownOf);
  const known = place.entries.find((entry) => entry.account === account);
  if (known) return [ownOf(known)];
  const [sender] = dryRun ? place.entries : requireEntries(place, flags);
  const treasury = asAddress(await contractAt(place, "timelock"));
  return [{ name: account === treasury ? TREASURY : ELSEWHERE, account, sender, own: false }];
}

/** What an account was paid, or with `dryRun` would be; of nothing where nothing is owed, or a claim would bring less. */
export async function claimOwed(
  place: Place,
  owed: RevenueOwed,
  { account, sender }: Pick<Claimant, "account" | "sender">,
  options: Parameters<typeof signingAs>[2] & {
    readonly loss: boolean;
    readonly to?: Address | undefined;
    readonly dryRun?: boolean;
  },
): Promise<{ readonly amount: bigint; readonly transaction: Hex | null }> {
  const { leaves, claimable } = await owed.of(account);
  if (leaves.length === 0 || isHeldBack(owed, options.loss)) return { amount: 0n, transaction: null };
  if (options.dryRun) return { amount: claimable, transaction: null };
  if (!sender) return { amount: 0n, transaction: null };
  const client = await signingAs(place, sender, options);
  return claimRevenue(place, client, owed.revenue, account, leaves, options.to);
}

/** What is not claimed, and why. @param loss whether less than is owed was to be taken */
export function revenueHints(owed: RevenueOwed, loss: boolean): string[] {
  const { unsound, short, revenue } = owed;
  return [
    ...(unsound.length === 0
      ? []
      : [
          `Nothing of ${unsound.length === 1 ? "root" : "roots"} ${unsound.join(", ")} of revenue is claimed: by this chain it should be another.`,
        ]),
    ...(isHeldBack(owed, loss)
      ? [
          `No revenue is claimed: the vault lacks ${tokenText(short, revenue.token)} that the token took, so that a claim would bring a part of what is owed, for good. Wait until somebody sends the vault what it lacks, or take the part with --loss.`,
        ]
      : []),
  ].flatMap((line) => wrap(line, columnsOf(process.stdout)));
}
