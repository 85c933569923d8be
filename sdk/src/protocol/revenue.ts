/**
 * How revenue is shared out (protocol.md, "Revenue"): each epoch's by what accounts held in it, averaged over its time. Whole numbers
 * alone, so that every implementation comes to the same.
 */
import type { Address } from "viem";
import { ProtocolError } from "../baseErrors.ts";

/** One Transfer event of a model's shares. */
export interface ShareTransfer {
  /** The zero address where shares were minted. */
  readonly from: Address;
  /** The zero address where they were burned. */
  readonly to: Address;
  /** In wei of shares. */
  readonly amount: bigint;
  /** Of its block, chain seconds. */
  readonly time: number;
}

/** From the start of an epoch to its end, which is no longer part of it; chain seconds. */
export interface EpochTime {
  readonly start: number;
  readonly end: number;
}

const nobody = "0x0000000000000000000000000000000000000000";

/** @throws ProtocolError TRANSFERS_LEFT_OUT */
function add(to: Map<Address, bigint>, account: Address, amount: bigint): void {
  const sum = (to.get(account) ?? 0n) + amount;
  if (sum < 0n)
    throw new ProtocolError("TRANSFERS_LEFT_OUT", `By the transfers that are told ${account} sends what it has not.`);
  if (sum === 0n) to.delete(account);
  else to.set(account, sum);
}

/**
 * What accounts held in each of some epochs: share wei × seconds, by account in lower case. Who held nothing in an epoch is not in it.
 * @param transfers all of the shares', from the first on, in the order of the chain
 * @param epochs one after the other, with or without others between them
 * @throws ProtocolError TRANSFERS_LEFT_OUT where somebody sends what it does not have: some are missing, or not in their order
 */
export function holdingWeights(
  transfers: Iterable<ShareTransfer>,
  epochs: readonly EpochTime[],
): Map<Address, bigint>[] {
  const balances = new Map<Address, bigint>();
  const weights = epochs.map(() => new Map<Address, bigint>());
  let current = 0;
  let isOpen = false;
  /** As if everybody kept to the end of it what it has at its start: transfers say otherwise. */
  const open = ({ start, end }: EpochTime): void => {
    for (const [account, balance] of balances) weights[current]!.set(account, balance * BigInt(end - start));
    isOpen = true;
  };
  const openUntil = (time: number): void => {
    for (; current < epochs.length; current++, isOpen = false) {
      const epoch = epochs[current]!;
      if (!isOpen && epoch.start <= time) open(epoch);
      if (epoch.end > time) return;
    }
  };
  for (const { from, to, amount, time } of transfers) {
    openUntil(time);
    const sides = [
      [from.toLowerCase() as Address, -amount],
      [to.toLowerCase() as Address, amount],
    ] as const;
    for (const [account, change] of sides) {
      if (account === nobody) continue;
      add(balances, account, change);
      if (isOpen) add(weights[current]!, account, change * BigInt(epochs[current]!.end - time));
    }
  }
  openUntil(Number.POSITIVE_INFINITY);
  return weights;
}

/** An epoch's revenue, and who held what in it. */
export interface RevenueEpoch {
  /** What arrived in it, in the token's smallest units. */
  readonly arrived: bigint;
  /** Of `holdingWeights`. */
  readonly weights: ReadonlyMap<Address, bigint>;
}

/** One holder's part of an epoch's revenue. */
export interface RevenuePart {
  readonly account: Address;
  /** Share wei × seconds. */
  readonly weight: bigint;
  /** In the token's smallest units. */
  readonly amount: bigint;
}

const byAccount = (a: { readonly account: string }, b: { readonly account: string }): number =>
  a.account < b.account ? -1 : 1;

/**
 * How an epoch's revenue is divided: each holder gets its part of all weights, rounded down.
 * @param excluded who has no share in revenue, in any case of letters
 * @returns the sum of the weights that count, and the parts above 0 by ascending account
 */
export function revenueParts(
  { arrived, weights }: RevenueEpoch,
  excluded: readonly Address[],
): { readonly weight: bigint; readonly parts: readonly RevenuePart[] } {
  const out = new Set(excluded.map((account) => account.toLowerCase()));
  const eligible = [...weights].filter(([account]) => !out.has(account));
  const whole = eligible.reduce((sum, [, weight]) => sum + weight, 0n);
  const parts = eligible
    .map(([account, weight]) => ({ account, weight, amount: (arrived * weight) / whole }))
    .filter(({ amount }) => amount > 0n)
    .sort(byAccount);
  return { weight: whole, parts };
}

/** Accounts that a root of revenue pays at most, the treasury beside them. */
export const MAX_REVENUE_ACCOUNTS = 16_384;

export interface RevenueTerms {
  /** What the root sets aside: what arrived by its last epoch and no root before it has. */
  readonly available: bigint;
  /** The model's timelock. */
  readonly treasury: Address;
}

/** Greater amounts first, of equal ones the lower account. */
const byAmount = ([a, x]: readonly [string, bigint], [b, y]: readonly [string, bigint]): number =>
  x === y ? (a < b ? -1 : 1) : x > y ? -1 : 1;

/**
 * What a root of revenue pays, by account in lower case: the parts of its epochs. The treasury gets the rest: what rounding leaves, what
 * arrived while nobody held shares that count, what roots before it left, and where there are more accounts than a root pays the
 * smallest amounts.
 * @param epochs parts of each, of `revenueParts`; none is the treasury's
 * @throws ProtocolError REVENUE_ABOVE_AVAILABLE where the parts come to more than the root may set aside
 */
export function revenueShares(
  epochs: readonly (readonly RevenuePart[])[],
  { available, treasury }: RevenueTerms,
): Map<Address, bigint> {
  const sums = new Map<Address, bigint>();
  for (const { account, amount } of epochs.flat()) sums.set(account, (sums.get(account) ?? 0n) + amount);
  const amounts = new Map(
    sums.size > MAX_REVENUE_ACCOUNTS ? [...sums].sort(byAmount).slice(0, MAX_REVENUE_ACCOUNTS) : sums,
  );
  const paid = [...amounts.values()].reduce((sum, amount) => sum + amount, 0n);
  if (paid > available)
    throw new ProtocolError(
      "REVENUE_ABOVE_AVAILABLE",
      `The holders' parts come to ${paid}, and the root may set ${available} aside.`,
    );
  if (paid < available) amounts.set(treasury.toLowerCase() as Address, available - paid);
  return amounts;
}
