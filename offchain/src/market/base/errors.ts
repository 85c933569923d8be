/**
 * What a provider refuses, as typed errors. Each adapter brings a table of what its provider's statuses, codes and words mean; the
 * first row that fits decides. What no row fits is by its status.
 */
import type { CotrainError } from "@cotrain/sdk/errors";

import { RetryableError, UserError } from "../../base/index.ts";

/** Kinds of refusal, by who should do something about it. */
export type RefusalKind =
  | "auth"
  | "funds"
  | "quota"
  | "absent"
  | "validation"
  | "capacity"
  | "busy"
  | "away"
  | "unreadable"
  | "ambiguous";

/** Code of the error, whether asking again can help, and what is told before the provider's own words. */
const kinds: Readonly<Record<RefusalKind, readonly [code: string, retryable: boolean, sentence: string]>> = {
  auth: ["PROVIDER_AUTH", false, "does not take the key"],
  funds: ["PROVIDER_FUNDS", false, "says that the account has no funds"],
  quota: ["PROVIDER_QUOTA", false, "says that the account's quota is used up"],
  absent: ["PROVIDER_ABSENT", false, "says that there is none"],
  validation: ["PROVIDER_REFUSED", false, "refuses the request"],
  capacity: ["PROVIDER_CAPACITY", true, "has no capacity"],
  busy: ["PROVIDER_BUSY", true, "is asked too often"],
  away: ["PROVIDER_AWAY", true, "does not answer"],
  unreadable: ["PROVIDER_UNREADABLE", true, "answers with something that cannot be read"],
  ambiguous: ["PROVIDER_AMBIGUOUS", false, "left open whether it was done"],
};

/** One row; all of what it names must fit. */
export interface RefusalRow {
  readonly status?: number;
  /** Of the call, as the adapter's limits name it: one word may mean different things for different calls. */
  readonly endpoint?: string;
  /** Of the provider's own code. */
  readonly code?: RegExp;
  /** Of its words. */
  readonly words?: RegExp;
  readonly kind: RefusalKind;
}

/** What a provider said. */
export interface Refusal {
  readonly status: number;
  readonly code?: string;
  readonly words: string;
  /** The machine that exists all the same. */
  readonly instance?: string;
}

/** What a status means where no row says otherwise. */
function kindOfStatus(status: number): RefusalKind {
  if (status === 401 || status === 403) return "auth";
  if (status === 402) return "funds";
  if (status === 429) return "busy";
  return status >= 500 || status === 408 ? "away" : "validation";
}

export const kindOf = (
  rows: readonly RefusalRow[],
  { status, code = "", words }: Refusal,
  endpoint: string,
): RefusalKind =>
  rows.find(
    (row) =>
      (row.status === undefined || row.status === status) &&
      (row.endpoint === undefined || row.endpoint === endpoint) &&
      (row.code === undefined || row.code.test(code)) &&
      (row.words === undefined || row.words.test(words)),
  )?.kind ?? kindOfStatus(status);

/**
 * The typed error of a kind.
 * @param title the provider, as people call it
 * @param words the provider's own, already without secrets
 * @param details `waitMs`: how long the provider asks to be left alone
 */
export function providerError(
  kind: RefusalKind,
  title: string,
  words: string,
  details: Readonly<Record<string, string | number>> = {},
  cause?: unknown,
): CotrainError {
  const [code, retryable, sentence] = kinds[kind];
  const told = words.trim().replace(/\.$/, "");
  const options = { details, ...(cause === undefined ? {} : { cause }) };
  return new (retryable ? RetryableError : UserError)(
    code,
    `${title} ${sentence}${told === "" ? "" : `: ${told}`}.`,
    options,
  );
}
