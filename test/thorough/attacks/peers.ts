/** What others got wrong in public code. */
import { type Attack, without } from "./attack.ts";

const emission = "contracts/emission/Emission.sol";
const disputes = "contracts/rewards/Disputes.sol";
const validators = "contracts/attestation/ValidatorSet.sol";
const rewards = "contracts/rewards/ComputeRewards.sol";
const stakes = "contracts/staking/StakeManager.sol";

export const peers: readonly Attack[] = [
  {
    name: "a quorum contract that always reverts",
    defences: [without(validators, "member != signer", "Quorum test_anyFiveOfSevenAreEnough", "true")],
  },
  {
    name: "slashing that takes 0 of 100 matured tokens",
    defences: [
      without(
        stakes,
        "uint256(stake.active) + stake.leaving",
        "SlashConflict test_whatHasWaitedIsSlashedAsWell",
        "uint256(stake.active)",
      ),
    ],
  },
  {
    name: "rewards that are self-declared",
    defences: [
      without(
        rewards,
        "VALIDATORS.requireQuorum(modelId, version, _hashTypedDataV4(digest), signatures);",
        "PostRoot test_aQuorumSigns",
      ),
      without(
        emission,
        "if (msg.sender != distributorFor(modelId, kind)) revert EmissionNotDistributor(kind, msg.sender);",
        "Budget test_onlyTheDistributorAuthorises",
      ),
    ],
  },
  {
    name: "slashed tokens that are paid to the slasher",
    defences: [
      without(stakes, "(amount * FEE_BPS) / Protocol.BPS", "SlashConflict test_twoValuesForOneThingCostHalf", "amount"),
    ],
  },
  {
    name: "a state of being ejected that nothing ever sets",
    defences: [
      without(
        "contracts/training/CheckpointRegistry.sol",
        "_links[runId].standing |= SUSPENDED;",
        "SuspendPoster test_aQuorumStopsThePosterAtOnceAndNothingElse",
      ),
      without(
        disputes,
        "pool.posted.voidedAt = uint48(block.timestamp);",
        "SlashVoided test_noValidatorLeavesWhileHoldersDecide",
      ),
      without(
        validators,
        "member.newest = version;",
        "ChooseValidators test_aValidatorIsOneUntilASetWithoutItIsInForce",
      ),
    ],
  },
];
