/** What a transaction of ours may cost, and by how much a replacement costs more. */
import { coinsBeyond, type FeesBeyond, feesBeyond } from "../fees.ts";

/** What any transaction takes, even one that does nothing: below that no node has it. */
const LEAST_GAS = 21_000n;
/** What a transaction may take at most, by EIP-7825. */
export const MOST_GAS = 2n ** 24n;

/** Whether a transaction could take so much gas. Other wrong estimates show when no node takes what was made of them. */
export const isPossibleGas = (gas: bigint): boolean => gas >= LEAST_GAS && gas <= MOST_GAS;

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
  /** As the node estimates it; null where it is that of what was sent before. */
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

/** The state may have changed until it is mined; of checkpoints of votes (gas.ts of the SDK) postings write one, of the supply. */
const withRoom = (estimate: bigint): bigint => {
  const gas = (estimate * 5n) / 4n;
  return gas < MOST_GAS ? gas : MOST_GAS;
};

/** What to pay for the first transaction of a posting, or for one that takes the place of `last`. */
export function priceOf(last: Sent | undefined, asked: Asked): Price {
  const tip = last ? raised(last.tip, asked.tip) : asked.tip;
  const suggested = last ? raised(last.maxFeePerGas, asked.maxFeePerGas) : asked.maxFeePerGas;
  const gas = asked.gas === null ? BigInt(last?.gas ?? 0) : withRoom(asked.gas);
  return { gas, maxFeePerGas: suggested > tip ? suggested : tip, tip };
}

/** What a price may take, wei. */
export interface Means {
  /** Of one transaction. */
  readonly maxFee: bigint;
  /** Of the account. */
  readonly balance: bigint;
}

/** What is too dear about a price, if anything is. */
export function tooDearFor({ gas, maxFeePerGas, tip }: Price, { maxFee, balance }: Means): FeesBeyond | undefined {
  const quote = { gas, price: maxFeePerGas, tip };
  return feesBeyond(quote, maxFee) ?? coinsBeyond(quote, balance);
}

/** How many of what was sent for a posting are kept: so many of the oldest, and of the newest. */
const KEPT_OLDEST = 16;
const KEPT_NEWEST = 16;

/**
 * Which of the transactions of one nonce are looked for: the newest, and the oldest, which honest nodes may have taken before an RPC
 * began to deny them. If one between them is mined, its effect is seen all the same, and what is made in its place is refused.
 */
export const keptOf = (sent: readonly Sent[]): readonly Sent[] =>
  sent.length <= KEPT_OLDEST + KEPT_NEWEST ? sent : [...sent.slice(0, KEPT_OLDEST), ...sent.slice(-KEPT_NEWEST)];
