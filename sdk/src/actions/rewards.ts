/** ComputeRewards: cumulative roots, their window, claims. */
import { type Address, decodeFunctionResult, type Hex } from "viem";
import { computeRewardsAbi } from "../abis/index.ts";
import type { Attestation } from "../protocol/typedData.ts";
import {
  type Addressed,
  callOf,
  defineRead,
  defineWrite,
  eventOf,
  eventsOf,
  findEvent,
  nothing,
  viewOf,
} from "./action.ts";
import type { ModelArgs } from "./models.ts";

export interface PostRootArgs extends Addressed {
  readonly attestation: Attestation;
  /** By ascending signer. */
  readonly signatures: readonly Hex[];
}

/** Posts a root for its window; anyone may, with enough signatures. */
export const postRoot = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, attestation, signatures }: PostRootArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "postRoot", [attestation, signatures]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "RootPosted"),
});

/** Activates the pending root after its window and mints what it adds; anyone may. */
export const activateRoot = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId }: ModelArgs & Addressed) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "activate", [modelId]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "RootActivated"),
});

/** What an account is granted under the active root; a coordinator's `reward` answers these. */
export interface ClaimItem extends ModelArgs {
  /** The account that is paid, whoever sends. */
  readonly beneficiary: Address;
  /** All that it has earned since the model began, in share wei. */
  readonly cumulative: bigint;
  readonly proof: readonly Hex[];
}

/**
 * Pays an account what the active root grants it beyond what it was paid; anyone may send.
 * @example
 * const { cumulative, proof } = await createCoordinatorClient(url).reward(runId, beneficiary)
 * await claim.sync(client, { addresses, modelId, beneficiary, cumulative: BigInt(cumulative), proof })
 */
export const claim = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, beneficiary, cumulative, proof }: ClaimItem & Addressed) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "claim", [modelId, beneficiary, cumulative, proof]),
  /** What is paid. */
  decode: (data) => decodeFunctionResult({ abi: computeRewardsAbi, functionName: "claim", data }),
  /** Undefined where the account had been paid in full. */
  extractEvent: (receipt) => findEvent(receipt, computeRewardsAbi, "Claimed"),
});

export interface ClaimManyArgs extends Addressed {
  readonly claims: readonly ClaimItem[];
}

/** Several claims in one transaction. */
export const claimMany = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, claims }: ClaimManyArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "claimMany", [
      claims.map(({ modelId, beneficiary, cumulative, proof }) => ({
        modelId,
        account: beneficiary,
        cumulative,
        proof,
      })),
    ]),
  decode: nothing,
  /** One event for each account that was paid something. */
  extractEvent: (receipt) => eventsOf(receipt, computeRewardsAbi, "Claimed"),
});

/** A root of cumulative rewards. */
export interface RewardRoot {
  readonly root: Hex;
  readonly totalCumulative: bigint;
  /** The last epoch it covers. */
  readonly epoch: number;
  /** From when on it may be activated, chain seconds. */
  readonly activatableAt: number;
  /** The attestation's deadline. */
  readonly deadline: number;
}

const present = (root: RewardRoot): RewardRoot | undefined => (root.epoch === 0 ? undefined : root);

/** The root that claims are paid on; undefined before the first. */
export const activeRoot = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "active", [modelId]),
  present,
});

/** The root in its window; undefined without one. */
export const pendingRoot = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "pending", [modelId]),
  present,
});

/** What an account has been paid in all. */
export const claimed = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, account }: ModelArgs & { readonly account: Address } & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "claimed", [modelId, account]),
});
