/** ComputeRewards' disputes: bonds about pending roots, their votes, and until when the organiser rules. */
import { type Address, decodeFunctionResult, type Hex, zeroAddress, zeroHash } from "viem";
import { computeRewardsAbi } from "../abis/index.ts";
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
  /** What goes along, in wei: what `bondOf` says, or more, in case that rises meanwhile. The rest comes back by `withdrawBonds`. */
  readonly bond: bigint;
}

/**
 * Freezes the pending root and opens the holders' vote on it; anyone may, inside its window.
 * @example
 * const root = await pendingRoot(client, { addresses, modelId })
 * const { bond } = await bondOf(client, { addresses, modelId })
 * const { event } = await disputeRoot.sync(client, { addresses, modelId, digest: root.digest, evidence, bond })
 * await castVote.sync(voter, { governor, proposalId: event.proposalId, support: "against" })
 * @throws DisputesBondTooLowError, DisputesWindowOverError, DisputesOpenError
 */
export const disputeRoot = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, digest, evidence, bond, ...roots }: DisputeRootArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "dispute", [modelId, kindOf(roots), digest, evidence], bond),
  /** The vote, in the model's governor. */
  decode: (data) => decodeFunctionResult({ abi: computeRewardsAbi, functionName: "dispute", data }),
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "RootDisputed"),
});

export interface DisputeArgs extends RootsArgs, Addressed {
  /** Struct hash of the attestation that is disputed. */
  readonly digest: Hex;
}

/** Ends a dispute as its vote did; anyone may, once the vote is over. One that has ended leaves no event. */
export const settleDispute = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, digest, ...roots }: DisputeArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "settleDispute", [modelId, kindOf(roots), digest]),
  decode: nothing,
  extractEvent: (receipt) => findEvent(receipt, computeRewardsAbi, "DisputeSettled"),
});

export interface RuleDisputeArgs extends DisputeArgs {
  /** Whether the root stands. */
  readonly stands: boolean;
}

/**
 * Ends a dispute that was opened in the model's bootstrap; the organiser's to send. A root that does not stand is refused as if nobody
 * had voted, at any time; one stands only after its window, where no quorum of holders has voted.
 * @throws DisputesRuledTooEarlyError, DisputesHoldersDecideError
 */
export const ruleDispute = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, digest, stands, ...roots }: RuleDisputeArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "rule", [modelId, kindOf(roots), digest, stands]),
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

export interface SetDisputeBondArgs extends ModelArgs, Addressed {
  /** Number of the bond in force, on which this decision was made: `bondTerms` says it. Of two the first that is executed holds. */
  readonly replaces: number;
  /** The bond before any doubling, in wei: a sixteenth to sixteen times that in force. */
  readonly base: bigint;
}

/** Sets the bond of the disputes to come, once in 30 days at most; the timelock's to send. @throws DisputesBondReplacedError */
export const setDisputeBond = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, replaces, base }: SetDisputeBondArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "setBond", [modelId, replaces, base]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "BondSet"),
});

/** How a dispute ended: not yet, for the root, by a vote against it, or without such a vote, which refuses it too. */
export const disputeOutcome = { open: 0, stands: 1, void: 2, undecided: 3 } as const;

/**
 * The dispute about an attestation; undefined for one that was never disputed. Its `endedAt` is 0 while it is open, its times are
 * chain seconds; `voted` says whether a quorum of holders decided it.
 */
export const disputeOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, digest }: { readonly digest: Hex } & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "disputeOf", [digest]),
  present: (dispute) => (dispute.disputer === zeroAddress ? undefined : dispute),
});

/**
 * Struct hash of the attestation whose dispute is open, undefined without one; and when a vote voided a root last, chain seconds, 0
 * for never.
 */
export const disputedRoot = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "disputedOf", [modelId, kindOf(roots)]),
  present: ([digest, voidedAt]) => ({ digest: digest === zeroHash ? undefined : digest, voidedAt }),
});

/** What the next dispute costs, in wei, how often that is doubled, and whether the next posting needs it, too. */
export const bondOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "bondOf", [modelId, kindOf(roots)]),
  present: ([bond, level, isDue]) => ({ bond, level, isDue }),
});

/** The bond before any doubling, in wei; its number, which the next decision replaces; and when holders set it last, chain seconds. */
export const bondTerms = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "bondTermsOf", [modelId]),
});

/** The bond under the pending root; undefined where none was due. */
export const backingOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "backingOf", [modelId, kindOf(roots)]),
  present: (backing) => (backing.backer === zeroAddress ? undefined : backing),
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
