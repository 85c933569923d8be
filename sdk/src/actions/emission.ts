/** Emission: epochs, budgets, and what may still be minted. */
import type { Address, Hex } from "viem";
import { emissionAbi } from "../abis/index.ts";
import { rewardKind } from "../protocol/codes.ts";
import { type Addressed, callOf, defineRead, defineWrite, eventOf, nothing, viewOf } from "./action.ts";
import type { ModelArgs } from "./models.ts";

export interface SetBudgetArgs extends Addressed {
  readonly modelId: Hex;
  /** `version` of the newest budget, in force or not: `budgetOf` the next epoch. */
  readonly replaces: number;
  /** Share wei. */
  readonly perEpoch: bigint;
  /** Compute, code, capital, treasury; sums to 10,000. */
  readonly bps: readonly [number, number, number, number];
}

/** Sets the budget from the next epoch on; the timelock's to send. @throws EmissionBudgetReplacedError where another came meanwhile */
export const setBudget = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, replaces, perEpoch, bps }: SetBudgetArgs) =>
    callOf(addresses.emission, emissionAbi, "setBudget", [modelId, replaces, perEpoch, bps]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, emissionAbi, "BudgetSet"),
});

/** Epoch of a time (chain seconds), counted from 1; 0 before the model's creation. */
export const epochOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, timestamp }: ModelArgs & { readonly timestamp: number } & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "epochOf", [modelId, timestamp]),
});

/** Chain time at which an epoch is over. */
export const epochEnd = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, epoch }: ModelArgs & { readonly epoch: bigint } & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "epochEnd", [modelId, epoch]),
});

export interface AuthorisableArgs extends ModelArgs {
  /** `rewardKind` of the protocol. */
  readonly kind: number;
  /** First and last epoch. */
  readonly from: bigint;
  readonly to: bigint;
  /** Time at which the epochs' age is judged: an attestation's deadline. */
  readonly asOf: number;
}

/** What may still be authorised for a kind on account of some epochs, in share wei. */
export const authorisable = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, kind, from, to, asOf }: AuthorisableArgs & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "authorisable", [modelId, kind, from, to, asOf]),
});

/** The budget in force in an epoch; all zero for epoch 0. */
export const budgetOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, epoch }: ModelArgs & { readonly epoch: bigint } & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "budgetOf", [modelId, epoch]),
});

/** The last epoch on whose account a kind was authorised. */
export const authorisedThrough = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, kind }: ModelArgs & { readonly kind: number } & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "authorisedThrough", [modelId, kind]),
});

/** The most that may be minted in a year of 365 days, in share wei; fixed when the model was created. */
export const yearlyCapOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "yearlyCapOf", [modelId]),
});

/** What was minted for a model's founders when it was created, in share wei: part of the first year's cap. */
export const foundersOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "foundersOf", [modelId]),
});

/** All that was ever minted of a kind, what was burned since included, in share wei. Founders' shares are of no kind. */
export const mintedOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, kind }: ModelArgs & { readonly kind: number } & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "mintedOf", [modelId, kind]),
});

/** Who has a model's part of a kind minted; of the treasury's the model's timelock. */
export const distributorFor = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, kind }: ModelArgs & { readonly kind: number } & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "distributorFor", [modelId, kind]),
});

/**
 * Mints of the treasury's part of the present budgets to the timelock, which alone may send it.
 * @throws EmissionOverBudgetError where the budgets are too small, and says how much there is
 */
export const drawTreasury = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, amount }: ModelArgs & { readonly amount: bigint } & Addressed) =>
    callOf(addresses.emission, emissionAbi, "draw", [modelId, rewardKind.treasury, amount]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, emissionAbi, "EmissionAuthorised"),
});

export interface NameSuccessorArgs extends ModelArgs {
  /** `rewardKind` of the protocol, but for the treasury's. */
  readonly kind: number;
  /** The contract; the present distributor takes an earlier naming back. */
  readonly successor: Address;
}

/**
 * Names who distributes a kind of a model 14 days from now; the timelock's to send. What the present one has not authorised by then is
 * void, a pending root too; what it owes stays its own to pay.
 * @throws EmissionBadSuccessorError
 */
export const nameSuccessor = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, kind, successor }: NameSuccessorArgs & Addressed) =>
    callOf(addresses.emission, emissionAbi, "nameSuccessor", [modelId, kind, successor]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, emissionAbi, "SuccessorNamed"),
});

/** Who was named last to distribute a kind of a model, and from when on, chain seconds; undefined where nobody was. */
export const successionOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, kind }: ModelArgs & { readonly kind: number } & Addressed) =>
    viewOf(addresses.emission, emissionAbi, "successionOf", [modelId, kind]),
  present: ([successor, from]): { readonly successor: Address; readonly from: number } | undefined =>
    from === 0 ? undefined : { successor, from },
});
