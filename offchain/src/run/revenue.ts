/** A model's revenue, as the chain tells it: what arrived in which epoch, and what roots have set aside. */
import {
  activeRoot,
  countRevenue,
  depositRevenue,
  getAllLogs,
  type RevenueBook,
  revenueBookOf,
  revenueDeposited,
  revenueVaultAt,
  rootActivated,
  saleBookOf,
  scheduleOf,
} from "@cotrain/sdk/actions";
import { type Address, asAddress, epochAt, type Hex, rewardKind } from "@cotrain/sdk/protocol";
import { erc20Abi } from "viem";

import { RetryableError, UserError } from "../base/index.ts";
import { leftOut, type WalletClient } from "../chain/index.ts";
import { type CapitalPlace, type CapitalToken, tokenAt } from "./capital.ts";
import { contractAt } from "./contracts.ts";
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

/**
 * What RevenueDeposits says of the model. Whoever only sends tokens sends them to the vault: whose that is no RPC decides.
 * @throws RetryableError `CHAIN_RPC` where the RPC names another than the deployment that is pinned makes
 */
async function bookAt({ connection, modelId, pins }: RevenuePlace, revenue: Address): Promise<RevenueBook | undefined> {
  const book = await connection.call((client) => revenueBookOf(client, { revenue, modelId }));
  if (pins === undefined || book === undefined) return book;
  const [said, pinned] = [asAddress(book.vault), asAddress(revenueVaultAt({ revenue, modelId }))];
  if (said === pinned) return book;
  throw new RetryableError(
    "CHAIN_RPC",
    `The chain's RPC says that the model's revenue is kept at ${said}, and the deployment that is pinned makes ${pinned}: it lies; name another with --rpc.`,
    { details: { what: "vault", said, pinned } },
  );
}

/** @throws UserError `REVENUE_NONE` where the model has no capital token; RetryableError as {@link bookAt} */
export async function revenueAt(place: RevenuePlace): Promise<Revenue> {
  const { connection, addresses, modelId } = place;
  const [sale, revenue, schedule, block] = await Promise.all([
    contractAt(place, "capitalSale"),
    contractAt(place, "revenueDeposits"),
    connection.call((client) => scheduleOf(client, { addresses, modelId })),
    connection.call((client) => client.getBlock()),
  ]);
  const sold = isNobody(sale) ? undefined : await connection.call((client) => saleBookOf(client, { sale, modelId }));
  if (!sold)
    throw new UserError("REVENUE_NONE", "This model takes no revenue: it was created without a capital token.");
  const now = Number(block.timestamp);
  return {
    revenue,
    book: await bookAt(place, revenue),
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

/** What lies in a model's vault, whatever RevenueDeposits counted. */
export async function vaultBalance(
  { connection }: Pick<RevenuePlace, "connection">,
  { book, token }: Pick<Revenue, "book" | "token">,
): Promise<bigint> {
  if (book === undefined) return 0n;
  const at = { address: token.address, abi: erc20Abi, functionName: "balanceOf", args: [book.vault] } as const;
  return connection.call((client) => client.readContract(at));
}

/** What was sent to the vault by itself, which is no revenue before it is counted. */
export async function uncountedAt(
  place: Pick<RevenuePlace, "connection">,
  revenue: Pick<Revenue, "book" | "token">,
): Promise<bigint> {
  const [lies, held] = [await vaultBalance(place, revenue), revenue.book?.held ?? 0n];
  // A token may take from a vault, too.
  return lies > held ? lies - held : 0n;
}

/** Counts it, and opens the vault where there is none; anybody may. @throws as `countRevenue` */
export async function countPaid(
  place: RevenuePlace,
  client: WalletClient,
  { revenue }: Pick<Revenue, "revenue">,
): Promise<{ readonly counted: bigint; readonly transaction: Hex; readonly vault: Address | null }> {
  const { modelId } = place;
  await countRevenue.simulate(client, { revenue, modelId });
  const { event, receipt } = await countRevenue.sync(client, { revenue, modelId });
  const book = await bookAt(place, revenue);
  return {
    counted: event?.amount ?? 0n,
    transaction: receipt.transactionHash,
    vault: book === undefined ? null : asAddress(book.vault),
  };
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
