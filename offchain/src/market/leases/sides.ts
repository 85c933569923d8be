/**
 * What was made beside machines: a key for SSH, where a provider creates nothing without one in the account. It costs nothing, has a
 * name of this installation's, and is taken away once none of its machines is there any more. The name says whose it is, so that
 * nothing has to be written down, and what a crash left is found by whoever comes after.
 */
import { sideNameOf } from "../base/labels.ts";
import type { RentedAccount } from "../base/renting.ts";
import { type Book, isOpen, leasesOf } from "./state.ts";

/** @param onFault hears why something stays, which is looked at again at the end of the next command */
export async function clearSides(
  accounts: readonly RentedAccount[],
  book: Book,
  onFault?: (sentence: string, error: unknown) => void,
): Promise<void> {
  const name = sideNameOf(book.installation);
  const isUsed = (account: string): boolean =>
    leasesOf(book).some((lease) => lease.account === account && isOpen(lease));
  await Promise.all(
    accounts.map(async (account) => {
      // What an account has is known once it was listed.
      if (book.open[account.name] === undefined || isUsed(account.name)) return;
      try {
        for (const side of (await account.sides?.()) ?? []) if (side.name === name) await account.removeSide?.(side.id);
      } catch (error) {
        onFault?.(`${account.title}, keys for SSH: ${error instanceof Error ? error.message : "they stay."}`, error);
      }
    }),
  );
}
