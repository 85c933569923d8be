/**
 * What a transaction may cost. An RPC quotes gas and fees, and whoever it is in league with gets the tip: nothing is signed
 * beyond bounds that it does not know of.
 */
import { formatEther, formatGwei } from "viem";

import { RetryableError } from "../base/index.ts";

/** Wei that the fees of one transaction may take where nobody says otherwise: a tenth of a coin. */
export const DEFAULT_MAX_FEE = 10n ** 17n;
/** A part of them may be the tip. The rest is burnt at the price that the chain itself counts, whatever was quoted. */
const TIP_PART = 4n;

/**
 * What is asked for one transaction and what is allowed, wei; of a tip, its part of both. Of coins: what the account must have for
 * it, and what it has.
 */
export interface FeesAsked {
  readonly what: "fees" | "tip" | "coins";
  readonly asked: bigint;
  readonly allowed: bigint;
}

/** Why an account did not sign; viem shows the sentence of a cause, and reads `details` as text where there are any. */
export class UnsignedError extends RetryableError {
  readonly shortMessage = this.message;
  /** Of one that waits for lower fees. */
  readonly fees: FeesAsked | undefined;

  constructor(code: string, message: string, fees?: FeesAsked) {
    super(code, message);
    this.fees = fees;
  }
}

/** What an RPC asks for one transaction. */
export interface Quote {
  readonly gas: bigint;
  /** Wei a gas, the tip included. */
  readonly price: bigint;
  /** Wei a gas. */
  readonly tip: bigint;
}

/** What of a transaction's price is beyond what is allowed or there, and a sentence about it. */
export interface FeesBeyond {
  readonly fees: FeesAsked;
  readonly sentence: string;
}

/** @param maxFee wei that the transaction may cost */
export function feesBeyond({ gas, price, tip }: Quote, maxFee: bigint): FeesBeyond | undefined {
  const beyond = (what: "fees" | "tip", perGas: bigint, allowed: bigint): FeesBeyond => {
    const asked = gas * perGas;
    return {
      fees: { what, asked, allowed },
      sentence: `The chain's RPC asks for ${what === "tip" ? "a tip" : what} of ${formatEther(asked)} coins for one transaction (${gas} gas at ${formatGwei(perGas)} gwei); ${formatEther(allowed)} are allowed. Nothing is sent until it asks for less, or --max-fee allows more.`,
    };
  };
  if (gas * price > maxFee) return beyond("fees", price, maxFee);
  if (gas * tip > maxFee / TIP_PART) return beyond("tip", tip, maxFee / TIP_PART);
  return undefined;
}

/** @param balance wei that the account has: nodes take nothing whose fees could exceed that, and say so in words of their own */
export function coinsBeyond({ gas, price }: Quote, balance: bigint): FeesBeyond | undefined {
  const asked = gas * price;
  if (asked <= balance) return undefined;
  return {
    fees: { what: "coins", asked, allowed: balance },
    sentence: `It has ${formatEther(balance)} coins, and the fees of one transaction may come to ${formatEther(asked)} (${gas} gas at ${formatGwei(price)} gwei). Nothing is sent until it has so many.`,
  };
}

/** @param maxFee wei that the transaction may cost. @throws UnsignedError `FEE_TOO_HIGH` */
export function requireFee(quote: Quote, maxFee: bigint): void {
  const beyond = feesBeyond(quote, maxFee);
  if (beyond) throw new UnsignedError("FEE_TOO_HIGH", beyond.sentence, beyond.fees);
}

/** What is too dear where a transaction waits for lower fees, else undefined. */
export const tooDear = (error: unknown): FeesAsked | undefined =>
  error instanceof UnsignedError ? error.fees : undefined;
