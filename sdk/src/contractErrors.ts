/**
 * One class for each custom error that a contract can revert with, named as the contract names it, with the sentence a user
 * can act on. `decodeError` makes them; `error instanceof ComputeRewardsExpiredError` tells them apart.
 */
import type { AbiParametersToPrimitiveTypes, ExtractAbiError, ExtractAbiErrorNames } from "abitype";
import { formatUnits, type Hex, hexToString } from "viem";
import type { errorsAbi } from "./abis/index.ts";
import { CotrainError, type CotrainErrorOptions } from "./baseErrors.ts";
import { runParameters } from "./protocol/parameters.ts";

export type ContractErrorName = ExtractAbiErrorNames<typeof errorsAbi>;

/** Arguments of an error, in the order of its declaration. */
export type ContractErrorArgs<N extends ContractErrorName> = AbiParametersToPrimitiveTypes<
  ExtractAbiError<typeof errorsAbi, N>["inputs"]
>;

/** A contract refused. `errorName` is the contract's own name for it; `Error` and `Panic` are Solidity's. */
export class ContractError extends CotrainError {
  override readonly name: string = "ContractError";
  readonly errorName: string;
  readonly args: readonly unknown[];

  constructor(errorName: string, args: readonly unknown[], message: string, options: CotrainErrorOptions = {}) {
    const code = errorName.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toUpperCase();
    super(code, message, { ...options, details: { ...options.details, revert: errorName } });
    this.errorName = errorName;
    this.args = args;
  }
}

/** A class of `ContractError` for one custom error. */
export interface ContractErrorClass<N extends ContractErrorName> {
  new (args: ContractErrorArgs<N>, options?: CotrainErrorOptions): ContractError & { readonly errorName: N };
  readonly errorName: N;
}

function define<N extends ContractErrorName>(
  errorName: N,
  sentence: (...args: ContractErrorArgs<N>) => string,
  retryable = false,
): ContractErrorClass<N> {
  const Class = class extends ContractError {
    static readonly errorName = errorName;
    override readonly name = `${errorName}Error`;
    declare readonly errorName: N;

    constructor(args: ContractErrorArgs<N>, options: CotrainErrorOptions = {}) {
      super(errorName, args, sentence(...args), { retryable, ...options });
    }
  };
  return Object.defineProperty(Class, "name", { value: `${errorName}Error` });
}

const time = (seconds: bigint | number): string => new Date(Number(seconds) * 1_000).toISOString();
const shares = (amount: bigint): string => `${formatUnits(amount, 18)} shares`;
/** A name that a contract gives as bytes32. */
const word = (hex: Hex): string => hexToString(hex, { size: 32 });
const proposalStates = ["pending", "active", "canceled", "defeated", "succeeded", "queued", "expired", "executed"];
const stateName = (state: number): string => proposalStates[state] ?? `in state ${state}`;
/** A set of enum values as OpenZeppelin reports it: bit n stands for value n. */
const statesIn = (bits: Hex, names: readonly string[]): string =>
  names.filter((_, index) => ((BigInt(bits) >> BigInt(index)) & 1n) === 1n).join(" or ");

// Checkpoints
export const CheckpointRegistryDigestMissingError = define(
  "CheckpointRegistryDigestMissing",
  (runId) => `A checkpoint of run ${runId} needs a digest, which is zero here.`,
);
export const CheckpointRegistryNotPosterError = define(
  "CheckpointRegistryNotPoster",
  (runId, caller) => `${caller} is not the poster of run ${runId}; only the run's posting key posts heads.`,
);
export const CheckpointRegistryOnlyRunRegistryError = define(
  "CheckpointRegistryOnlyRunRegistry",
  (caller) => `${caller} may not record checkpoint 0; only RunRegistry does.`,
);
export const CheckpointRegistryRoundNotAboveError = define(
  "CheckpointRegistryRoundNotAbove",
  (runId, round, current) => `Round ${round} of run ${runId} must lie above the current round ${current}.`,
);
export const CheckpointRegistryRunNotOpenError = define(
  "CheckpointRegistryRunNotOpen",
  (runId) => `Run ${runId} takes no heads while it is paused or finished.`,
);
export const CheckpointRegistryStaleParentError = define(
  "CheckpointRegistryStaleParent",
  (runId, parent, current) => `The parent ${parent} is not the current head of run ${runId}, which is ${current}.`,
);
export const CheckpointRegistryUnknownParamsError = define(
  "CheckpointRegistryUnknownParams",
  (runId, version) => `Run ${runId} has no version ${version} of its parameters.`,
);

// Compute rewards
export const ComputeRewardsBadDeadlineError = define(
  "ComputeRewardsBadDeadline",
  (deadline, end, delay) =>
    `The deadline ${time(deadline)} is not the epoch's end ${time(end)} plus a whole number of ${delay} seconds.`,
);
export const ComputeRewardsEpochNotAboveError = define(
  "ComputeRewardsEpochNotAbove",
  (epoch, active) => `Epoch ${epoch} must lie above the active root's epoch ${active}.`,
);
export const ComputeRewardsEpochNotOverError = define(
  "ComputeRewardsEpochNotOver",
  (epoch, end) => `Epoch ${epoch} is over at ${time(end)}; its root can be posted then.`,
  true,
);
export const ComputeRewardsExpiredError = define(
  "ComputeRewardsExpired",
  (deadline) => `The attestation's deadline ${time(deadline)} has passed; validators must sign again.`,
);
export const ComputeRewardsFallingCumulativeError = define(
  "ComputeRewardsFallingCumulative",
  (account, cumulative, claimed) =>
    `${account} has been paid ${shares(claimed)} already, more than this leaf's ${shares(cumulative)}.`,
);
export const ComputeRewardsFallingTotalError = define(
  "ComputeRewardsFallingTotal",
  (total, active) => `The total of ${shares(total)} must not fall below the active root's ${shares(active)}.`,
);
export const ComputeRewardsInvalidProofError = define(
  "ComputeRewardsInvalidProof",
  (modelId, account) =>
    `The proof for ${account} does not lead to the active root of model ${modelId}; fetch it again.`,
);
export const ComputeRewardsNothingPendingError = define(
  "ComputeRewardsNothingPending",
  (modelId) => `Model ${modelId} has no pending root to activate.`,
);
export const ComputeRewardsOverBudgetError = define(
  "ComputeRewardsOverBudget",
  (delta, authorisable) =>
    `The root adds ${shares(delta)}, more than the ${shares(authorisable)} that its epochs still allow.`,
);
export const ComputeRewardsRootPendingError = define(
  "ComputeRewardsRootPending",
  (epoch, at) => `The root of epoch ${epoch} is pending; it can be activated from ${time(at)} and must be first.`,
  true,
);
export const ComputeRewardsStaleRootError = define(
  "ComputeRewardsStaleRoot",
  (previous, active) => `The attestation builds on root ${previous}, but ${active} is active.`,
);
export const ComputeRewardsStaleSetError = define(
  "ComputeRewardsStaleSet",
  (version, current) => `Validator set ${version} signed, but set ${current} is in force; it must sign again.`,
);
export const ComputeRewardsUnknownModelError = define(
  "ComputeRewardsUnknownModel",
  (modelId) => `There is no model ${modelId}.`,
);
export const ComputeRewardsWindowOpenError = define(
  "ComputeRewardsWindowOpen",
  (at) => `The pending root can be activated from ${time(at)}.`,
  true,
);
export const ComputeRewardsZeroRootError = define("ComputeRewardsZeroRoot", () => "A root must not be zero.");

// Emission
export const EmissionAboveYearlyCapError = define(
  "EmissionAboveYearlyCap",
  (perYear, cap) => `The budget comes to ${shares(perYear)} a year, above the yearly cap of ${shares(cap)}.`,
);
export const EmissionBadRangeError = define(
  "EmissionBadRange",
  (from, to, current) => `Epochs ${from} to ${to} are no range from 1 on that ends at the current epoch ${current}.`,
);
export const EmissionNotDistributorError = define(
  "EmissionNotDistributor",
  (kind, caller) => `${caller} does not distribute emission of kind ${kind}.`,
);
export const EmissionOverBudgetError = define(
  "EmissionOverBudget",
  (amount, authorisable) => `${shares(amount)} are more than the ${shares(authorisable)} that the epochs still allow.`,
);
export const EmissionSplitError = define(
  "EmissionSplit",
  (sum) => `The split sums to ${sum} basis points; it must sum to 10000.`,
);
export const EmissionUnknownModelError = define("EmissionUnknownModel", (modelId) => `There is no model ${modelId}.`);

// Models
export const ModelAuthorityUnauthorizedError = define(
  "ModelAuthorityUnauthorized",
  (modelId, caller) => `${caller} may not command model ${modelId}; its holders do, by a proposal.`,
);
export const ModelGovernorOnlyRegistryError = define(
  "ModelGovernorOnlyRegistry",
  (caller) => `${caller} may not initialise a governor; only the registry does.`,
);
export const ModelGovernorSettingOutOfBoundsError = define(
  "ModelGovernorSettingOutOfBounds",
  (value, minimum, maximum) => `The governor's setting ${value} must lie from ${minimum} to ${maximum}.`,
);
export const ModelGovernorTimelockFixedError = define(
  "ModelGovernorTimelockFixed",
  () => "The timelock of a model is fixed, for its address is what commands the model.",
);
export const ModelRegistryLimitRefusedError = define(
  "ModelRegistryLimitRefused",
  (setting, value, minimum) =>
    `The limit ${word(setting)} of ${value} lies below ${minimum}, which only development chains may allow.`,
);
export const ModelRegistryModelExistsError = define(
  "ModelRegistryModelExists",
  (modelId) => `Model ${modelId} exists: this sender has used this salt before.`,
);
export const ModelRegistryOrganiserMissingError = define(
  "ModelRegistryOrganiserMissing",
  () => "A model needs an organiser, which is the zero address here.",
);
export const ModelRegistrySettingOutOfBoundsError = define(
  "ModelRegistrySettingOutOfBounds",
  (setting, value, minimum, maximum) =>
    `The model's ${word(setting)} is ${value}; it must lie from ${minimum} to ${maximum}.`,
);
export const ModelSharesOnlyEmissionError = define(
  "ModelSharesOnlyEmission",
  (caller) => `${caller} may not mint shares; only Emission does.`,
);
export const ModelSharesOnlyRegistryError = define(
  "ModelSharesOnlyRegistry",
  (caller) => `${caller} may not initialise shares; only the registry does.`,
);
export const ModelSharesOnlyTimelockError = define(
  "ModelSharesOnlyTimelock",
  (caller) => `${caller} may not set the contract URI; the holders do, by a proposal.`,
);
export const ModelTimelockDelayOutOfBoundsError = define(
  "ModelTimelockDelayOutOfBounds",
  (delay, minimum, maximum) => `The timelock's delay of ${delay} seconds must lie from ${minimum} to ${maximum}.`,
);
export const ModelTimelockOnlyRegistryError = define(
  "ModelTimelockOnlyRegistry",
  (caller) => `${caller} may not initialise a timelock; only the registry does.`,
);

// Runs
export const RunRegistryParamOutOfBoundsError = define(
  "RunRegistryParamOutOfBounds",
  (field, value, min, max) =>
    `The run parameter ${runParameters[Number(field)]?.name ?? field} is ${value}; it must lie from ${min} to ${max}.`,
);
export const RunRegistryParamsInconsistentError = define(
  "RunRegistryParamsInconsistent",
  (rule) => `The run parameter ${word(rule)} does not fit the others or the number of fragments.`,
);
export const RunRegistryBuildCountError = define(
  "RunRegistryBuildCount",
  (count) => `A run is registered with 1 to 16 builds, not ${count}.`,
);
export const RunRegistryRunExistsError = define(
  "RunRegistryRunExists",
  (runId) => `Run ${runId} exists: this model has used this salt before.`,
);
export const RunRegistryRunFinishedError = define(
  "RunRegistryRunFinished",
  (runId) => `Run ${runId} is finished, and a finished run stays finished.`,
);
export const RunRegistryRunOpenError = define(
  "RunRegistryRunOpen",
  (modelId, runId) => `Model ${modelId} has run ${runId}, which must finish before another is registered.`,
);
export const RunRegistryUnknownRunError = define("RunRegistryUnknownRun", (runId) => `There is no run ${runId}.`);
export const RunRegistryZeroError = define("RunRegistryZero", (field) => `The run's ${word(field)} must not be zero.`);

// Validators
export const ValidatorSetBadSignerError = define(
  "ValidatorSetBadSigner",
  (signer) =>
    `${signer} signed, but is not in the validator set, or the signatures are not in ascending order of signer.`,
);
export const ValidatorSetChangedThisEpochError = define(
  "ValidatorSetChangedThisEpoch",
  (modelId, epoch) => `The validators of model ${modelId} have changed in epoch ${epoch} already; wait for the next.`,
  true,
);
export const ValidatorSetNoQuorumError = define(
  "ValidatorSetNoQuorum",
  (count, threshold) => `${count} validators signed, ${threshold} are needed.`,
);
export const ValidatorSetNotAscendingError = define(
  "ValidatorSetNotAscending",
  (previous, next) => `Validators come strictly ascending and are never zero, but ${next} comes after ${previous}.`,
);
export const ValidatorSetSizeError = define("ValidatorSetSize", (size) => `A set has 1 to 64 validators, not ${size}.`);
export const ValidatorSetThresholdError = define(
  "ValidatorSetThreshold",
  (threshold, size) => `The threshold ${threshold} must be at least two thirds and at most all of ${size} validators.`,
);
export const ValidatorSetTooManyChangesError = define(
  "ValidatorSetTooManyChanges",
  (changes, allowed) => `${changes} validators change at once; ${allowed} may in one epoch.`,
);
export const ValidatorSetUnknownVersionError = define(
  "ValidatorSetUnknownVersion",
  (modelId, version) => `Model ${modelId} has no validator set ${version}.`,
);

// Governor and timelock (OpenZeppelin)
export const GovernorAlreadyCastVoteError = define("GovernorAlreadyCastVote", (voter) => `${voter} has voted already.`);
export const GovernorAlreadyQueuedProposalError = define(
  "GovernorAlreadyQueuedProposal",
  (id) => `Proposal ${id} is queued already.`,
);
export const GovernorDisabledDepositError = define(
  "GovernorDisabledDeposit",
  () => "The governor takes no deposits; send them to the timelock.",
);
export const GovernorInsufficientProposerVotesError = define(
  "GovernorInsufficientProposerVotes",
  (proposer, votes, threshold) =>
    `${proposer} has ${shares(votes)} delegated to it; ${shares(threshold)} are needed to propose.`,
);
export const GovernorInvalidProposalLengthError = define(
  "GovernorInvalidProposalLength",
  (targets, calldatas, values) =>
    `A proposal has as many targets as call data and values, and one at least, not ${targets}, ${calldatas} and ${values}.`,
);
export const GovernorInvalidQuorumFractionError = define(
  "GovernorInvalidQuorumFraction",
  (numerator, denominator) => `The quorum ${numerator} must be at most ${denominator}.`,
);
export const GovernorInvalidSignatureError = define(
  "GovernorInvalidSignature",
  (voter) => `The vote is not signed by ${voter}.`,
);
export const GovernorInvalidVoteParamsError = define(
  "GovernorInvalidVoteParams",
  () => "Votes here carry no parameters beyond for, against and abstain.",
);
export const GovernorInvalidVoteTypeError = define(
  "GovernorInvalidVoteType",
  () => "A vote is 0 (against), 1 (for) or 2 (abstain).",
);
export const GovernorInvalidVotingPeriodError = define(
  "GovernorInvalidVotingPeriod",
  (period) => `A voting period of ${period} seconds is not possible.`,
);
export const GovernorNonexistentProposalError = define(
  "GovernorNonexistentProposal",
  (id) => `There is no proposal ${id}.`,
);
export const GovernorOnlyExecutorError = define(
  "GovernorOnlyExecutor",
  (account) => `${account} may not change the governor; only an executed proposal does.`,
);
export const GovernorPreventLateQuorumVoteExtensionTooLargeError = define(
  "GovernorPreventLateQuorumVoteExtensionTooLarge",
  (extension, maximum) => `The late-quorum extension of ${extension} seconds must be at most ${maximum}.`,
);
export const GovernorProposalQueueingFailedError = define(
  "GovernorProposalQueueingFailed",
  (id) => `Proposal ${id} could not be queued.`,
);
export const GovernorProposalQueueingNotRequiredError = define(
  "GovernorProposalQueueingNotRequired",
  (id) => `Proposal ${id} needs no queue.`,
);
export const GovernorRestrictedProposerError = define(
  "GovernorRestrictedProposer",
  (proposer) => `${proposer} may not make this proposal: its description names another proposer.`,
);
export const GovernorUnableToCancelError = define(
  "GovernorUnableToCancel",
  (id, account) => `${account} may not cancel proposal ${id}; only its proposer may, before voting begins.`,
);
export const GovernorUnexpectedProposalStateError = define(
  "GovernorUnexpectedProposalState",
  (id, current, expected) => {
    const wanted = statesIn(expected, proposalStates);
    return wanted === ""
      ? `Proposal ${id} is ${stateName(current)}: the same proposal was made before.`
      : `Proposal ${id} is ${stateName(current)}; it must be ${wanted}.`;
  },
);
export const TimelockInsufficientDelayError = define(
  "TimelockInsufficientDelay",
  (delay, minimum) => `The delay of ${delay} seconds must be at least ${minimum}.`,
);
export const TimelockInvalidOperationLengthError = define(
  "TimelockInvalidOperationLength",
  (targets, payloads, values) =>
    `An operation has as many targets as payloads and values, not ${targets}, ${payloads} and ${values}.`,
);
export const TimelockUnauthorizedCallerError = define(
  "TimelockUnauthorizedCaller",
  (caller) => `${caller} may not change the timelock; only the timelock itself does.`,
);
export const TimelockUnexecutedPredecessorError = define(
  "TimelockUnexecutedPredecessor",
  (id) => `Operation ${id} must be executed before.`,
);
export const TimelockUnexpectedOperationStateError = define(
  "TimelockUnexpectedOperationState",
  (id, expected) =>
    `Operation ${id} of the timelock is not ${statesIn(expected, ["unset", "waiting", "ready", "done"])}; its delay may not be over.`,
  true,
);
export const AccessControlBadConfirmationError = define(
  "AccessControlBadConfirmation",
  () => "A role can be renounced only by the account that holds it.",
);
export const AccessControlUnauthorizedAccountError = define(
  "AccessControlUnauthorizedAccount",
  (account, role) => `${account} does not hold the role ${role}.`,
);

// Shares and votes (OpenZeppelin)
export const CheckpointUnorderedInsertionError = define(
  "CheckpointUnorderedInsertion",
  () => "A past vote cannot be rewritten.",
);
export const ERC20ExceededSafeSupplyError = define(
  "ERC20ExceededSafeSupply",
  (supply, cap) => `A supply of ${shares(supply)} is above the most that votes can count, ${shares(cap)}.`,
);
export const ERC20InsufficientAllowanceError = define(
  "ERC20InsufficientAllowance",
  (spender, allowance, needed) => `${spender} may spend ${shares(allowance)}, ${shares(needed)} are needed.`,
);
export const ERC20InsufficientBalanceError = define(
  "ERC20InsufficientBalance",
  (sender, balance, needed) => `${sender} has ${shares(balance)}, ${shares(needed)} are needed.`,
);
export const ERC20InvalidApproverError = define("ERC20InvalidApprover", (account) => `${account} cannot approve.`);
export const ERC20InvalidReceiverError = define("ERC20InvalidReceiver", (account) => `${account} cannot take shares.`);
export const ERC20InvalidSenderError = define("ERC20InvalidSender", (account) => `${account} cannot send shares.`);
export const ERC20InvalidSpenderError = define("ERC20InvalidSpender", (account) => `${account} cannot spend shares.`);
export const ERC2612ExpiredSignatureError = define(
  "ERC2612ExpiredSignature",
  (deadline) => `The permit's deadline ${time(deadline)} has passed.`,
);
export const ERC2612InvalidSignerError = define(
  "ERC2612InvalidSigner",
  (signer, owner) => `The permit is signed by ${signer}, not by ${owner}.`,
);
export const ERC5805FutureLookupError = define(
  "ERC5805FutureLookup",
  (timepoint, clock) => `Votes at ${time(timepoint)} are not known before that time; it is ${time(clock)}.`,
  true,
);
export const ERC6372InconsistentClockError = define(
  "ERC6372InconsistentClock",
  () => "The clock of these shares is inconsistent.",
);
export const InvalidAccountNonceError = define(
  "InvalidAccountNonce",
  (account, nonce) => `The signature's nonce is not ${account}'s current one, ${nonce}.`,
);
export const VotesExpiredSignatureError = define(
  "VotesExpiredSignature",
  (expiry) => `The delegation's signature expired at ${time(expiry)}.`,
);

// Building blocks (OpenZeppelin)
export const ECDSAInvalidSignatureError = define("ECDSAInvalidSignature", () => "A signature is malformed.");
export const ECDSAInvalidSignatureLengthError = define(
  "ECDSAInvalidSignatureLength",
  (length) => `A signature has 65 bytes, not ${length}.`,
);
export const ECDSAInvalidSignatureSError = define(
  "ECDSAInvalidSignatureS",
  () => "A signature has its s in the upper half of the curve's order; only the lower is allowed.",
);
export const FailedCallError = define("FailedCall", () => "A call to another contract failed without a reason.");
export const FailedDeploymentError = define(
  "FailedDeployment",
  () => "A contract could not be made; one may exist at its address already.",
);
export const InsufficientBalanceError = define(
  "InsufficientBalance",
  (balance, needed) => `The contract has ${balance} wei, ${needed} are needed.`,
);
export const InvalidInitializationError = define(
  "InvalidInitialization",
  () => "The contract has been initialised already.",
);
export const InvalidShortStringError = define("InvalidShortString", () => "A stored text is malformed.");
export const NotInitializingError = define("NotInitializing", () => "This can be done only during initialisation.");
export const SafeCastOverflowedUintDowncastError = define(
  "SafeCastOverflowedUintDowncast",
  (bits, value) => `${value} does not fit into ${bits} bits.`,
);
export const SafeERC20FailedOperationError = define(
  "SafeERC20FailedOperation",
  (token) => `Token ${token} refused the transfer.`,
);
export const StringTooLongError = define("StringTooLong", (text) => `The text "${text}" is longer than 31 bytes.`);
