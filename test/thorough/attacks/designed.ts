/** The attacks that the contracts were designed against: on what is paid, by whom it is signed, and how it is disputed. */
import { type Attack, without } from "./attack.ts";

const rewards = "contracts/rewards/ComputeRewards.sol";
const disputes = "contracts/rewards/Disputes.sol";
const hashes = "contracts/libraries/ProtocolHashes.sol";
const emission = "contracts/emission/Emission.sol";
const sale = "contracts/rewards/CapitalSale.sol";
const revenue = "contracts/rewards/RevenueDeposits.sol";
const checkpoints = "contracts/training/CheckpointRegistry.sol";
const validators = "contracts/attestation/ValidatorSet.sol";
const stakes = "contracts/staking/StakeManager.sol";
const libraries = "@openzeppelin/contracts";

const proof = "MerkleProof.verifyCalldata(leaf.proof, root.root, hash)";
const leaf = "_leaf(abi.encode(kind, modelId, index, account, amount))";

export const designed: readonly Attack[] = [
  {
    name: "a node of the tree passed off as a leaf",
    defences: [
      without(
        hashes,
        "keccak256(bytes.concat(keccak256(encoded)))",
        "Claim test_aTreeOfSingleHashesPaysNobody",
        "keccak256(encoded)",
      ),
    ],
  },
  {
    name: "a proof that is too short",
    defences: [
      without(rewards, proof, "Claim test_proofsAreWholeAndForTheLeaf", `(leaf.proof.length < 3 || ${proof})`),
    ],
  },
  {
    name: "an empty proof",
    defences: [
      without(rewards, proof, "Claim test_aTreeOfSingleHashesPaysNobody", `(leaf.proof.length == 0 || ${proof})`),
    ],
  },
  {
    name: "a root of zero",
    defences: [
      without(rewards, "if (attestation.root == 0) revert ComputeRewardsZeroRoot();", "PostRoot test_aRootIsNotZero"),
    ],
  },
  {
    name: "a leaf that stands twice",
    defences: [without(rewards, "bits[index >> 8] = word | bit;", "Claim test_aDuplicateLeafPaysOnce")],
  },
  {
    name: "leaves that sum above the total",
    defences: [without(rewards, "root.paid = uint128(paid);", "Claim test_leavesAboveTheTotalPayNoMoreThanTheTotal")],
  },
  {
    name: "another model's deposits, or its roots",
    defences: [
      without(hashes, leaf, "Claim test_anotherModelsRootPaysNobodyHere", leaf.replace("modelId", "uint256(0)")),
      without(
        sale,
        "_pay(book, account, deposited)",
        "CapitalSale test_anotherModelsDepositsPayNobodyHere",
        "_pay(book, account, deposited + book.held)",
      ),
      without(
        revenue,
        "Math.saturatingSub(_arrivedThrough(book, to), book.setAside)",
        "Revenue test_anotherModelsRevenuePaysNobodyHere",
        "type(uint128).max",
      ),
    ],
  },
  {
    name: "another kind's root",
    defences: [
      without(hashes, leaf, "Claim test_anotherKindsLeafPaysNobody", leaf.replace("kind", "uint256(0)")),
      without(
        rewards,
        "if (kind != COMPUTE && kind != REVENUE) revert ComputeRewardsUnknownKind(kind);",
        "PostRoot test_onlyComputeAndRevenueArePaidHere",
      ),
    ],
  },
  {
    name: "a tree that is withheld",
    breakages: [
      "a root without its tree is taken for published",
      "a root whose documents are lost keeps everybody from what other roots grant",
    ],
    defences: [
      without(
        disputes,
        "pool.posted.toEpoch = 0;",
        "DisputeBonds test_afterAVoidRootTheNextBearsABondLikeTheNextDispute",
      ),
    ],
  },
  {
    name: "one period paid twice",
    defences: [
      without(
        rewards,
        "attestation.fromEpoch != next || attestation.toEpoch < next",
        "PostRoot test_aRootBeginsWhereTheLastOneEnded",
        "attestation.toEpoch < next",
      ),
      without(
        emission,
        "if (to > authorised.through) (authorised.through, authorised.drawn) = (uint32(to), 0);",
        "Budget test_anEpochServesOnce",
      ),
    ],
  },
  {
    name: "a pending root whose window begins anew by posting again",
    defences: [
      without(
        rewards,
        "if (posted.toEpoch >= next) revert ComputeRewardsRootPending(posted.toEpoch, posted.activatableAt);",
        "PostRoot test_oneRootIsPendingAtATime",
      ),
    ],
  },
  {
    name: "one's own dispute as a shield",
    defences: [
      without(
        disputes,
        "if (block.timestamp < from) revert DisputesRuledTooEarly(from);",
        "Bootstrap test_theOrganiserLetsNoRootStandInsideItsWindow",
      ),
      without(
        disputes,
        "if (block.timestamp <= until) revert DisputesNotDecided(until);",
        "Disputes test_nobodySettlesEarlyAndAnyoneAfter",
      ),
    ],
  },
  {
    name: "a dispute that nobody decides",
    defences: [
      without(
        disputes,
        "if (most == 0 || most < governor.quorum(governor.proposalSnapshot(proposalId))) return Outcome.Undecided;",
        "Disputes test_withoutAQuorumNothingIsDecided",
      ),
      without(
        disputes,
        "uint256 lost = Math.ceilDiv(current.bond, UNDECIDED_PARTS);",
        "DisputeBonds test_undecidedBothLoseAFifth",
        "uint256 lost = {{off}} ? 0 : Math.ceilDiv(current.bond, UNDECIDED_PARTS);",
      ),
    ],
  },
  {
    name: "a poster's key that is stolen: a false head, then the true one",
    defences: [
      without(
        checkpoints,
        "if (msg.sender != link.poster) revert CheckpointRegistryNotPoster(runId, msg.sender);",
        "PostHead test_onlyThePosterPosts",
      ),
      without(
        checkpoints,
        "if (link.standing & SUSPENDED != 0) revert CheckpointRegistrySuspended(runId, link.poster);\n            revert CheckpointRegistryRunNotOpen(runId);",
        "SuspendPoster test_nothingButAnotherPosterEndsIt",
      ),
    ],
  },
  {
    name: "disputes without end",
    defences: [
      without(disputes, "if (pool.level < MAX_LEVEL) ++pool.level;", "DisputeBonds test_theBondDoublesTenTimesAtMost"),
      without(
        disputes,
        "if (msg.value < due) revert DisputesBondTooLow(msg.value, due);\n        _credit(msg.sender, msg.value - due);",
        "Disputes test_aDisputeCostsTheBond",
      ),
      without(
        disputes,
        "if (_disputes[digest].endedAt != 0) revert DisputesRuledBefore(digest);\n        uint256 bond = _takeBond(modelId, pool);\n\n",
        "Disputes test_whatStoodIsNotDisputedAgain",
        "if (!{{off}} && _disputes[digest].endedAt != 0) revert DisputesRuledBefore(digest);\n        uint256 bond = _takeBond(modelId, pool);\n\n",
      ),
    ],
  },
  {
    name: "parameters that change under an open dispute",
    defences: [
      without(
        disputes,
        "_credit(current.disputer, current.bond + won);",
        "Disputes test_whatTheHoldersSetMeanwhileChangesNoBond",
        "_credit(current.disputer, _bond(modelId, pool) / 2 + won);",
      ),
      without(
        `${libraries}-upgradeable/governance/extensions/GovernorVotesQuorumFractionUpgradeable.sol`,
        "quorumNumerator(timepoint), quorumDenominator()",
        "Disputes test_theVoteKeepsTheSettingsOfItsOpening",
        "{{off}} ? quorumNumerator() : quorumNumerator(timepoint), quorumDenominator()",
      ),
    ],
  },
  {
    name: "a head's level of disputes that posting again drives up",
    defences: [
      without(
        disputes,
        "_credit(msg.sender, msg.value);\n            return deadline;",
        "DisputeBonds test_rootsBearNoBondOtherwise",
        "++pool.level; return deadline;",
      ),
      without(
        disputes,
        "uint256 bond = _takeBond(modelId, pool);\n        _backings",
        "DisputeBonds test_afterAVoidRootTheNextBearsABondLikeTheNextDispute",
        "uint256 bond = {{off}} ? msg.value : _takeBond(modelId, pool);\n        _backings",
      ),
    ],
  },
  {
    name: "a disputer who never pays",
    defences: [
      without(
        disputes,
        "_credit(backing.backer == address(0) ? REGISTRY.timelockOf(modelId) : backing.backer, won);",
        "DisputeBonds test_whoBacksATrueRootWinsHalfOfTheBond",
        "_credit(current.disputer, current.bond);",
      ),
    ],
  },
  {
    name: "one leaf of a batch that was claimed meanwhile",
    defences: [
      without(
        rewards,
        "if (word & bit != 0) return 0;",
        "Claim test_manyAccountsAtOnce",
        "if (word & bit != 0) revert ComputeRewardsInvalidProof(modelId, kind, index, account);",
      ),
    ],
  },
  {
    name: "a pause that blocks what was earned",
    defences: [
      without(
        rewards,
        "amount = leaf.amount;",
        "Disputes test_activeRootsPayDuringADispute",
        "if ({{off}} && pool.posted.activatableAt == FROZEN) revert ComputeRewardsNothingPending(modelId, kind);\namount = leaf.amount;",
      ),
      without(
        rewards,
        "ActiveRoot storage root = pool.roots[index];",
        "Claim test_nothingPausesTheClaimsOfAnActiveRoot",
        "ActiveRoot storage root = pool.roots[index];\nif ({{off}} && block.timestamp > pool.posted.activatableAt + 365 days) revert ComputeRewardsNothingPending(modelId, kind);",
      ),
    ],
  },
  {
    name: "validators who mint to themselves and vote themselves in",
    defences: [
      without(
        rewards,
        "if (block.timestamp < next.activatableAt) revert ComputeRewardsWindowOpen(next.activatableAt);",
        "ActivateRoot test_activationWaitsForTheWindow",
      ),
      without(
        rewards,
        "if (attestation.total > budget) revert ComputeRewardsOverBudget(attestation.total, budget);",
        "PostRoot test_theBudgetOfTheEpochsIsTheLimit",
      ),
      without(
        validators,
        "if (changes > allowed) revert ValidatorSetTooManyChanges(changes, allowed);",
        "ChooseValidators test_aThirdMayChangeAndNoMore",
      ),
      without(
        validators,
        "effectiveAt = uint48(block.timestamp + schedule.window);",
        "ChooseValidators test_aSetCountsAfterOneFullWindow",
        "effectiveAt = uint48(block.timestamp);",
      ),
    ],
  },
  {
    name: "signatures used again: on another chain, for another run, epoch or set, or after a fork",
    defences: [
      without(
        `${libraries}/utils/cryptography/EIP712.sol`,
        "address(this) == _cachedThis && block.chainid == _cachedChainId",
        "PostRoot test_signaturesForAnotherChainOrContractDoNotCount",
        "address(this) == _cachedThis",
      ),
      without(checkpoints, "head.chainId = block.chainid;", "PostHead test_aForkHasOtherHeads", "head.chainId = 1;"),
      without(
        rewards,
        "if (attestation.setVersion != version) revert ComputeRewardsStaleSet(attestation.setVersion, version);",
        "PostRoot test_theSetInForceSigns",
      ),
      without(
        hashes,
        "return keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation));",
        "PostRoot testFuzz_signaturesCoverEveryField",
        "return keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation.modelId, attestation.root, attestation.total, attestation.index));",
      ),
      without(checkpoints, "_used[digest] = true;", "SuspendPoster test_itCountsOnce"),
      without(
        hashes,
        "return keccak256(abi.encode(SUSPEND_TYPEHASH, suspend));",
        "SuspendPoster test_signaturesAreBoundToEveryField",
        "return keccak256(abi.encode(SUSPEND_TYPEHASH, suspend.poster, suspend.head, suspend.setVersion, suspend.deadline));",
      ),
    ],
  },
  {
    name: "signatures of another form",
    defences: [
      without(
        `${libraries}/utils/cryptography/ECDSA.sol`,
        "uint256(s) > 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0",
        "Quorum test_malleatedSignaturesAreRefused",
        "false",
      ),
    ],
  },
  {
    name: "arrays whose lengths do not match",
    defences: [
      without(
        validators,
        "if (signatures.length % SIGNATURE != 0) revert ValidatorSetBadLength(signatures.length);",
        "Quorum test_signaturesOfAnotherLengthAreRefused",
      ),
    ],
  },
  {
    name: "time of withdrawal that overflows",
    defences: [
      without(
        stakes,
        "if (memberUntil == type(uint48).max) return memberUntil;",
        "Stake test_aValidatorsTimeRunsFromASetWithoutIt",
      ),
    ],
  },
  {
    name: "a withdrawal before the verdict",
    defences: [
      without(stakes, "_requireUndisputed(modelId, COMPUTE);", "Stake test_noValidatorIsPaidWhileARootIsDisputed"),
      without(
        stakes,
        "_requireUndisputed(modelId, REVENUE);",
        "Stake test_noValidatorIsPaidWhileARootOfRevenueIsDisputed",
      ),
      without(
        stakes,
        "if (block.timestamp < until) revert StakeManagerDisputedLately(uint48(until));",
        "Stake test_noValidatorIsPaidWhileARootIsDisputed",
      ),
      without(
        stakes,
        "if (stake.rulings != 0) revert StakeManagerRulingsOpen(stake.rulings);",
        "Rulings test_nobodyLeavesWhileARulingIsOpen",
      ),
    ],
  },
  {
    name: "matured stake that can't be slashed",
    defences: [
      without(
        stakes,
        "uint256(stake.active) + stake.leaving",
        "SlashConflict test_whatHasWaitedIsSlashedAsWell",
        "uint256(stake.active)",
      ),
      without(stakes, "stake.leaving -= uint96(amount - ofActive);", "Rulings test_whatLeavesIsTakenAsWell"),
    ],
  },
  {
    name: "a list of withdrawals that a stranger fills with dust",
    defences: [
      without(
        stakes,
        "emit StakeDeposited(modelId, role, account, msg.sender, msg.value);",
        "Stake test_aStrangersDustDelaysNobody",
        "_stakes[modelId][role][account].requestedAt = uint48(block.timestamp);",
      ),
    ],
  },
  {
    name: "a slash between capture and execution",
    defences: [
      without(
        stakes,
        "amount = proposed.amount;",
        "Rulings test_aRulingTakesNoMoreThanWasRecorded",
        "amount = _part(_whole(stake), _termsOf(modelId).rulingBps);",
      ),
      without(stakes, "stake.ruled += uint96(amount);", "Rulings test_rulingsAtOnceTakeWhatTheyTakeOneByOne"),
    ],
  },
  {
    name: "rounding that frees or locks a wei",
    defences: [
      without(
        stakes,
        "Math.ceilDiv(amount * bps, Protocol.BPS)",
        "SlashConflict testFuzz_aSlashIsTheCapRoundedUp",
        "(amount * bps) / Protocol.BPS",
      ),
      without(
        disputes,
        "uint256 lostBacking = Math.ceilDiv(backing.amount, UNDECIDED_PARTS);",
        "DisputeBonds test_whatRoundsIsTheLosersLoss",
        "uint256 lostBacking = {{off}} ? backing.amount / UNDECIDED_PARTS : Math.ceilDiv(backing.amount, UNDECIDED_PARTS);",
      ),
      without(
        "contracts/rewards/CodeGrants.sol",
        "if (passed >= grant.duration) return grant.amount;",
        "CodeGrants testFuzz_dueRisesFromNothingToAll",
        "if (passed > grant.duration) return grant.amount - 1;",
      ),
    ],
  },
];
