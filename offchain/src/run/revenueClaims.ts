/**
 * What wallets are owed of revenue and were not paid yet, and how they claim it: computed from the chain alone. Amounts are in the
 * smallest units of the model's capital token, which nobody adds to shares.
 */
import { activeRoot, type ClaimLeaf, getAllLogs, revenueLost, unpaidLeaves } from "@cotrain/sdk/actions";
import { type Address, type Hex, rewardKind } from "@cotrain/sdk/protocol";

import type { WalletClient } from "../chain/index.ts";
import { claimLeaves } from "./claims.ts";
import { type Revenue, revenueAt, type RevenuePlace, vaultBalance } from "./revenue.ts";
import { revenueLeaves } from "./revenueShares.ts";

/** What an account is owed of revenue. */
export interface RevenueEarnings {
  /** By all active roots. */
  readonly earned: bigint;
  readonly claimed: bigint;
  readonly claimable: bigint;
  /** What was not paid. */
  readonly leaves: readonly ClaimLeaf[];
}

/** What active roots of revenue owe some accounts. */
export interface RevenueOwed {
  readonly revenue: Revenue;
  /** Numbers of roots that are not what this chain says they should be: such a root was false, and nothing of it is claimed. */
  readonly unsound: readonly number[];
  /** What the vault lacks of what it should hold, since the token took it: until it is there, a claim brings a part, for good. */
  readonly short: bigint;
  readonly of: (account: Address) => Promise<RevenueEarnings>;
}

const kind = rewardKind.revenue;
const sumOf = (leaves: readonly ClaimLeaf[]): bigint => leaves.reduce((sum, { amount }) => sum + amount, 0n);

/** What a model's vault lacks of what it should hold, since the token took it. */
export async function shortOf(place: RevenuePlace, revenue: Revenue): Promise<bigint> {
  const [lies, held] = [await vaultBalance(place, revenue), revenue.book?.held ?? 0n];
  return held > lies ? held - lies : 0n;
}

/**
 * @param accounts of which it is wanted
 * @returns undefined where no root of revenue is active
 * @throws as `revenueLeaves`
 */
export async function revenueOwed(place: RevenuePlace, accounts: readonly Address[]): Promise<RevenueOwed | undefined> {
  const { connection, addresses, modelId } = place;
  if (!(await connection.call((client) => activeRoot(client, { addresses, modelId, kind })))) return undefined;
  const revenue = await revenueAt(place);
  const newest = await connection.call((client) => client.getBlockNumber());
  const { leavesOf, unsound } = await revenueLeaves(place, revenue, accounts, newest);
  return {
    revenue,
    unsound,
    short: await shortOf(place, revenue),
    of: async (account) => {
      const all = leavesOf(account);
      const where = { addresses, modelId, account, kind, leaves: all };
      const leaves = await connection.call((client) => unpaidLeaves(client, where));
      const [earned, claimable] = [sumOf(all), sumOf(leaves)];
      return { earned, claimed: earned - claimable, claimable, leaves };
    },
  };
}

/** @param to who is paid; default the account. @returns what that was paid, less than it was owed where the token took from the vault, and the last transaction */
export async function claimRevenue(
  { connection, addresses, modelId }: RevenuePlace,
  client: WalletClient,
  { revenue }: Pick<Revenue, "revenue">,
  account: Address,
  leaves: readonly ClaimLeaf[],
  to?: Address,
): Promise<{ readonly amount: bigint; readonly transaction: Hex | null }> {
  const before = await connection.call((reader) => reader.getBlockNumber());
  const { amount, transaction } = await claimLeaves(client, { addresses, modelId, account, kind, to }, leaves);
  if (transaction === null) return { amount, transaction };
  const about = revenueLost({ revenue, modelId, account });
  const { logs } = await connection.call((reader) => getAllLogs(reader, about, { from: before + 1n }));
  const lost = logs.reduce((sum, { args }) => sum + args.amount - args.paid, 0n);
  return { amount: amount - lost, transaction };
}
