/**
 * RevenueDeposits: a model's revenue, in its capital token, and what of it roots have set aside. ComputeRewards says where the
 * contract is: `revenueDepositsOf`; it posts, disputes and pays roots of revenue as those of compute, by the actions that take a
 * `kind`. Amounts are in the token's smallest units.
 */
import { type Address, decodeFunctionResult, erc20Abi, getContractAddress, type Hex, zeroAddress } from "viem";
import { computeRewardsAbi, revenueDepositsAbi, tokenVaultCodeHash } from "../abis/index.ts";
import { type Addressed, callOf, defineRead, defineWrite, eventOf, findEvent, nothing, viewOf } from "./action.ts";

/** Where a model's revenue arrives. */
export interface RevenueArgs {
  /** Address of RevenueDeposits. */
  readonly revenue: Address;
  readonly modelId: Hex;
}

/** Where a deployment's revenue arrives. */
export const revenueDepositsOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.computeRewards, computeRewardsAbi, "revenueDeposits", []),
});

/**
 * Where a model's revenue is kept, or would be: it follows from RevenueDeposits' address and the model's id (CREATE2, EIP-1014), so that
 * nobody is asked whom tokens are sent to.
 */
export const revenueVaultAt = ({ revenue, modelId }: RevenueArgs): Address =>
  getContractAddress({ opcode: "CREATE2", from: revenue, salt: modelId, bytecodeHash: tokenVaultCodeHash });

export interface AllowRevenueArgs {
  /** The model's capital token: `saleBookOf`. */
  readonly token: Address;
  readonly revenue: Address;
  /** What may be taken of the sender's, in place of what might before. */
  readonly amount: bigint;
}

/** Lets RevenueDeposits take tokens of the sender's, as a deposit wants it. Tokens that answer nothing serve too. */
export const allowRevenue = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ token, revenue, amount }: AllowRevenueArgs) => callOf(token, erc20Abi, "approve", [revenue, amount]),
  decode: nothing,
  extractEvent: nothing,
});

export interface DepositRevenueArgs extends RevenueArgs {
  /** What is sent: RevenueDeposits must have an allowance of it. */
  readonly amount: bigint;
}

/**
 * Deposits the sender's tokens as revenue of the current epoch; anyone may send.
 * @throws RevenueDepositsNoneError where the model has no capital token
 * @example
 * const revenue = await revenueDepositsOf(client, { addresses })
 * await allowRevenue.sync(client, { token, revenue, amount: 5_000_000n })
 * await depositRevenue.sync(client, { revenue, modelId, amount: 5_000_000n })
 */
export const depositRevenue = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ revenue, modelId, amount }: DepositRevenueArgs) =>
    callOf(revenue, revenueDepositsAbi, "deposit", [modelId, amount]),
  /** What arrived, which is what counts. */
  decode: (data) => decodeFunctionResult({ abi: revenueDepositsAbi, functionName: "deposit", data }),
  extractEvent: (receipt) => eventOf(receipt, revenueDepositsAbi, "RevenueDeposited"),
});

export interface DepositRevenueWithPermitArgs extends DepositRevenueArgs {
  /** The sender's signature of an ERC-2612 permit for `amount`. */
  readonly permit: { readonly deadline: bigint; readonly v: number; readonly r: Hex; readonly s: Hex };
}

/** Deposits with an allowance that the sender signed, in one transaction. */
export const depositRevenueWithPermit = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ revenue, modelId, amount, permit }: DepositRevenueWithPermitArgs) =>
    callOf(revenue, revenueDepositsAbi, "depositWithPermit", [modelId, amount, permit]),
  /** What arrived, which is what counts. */
  decode: (data) => decodeFunctionResult({ abi: revenueDepositsAbi, functionName: "depositWithPermit", data }),
  extractEvent: (receipt) => eventOf(receipt, revenueDepositsAbi, "RevenueDeposited"),
});

/**
 * Counts as revenue of the current epoch what was sent to the model's vault without a deposit; anyone may send. Opens the vault
 * where there is none, so that who can only send tokens knows where to: `revenueBookOf`.
 */
export const countRevenue = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ revenue, modelId }: RevenueArgs) => callOf(revenue, revenueDepositsAbi, "count", [modelId]),
  /** What was counted. */
  decode: (data) => decodeFunctionResult({ abi: revenueDepositsAbi, functionName: "count", data }),
  /** Undefined where there was nothing to count. */
  extractEvent: (receipt) => findEvent(receipt, revenueDepositsAbi, "RevenueDeposited"),
});

/** A model's revenue. */
export interface RevenueBook {
  readonly token: Address;
  /** Where it lies. */
  readonly vault: Address;
  /** What lies there by the contract's books. */
  readonly held: bigint;
  /** What ever arrived. */
  readonly arrived: bigint;
  /** What active roots may pay of it, what they have paid included. */
  readonly setAside: bigint;
}

/** A model's revenue; undefined before its vault is opened, which the first deposit does. */
export const revenueBookOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ revenue, modelId }: RevenueArgs) => viewOf(revenue, revenueDepositsAbi, "bookOf", [modelId]),
  present: (book): RevenueBook | undefined => (book.token === zeroAddress ? undefined : book),
});

/** What arrived up to the end of an epoch. */
export const revenueArrivedThrough = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ revenue, modelId, epoch }: RevenueArgs & { readonly epoch: bigint }) =>
    viewOf(revenue, revenueDepositsAbi, "arrivedThrough", [modelId, epoch]),
});

/** What a root that covers the epochs up to `to` may set aside: what arrived by its end and no root before it has. */
export const revenueAvailable = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ revenue, modelId, to }: RevenueArgs & { readonly to: bigint }) =>
    viewOf(revenue, revenueDepositsAbi, "authorisable", [modelId, to]),
});
