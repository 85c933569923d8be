/**
 * Shares that are sold for a model's capital token, as the chain tells it: what the sale is, and how each epoch's stands for whom.
 * Amounts of the token are shown by its own decimals, which are its word alone: what is decided is in its smallest units.
 */
import {
  budgetOf,
  capitalDeposited,
  capitalDepositOf,
  capitalRefunded,
  type EpochSale,
  epochEnd,
  epochOf,
  getAllLogs,
  saleBookOf,
  type SaleBook,
  saleOf,
} from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import {
  decodeFunctionResult,
  encodeFunctionData,
  erc20Abi,
  formatUnits,
  getAddress,
  type Hex,
  parseUnits,
  type PublicClient,
} from "viem";

import { UserError } from "../base/index.ts";
import { saysReverted } from "../chain/index.ts";
import { contractAt, type ContractsPlace } from "./contracts.ts";
import { isNobody } from "./shares.ts";

/** Where a model's sale is looked for. */
export interface CapitalPlace extends ContractsPlace {
  /** Block at or before the contract's first. */
  readonly fromBlock: number;
}

/** The capital token, as it names itself. */
export interface CapitalToken {
  readonly address: Address;
  /** Its symbol if that is plain, else its address. */
  readonly symbol: string;
  readonly decimals: number;
}

/** A model's sale, and the time at which it was looked at. */
export interface CapitalSale {
  readonly sale: Address;
  readonly book: SaleBook;
  readonly token: CapitalToken;
  /** Time of the newest block, s. */
  readonly now: number;
  /** The epoch of that time. */
  readonly epoch: bigint;
}

/** Decimals that a token may have here: more digits than any amount has are shown by none. */
const MOST_DECIMALS = 36;

/** What a token says of itself; undefined where it says nothing of the kind. @throws what the RPC does, silence included */
async function saidBy(
  client: Pick<PublicClient, "call">,
  to: Address,
  functionName: "symbol" | "decimals",
): Promise<string | number | undefined> {
  let data: Hex | undefined;
  try {
    ({ data } = await client.call({ to, data: encodeFunctionData({ abi: erc20Abi, functionName }) }));
  } catch (error) {
    if (saysReverted(error)) return undefined;
    throw error;
  }
  try {
    return decodeFunctionResult({ abi: erc20Abi, functionName, data: data ?? "0x" });
  } catch {
    return undefined;
  }
}

/**
 * Decimals by which a token shows its amounts, as it says itself; 0 where it says none, or too many.
 * @throws what the RPC does, silence included: amounts would be read a million times too large
 */
export async function decimalsOf(client: Pick<PublicClient, "call">, address: Address): Promise<number> {
  const decimals = await saidBy(client, address, "decimals");
  return typeof decimals === "number" && decimals <= MOST_DECIMALS ? decimals : 0;
}

/** Any token, as it names itself. @throws what the RPC does */
export async function tokenAt(
  { connection }: Pick<CapitalPlace, "connection">,
  address: Address,
): Promise<CapitalToken> {
  const [said, decimals] = await connection.call((client) =>
    Promise.all([saidBy(client, address, "symbol"), decimalsOf(client, address)]),
  );
  const symbol = String(said ?? "");
  // Whoever made the token wrote it: it must not look like anything else that is said here.
  return { address, symbol: /^[A-Za-z][\w.]{0,11}$/.test(symbol) ? symbol : getAddress(address), decimals };
}

/**
 * A contract that a model may be paid in: one that says how it shows its amounts, since a price is meant by that.
 * @throws UserError `CAPITAL_TOKEN`; what the RPC does
 */
export async function requireToken(place: Pick<CapitalPlace, "connection">, address: Address): Promise<CapitalToken> {
  const decimals = await place.connection.call((client) => saidBy(client, address, "decimals"));
  const token = await tokenAt(place, address);
  if (decimals !== undefined && Number(decimals) === token.decimals) return token;
  throw new UserError(
    "CAPITAL_TOKEN",
    `${getAddress(address)} tells no decimals, or more than ${MOST_DECIMALS}, on this chain: a model is paid in an ERC-20 token that tells them, such as USDC.`,
  );
}

/** A model's sale; its book is undefined where the deployment or the model sells no shares. */
async function bookAt(place: CapitalPlace) {
  const { connection, modelId } = place;
  const sale = await contractAt(place, "capitalSale");
  const book = isNobody(sale) ? undefined : await connection.call((client) => saleBookOf(client, { sale, modelId }));
  return { sale, book };
}

/** What a model's shares are sold for; undefined where they are not sold. */
export async function capitalTokenAt(place: CapitalPlace): Promise<CapitalToken | undefined> {
  const { book } = await bookAt(place);
  return book && tokenAt(place, asAddress(book.token));
}

/** @throws UserError `CAPITAL_UNSOLD` where the deployment or the model sells no shares */
export async function capitalAt(place: CapitalPlace): Promise<CapitalSale> {
  const { connection, addresses, modelId } = place;
  const { sale, book } = await bookAt(place);
  if (!book)
    throw new UserError("CAPITAL_UNSOLD", "This model sells no shares: it was created without a capital token.");
  const token = await tokenAt(place, asAddress(book.token));
  const now = Number((await connection.call((client) => client.getBlock())).timestamp);
  const epoch = await connection.call((client) => epochOf(client, { addresses, modelId, timestamp: now }));
  return { sale, book, token, now, epoch };
}

/** "1.5 TESTUSD", to the last unit. */
export const tokenText = (amount: bigint, { symbol, decimals }: CapitalToken): string =>
  `${formatUnits(amount, decimals)} ${symbol}`;

/** An amount as a user writes it, in the token's smallest units. @throws UserError `CAPITAL_AMOUNT` */
export function tokenAmount(text: string, { symbol, decimals }: CapitalToken): bigint {
  const [, fraction = ""] = text.split(".");
  if (/^\d{1,30}(\.\d+)?$/.test(text) && fraction.length <= decimals) {
    const amount = parseUnits(text, decimals);
    if (amount > 0n) return amount;
  }
  throw new UserError(
    "CAPITAL_AMOUNT",
    `An amount of ${symbol} is a number above 0 with at most ${decimals} decimals, such as 12, not ${JSON.stringify(text.slice(0, 100))}.`,
  );
}

/** One epoch's sale, with what accounts have in it. */
export interface SoldEpoch extends EpochSale {
  readonly epoch: bigint;
  /** When it is over, chain seconds. */
  readonly end: number;
  /** What it sells at the most, in wei of shares. */
  readonly forSale: bigint;
  /** What was deposited for accounts and neither claimed nor paid back, those with nothing left out. */
  readonly deposits: readonly { readonly account: Address; readonly amount: bigint }[];
}

/** Wei of a whole share, which prices are for. */
const SHARE = 10n ** 18n;

/** What a whole share costs where an epoch brings in `total`, in the token's smallest units, rounded up. */
export function shareCost({ price, forSale }: Pick<SoldEpoch, "price" | "forSale">, total: bigint): bigint {
  const shared = forSale === 0n ? 0n : (total * SHARE + forSale - 1n) / forSale;
  return shared > price ? shared : price;
}

/** An epoch as it stands. @param accounts whose deposits are wanted */
export async function soldEpoch(
  { connection, addresses, modelId }: CapitalPlace,
  { sale }: CapitalSale,
  epoch: bigint,
  accounts: readonly Address[],
): Promise<SoldEpoch> {
  const [stands, end, { perEpoch, capitalBps }, amounts] = await Promise.all([
    connection.call((client) => saleOf(client, { sale, modelId, epoch })),
    connection.call((client) => epochEnd(client, { addresses, modelId, epoch })),
    connection.call((client) => budgetOf(client, { addresses, modelId, epoch })),
    Promise.all(
      accounts.map((account) =>
        connection.call((client) => capitalDepositOf(client, { sale, modelId, epoch, account })),
      ),
    ),
  ]);
  const deposits = accounts.map((account, i) => ({ account, amount: amounts[i] ?? 0n }));
  const forSale = (perEpoch * BigInt(capitalBps)) / 10_000n;
  return { ...stands, epoch, end, forSale, deposits: deposits.filter(({ amount }) => amount > 0n) };
}

/**
 * Failed epochs whose deposits all were fetched back, by whomever.
 * @param epochs those that are asked about
 */
export async function fetchedBack(
  { connection, modelId, fromBlock }: CapitalPlace,
  { sale }: CapitalSale,
  epochs: readonly Pick<SoldEpoch, "epoch" | "state" | "total">[],
): Promise<ReadonlySet<bigint>> {
  const failed = epochs.filter(({ state }) => state === "failed");
  if (failed.length === 0) return new Set();
  const query = capitalRefunded({ sale, modelId });
  const { logs } = await connection.call((client) => getAllLogs(client, query, { from: BigInt(fromBlock) }));
  const fetched = new Map<bigint, bigint>();
  for (const { args } of logs) fetched.set(args.epoch, (fetched.get(args.epoch) ?? 0n) + args.deposit);
  return new Set(failed.filter(({ epoch, total }) => fetched.get(epoch) === total).map(({ epoch }) => epoch));
}

/** Times that the present epoch is read, where one after the other is over meanwhile. */
const MOST_READS = 4;

/** The epoch that lasts, as it stands. @param accounts whose deposits are wanted */
export async function presentSale(
  place: CapitalPlace,
  accounts: readonly Address[],
): Promise<{ readonly capital: CapitalSale; readonly found: SoldEpoch }> {
  for (let read = 1; ; read++) {
    const capital = await capitalAt(place);
    const found = await soldEpoch(place, capital, capital.epoch, accounts);
    // It ended since, and nobody had deposited: such an epoch has no terms any more.
    if (found.price !== 0n || read === MOST_READS) return { capital, found };
  }
}

/**
 * Epochs in which somebody deposited, oldest first.
 * @param accounts whose deposits are wanted
 * @param options.ofThese only epochs in which one of these accounts ever was deposited for
 */
export async function soldEpochs(
  place: CapitalPlace,
  capital: CapitalSale,
  accounts: readonly Address[],
  { ofThese = false }: { readonly ofThese?: boolean } = {},
): Promise<SoldEpoch[]> {
  const { connection, modelId, fromBlock } = place;
  if (ofThese && accounts.length === 0) return [];
  const query = capitalDeposited({ sale: capital.sale, modelId, ...(ofThese && { account: accounts }) });
  const { logs } = await connection.call((client) => getAllLogs(client, query, { from: BigInt(fromBlock) }));
  const epochs = [...new Set(logs.map(({ args }) => args.epoch))].sort((a, b) => (a < b ? -1 : 1));
  const found: SoldEpoch[] = [];
  for (const epoch of epochs) found.push(await soldEpoch(place, capital, epoch, accounts));
  return found;
}
