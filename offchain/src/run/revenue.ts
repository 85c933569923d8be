/**
 * A model's revenue, as the chain tells it: what arrived in which epoch, what roots have set aside, and how the next root shares out
 * the rest (protocol.md, "Revenue"). All of it follows from the chain alone.
 */
import {
  activeRoot,
  bootstrapOf,
  capitalSaleOf,
  type ClaimLeaf,
  depositRevenue,
  distributorsOf,
  getAllLogs,
  modelContractsOf,
  revenueArrivedThrough,
  revenueAvailable,
  type RevenueBook,
  revenueBookOf,
  revenueDeposited,
  revenueDepositsOf,
  rootActivated,
  saleBookOf,
  scheduleOf,
  sharesTransferred,
  stakeManagerOf,
} from "@cotrain/sdk/actions";
import { ProtocolError } from "@cotrain/sdk/errors";
import {
  type Address,
  asAddress,
  endOfEpoch,
  epochAt,
  type Hex,
  holdingWeights,
  type RevenueInputs,
  revenueParts,
  revenueShares,
  rewardKind,
  type RewardsFile,
  type ShareTransfer,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { leftOut, type WalletClient } from "../chain/index.ts";
import { type CapitalPlace, type CapitalToken, tokenAt } from "./capital.ts";
import { leavesOf, rewardTreeOf } from "./epochDocuments.ts";
import { isNobody } from "./shares.ts";

/** Where a model's revenue is looked for. */
export type RevenuePlace = CapitalPlace;

export interface Revenue {
  /** RevenueDeposits. */
  readonly revenue: Address;
  /** Undefined before anything arrived. */
  readonly book: RevenueBook | undefined;
  readonly token: CapitalToken;
  /** Time of the newest block, s. */
  readonly now: number;
  /** The epoch of that time. */
  readonly epoch: number;
}

/** @throws UserError `REVENUE_NONE` where the model has no capital token */
export async function revenueAt(place: RevenuePlace): Promise<Revenue> {
  const { connection, addresses, modelId } = place;
  const [sale, revenue, schedule, block] = await Promise.all([
    connection.call((client) => capitalSaleOf(client, { addresses })),
    connection.call((client) => revenueDepositsOf(client, { addresses })),
    connection.call((client) => scheduleOf(client, { addresses, modelId })),
    connection.call((client) => client.getBlock()),
  ]);
  const sold = isNobody(asAddress(sale))
    ? undefined
    : await connection.call((client) => saleBookOf(client, { sale, modelId }));
  if (!sold)
    throw new UserError("REVENUE_NONE", "This model takes no revenue: it was created without a capital token.");
  const now = Number(block.timestamp);
  return {
    revenue: asAddress(revenue),
    book: await connection.call((client) => revenueBookOf(client, { revenue, modelId })),
    token: await tokenAt(place, asAddress(sold.token)),
    now,
    epoch: epochAt(schedule, now),
  };
}

/** Pays revenue, which RevenueDeposits may take: `prepareDeposit`. @throws as `depositRevenue` */
export async function payRevenue(
  { modelId }: RevenuePlace,
  client: WalletClient,
  { revenue }: Pick<Revenue, "revenue">,
  amount: bigint,
) {
  const deposit = { revenue, modelId, amount };
  await depositRevenue.simulate(client, deposit);
  return depositRevenue.sync(client, deposit);
}

/** What arrived in an epoch. */
export interface EarningEpoch {
  readonly epoch: number;
  readonly arrived: bigint;
  readonly deposits: number;
}

/**
 * Epochs in which revenue arrived, oldest first.
 * @param toBlock of which and before
 * @throws RetryableError `CHAIN_RPC` where the node leaves deposits out
 */
export async function earningEpochs(
  { connection, fromBlock, modelId }: RevenuePlace,
  { revenue }: Pick<Revenue, "revenue">,
  toBlock: bigint,
): Promise<EarningEpoch[]> {
  const { logs } = await connection.call((client) =>
    getAllLogs(client, revenueDeposited({ revenue, modelId }), { from: BigInt(fromBlock), to: toBlock }),
  );
  const epochs = new Map<number, EarningEpoch>();
  for (const { args } of logs) {
    const epoch = Number(args.epoch);
    const before = epochs.get(epoch);
    const arrived = (before?.arrived ?? 0n) + args.amount;
    epochs.set(epoch, { epoch, arrived, deposits: (before?.deposits ?? 0) + 1 });
  }
  return [...epochs.values()].toSorted((a, b) => a.epoch - b.epoch);
}

/** Which root it is to be, or is. */
export interface RevenueRoot {
  /** Its number. */
  readonly index: number;
  readonly fromEpoch: number;
  readonly toEpoch: number;
  /** What it sets aside; all that is there if not said. */
  readonly total?: bigint;
}

/** A root of revenue that is active. */
export interface ActiveRevenueRoot extends RevenueRoot {
  readonly root: Hex;
  readonly total: bigint;
}

/** All of them, by rising number. @throws RetryableError `CHAIN_RPC` where the node leaves some out */
export async function revenueRoots({ connection, addresses, fromBlock, modelId }: RevenuePlace) {
  const kind = rewardKind.revenue;
  const [active, { logs }] = await Promise.all([
    connection.call((client) => activeRoot(client, { addresses, modelId, kind })),
    connection.call((client) =>
      getAllLogs(client, rootActivated({ addresses, modelId, kind }), { from: BigInt(fromBlock) }),
    ),
  ]);
  const roots = logs.map(({ args }): ActiveRevenueRoot => ({
    index: Number(args.index),
    root: args.root,
    total: args.total,
    fromEpoch: Number(args.fromEpoch),
    toEpoch: Number(args.toEpoch),
  }));
  if (roots.length < (active?.index ?? 0) || roots.some(({ index }, i) => index !== i + 1)) throw leftOut();
  return roots;
}

/** Blocks whose transfers are held at a time. */
const SPAN = 2_000n;
/** Blocks that are asked for at a time. */
const ASKED_AT_ONCE = 16;

/** Times of blocks, each read once. */
function blockTimes({ connection }: Pick<RevenuePlace, "connection">) {
  const times = new Map<bigint, number>();
  const timeOf = async (blockNumber: bigint): Promise<number> => {
    const known = times.get(blockNumber);
    if (known !== undefined) return known;
    const { timestamp } = await connection.call((client) => client.getBlock({ blockNumber }));
    times.set(blockNumber, Number(timestamp));
    return Number(timestamp);
  };
  /** The first block of a time or later, between two. @returns `high` where there is none below it */
  const firstFrom = async (time: number, low: bigint, high: bigint): Promise<bigint> => {
    let [from, to] = [low, high];
    while (from < to) {
      const middle = (from + to) / 2n;
      if ((await timeOf(middle)) < time) from = middle + 1n;
      else to = middle;
    }
    return from;
  };
  const all = async (blocks: readonly bigint[]): Promise<void> => {
    const asked = [...new Set(blocks)];
    for (let at = 0; at < asked.length; at += ASKED_AT_ONCE)
      await Promise.all(asked.slice(at, at + ASKED_AT_ONCE).map(timeOf));
  };
  return { timeOf, firstFrom, all };
}

/** All transfers of a model's shares before a time, in the order of the chain; of those before `start` only the order counts. */
async function transfersBefore(
  { connection, fromBlock, shares }: RevenuePlace & { readonly shares: Address },
  { start, end }: { readonly start: number; readonly end: number },
  toBlock: bigint,
): Promise<ShareTransfer[]> {
  const { timeOf, firstFrom, all } = blockTimes({ connection });
  const lowest = BigInt(fromBlock);
  const first = await firstFrom(start, lowest, toBlock + 1n);
  const last = (await firstFrom(end, first, toBlock + 1n)) - 1n;
  const transfers: ShareTransfer[] = [];
  for (let from = lowest; from <= last; from += SPAN) {
    const to = from + SPAN - 1n < last ? from + SPAN - 1n : last;
    const { logs } = await connection.call((client) => getAllLogs(client, sharesTransferred({ shares }), { from, to }));
    await all(logs.map(({ blockNumber }) => blockNumber).filter((number) => number >= first));
    for (const { args, blockNumber } of logs) {
      // Anybody may send nothing, as often as they like.
      if (args.value === 0n) continue;
      const time = blockNumber < first ? start - 1 : await timeOf(blockNumber);
      transfers.push({ from: asAddress(args.from), to: asAddress(args.to), amount: args.value, time });
    }
  }
  return transfers;
}

/** The protocol's own contracts, and the model's: what lies there is nobody's yet, or everybody's. */
async function excludedFrom({ connection, addresses, modelId }: RevenuePlace, { revenue }: Pick<Revenue, "revenue">) {
  const [distributors, stakes, bootstrap, contracts, book] = await Promise.all([
    connection.call((client) => distributorsOf(client, { addresses })),
    connection.call((client) => stakeManagerOf(client, { addresses })),
    connection.call((client) => bootstrapOf(client, { addresses })),
    connection.call((client) => modelContractsOf(client, { addresses, modelId })),
    connection.call((client) => revenueBookOf(client, { revenue, modelId })),
  ]);
  const sale = distributors.capitalSale;
  const sold = sale && (await connection.call((client) => saleBookOf(client, { sale, modelId })));
  const { shares, governor, timelock } = contracts;
  const all = [
    ...Object.values(addresses),
    ...Object.values(distributors),
    revenue,
    stakes,
    bootstrap,
    shares,
    governor,
    timelock,
    ...[sold?.vault, book?.vault].filter((vault) => vault !== undefined),
  ].map((account) => asAddress(account));
  return {
    shares: asAddress(shares),
    treasury: asAddress(timelock),
    excluded: [...new Set(all)].filter((account) => !isNobody(account)).toSorted(),
  };
}

export interface RevenueComputation {
  readonly inputs: RevenueInputs;
  readonly rewards: RewardsFile;
  readonly total: bigint;
}

/**
 * What a root of revenue pays: a function of the chain up to the end of its last epoch, which must be over.
 * @param toBlock the newest block that is believed
 * @returns undefined where nothing arrived that a root before it has not set aside
 * @throws RetryableError `CHAIN_RPC` where the node leaves deposits or transfers out
 */
export async function computeRevenue(
  place: RevenuePlace,
  at: Pick<Revenue, "revenue" | "token">,
  { index, fromEpoch, toEpoch, total }: RevenueRoot,
  toBlock: bigint,
): Promise<RevenueComputation | undefined> {
  const { connection, addresses, modelId } = place;
  const { revenue } = at;
  const through = (epoch: number) =>
    connection.call((client) => revenueArrivedThrough(client, { revenue, modelId, epoch: BigInt(epoch) }));
  const available =
    total ?? (await connection.call((client) => revenueAvailable(client, { revenue, modelId, to: BigInt(toEpoch) })));
  if (available === 0n) return undefined;
  const [schedule, who, known, before, after] = await Promise.all([
    connection.call((client) => scheduleOf(client, { addresses, modelId })),
    excludedFrom(place, at),
    earningEpochs(place, at, toBlock),
    through(fromEpoch - 1),
    through(toEpoch),
  ]);
  const covered = known.filter(({ epoch }) => epoch >= fromEpoch && epoch <= toEpoch);
  if (covered.reduce((sum, { arrived }) => sum + arrived, 0n) !== after - before) throw leftOut();
  const times = covered.map(({ epoch }) => ({
    start: endOfEpoch(schedule, epoch - 1),
    end: endOfEpoch(schedule, epoch),
  }));
  const [first, last] = [times[0], times.at(-1)];
  const transfers =
    first && last ? await transfersBefore({ ...place, ...who }, { start: first.start, end: last.end }, toBlock) : [];
  const weights = holdingWeights(transfers, times);
  const epochs = covered.map(({ epoch, arrived }, i) => ({
    epoch,
    arrived,
    ...times[i]!,
    ...revenueParts({ arrived, weights: weights[i]! }, who.excluded),
  }));
  const { excluded, treasury } = who;
  const leaves = leavesOf(
    revenueShares(
      epochs.map(({ parts }) => parts),
      { available, treasury },
    ),
  );
  const inputs: RevenueInputs = {
    version: 1,
    modelId,
    token: asAddress(at.token.address),
    treasury,
    excluded,
    available: available.toString(),
    epochs: epochs.map(({ epoch, start, end, arrived, weight, parts }) => ({
      epoch,
      start,
      end,
      arrived: arrived.toString(),
      weight: weight.toString(),
      holders: parts.map((part) => ({
        account: part.account,
        weight: part.weight.toString(),
        amount: part.amount.toString(),
      })),
    })),
  };
  const rewards: RewardsFile = { version: 1, modelId, kind: rewardKind.revenue, index, leaves };
  return { inputs, rewards, total: available };
}

/** The tree that an active root should have; undefined where it sets aside less than it should pay, or pays for nothing. */
async function treeOf(
  place: RevenuePlace,
  at: Pick<Revenue, "revenue" | "token">,
  root: ActiveRevenueRoot,
  toBlock: bigint,
) {
  try {
    const found = await computeRevenue(place, at, root, toBlock);
    return found && rewardTreeOf(found.rewards);
  } catch (error) {
    if (error instanceof ProtocolError && error.code === "REVENUE_ABOVE_AVAILABLE") return undefined;
    throw error;
  }
}

/** What a wallet can claim of revenue. */
export interface RevenueLeaves {
  /** By account, in lower case. */
  readonly leavesOf: (account: Address) => readonly ClaimLeaf[];
  /** Numbers of roots that are not what this chain says they should be: such a root was false. */
  readonly unsound: readonly number[];
}

/**
 * What the active roots of revenue pay these accounts, paid or not. No document is needed: each root is computed anew from the chain.
 * @throws as `computeRevenue`
 */
export async function revenueLeaves(
  place: RevenuePlace,
  at: Pick<Revenue, "revenue" | "token">,
  accounts: readonly Address[],
  toBlock: bigint,
): Promise<RevenueLeaves> {
  const leaves = new Map<Address, ClaimLeaf[]>(accounts.map((account) => [asAddress(account), []]));
  const unsound: number[] = [];
  for (const root of await revenueRoots(place)) {
    const tree = await treeOf(place, at, root, toBlock);
    if (tree?.root !== root.root) {
      unsound.push(root.index);
      continue;
    }
    for (const [account, own] of leaves) {
      const proven = tree.proofOf(account);
      if (proven) own.push({ index: root.index, ...proven });
    }
  }
  return { leavesOf: (account) => leaves.get(asAddress(account)) ?? [], unsound };
}
