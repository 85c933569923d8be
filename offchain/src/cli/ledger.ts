/** Where commands find the ledger of what is rented, and how they read it. */
import { UserError } from "../base/index.ts";
import { typedPath } from "../base/node/index.ts";
import { type Book, hasLeases, openLedger, type StoredLedger, USUAL_LEASES } from "../market/index.ts";
import { text } from "../service/index.ts";

export const leasesOption = text({
  value: "directory",
  description: "directory of the ledger of what is rented",
  default: USUAL_LEASES,
});

/** @throws UserError `LEASES_NONE` where nothing was ever rented */
export function requireLeases(directory: string): void {
  if (!hasLeases(directory))
    throw new UserError(
      "LEASES_NONE",
      `Nothing was rented from ${typedPath(directory)}: --leases names the directory of a ledger.`,
    );
}

/** Reads a ledger, whoever keeps it. */
export async function withLedger<T>(
  directory: string,
  work: (book: Book, ledger: StoredLedger) => Promise<T> | T,
): Promise<T> {
  requireLeases(directory);
  const ledger = await openLedger(directory, () => Date.now());
  try {
    return await work(await ledger.read(), ledger);
  } finally {
    await ledger.close();
  }
}
