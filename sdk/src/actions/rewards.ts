/** ComputeRewards: cumulative roots, their window, claims. */
import { type Address, type Client, decodeFunctionResult, type Hex } from "viem";
import { readContract } from "viem/actions";
import { computeRewardsAbi } from "../abis/index.ts";
import { addressesFor } from "../addresses.ts";
import { withContractErrors } from "../decodeError.ts";
import type { Attestation } from "../protocol/typedData.ts";
import { type Addressed, callOf, defineWrite, eventOf, eventsOf, findEvent, nothing, type ReadArgs } from "./action.ts";
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

const contract = (client: Client, { addresses, blockNumber }: ReadArgs<object>) => ({
  abi: computeRewardsAbi,
  address: addressesFor(client, addresses).computeRewards,
  ...(blockNumber === undefined ? {} : { blockNumber }),
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
export const activeRoot = async (client: Client, args: ReadArgs<ModelArgs>): Promise<RewardRoot | undefined> =>
  present(
    await withContractErrors(
      readContract(client, { ...contract(client, args), functionName: "active", args: [args.modelId] }),
    ),
  );

/** The root in its window; undefined without one. */
export const pendingRoot = async (client: Client, args: ReadArgs<ModelArgs>): Promise<RewardRoot | undefined> =>
  present(
    await withContractErrors(
      readContract(client, { ...contract(client, args), functionName: "pending", args: [args.modelId] }),
    ),
  );

/** What an account has been paid in all. */
export const claimed = (client: Client, args: ReadArgs<ModelArgs & { readonly account: Address }>): Promise<bigint> =>
  withContractErrors(
    readContract(client, { ...contract(client, args), functionName: "claimed", args: [args.modelId, args.account] }),
  );
