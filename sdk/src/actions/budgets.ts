/**
 * ComputeBudget: what a model's holders let others spend from its treasury, which is its timelock. ModelRegistry says where the contract
 * is: `computeBudgetContractOf`. Amounts are in the smallest units of the budget's token, times chain seconds.
 */
import { type Address, decodeFunctionResult, type Hex } from "viem";
import { computeBudgetAbi, modelRegistryAbi } from "../abis/index.ts";
import { type Addressed, callOf, defineRead, defineWrite, eventOf, findEvent, nothing, viewOf } from "./action.ts";

/** Where budgets are kept. */
export interface OfComputeBudgets {
  /** Address of ComputeBudget. */
  readonly budgets: Address;
}

/** One budget of a model. */
export interface ComputeBudgetArgs extends OfComputeBudgets {
  readonly modelId: Hex;
  /** Its number, from 1. */
  readonly id: bigint;
}

/** What the holders let somebody spend. */
export interface ComputeBudgetTerms {
  /** Who is paid, and alone may ask for it. */
  readonly recipient: Address;
  /** The ERC-20 that is paid. */
  readonly token: Address;
  /** What may leave the treasury in one of the model's epochs. */
  readonly perEpoch: bigint;
  /** Until when, a year ahead at most. */
  readonly expiry: number;
}

/** Where a deployment's budgets are kept. */
export const computeBudgetContractOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.modelRegistry, modelRegistryAbi, "computeBudget", []),
});

export interface OpenComputeBudgetArgs extends OfComputeBudgets {
  readonly modelId: Hex;
  readonly terms: ComputeBudgetTerms;
  /** What it is for, 1 to 256 bytes. */
  readonly purpose: string;
}

/**
 * Opens a budget; the timelock's to send, beside `approve` of the token for the contract, which bounds all its budgets together.
 * @throws ComputeBudgetTermOutOfBoundsError, ComputeBudgetBadRecipientError, ComputeBudgetBadTokenError
 */
export const openComputeBudget = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ budgets, modelId, terms, purpose }: OpenComputeBudgetArgs) =>
    callOf(budgets, computeBudgetAbi, "open", [modelId, terms, purpose]),
  /** The budget's number. */
  decode: (data) => decodeFunctionResult({ abi: computeBudgetAbi, functionName: "open", data }),
  extractEvent: (receipt) => eventOf(receipt, computeBudgetAbi, "ComputeBudgetOpened"),
});

/** Ends a budget at once; the timelock's to send. @throws ComputeBudgetUnknownError */
export const revokeComputeBudget = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ budgets, modelId, id }: ComputeBudgetArgs) => callOf(budgets, computeBudgetAbi, "revoke", [modelId, id]),
  decode: nothing,
  /** Undefined where it was ended before. */
  extractEvent: (receipt) => findEvent(receipt, computeBudgetAbi, "ComputeBudgetRevoked"),
});

export interface SpendComputeBudgetArgs extends ComputeBudgetArgs {
  readonly amount: bigint;
  /** What it is spent on, 1 to 256 bytes: the public record. */
  readonly memo: string;
}

/**
 * Pays the sender, who is the budget's recipient, from the model's treasury.
 * @throws ComputeBudgetExceededError, ComputeBudgetEndedError, ComputeBudgetExpiredError, ComputeBudgetNotRecipientError
 */
export const spendComputeBudget = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ budgets, modelId, id, amount, memo }: SpendComputeBudgetArgs) =>
    callOf(budgets, computeBudgetAbi, "spend", [modelId, id, amount, memo]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeBudgetAbi, "ComputeBudgetSpent"),
});

/** How many budgets a model has had: they are numbered from 1. */
export const computeBudgetCount = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ budgets, modelId }: Omit<ComputeBudgetArgs, "id">) =>
    viewOf(budgets, computeBudgetAbi, "countOf", [modelId]),
});

/** A budget as it stands. */
export interface ComputeBudgetState {
  readonly terms: ComputeBudgetTerms;
  /** When the holders ended it; 0 where they did not. */
  readonly revokedAt: number;
  /** The epoch in which something was spent last, and what; 0 for none. */
  readonly spentIn: number;
  readonly spent: bigint;
  /** What was spent in all. */
  readonly total: bigint;
}

/** A budget as it stands. @throws ComputeBudgetUnknownError */
export const computeBudgetOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ budgets, modelId, id }: ComputeBudgetArgs) => viewOf(budgets, computeBudgetAbi, "budgetOf", [modelId, id]),
  present: (state): ComputeBudgetState => state,
});

/** What a budget still lets its recipient spend in this epoch, whatever the treasury has. @throws ComputeBudgetUnknownError */
export const computeBudgetLeft = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ budgets, modelId, id }: ComputeBudgetArgs) => viewOf(budgets, computeBudgetAbi, "leftOf", [modelId, id]),
});

interface OfBudgetEvents extends OfComputeBudgets {
  readonly modelId: Hex;
  readonly id?: bigint;
}

const budgetEvent = <const name extends "ComputeBudgetOpened" | "ComputeBudgetRevoked" | "ComputeBudgetSpent">(
  { budgets, modelId, id }: OfBudgetEvents,
  eventName: name,
) => ({
  address: budgets,
  abi: computeBudgetAbi,
  eventName,
  args: { modelId, ...(id !== undefined && { id }) },
});

/** Budgets that the holders opened, as a query for logs; so with the next two. */
export const computeBudgetOpened = (of: OfBudgetEvents) => budgetEvent(of, "ComputeBudgetOpened");

export const computeBudgetRevoked = (of: OfBudgetEvents) => budgetEvent(of, "ComputeBudgetRevoked");

/** Payments, with what each was for. */
export const computeBudgetSpent = (of: OfBudgetEvents) => budgetEvent(of, "ComputeBudgetSpent");
