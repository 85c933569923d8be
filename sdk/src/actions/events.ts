/**
 * Cotrain's events, as queries for `getLogPage`, `getAllLogs` and viem's `watchContractEvent`: also those that only a dApp follows,
 * which shows when a run was paused or finished.
 */
import type { Address, Hex } from "viem";
import {
  checkpointRegistryAbi,
  codeGrantsAbi,
  computeRewardsAbi,
  modelGovernorAbi,
  modelRegistryAbi,
  modelSharesAbi,
  runRegistryAbi,
  stakeManagerAbi,
  validatorSetAbi,
} from "../abis/index.ts";
import { type StakeRole, stakeRoleCode } from "../protocol/codes.ts";
import type { Addressed } from "./action.ts";
import { type AnyOf, narrowed } from "./narrowed.ts";

type OfModel = Addressed & { readonly modelId?: Hex };
type OfRun = Addressed & { readonly runId?: Hex };
interface OfGovernor {
  readonly governor: Address;
}
interface OfShares {
  readonly shares: Address;
}
export const modelCreated = ({ addresses, modelId }: OfModel) => ({
  address: addresses.modelRegistry,
  abi: modelRegistryAbi,
  eventName: "ModelCreated" as const,
  args: narrowed({ modelId }),
});

export const runRegistered = ({ addresses, modelId }: OfModel) => ({
  address: addresses.runRegistry,
  abi: runRegistryAbi,
  eventName: "RunRegistered" as const,
  args: narrowed({ modelId }),
});

export const runParamsSet = ({ addresses, runId }: OfRun) => ({
  address: addresses.runRegistry,
  abi: runRegistryAbi,
  eventName: "RunParamsSet" as const,
  args: narrowed({ runId }),
});

export const posterSet = ({ addresses, runId }: OfRun) => ({
  address: addresses.runRegistry,
  abi: runRegistryAbi,
  eventName: "PosterSet" as const,
  args: narrowed({ runId }),
});

export const statusSet = ({ addresses, runId }: OfRun) => ({
  address: addresses.runRegistry,
  abi: runRegistryAbi,
  eventName: "StatusSet" as const,
  args: narrowed({ runId }),
});

export const buildAdmitted = ({ addresses, runId }: OfRun) => ({
  address: addresses.runRegistry,
  abi: runRegistryAbi,
  eventName: "BuildAdmitted" as const,
  args: narrowed({ runId }),
});

/** Links of a run's chain of checkpoints, checkpoint 0 included. */
export const headPosted = ({ addresses, runId }: OfRun) => ({
  address: addresses.checkpointRegistry,
  abi: checkpointRegistryAbi,
  eventName: "HeadPosted" as const,
  args: narrowed({ runId }),
});

/** A poster was stopped. */
export const posterSuspended = ({ addresses, runId }: OfRun) => ({
  address: addresses.checkpointRegistry,
  abi: checkpointRegistryAbi,
  eventName: "PosterSuspended" as const,
  args: narrowed({ runId }),
});

export const validatorsSet = ({ addresses, modelId }: OfModel) => ({
  address: addresses.validatorSet,
  abi: validatorSetAbi,
  eventName: "ValidatorsSet" as const,
  args: narrowed({ modelId }),
});

/** An account said whether it may become a validator. */
export const validatorConsent = ({ addresses, modelId, account }: OfModel & { readonly account?: AnyOf }) => ({
  address: addresses.validatorSet,
  abi: validatorSetAbi,
  eventName: "ValidatorConsent" as const,
  args: narrowed({ modelId, account }),
});

export const maintainersSet = ({ addresses, modelId }: OfModel) => ({
  address: addresses.validatorSet,
  abi: validatorSetAbi,
  eventName: "MaintainersSet" as const,
  args: narrowed({ modelId }),
});

type OfRoots = OfModel & {
  /** What is paid for, of `rewardKind`; any if not said. */
  readonly kind?: number;
};

export const rootPosted = ({ addresses, modelId, kind }: OfRoots) => ({
  address: addresses.computeRewards,
  abi: computeRewardsAbi,
  eventName: "RootPosted" as const,
  args: narrowed({ modelId, kind }),
});

export const rootActivated = ({ addresses, modelId, kind }: OfRoots) => ({
  address: addresses.computeRewards,
  abi: computeRewardsAbi,
  eventName: "RootActivated" as const,
  args: narrowed({ modelId, kind }),
});

/** A pending root is disputed, and the holders vote on it. */
export const rootDisputed = ({ addresses, modelId, kind }: OfRoots) => ({
  address: addresses.computeRewards,
  abi: computeRewardsAbi,
  eventName: "RootDisputed" as const,
  args: narrowed({ modelId, kind }),
});

export const disputeSettled = ({ addresses, modelId, kind }: OfRoots) => ({
  address: addresses.computeRewards,
  abi: computeRewardsAbi,
  eventName: "DisputeSettled" as const,
  args: narrowed({ modelId, kind }),
});

/** A root was posted with a bond, because the one before it failed. */
export const rootBacked = ({ addresses, modelId, kind }: OfRoots) => ({
  address: addresses.computeRewards,
  abi: computeRewardsAbi,
  eventName: "RootBacked" as const,
  args: narrowed({ modelId, kind }),
});

export const bondsWithdrawn = ({ addresses, account }: Addressed & { readonly account?: AnyOf }) => ({
  address: addresses.computeRewards,
  abi: computeRewardsAbi,
  eventName: "Withdrawn" as const,
  args: narrowed({ account }),
});

export const rewardClaimed = ({ addresses, modelId, account }: OfModel & { readonly account?: AnyOf }) => ({
  address: addresses.computeRewards,
  abi: computeRewardsAbi,
  eventName: "Claimed" as const,
  args: narrowed({ modelId, account }),
});

interface OfGrants {
  /** Address of CodeGrants: `codeGrantsOf`. */
  readonly grants: Address;
  readonly modelId?: Hex;
  readonly id?: Hex;
  readonly author?: Address;
}

export const grantApproved = ({ grants, modelId, id, author }: OfGrants) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantApproved" as const,
  args: narrowed({ modelId, id, author }),
});

export const grantClaimed = ({ grants, modelId, id, author }: OfGrants) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantClaimed" as const,
  args: narrowed({ modelId, id, author }),
});

export const grantRevoked = ({ grants, modelId, id, author }: OfGrants) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantRevoked" as const,
  args: narrowed({ modelId, id, author }),
});

export const grantSetVoided = ({ grants, modelId }: Pick<OfGrants, "grants" | "modelId">) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantSetVoided" as const,
  args: narrowed({ modelId }),
});

export const grantCapsSet = ({ grants, modelId }: Pick<OfGrants, "grants" | "modelId">) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantCapsSet" as const,
  args: narrowed({ modelId }),
});

interface OfStakes {
  /** Address of StakeManager: `stakeManagerOf`. */
  readonly stakes: Address;
  readonly modelId?: Hex;
}
type OfStaker = OfStakes & { readonly role?: StakeRole; readonly account?: AnyOf };
type OfRuling = OfStakes & { readonly worker?: AnyOf; readonly receiptHash?: Hex };

const ofStaker = ({ modelId, role, account }: OfStaker) =>
  narrowed({ modelId, role: role === undefined ? undefined : stakeRoleCode[role], account });

export const stakeDeposited = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "StakeDeposited" as const,
  args: ofStaker({ stakes, ...of }),
});

export const stakePayeeSet = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "PayeeSet" as const,
  args: ofStaker({ stakes, ...of }),
});

export const stakeWithdrawalRequested = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "WithdrawalRequested" as const,
  args: ofStaker({ stakes, ...of }),
});

export const stakeWithdrawn = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "StakeWithdrawn" as const,
  args: ofStaker({ stakes, ...of }),
});

/** Somebody was punished: `offenceCode` has the names of what for. */
export const stakeSlashed = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "StakeSlashed" as const,
  args: ofStaker({ stakes, ...of }),
});

export const rulingProposed = ({ stakes, modelId, worker, receiptHash }: OfRuling) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "RulingProposed" as const,
  args: narrowed({ modelId, worker, receiptHash }),
});

export const rulingVetoed = ({ stakes, modelId, worker, receiptHash }: OfRuling) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "RulingVetoed" as const,
  args: narrowed({ modelId, worker, receiptHash }),
});

export const feesCollected = ({
  stakes,
  account,
}: Pick<OfStakes, "stakes"> & {
  readonly account?: AnyOf;
}) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "FeesCollected" as const,
  args: narrowed({ account }),
});

export const slashTermsSet = ({ stakes, modelId }: OfStakes) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "SlashTermsSet" as const,
  args: narrowed({ modelId }),
});

/** Shares changed hands; minted they come from the zero address. */
export const sharesTransferred = ({ shares, from, to }: OfShares & { readonly from?: AnyOf; readonly to?: AnyOf }) => ({
  address: shares,
  abi: modelSharesAbi,
  eventName: "Transfer" as const,
  args: narrowed({ from, to }),
});

export const delegateChanged = ({
  shares,
  delegator,
  fromDelegate,
  toDelegate,
}: OfShares & { readonly delegator?: AnyOf; readonly fromDelegate?: AnyOf; readonly toDelegate?: AnyOf }) => ({
  address: shares,
  abi: modelSharesAbi,
  eventName: "DelegateChanged" as const,
  args: narrowed({ delegator, fromDelegate, toDelegate }),
});

export const proposalCreated = ({ governor }: OfGovernor) => ({
  address: governor,
  abi: modelGovernorAbi,
  eventName: "ProposalCreated" as const,
});

export const voteCast = ({ governor, voter }: OfGovernor & { readonly voter?: Address }) => ({
  address: governor,
  abi: modelGovernorAbi,
  eventName: "VoteCast" as const,
  args: narrowed({ voter }),
});

export const proposalQueued = ({ governor }: OfGovernor) => ({
  address: governor,
  abi: modelGovernorAbi,
  eventName: "ProposalQueued" as const,
});

export const proposalExecuted = ({ governor }: OfGovernor) => ({
  address: governor,
  abi: modelGovernorAbi,
  eventName: "ProposalExecuted" as const,
});

export const proposalCanceled = ({ governor }: OfGovernor) => ({
  address: governor,
  abi: modelGovernorAbi,
  eventName: "ProposalCanceled" as const,
});
