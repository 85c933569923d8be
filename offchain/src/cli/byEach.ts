/** What several accounts are paid one after the other: what one of them is refused keeps no other from it, and hides no transaction. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { RetryableError, shortAddress, UserError } from "../base/index.ts";

/** Who is to be paid. */
interface Payee {
  readonly name: string;
  readonly account: Address;
}

const whoText = ({ name, account }: Payee): string => `${name} ${shortAddress(account)}`;

/** @param sentIn the transactions by which one was paid */
function missedError(
  missed: readonly { readonly payee: Payee; readonly error: CotrainError }[],
  sentIn: readonly { readonly payee: Payee; readonly transactions: readonly Hex[] }[],
): CotrainError {
  const why = missed.map(({ payee, error }) => `${whoText(payee)} was not: ${error.message.replace(/\.$/, "")}`);
  const paid = sentIn
    .filter(({ transactions }) => transactions.length > 0)
    .map(({ payee, transactions }) => `${whoText(payee)} was, in ${transactions.join(" and ")}`);
  const sentence = `Not all accounts were paid. ${[...why, ...paid].join("; ")}.`;
  const options = { cause: missed[0]?.error, details: { missed: missed.length, paid: paid.length } };
  return missed.every(({ error }) => error.retryable)
    ? new RetryableError("CLAIMS_MISSING", sentence, options)
    : new UserError("CLAIMS_MISSING", sentence, options);
}

/**
 * @param pay what one is paid, and by which transactions, null where there is nothing
 * @returns what each was paid, in their order
 * @throws what `pay` throws, where there is one payee; else UserError, or RetryableError where each may still be paid, `CLAIMS_MISSING`,
 *   after all were tried
 */
export async function byEach<P extends Payee, Paid>(
  payees: readonly P[],
  pay: (payee: P) => Promise<Paid>,
  transactionsOf: (paid: Paid) => readonly (Hex | null | undefined)[],
): Promise<Paid[]> {
  const all: Paid[] = [];
  const missed: { payee: P; error: CotrainError }[] = [];
  const sentIn: { payee: P; transactions: Hex[] }[] = [];
  for (const payee of payees) {
    try {
      const paid = await pay(payee);
      all.push(paid);
      sentIn.push({ payee, transactions: transactionsOf(paid).filter((hash) => hash != null) });
    } catch (error) {
      if (!(error instanceof CotrainError) || payees.length === 1) throw error;
      missed.push({ payee, error });
    }
  }
  if (missed.length > 0) throw missedError(missed, sentIn);
  return all;
}
