/** ComputeRewards' disputes and Bootstrap: bonds about pending roots, their votes, and until when the organiser rules. */
import { type Address, decodeFunctionResult, type Hex, zeroAddress } from "viem";
import { bootstrapAbi, computeRewardsAbi } from "../abis/index.ts";
import { rewardKind } from "../protocol/codes.ts";
import { type Addressed, callOf, defineRead, defineWrite, eventOf, findEvent, nothing, viewOf } from "./action.ts";
import type { ModelArgs } from "./models.ts";
import type { RootsArgs } from "./rewards.ts";

const kindOf = ({ kind }: { readonly kind?: number }): number => kind ?? rewardKind.compute;

export interface DisputeRootArgs extends RootsArgs, Addressed {
  /** Struct hash of the attestation: `pendingRoot` says it. */
  readonly digest: Hex;
  /** sha256 of what was found. */
  readonly evidence: Hex;
  /** What `bondOf` says, in wei; it goes along. */
  readonly bond: bigint;
}

/**
 * Freezes the pending root and opens the holders' vote on it; anyone may, inside its window.
 * @example
 * const root = await pendingRoot(client, { addresses, modelId })
 * const { bond } = await bondOf(client, { addresses, modelId })
 * const { event } = await disputeRoot.sync(client, { addresses, modelId, digest: root.digest, evidence, bond })
 * await castVote.sync(voter, { governor, proposalId: event.proposalId, support: "against" })
 * @throws DisputesWrongBondError, DisputesWindowOverError, DisputesOpenError
 */
export const disputeRoot = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, digest, evidence, bond, ...roots }: DisputeRootArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "dispute", [modelId, kindOf(roots), digest, evidence], bond),
  /** The dispute's number. */
  decode: (data) => decodeFunctionResult({ abi: computeRewardsAbi, functionName: "dispute", data }),
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "RootDisputed"),
});

export interface DisputeArgs extends RootsArgs, Addressed {
  /** The dispute's number. */
  readonly number: number;
}

/** Ends a dispute as its vote did; anyone may, once the vote is over. One that has ended leaves no event. */
export const settleDispute = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, number, ...roots }: DisputeArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "settleDispute", [modelId, kindOf(roots), number]),
  decode: nothing,
  extractEvent: (receipt) => findEvent(receipt, computeRewardsAbi, "DisputeSettled"),
});

export interface RuleDisputeArgs extends DisputeArgs {
  /** Whether the root stands. */
  readonly stands: boolean;
}

/** Ends a dispute that was opened in the model's bootstrap; the organiser's to send. */
export const ruleDispute = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, number, stands, ...roots }: RuleDisputeArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "rule", [modelId, kindOf(roots), number, stands]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "DisputeSettled"),
});

export interface WithdrawBondsArgs extends Addressed {
  /** The account that is paid, whoever sends. */
  readonly beneficiary: Address;
}

/** Pays an account what bonds brought it; anyone may send. Where there is nothing it leaves no event. */
export const withdrawBonds = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, beneficiary }: WithdrawBondsArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "withdraw", [beneficiary]),
  /** What is paid, in wei. */
  decode: (data) => decodeFunctionResult({ abi: computeRewardsAbi, functionName: "withdraw", data }),
  extractEvent: (receipt) => findEvent(receipt, computeRewardsAbi, "Withdrawn"),
});

/** Sets the bond of the disputes to come, in wei; the timelock's to send. */
export const setDisputeBond = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, base }: ModelArgs & { readonly base: bigint } & Addressed) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "setBond", [modelId, base]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "BondSet"),
});

/** How a dispute ended: not yet, for the root, against it, or without a decision, which is against it too. */
export const disputeOutcome = { open: 0, stands: 1, void: 2, undecided: 3 } as const;

/** The newest dispute; undefined before the first. Its `endedAt` is 0 while it is open, its times are chain seconds. */
export const disputeOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "disputeOf", [modelId, kindOf(roots)]),
  present: (dispute) => (dispute.number === 0 ? undefined : dispute),
});

/** What the next dispute costs, in wei, how often that is doubled, and whether the next posting needs it, too. */
export const bondOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "bondOf", [modelId, kindOf(roots)]),
  present: ([bond, level, isDue]) => ({ bond, level, isDue }),
});

/** The bond under the pending root; undefined where none was due. */
export const backingOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "backingOf", [modelId, kindOf(roots)]),
  present: (backing) => (backing.backer === zeroAddress ? undefined : backing),
});

/** What became of an attestation that was disputed, and whether by the holders' vote; undefined for one that no dispute has ended about. */
export const ruledOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, digest }: { readonly digest: Hex } & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "ruledOf", [digest]),
  present: (ruled) => (ruled.endedAt === 0 ? undefined : ruled),
});

/** What `withdrawBonds` would pay, in wei. */
export const bondCreditOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, account }: { readonly account: Address } & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "credit", [account]),
});

/** When the age of the epochs is judged for the next posting, unless its deadline is before that, chain seconds; 0 for its deadline. */
export const ageJudgedAt = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "ageJudgedAt", [modelId, kindOf(roots)]),
});

/** Address of Bootstrap. */
export const bootstrapOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.computeRewards, computeRewardsAbi, "bootstrap", []),
});

export interface BootstrapArgs extends ModelArgs {
  /** Address of Bootstrap: `bootstrapOf`. */
  readonly bootstrap: Address;
}

/** Ends a model's bootstrap once its terms are met; anyone may. Where it has ended it leaves no event. */
export const endBootstrap = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ bootstrap, modelId }: BootstrapArgs) => callOf(bootstrap, bootstrapAbi, "end", [modelId]),
  decode: nothing,
  extractEvent: (receipt) => findEvent(receipt, bootstrapAbi, "BootstrapEnded"),
});

/** When a model's bootstrap is over: shares claimed, in wei, and epochs; `endedAt` is 0 while it is not, else chain seconds. */
export const bootstrapTerms = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ bootstrap, modelId }: BootstrapArgs) => viewOf(bootstrap, bootstrapAbi, "termsOf", [modelId]),
});

/** What workers have claimed, as Bootstrap counts it, in share wei. */
export const bootstrapClaimed = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ bootstrap, modelId }: BootstrapArgs) => viewOf(bootstrap, bootstrapAbi, "claimedOf", [modelId]),
});
