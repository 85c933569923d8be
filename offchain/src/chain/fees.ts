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

/** Why an account did not sign; viem shows the sentence of a cause, and reads `details` as text where there are any. */
export class UnsignedError extends RetryableError {
  readonly shortMessage = this.message;
}

/** What an RPC asks for one transaction. */
export interface Quote {
  readonly gas: bigint;
  /** Wei a gas, the tip included. */
  readonly price: bigint;
  /** Wei a gas. */
  readonly tip: bigint;
}

/** @param maxFee wei that the transaction may cost. @throws UnsignedError `FEE_TOO_HIGH` */
export function requireFee({ gas, price, tip }: Quote, maxFee: bigint): void {
  const refuse = (what: string, perGas: bigint, most: bigint): UnsignedError =>
    new UnsignedError(
      "FEE_TOO_HIGH",
      `The chain's RPC asks for ${what} of ${formatEther(gas * perGas)} coins for one transaction (${gas} gas at ${formatGwei(perGas)} gwei); ${formatEther(most)} are allowed. Nothing is sent until it asks for less, or --max-fee allows more.`,
    );
  if (gas * price > maxFee) throw refuse("fees", price, maxFee);
  if (gas * tip > maxFee / TIP_PART) throw refuse("a tip", tip, maxFee / TIP_PART);
}

/** Whether a transaction waits for lower fees. */
export const isTooDear = (error: unknown): boolean => error instanceof UnsignedError && error.code === "FEE_TOO_HIGH";
