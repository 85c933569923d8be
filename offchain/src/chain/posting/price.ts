/** What a transaction of ours may cost, and by how much a replacement costs more. */
import { type FeesBeyond, feesBeyond } from "../fees.ts";

/** What was sent for a posting, as it stands in the job table. */
export interface Sent {
  readonly hash: `0x${string}`;
  readonly raw: `0x${string}`;
  readonly gas: string;
  readonly maxFeePerGas: string;
  readonly tip: string;
}

/** What the RPC asks for; wei a gas. */
export interface Asked {
  /** As the node estimates it; null where it is known from what was sent before. */
  readonly gas: bigint | null;
  readonly maxFeePerGas: bigint;
  readonly tip: bigint;
}

export interface Price {
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly tip: bigint;
}

/** Nodes take a replacement only for a tenth more of both fees. */
const raised = (old: string, now: bigint): bigint => {
  const least = (BigInt(old) * 9n) / 8n + 1n;
  return now > least ? now : least;
};

/** What to pay for the first transaction of a posting, or for one that takes the place of `last`. */
export function priceOf(last: Sent | undefined, asked: Asked): Price {
  const tip = last ? raised(last.tip, asked.tip) : asked.tip;
  const suggested = last ? raised(last.maxFeePerGas, asked.maxFeePerGas) : asked.maxFeePerGas;
  // Nodes estimate on the pending state, in which a transaction that waits to be replaced has done its work already.
  const gas = last ? BigInt(last.gas) : ((asked.gas ?? 0n) * 5n) / 4n;
  return { gas, maxFeePerGas: suggested > tip ? suggested : tip, tip };
}

/** What is too dear about a price, if anything is. */
export const tooDearFor = ({ gas, maxFeePerGas, tip }: Price, maxFee: bigint): FeesBeyond | undefined =>
  feesBeyond({ gas, price: maxFeePerGas, tip }, maxFee);
