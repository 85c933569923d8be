/**
 * CapitalSale: shares that are sold for a model's capital token, an epoch at a time. Emission says where the contract is:
 * `capitalSaleOf`. Prices are in the token's smallest units for a whole share (10^18 wei), amounts in those units.
 */
import { type Address, decodeFunctionResult, erc20Abi, type Hex, zeroAddress } from "viem";
import { capitalSaleAbi, emissionAbi } from "../abis/index.ts";
import { nameOfCode, rewardKind, saleStatus } from "../protocol/codes.ts";
import {
  type Addressed,
  type Call,
  callOf,
  defineRead,
  defineWrite,
  eventOf,
  eventsOf,
  findEvent,
  nothing,
  viewOf,
} from "./action.ts";

/** Where shares of a model are sold. */
export interface SaleArgs {
  /** Address of CapitalSale. */
  readonly sale: Address;
  readonly modelId: Hex;
}

/** One epoch's sale. */
export interface EpochSaleArgs extends SaleArgs {
  readonly epoch: bigint;
}

/** One account in an epoch's sale, whoever sends. */
export interface BuyerArgs extends EpochSaleArgs {
  /** Who gets the shares, or the money back. */
  readonly beneficiary: Address;
}

/** Where a deployment's shares are sold. */
export const capitalSaleOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.emission, emissionAbi, "distributorOf", [rewardKind.capital]),
});

export interface AllowCapitalArgs {
  /** The capital token: `saleBookOf`. */
  readonly token: Address;
  readonly sale: Address;
  /** What the sale may take of the sender's, in place of what it might before. */
  readonly amount: bigint;
}

/** Lets the sale take tokens of the sender's, as a deposit wants it. Tokens that answer nothing serve too. */
export const allowCapital = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ token, sale, amount }: AllowCapitalArgs) => callOf(token, erc20Abi, "approve", [sale, amount]),
  decode: nothing,
  extractEvent: nothing,
});

export interface DepositCapitalArgs extends BuyerArgs {
  /** What is sent: the sale must have an allowance of it. */
  readonly amount: bigint;
}

/**
 * Deposits the sender's tokens in the current epoch, which `epoch` must be; `beneficiary` gets the shares, or the money back.
 * @throws CapitalSaleOtherEpochError where the epoch is over
 * @example
 * const sale = await capitalSaleOf(client, { addresses })
 * const epoch = await epochOf(client, { addresses, modelId, timestamp })
 * await depositCapital.sync(client, { sale, modelId, epoch, beneficiary, amount: 5_000_000n })
 */
export const depositCapital = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ sale, modelId, epoch, beneficiary, amount }: DepositCapitalArgs) =>
    callOf(sale, capitalSaleAbi, "deposit", [modelId, epoch, beneficiary, amount]),
  /** What arrived, which is what counts. */
  decode: (data) => decodeFunctionResult({ abi: capitalSaleAbi, functionName: "deposit", data }),
  extractEvent: (receipt) => eventOf(receipt, capitalSaleAbi, "Deposited"),
});

export interface DepositCapitalWithPermitArgs extends DepositCapitalArgs {
  /** The sender's signature of an ERC-2612 permit for `amount`. */
  readonly permit: { readonly deadline: bigint; readonly v: number; readonly r: Hex; readonly s: Hex };
}

/** Deposits with an allowance that the sender signed, in one transaction. */
export const depositCapitalWithPermit = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ sale, modelId, epoch, beneficiary, amount, permit }: DepositCapitalWithPermitArgs) =>
    callOf(sale, capitalSaleAbi, "depositWithPermit", [modelId, epoch, beneficiary, amount, permit]),
  /** What arrived, which is what counts. */
  decode: (data) => decodeFunctionResult({ abi: capitalSaleAbi, functionName: "depositWithPermit", data }),
  extractEvent: (receipt) => eventOf(receipt, capitalSaleAbi, "Deposited"),
});

/** Settles the oldest epoch that can be; anyone may send. Does nothing where there is none. */
export const settleSale = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ sale, modelId }: SaleArgs) => callOf(sale, capitalSaleAbi, "settle", [modelId]),
  /** The epoch; 0 for none. */
  decode: (data) => decodeFunctionResult({ abi: capitalSaleAbi, functionName: "settle", data }),
  /** Undefined where nothing was settled: there was nothing, or it was too old and is paid back. */
  extractEvent: (receipt) => findEvent(receipt, capitalSaleAbi, "SaleSettled"),
});

/** Sends an account its shares of a settled epoch; anyone may send. @throws CapitalSaleNotSettledError */
export const claimCapital = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ sale, modelId, epoch, beneficiary }: BuyerArgs) =>
    callOf(sale, capitalSaleAbi, "claim", [modelId, epoch, beneficiary]),
  /** The shares, in wei. */
  decode: (data) => decodeFunctionResult({ abi: capitalSaleAbi, functionName: "claim", data }),
  /** Undefined where that was done before, or nothing was deposited. */
  extractEvent: (receipt) => findEvent(receipt, capitalSaleAbi, "SharesClaimed"),
});

export interface RefundArgs extends BuyerArgs {
  /** What the beneficiary must be paid, in the token's smallest units; else nothing is done. 0 if left out. */
  readonly atLeast?: bigint;
}

/**
 * Sends an account its deposits of an epoch that is paid back; anyone may send.
 * @throws CapitalSaleNotRefundableError; CapitalSaleLossError and CapitalSaleTooLittleError where the token took some
 */
export const refundCapital = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ sale, modelId, epoch, beneficiary, atLeast = 0n }: RefundArgs) =>
    callOf(sale, capitalSaleAbi, "refund", [modelId, epoch, beneficiary, atLeast]),
  /** What was sent. */
  decode: (data) => decodeFunctionResult({ abi: capitalSaleAbi, functionName: "refund", data }),
  /** Undefined where that was done before, or nothing was deposited. */
  extractEvent: (receipt) => findEvent(receipt, capitalSaleAbi, "Refunded"),
});

export interface BatchCapitalArgs {
  readonly sale: Address;
  /** `call`s of this module's writes: settlements, claims and refunds of several epochs, say. */
  readonly calls: readonly Pick<Call, "data">[];
}

/** Makes several calls of the sale in one transaction, all of them or none. */
export const batchCapital = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ sale, calls }: BatchCapitalArgs) =>
    callOf(sale, capitalSaleAbi, "multicall", [calls.map(({ data }) => data)]),
  transfers: ({ calls }) => calls.length,
  /** What each call returns, encoded. */
  decode: (data) => decodeFunctionResult({ abi: capitalSaleAbi, functionName: "multicall", data }),
  /** What came of them, event by event. */
  extractEvent: (receipt) => ({
    settled: eventsOf(receipt, capitalSaleAbi, "SaleSettled"),
    expired: eventsOf(receipt, capitalSaleAbi, "SaleExpired"),
    claimed: eventsOf(receipt, capitalSaleAbi, "SharesClaimed"),
    refunded: eventsOf(receipt, capitalSaleAbi, "Refunded"),
  }),
});

export interface SetSaleTermsArgs extends SaleArgs {
  /** `version` of the newest terms, in force or not: `newestSaleTerms`. */
  readonly replaces: number;
  /** What a whole share costs at the least; the model's floor or more. */
  readonly price: bigint;
  /** What an epoch must bring in, else it is paid back. */
  readonly minimum: bigint;
}

/** Sets the terms from the next epoch on; the timelock's to send. @throws CapitalSaleTermsReplacedError where others came meanwhile */
export const setSaleTerms = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ sale, modelId, replaces, price, minimum }: SetSaleTermsArgs) =>
    callOf(sale, capitalSaleAbi, "setTerms", [modelId, replaces, price, minimum]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, capitalSaleAbi, "SaleTermsSet"),
});

/** What is fixed of a model's sale, and what is held for it. */
export interface SaleBook {
  /** The capital token. */
  readonly token: Address;
  /** What a whole share costs at the least, for ever. */
  readonly priceFloor: bigint;
  /** Where deposits lie until they are settled or paid back. */
  readonly vault: Address;
  /** What lies there by the contract's books. */
  readonly held: bigint;
}

/** What is fixed of a model's sale; undefined for a model that sells none. */
export const saleBookOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ sale, modelId }: SaleArgs) => viewOf(sale, capitalSaleAbi, "bookOf", [modelId]),
  present: (book): SaleBook | undefined => (book.token === zeroAddress ? undefined : book),
});

/** The newest terms, of the next epoch if not of the current one already, and their number; all zero for a model that sells none. */
export const newestSaleTerms = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ sale, modelId }: SaleArgs) => viewOf(sale, capitalSaleAbi, "newestTerms", [modelId]),
  present: ([terms, version]) => ({ ...terms, version }),
});

/** Where an epoch's sale stands, as `saleStatus` numbers it. */
export type SaleState = keyof typeof saleStatus;

/** An epoch's sale. */
export interface EpochSale {
  readonly state: SaleState;
  /** What a whole share costs at the least; 0 where the epoch is over and nobody deposited. */
  readonly price: bigint;
  readonly minimum: bigint;
  /** What it brought in. */
  readonly total: bigint;
  /** Shares that were minted for it, in wei; 0 until it is settled. */
  readonly sold: bigint;
}

/** An epoch's sale as it stands. @throws CapitalSaleNoneError for a model that sells none */
export const saleOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ sale, modelId, epoch }: EpochSaleArgs) => viewOf(sale, capitalSaleAbi, "saleOf", [modelId, epoch]),
  present: ({ state, ...rest }): EpochSale => ({ state: nameOfCode(saleStatus, state) ?? "none", ...rest }),
});

/** What was deposited for an account in an epoch, and neither claimed nor paid back. */
export const capitalDepositOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ sale, modelId, epoch, account }: EpochSaleArgs & { readonly account: Address }) =>
    viewOf(sale, capitalSaleAbi, "depositOf", [modelId, epoch, account]),
});

/** Epochs that reached their minimum and were not settled: the oldest (0n for none), and how many. */
export const unsettledSales = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ sale, modelId }: SaleArgs) => viewOf(sale, capitalSaleAbi, "unsettled", [modelId]),
  present: ([oldest, count]) => ({ oldest, count }),
});
