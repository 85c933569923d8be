/** Errors of OpenZeppelin's governor and timelock. */
import type { Hex } from "viem";
import { define, shares } from "./define.ts";

const proposalStates = ["pending", "active", "canceled", "defeated", "succeeded", "queued", "expired", "executed"];
const stateName = (state: number): string => proposalStates[state] ?? `in state ${state}`;
/** A set of enum values as OpenZeppelin reports it: bit n stands for value n. */
const statesIn = (bits: Hex, names: readonly string[]): string =>
  names.filter((_, index) => ((BigInt(bits) >> BigInt(index)) & 1n) === 1n).join(" or ");

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
  (id, account) =>
    `${account} may not cancel proposal ${id}; only its proposer may, before voting begins and if the description ends in #proposer= and its address.`,
);
export const GovernorUnexpectedProposalStateError = define(
  "GovernorUnexpectedProposalState",
  (id, current, expected) => {
    const wanted = statesIn(expected, proposalStates);
    return wanted === ""
      ? `Proposal ${id} is ${stateName(current)}: the same proposal was made before, and another needs another description.`
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
    `Operation ${id} of the timelock is not ${statesIn(expected, ["unset", "waiting", "ready", "done"])}; its delay may not be over, or it has expired.`,
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
