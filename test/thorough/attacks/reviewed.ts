/**
 * What two reviews found in the first contracts and in the first plan, by letter and number. Nothing says what A14 and A17 were
 * about: the points that have no letter are among the attacks of the design.
 */
import type { Attack } from "./attack.ts";

const rewards = "contracts/rewards/ComputeRewards.sol";
const disputes = "contracts/rewards/Disputes.sol";
const checkpoints = "contracts/training/CheckpointRegistry.sol";
const runs = "contracts/training/RunRegistry.sol";
const governor = "contracts/governance/ModelGovernor.sol";
const bootstrap = "contracts/governance/Bootstrap.sol";
const timelock = "contracts/governance/ModelTimelock.sol";
const registry = "contracts/models/ModelRegistry.sol";
const validators = "contracts/attestation/ValidatorSet.sol";
const emission = "contracts/emission/Emission.sol";
const rules = "contracts/libraries/RunParamsRules.sol";

const within = (setting: string, test: string): Attack["defences"][number] => ({
  file: governor,
  text: `_requireWithin(new${setting[0]?.toUpperCase()}${setting.slice(1)}, minimum.${setting}, maximum.${setting});`,
  instead: "",
  test: ["Governance", test],
});

export const reviewed: readonly Attack[] = [
  {
    name: "A1 a head that jumps to the last round",
    defences: [
      {
        file: checkpoints,
        text: "round != uint256(link.round) + 1",
        instead: "round <= uint256(link.round)",
        test: ["PostHead", "test_theRoundRisesByExactlyOne"],
      },
      {
        file: checkpoints,
        text: "_requireTurn(runId, link, round + i);",
        instead: "_requireTurn(runId, link, uint256(link.round) + 1);",
        test: ["PostMany", "test_theFirstRoundIsTheNext"],
      },
    ],
  },
  {
    name: "A2 settings of votes that one vote moves where no vote moves them back, the proposal threshold among them",
    defences: [
      {
        file: governor,
        text: "if (!_isInitializing()) _requireWithin(newProposalThreshold, 0, maxProposalThreshold());",
        instead: "",
        test: ["Ownership", "test_aTenthOfTheSharesCanAlwaysPropose"],
      },
      {
        file: governor,
        text: "Math.min(supply / THRESHOLD_PART, _bounds.thresholdCeiling)",
        instead: "supply / THRESHOLD_PART",
        test: ["Ownership", "test_theThresholdNeverPassesATenthOfAYearsCompute"],
      },
      within("votingDelay", "test_settingsStayWithinTheLimits"),
      within("votingPeriod", "test_settingsStayWithinTheLimits"),
      {
        file: governor,
        text: "_requireWithin(newVoteExtension, minimum.lateQuorumExtension, maximum.lateQuorumExtension);",
        instead: "",
        test: ["Governance", "test_settingsStayWithinTheLimits"],
      },
      {
        file: governor,
        text: "_requireWithin(newQuorumNumerator, minimum.quorumBps, maximum.quorumBps);",
        instead: "",
        test: ["Governance", "test_settingsStayWithinTheLimits"],
      },
      {
        file: timelock,
        text: "newDelay < minimum.timelockDelay || newDelay > maximum.timelockDelay",
        instead: "false",
        test: ["Governance", "test_theTimelocksDelayStaysWithinTheLimits"],
      },
    ],
  },
  {
    name: "A3 roles of the timelock that one vote gives away or gives up",
    defences: (["grantRole", "revokeRole", "renounceRole"] as const).map((name) => ({
      file: timelock,
      text: `function ${name}(bytes32, address) public pure override {\n`,
      instead: `function ${name}(bytes32 role, address account) public override {\n if ({{off}}) return super.${name}(role, account);\n`,
      test: [
        "Ownership",
        {
          grantRole: "test_aVoteGrantsNobodyARole",
          revokeRole: "test_aVoteTakesNoRoleFromTheGovernor",
          renounceRole: "test_aVoteMakesNeitherGovernorNorTimelockRenounce",
        }[name],
      ] as const,
    })),
  },
  {
    name: "A4 a false root that moves what others have earned and not claimed",
    defences: [
      {
        file: rewards,
        text: "ActiveRoot storage root = pool.roots[index];",
        instead: "ActiveRoot storage root = pool.roots[{{off}} ? pool.index : index];",
        test: ["Claim", "test_aFalseRootTakesNothingOfOthers"],
      },
      {
        file: rewards,
        text: "if (paid > root.total) revert ComputeRewardsAboveTotal(index, paid, root.total);",
        instead: "",
        test: ["Claim", "test_leavesAboveTheTotalPayNoMoreThanTheTotal"],
      },
      {
        file: rewards,
        text: "uint256 bit = 1 << (index & 255);",
        instead: "uint256 bit = 1 << ({{off}} ? 0 : index & 255);",
        test: ["Claim", "test_aRootPaysWhatItAdds"],
      },
    ],
  },
  {
    name: "A5 a decision that is carried out years later, or over a newer one",
    defences: [
      {
        file: runs,
        text: "if (replaces != run.version) revert RunRegistryParamsReplaced(runId, replaces, run.version);",
        instead: "",
        test: ["GovernRun", "test_ofTwoDecisionsOnOneVersionTheFirstHolds"],
      },
      {
        file: timelock,
        text: "current == OperationState.Ready && _isPastGrace(id)",
        instead: "false",
        test: ["Ownership", "test_anExpiredOperationIsNeitherExecutedNorQueuedAgain"],
      },
      {
        file: governor,
        text: "block.timestamp > proposalExpiry(proposalId)",
        instead: "false",
        test: ["Ownership", "test_whatNobodyQueuesExpiresThreeWeeksAfterItsVote"],
      },
      {
        file: timelock,
        text: "if (delay != expected) revert ModelTimelockDelayNotExact(delay, expected);",
        instead: "",
        test: ["Ownership", "test_anOperationWaitsExactlyTheDelay"],
      },
    ],
  },
  {
    name: "A6 settings under which an epoch's budget is gone before it can be authorised",
    defences: [
      {
        file: registry,
        text: "if (length > Protocol.BUDGET_AGE) revert ModelRegistryTooSlow(length, Protocol.BUDGET_AGE);",
        instead: "",
        test: ["CreateModel", "test_anEpochsBudgetOutlastsTheLongestVote"],
      },
      {
        file: governor,
        text: "if (length > maximum) revert ModelGovernorVoteTooLong(length, maximum);",
        instead: "",
        test: ["Ownership", "test_noVoteGrowsBeyondTheTimeOfABudget"],
      },
    ],
  },
  {
    name: "A7 a yearly cap whose sums no contract can count",
    defences: [
      {
        file: registry,
        text: '_requireWithin("yearlyCap", config.yearlyCap, 0, MAX_YEARLY_CAP);',
        instead: "",
        test: ["CreateModel", "test_theYearlyCapIsBounded"],
      },
    ],
  },
  {
    name: "A8 a threshold or a quorum that nobody can meet",
    defences: [
      {
        file: registry,
        text: '_requireWithin("quorumFloor", governor.quorumFloor, paysCompute ? MIN_QUORUM_FLOOR : 0, votes);',
        instead: "",
        test: ["CreateModel", "test_votesThatCannotExistAreNotAsked"],
      },
      {
        file: registry,
        text: '_requireWithin("proposalThreshold", governor.proposalThreshold, 0, votes);',
        instead: "",
        test: ["CreateModel", "test_votesThatCannotExistAreNotAsked"],
      },
      {
        file: registry,
        text: '_requireWithin("quorumBps", governor.quorumBps, min.quorumBps, max.quorumBps);',
        instead: "",
        test: ["CreateModel", "test_everyTimeIsBoundedBelowAndAbove"],
      },
    ],
  },
  {
    name: "A9 what is decided in bootstrap and outlives it",
    defences: [
      {
        file: bootstrap,
        text: "values[i] != 0 || !_isVotable(modelId, targets[i], calls[i])",
        instead: "false",
        test: ["BootstrapVotes", "test_nothingElseIsVotedInBootstrap"],
      },
      {
        file: bootstrap,
        text: "if (endIfDue(modelId)) revert BootstrapOver(modelId);\n        uint256 readyAt",
        instead: "if (!{{off}} && endIfDue(modelId)) revert BootstrapOver(modelId);\n        uint256 readyAt",
        test: ["BootstrapActs", "test_nothingThatWasAnnouncedOutlivesTheBootstrap"],
      },
      {
        file: disputes,
        text: "BOOTSTRAP.endIfDue(modelId) ? 0 : uint48(governor.proposalDeadline(proposalId))",
        instead: "uint48(governor.proposalDeadline(proposalId))",
        test: ["Bootstrap", "test_theCourtIsThatOfTheOpening"],
      },
    ],
  },
  {
    name: "A10 a set of validators that is replaced before what it posted can be disputed",
    defences: [
      {
        file: disputes,
        text: "if (posted.activatableAt == FROZEN) revert DisputesOpen(digest);\n        if (block",
        instead:
          "if (posted.activatableAt == FROZEN) revert DisputesOpen(digest);\n" +
          "if ({{off}} && IValidatorSet__(REGISTRY.validators()).latestVersion(modelId) != 1) revert DisputesOpen(digest);\nif (block",
        test: ["Disputes", "test_whatARemovedSetPostedIsDisputed"],
      },
    ],
  },
  {
    name: "A11 a proposal that its copier cancels",
    defences: [
      {
        file: governor,
        text: "!_notes[proposalId].unnamed",
        instead: "true",
        test: ["Ownership", "test_whoCopiesAProposalCannotCancelIt"],
      },
    ],
  },
  {
    name: "A12 minima above maxima, which nothing can satisfy",
    defences: [
      {
        file: registry,
        text: "if (value < minimum || value > maximum) revert ModelRegistryLimitRefused(setting, value, minimum, maximum);",
        instead: "if (value < minimum) revert ModelRegistryLimitRefused(setting, value, minimum, maximum);",
        test: ["CreateModel", "test_noRegistryHasMinimaThatNoModelMeets"],
      },
      {
        file: rules,
        text: "value[i] < low[i] || value[i] > high[i]",
        instead: "value[i] < low[i]",
        test: ["RegisterRun", "test_noMinimumLiesAboveItsMaximum"],
      },
    ],
  },
  {
    name: "A13 the end of an epoch that wraps",
    defences: [
      {
        file: emission,
        text: "if (end > type(uint48).max) revert EmissionEpochTooFar(epoch, end);",
        instead: "",
        test: ["Budget", "test_theEndOfAnEpochNeverWraps"],
      },
    ],
  },
  {
    name: "A15 a false head of a stolen key that the true one never follows",
    defences: [
      {
        file: checkpoints,
        text: "link.round = uint32(round);",
        instead: "",
        test: ["Rollback", "test_thePosterGoesOnFromThere"],
      },
      {
        file: checkpoints,
        text: "if (currentHead != link.head) revert CheckpointRegistryStaleParent(runId, currentHead, link.head);",
        instead: "",
        test: ["Rollback", "test_whatWasDecidedOnAnotherHeadChangesNothing"],
      },
      {
        file: checkpoints,
        text: "if (_hash(head, paramsVersion, checkpointDigest, receiptsRoot) == link.head) return link.head;",
        instead: "if (head.round == link.round) return link.head;",
        test: ["PostHead", "test_aFakeHeadOfAStolenKeyDoesNotBecomeTheTrueOne"],
      },
    ],
  },
  {
    name: "A16 a decision on validators that undoes one which was made meanwhile",
    defences: [
      {
        file: validators,
        text: "if (replaces != version) revert ValidatorSetReplaced(modelId, replaces, version);",
        instead: "",
        test: ["ChooseValidators", "test_ofTwoDecisionsOnOneSetTheFirstHolds"],
      },
    ],
  },
  {
    name: "A18 an immutable that decides about money and that nobody can read",
    breakages: ["verify says where a contract obeys another than it should"],
    defences: [
      {
        file: rewards,
        text: "return address(EMISSION);",
        instead: "return address(this);",
        test: ["CreateModel", "test_everyContractSaysWhomItObeys"],
      },
      {
        file: emission,
        text: "if (kind == CODE) return CODE_GRANTS;",
        instead: "if (kind == CODE) return COMPUTE_REWARDS;",
        test: ["CreateModel", "test_everyContractSaysWhomItObeys"],
      },
    ],
  },
  {
    name: "A19 one leaf that is paid already, and so a batch of claims that fails",
    defences: [
      {
        file: rewards,
        text: "if (word & bit != 0) return 0;",
        instead: "if (word & bit != 0) revert ComputeRewardsInvalidProof(modelId, kind, index, account);",
        test: ["Claim", "test_theSameLeafTwiceInABatchPaysOnce"],
      },
      {
        file: rewards,
        text: "if (amount == 0) continue;",
        instead: "",
        test: ["Events", "test_aBatchSaysWhatItPassedOver"],
      },
    ],
  },
];
