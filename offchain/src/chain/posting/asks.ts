/** What the posting machine asks of the chain, the account and the job table, one thing at a time, and what it is answered. */
import type { FeesBeyond } from "../fees.ts";
import type { Asked, Price, Sent } from "./price.ts";

/**
 * What was sent for a posting, as far as it is kept (see `keptOf`); the last one is the newest. All have the same nonce, so at
 * most one is ever mined.
 */
export interface PostingProgress {
  readonly nonce: number;
  readonly sent: readonly Sent[];
}

/** The contract's refusal, which must not hold up the account's other postings. */
export interface Refused {
  readonly kind: "refused";
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  /** Name of the contract's error. */
  readonly revert: string | null;
}

/** Code of a refusal whose reason is in no ABI here, or that had none. */
export const REVERTED = "POSTING_REVERTED";

/** Code of a posting that nobody waits for, which is too dear, or more than the account can pay. */
export const TOO_DEAR = "POSTING_DEAR";

/** How a posting ended. */
export type Ending = { readonly kind: "done"; readonly result: unknown } | Refused;

/** A transaction in a block. */
export interface Mined {
  readonly hash: `0x${string}`;
  readonly block: number;
  readonly reverted: boolean;
}

/** By name: what is asked, and the answer. */
interface Asks {
  /** Whether the effect is there; `anew`: read once more from this block on, since an RPC may have left its event out. */
  look: { asks: { readonly anew?: number }; answer: { readonly found: { readonly result: unknown } | null } };
  /** Whether something must come first, or it can never be. */
  prepare: { asks: object; answer: { readonly ready: "send" | "wait" | Refused } };
  /**
   * Fees, and the account's coins. For a first transaction also its nonce, and its gas on what waits in the pool; `latest`: gas on
   * the newest block alone.
   * Gas that no transaction can have is as if the chain were away.
   */
  quote: {
    asks: { readonly gas: "first" | "latest" | "known" };
    answer: { readonly nonce: number | null; readonly asked: Asked; readonly balance: bigint };
  };
  sign: { asks: { readonly nonce: number; readonly price: Price }; answer: { readonly sent: Sent } };
  /** Durably, before anything is sent. */
  note: { asks: { readonly progress: PostingProgress }; answer: object };
  /** That the node knows it already, or its nonce is used, shows at the next look. */
  broadcast: { asks: { readonly raw: `0x${string}` }; answer: object };
  receipts: { asks: { readonly hashes: readonly `0x${string}`[] }; answer: { readonly mined: Mined | null } };
  /** Number of the newest block. */
  tip: { asks: object; answer: { readonly block: number } };
  /** Why the call fails now; null where it does not. */
  reason: { asks: object; answer: { readonly refused: Refused | null } };
  /** The account's next nonce, as blocks have it, or after what waits in the pool. */
  nonce: { asks: { readonly at: "latest" | "pending" }; answer: { readonly next: number } };
  /** Whether the node has a transaction, in a block or waiting. */
  known: { asks: { readonly hash: `0x${string}` }; answer: { readonly known: boolean } };
  rest: { asks: { readonly ms: number }; answer: object };
}

export type AskName = keyof Asks;
export type AskOf<N extends AskName> = { readonly type: "ask"; readonly name: N } & Asks[N]["asks"];
export type Ask = { [N in AskName]: AskOf<N> }[AskName];
export type AnswerOf<N extends AskName> = Asks[N]["answer"];

/** What went wrong while something was asked. */
export type Fault =
  /** The chain is away: waited for. */
  | { readonly kind: "away" }
  /** Lower fees are waited for as well. */
  | ({ readonly kind: "dear" } & FeesBeyond)
  /** Trying again cannot help; `reverts`: a contract said so. */
  | { readonly kind: "final"; readonly reverts: boolean; readonly refused: Refused }
  | { readonly kind: "unknown" };
