/**
 * How a root of revenue shares it out (protocol.md, "Revenue"): computed from the chain alone, by validators who sign it and by wallets
 * that claim.
 */
import {
  bootstrapOf,
  type ClaimLeaf,
  computeBudgetContractOf,
  distributorsOf,
  getAllLogs,
  modelContractsOf,
  revenueArrivedThrough,
  revenueAvailable,
  revenueBookOf,
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
  type EpochClock,
  type EpochTime,
  holdingWeights,
  type RevenueInputs,
  revenueParts,
  revenueShares,
  rewardKind,
  type RewardsFile,
  type ShareTransfer,
} from "@cotrain/sdk/protocol";

import { leftOut } from "../chain/index.ts";
import { leavesOf, rewardTreeOf } from "./epochDocuments.ts";
import {
  type ActiveRevenueRoot,
  type EarningEpoch,
  earningEpochs,
  type Revenue,
  type RevenuePlace,
  type RevenueRoot,
  revenueRoots,
} from "./revenue.ts";
import { isNobody } from "./shares.ts";
import { successorsOf } from "./successors.ts";

/** Blocks whose transfers are held at a time. */
const SPAN = 2_000n;
/** Blocks that are asked for at a time. */
const ASKED_AT_ONCE = 16;

/** Times of blocks, each asked for once, unless the node told it with an event. */
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
  const all = async (
    logs: readonly { readonly blockNumber: bigint; readonly blockTimestamp?: bigint | undefined }[],
  ): Promise<void> => {
    // Some nodes say 0 where they do not know it.
    for (const { blockNumber, blockTimestamp } of logs)
      if (blockTimestamp && !times.has(blockNumber)) times.set(blockNumber, Number(blockTimestamp));
    const asked = [...new Set(logs.map(({ blockNumber }) => blockNumber))];
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
    // Anybody may send nothing, as often as they like: no question is asked for that.
    const moved = logs.filter(({ args }) => args.value > 0n);
    await all(moved.filter(({ blockNumber }) => blockNumber >= first));
    for (const { args, blockNumber } of moved) {
      const time = blockNumber < first ? start - 1 : await timeOf(blockNumber);
      transfers.push({ from: asAddress(args.from), to: asAddress(args.to), amount: args.value, time });
    }
  }
  return transfers;
}

/** The protocol's own contracts, and the model's: what lies there is nobody's yet, or everybody's. */
async function excludedFrom(place: RevenuePlace, { revenue }: Pick<Revenue, "revenue">) {
  const { connection, addresses, modelId } = place;
  const [distributors, stakes, bootstrap, contracts, book, budgets, successors] = await Promise.all([
    connection.call((client) => distributorsOf(client, { addresses })),
    connection.call((client) => stakeManagerOf(client, { addresses })),
    connection.call((client) => bootstrapOf(client, { addresses })),
    connection.call((client) => modelContractsOf(client, { addresses, modelId })),
    connection.call((client) => revenueBookOf(client, { revenue, modelId })),
    connection.call((client) => computeBudgetContractOf(client, { addresses })),
    successorsOf(place),
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
    budgets,
    shares,
    governor,
    timelock,
    ...[sold?.vault, book?.vault].filter((vault) => vault !== undefined),
  ].map((account) => asAddress(account));
  return {
    shares: asAddress(shares),
    treasury: asAddress(timelock),
    /** Of an epoch that ends then: who distributes from a time before that is one of them from then on. */
    excludedBy: (end: number): Address[] => {
      const named = successors.filter(({ from }) => from < end).map(({ account }) => account);
      return [...new Set([...all, ...named])].filter((account) => !isNobody(account)).toSorted();
    },
  };
}

export interface RevenueComputation {
  readonly inputs: RevenueInputs;
  readonly rewards: RewardsFile;
  readonly total: bigint;
}

/** What several roots are computed from, read once for all of them. */
interface RevenueHistory {
  readonly who: Awaited<ReturnType<typeof excludedFrom>>;
  readonly clock: EpochClock;
  readonly epochs: readonly (EarningEpoch & EpochTime)[];
  readonly transfers: readonly ShareTransfer[];
}

/** Of the epochs from one to another, up to a block. */
async function historyOf(
  place: RevenuePlace,
  at: Pick<Revenue, "revenue">,
  { fromEpoch, toEpoch }: Pick<RevenueRoot, "fromEpoch" | "toEpoch">,
  toBlock: bigint,
): Promise<RevenueHistory> {
  const { connection, addresses, modelId } = place;
  const [clock, who, known] = await Promise.all([
    connection.call((client) => scheduleOf(client, { addresses, modelId })),
    excludedFrom(place, at),
    earningEpochs(place, at, toBlock),
  ]);
  const epochs = known
    .filter(({ epoch }) => epoch >= fromEpoch && epoch <= toEpoch)
    .map((each) => ({
      ...each,
      start: endOfEpoch(clock, each.epoch - 1),
      end: endOfEpoch(clock, each.epoch),
    }));
  const [first, last] = [epochs[0], epochs.at(-1)];
  const span = first && last && { start: first.start, end: last.end };
  const transfers = span ? await transfersBefore({ ...place, ...who }, span, toBlock) : [];
  return { who, clock, epochs, transfers };
}

/** @throws RetryableError `CHAIN_RPC` where somebody sends what it has not */
function weightsOf(transfers: readonly ShareTransfer[], epochs: readonly EpochTime[]) {
  try {
    return holdingWeights(transfers, epochs);
  } catch (error) {
    if (error instanceof ProtocolError && error.code === "TRANSFERS_LEFT_OUT") throw leftOut();
    throw error;
  }
}

/**
 * What a root of revenue pays: a function of the chain up to the end of its last epoch, which must be over.
 * @param toBlock the newest block that is believed
 * @param history where it was read already, of these epochs at the least
 * @returns undefined where nothing arrived that a root before it has not set aside
 * @throws RetryableError `CHAIN_RPC` where the node leaves deposits or transfers out
 */
export async function computeRevenue(
  place: RevenuePlace,
  at: Pick<Revenue, "revenue" | "token">,
  { index, fromEpoch, toEpoch, total }: RevenueRoot,
  toBlock: bigint,
  history?: RevenueHistory,
): Promise<RevenueComputation | undefined> {
  const { connection, modelId } = place;
  const { revenue } = at;
  const through = (epoch: number) =>
    connection.call((client) => revenueArrivedThrough(client, { revenue, modelId, epoch: BigInt(epoch) }));
  const available =
    total ?? (await connection.call((client) => revenueAvailable(client, { revenue, modelId, to: BigInt(toEpoch) })));
  if (available === 0n) return undefined;
  const [read, before, after] = await Promise.all([
    history ?? historyOf(place, at, { fromEpoch, toEpoch }, toBlock),
    through(fromEpoch - 1),
    through(toEpoch),
  ]);
  const { who, clock, transfers } = read;
  const excluded = who.excludedBy(endOfEpoch(clock, toEpoch));
  const covered = read.epochs.filter(({ epoch }) => epoch >= fromEpoch && epoch <= toEpoch);
  if (covered.reduce((sum, { arrived }) => sum + arrived, 0n) !== after - before) throw leftOut();
  const weights = weightsOf(transfers, covered);
  const epochs = covered.map((each, i) => ({
    ...each,
    ...revenueParts({ arrived: each.arrived, weights: weights[i]! }, excluded),
  }));
  const { treasury } = who;
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
  history: RevenueHistory,
) {
  try {
    const found = await computeRevenue(place, at, root, toBlock, history);
    return found && rewardTreeOf(found.rewards);
  } catch (error) {
    if (error instanceof ProtocolError && error.code === "REVENUE_ABOVE_AVAILABLE") return undefined;
    throw error;
  }
}

/** What a wallet can claim of revenue. */
interface RevenueLeaves {
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
  const roots = await revenueRoots(place);
  const history = await historyOf(place, at, { fromEpoch: 1, toEpoch: roots.at(-1)?.toEpoch ?? 0 }, toBlock);
  for (const root of roots) {
    const tree = await treeOf(place, at, root, toBlock, history);
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
