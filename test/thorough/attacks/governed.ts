/** The attacks that the contracts were designed against: on votes and roles, on sales and revenue, and by tokens. */
import { type Attack, without } from "./attack.ts";

const governor = "contracts/governance/ModelGovernor.sol";
const registry = "contracts/models/ModelRegistry.sol";
const shares = "contracts/models/ModelShares.sol";
const emission = "contracts/emission/Emission.sol";
const sale = "contracts/rewards/CapitalSale.sol";
const revenue = "contracts/rewards/RevenueDeposits.sol";
const disputes = "contracts/rewards/Disputes.sol";
const bootstrap = "contracts/governance/Bootstrap.sol";
const validators = "contracts/attestation/ValidatorSet.sol";
const openzeppelin = "@openzeppelin/contracts";
const upgradeable = "@openzeppelin/contracts-upgradeable";

const spent = "(budget.spentIn, budget.spent) = (uint48(epoch), uint128(spent + amount));";
const transfer = "IERC20(terms.token).safeTransferFrom(REGISTRY.timelockOf(modelId), terms.recipient, amount);";

export const governed: readonly Attack[] = [
  {
    name: "who deposits a wei alone takes the budget",
    defences: [
      without(
        sale,
        "Math.min(budget, (total * SHARE) / sale.price)",
        "CapitalSale test_whoeverIsAloneWithAWeiDoesNotTakeTheBudget",
        "budget",
      ),
      without(
        sale,
        "if (price < book.priceFloor) revert CapitalSalePriceTooLow(price, book.priceFloor);",
        "CapitalSale test_thereIsAFloorAndNothingIsBelowIt",
      ),
    ],
  },
  {
    name: "a deposit that goes through the treasury and back",
    defences: [
      without(
        sale,
        "if (msg.sender == timelock) revert CapitalSaleBadAccount(timelock);",
        "CapitalSale test_theTreasuryNeitherBuysNorIsBoughtFor",
      ),
      without(
        sale,
        "account == timelock || account == address(0)",
        "CapitalSale test_theTreasuryNeitherBuysNorIsBoughtFor",
        "account == address(0)",
      ),
    ],
  },
  {
    name: "revenue that is captured by buying before the payment",
    breakages: ["what moves within an epoch counts for all of it"],
    defences: [],
  },
  {
    name: "revenue where no supply is eligible",
    breakages: ["revenue that nobody has a part in is nobody's"],
    defences: [],
  },
  {
    name: "an epoch that is authorised long after its end",
    defences: [
      without(
        emission,
        "first = Math.max(first, Epochs.firstEndingFrom(schedule, Math.saturatingSub(asOf, Protocol.BUDGET_AGE)));",
        "Budget test_lateAuthorisationMintsNothing",
      ),
      without(
        "contracts/rewards/ComputeRewards.sol",
        "(deadline - end) % schedule.postingDelay != 0",
        "PostRoot test_theDeadlineIsAWholeNumberOfDelaysAfterTheEpoch",
        "false",
      ),
    ],
  },
  {
    name: "votes with shares that are borrowed for a transaction",
    defences: [
      without(
        `${upgradeable}/governance/extensions/GovernorVotesUpgradeable.sol`,
        "token().getPastVotes(account, timepoint)",
        "Governance test_sharesBorrowedForATransactionDoNotVote",
        "token().getVotes(account)",
      ),
    ],
  },
  {
    name: "two votes with the same shares",
    defences: [
      without(
        `${upgradeable}/governance/extensions/GovernorCountingSimpleUpgradeable.sol`,
        "proposalVote.hasVoted[account] = true;",
        "Governance test_nobodyVotesTwice",
      ),
      without(
        `${upgradeable}/governance/utils/VotesUpgradeable.sol`,
        "_moveDelegateVotes(delegates(from), delegates(to), amount);",
        "Shares test_transfersWithinASecondDoNotDoubleVotes",
        "_moveDelegateVotes(address(0), delegates(to), amount);",
      ),
    ],
  },
  {
    name: "units of votes that are overridden",
    defences: [
      without(
        shares,
        "super._update(from, to, value);",
        "Shares testFuzz_delegatedVotesNeverExceedTheSupply",
        "ERC20Upgradeable._update(from, to, value);",
      ),
      without(
        shares,
        "if (msg.sender.code.length != 0 && msg.sender == REGISTRY.timelockOf(modelId))\n            revert ModelSharesTreasuryVotes();",
        "ComputeBudget test_theTreasurysSharesVoteForNobody",
      ),
    ],
  },
  {
    name: "a proposal that somebody makes or cancels first",
    defences: [
      without(governor, "!_notes[proposalId].unnamed", "Ownership test_onlyANameAtTheEndGivesTheRightToCancel", "true"),
      without(disputes, '"#proposer="', "Disputes test_nobodyProposesADisputeFirst", '"#by="'),
    ],
  },
  {
    name: "a threshold for proposals that nobody can meet",
    defences: [
      without(
        governor,
        "if (!_isInitializing()) _requireWithin(newProposalThreshold, 0, maxProposalThreshold());",
        "Ownership test_theThresholdNeverPassesATenthOfAYearsCompute",
      ),
    ],
  },
  {
    name: "a quorum that comes late",
    defences: [
      without(governor, "super._tallyUpdated(proposalId);", "Governance test_aLateQuorumLengthensTheVote"),
      without(governor, "extended.value = deadline;", "Disputes test_aLeadThatChangesLateExtendsTheVote"),
    ],
  },
  {
    name: "the first holder takes all during bootstrap",
    defences: [
      without(
        bootstrap,
        "values[i] != 0 || !_isVotable(modelId, targets[i], calls[i])",
        "BootstrapVotes testFuzz_nothingElseIsVotedInBootstrap",
        "false",
      ),
      without(
        governor,
        "Math.max(super.quorum(timepoint), _bounds.quorumFloor)",
        "Governance test_theFloorStandsWhereTheFractionIsLess",
        "super.quorum(timepoint)",
      ),
      without(
        registry,
        "paysCompute ? MIN_QUORUM_FLOOR : 0",
        "CreateModel test_whereComputeIsPaidAQuorumAsksForAShare",
        "0",
      ),
      without(
        bootstrap,
        "claimed < neededOf(modelId)",
        "Bootstrap test_bootstrapGoesOnWhileNoQuorumIsClaimed",
        "claimed < terms.shares",
      ),
    ],
  },
  {
    name: "validators whose keys are lost in bootstrap",
    defences: [
      without(
        bootstrap,
        "chooses && _isOfModel(modelId, call)",
        "BootstrapActs test_theOrganiserReplacesValidators",
        "false",
      ),
      without(
        validators,
        "if (changes > allowed) revert ValidatorSetTooManyChanges(changes, allowed);",
        "BootstrapActs test_aThirdOfTheValidatorsAnEpochAndNoMore",
      ),
      without(
        bootstrap,
        "if (block.timestamp < readyAt) revert BootstrapTooEarly(readyAt);",
        "BootstrapActs test_oneWindowAheadAndNotForEver",
      ),
    ],
  },
  {
    name: "an organiser who has many acts of one kind ready, of which nobody knows which will come",
    defences: [
      without(
        bootstrap,
        "if (block.timestamp <= expiry) revert BootstrapActStands(act, expiry);",
        "BootstrapActs test_ofEachKindOneActStands",
      ),
      without(
        bootstrap,
        "_standing[_placeOf(modelId, target, call)] = act;",
        "BootstrapActs test_aKindIsAFunctionAndTheRunOrModelItConcerns",
      ),
      without(
        bootstrap,
        "keccak256(call[4:]) == keccak256(arguments)",
        "BootstrapActs testFuzz_anActHoldsItsArgumentsAndNothingElse",
        "true",
      ),
    ],
  },
  {
    name: "an organiser who undoes a pause before holders have decided it",
    defences: [
      without(
        bootstrap,
        "RUNS.runOf(runId).status == Status.Paused",
        "BootstrapActs test_theOrganiserAnnouncesNoResumptionBeforeThePause",
        "true",
      ),
    ],
  },
  {
    name: "an organiser who suspends posters after bootstrap, or of another's model",
    defences: [
      without(
        "contracts/training/CheckpointRegistry.sol",
        "if (!_isBootstrapping(modelId, registry)) revert CheckpointRegistryMayNotSuspend(runId, msg.sender);",
        "SuspendPoster test_afterBootstrapTheOrganiserSuspendsNobody",
      ),
      without(
        "contracts/training/CheckpointRegistry.sol",
        "msg.sender == registry.organiserOf(modelId)",
        "SuspendPoster test_nobodyElseSuspendsAtOnce",
        "true",
      ),
    ],
  },
  {
    name: "a clone that somebody else initialises first, or again",
    defences: [
      without(
        shares,
        "if (msg.sender != address(REGISTRY)) revert ModelSharesOnlyRegistry(msg.sender);",
        "CreateModel test_strangersCannotInitialiseAClone",
      ),
      without(
        governor,
        "if (msg.sender != address(REGISTRY)) revert ModelGovernorOnlyRegistry(msg.sender);",
        "CreateModel test_strangersCannotInitialiseAClone",
      ),
      without(
        "contracts/governance/ModelTimelock.sol",
        "if (msg.sender != address(REGISTRY)) revert ModelTimelockOnlyRegistry(msg.sender);",
        "CreateModel test_strangersCannotInitialiseAClone",
      ),
      without(
        registry,
        "modelIdOf(msg.sender, salt, keccak256(abi.encode(config)))",
        "CreateModel test_cloneAddressesAreBoundToSenderAndArguments",
        "modelIdOf(msg.sender, salt, 0)",
      ),
      without(
        registry,
        "keccak256(abi.encode(block.chainid, address(this), sender, salt, terms))",
        "CreateModel test_idIsKnownBeforeAndBoundToChainRegistryAndSender",
        "keccak256(abi.encode(sender, salt, terms))",
      ),
      without(
        `${openzeppelin}/proxy/utils/Initializable.sol`,
        "if (!initialSetup && !construction) {\n            revert InvalidInitialization();\n        }",
        "CreateModel test_clonesInitialiseOnce",
      ),
    ],
  },
  {
    name: "a timelock whose admin was not renounced",
    defences: [
      without(
        registry,
        "_single(address(0)),\n            address(0)\n",
        "CreateModel test_timelockHasNoAdminButItselfAndObeysTheGovernorAlone",
        "_single(address(0)),\n            {{off}} ? msg.sender : address(0)\n",
      ),
    ],
  },
  {
    name: "a table that grows until nobody can go through it",
    defences: [
      without(
        sale,
        "total < minimum && total + arrived >= minimum",
        "CapitalSale test_dustMakesNobodySettleMore",
        "total + arrived >= minimum",
      ),
      without(
        validators,
        "if (previous.chosenIn == epoch) revert ValidatorSetChangedThisEpoch(modelId, epoch);",
        "ChooseValidators test_aSetChangesOncePerEpoch",
      ),
    ],
  },
  {
    name: "tokens that call back",
    defences: [
      without(
        `${openzeppelin}/utils/ReentrancyGuardTransient.sol`,
        "return _reentrancyGuardStorageSlot().asBoolean().tload();",
        "HostileCapital test_aDepositWithinADepositIsRefused",
        "return false;",
      ),
      without(
        `${openzeppelin}/utils/ReentrancyGuardTransient.sol`,
        "return _reentrancyGuardStorageSlot().asBoolean().tload();",
        "HostileRevenue test_countingWithinAClaimIsRefused",
        "return false;",
      ),
      without(
        "contracts/treasury/ComputeBudget.sol",
        spent,
        "ComputeBudget test_aPaymentWithinAPaymentFindsTheFirstCounted",
        `${transfer} ${spent} return;`,
      ),
    ],
  },
  {
    name: "tokens that keep a fee",
    defences: [
      without(sale, "return balance - before;", "HostileCapital test_whatATokenKeepsIsNotCounted", "return amount;"),
      without(
        revenue,
        "arrived = balance - before;",
        "HostileRevenue test_whatATokenKeepsIsNotCounted",
        "arrived = amount;",
      ),
    ],
  },
  {
    name: "tokens whose balances shrink",
    defences: [
      without(
        sale,
        "if (balance < book.held) revert CapitalSaleShort(balance, book.held);",
        "HostileCapital test_nothingIsMintedForMoneyThatIsNotThere",
      ),
      without(
        sale,
        "balance < held ? Math.mulDiv(amount, balance, held) : amount",
        "HostileCapital test_whatATokenTakesAllDepositsOfItsModelLoseAlike",
        "Math.min(amount, balance)",
      ),
      without(
        revenue,
        "balance < held ? Math.mulDiv(amount, balance, held) : amount",
        "HostileRevenue test_whatATokenTakesAllWhoAreOwedLoseAlike",
        "Math.min(amount, balance)",
      ),
    ],
  },
  {
    name: "tokens that answer false",
    defences: [
      without(
        `${openzeppelin}/token/ERC20/utils/SafeERC20.sol`,
        "if (!_safeTransferFrom(token, from, to, value, true)) {\n            revert SafeERC20FailedOperation(address(token));\n        }",
        "HostileCapital test_aTokenThatAnswersFalseHasNotPaid",
        "_safeTransferFrom(token, from, to, value, true);",
      ),
      without(
        `${openzeppelin}/token/ERC20/utils/SafeERC20.sol`,
        "if (!_safeTransfer(token, to, value, true)) {\n            revert SafeERC20FailedOperation(address(token));\n        }",
        "HostileRevenue test_aTokenThatAnswersFalseHasNotPaid",
        "_safeTransfer(token, to, value, true);",
      ),
    ],
  },
  {
    name: "tokens that are donated",
    defences: [
      without(
        sale,
        "_pay(book, REGISTRY.timelockOf(modelId), total)",
        "CapitalSale test_whatIsDonatedChangesNothing",
        "_pay(book, REGISTRY.timelockOf(modelId), book.token.balanceOf(address(book.vault)))",
      ),
      without(
        revenue,
        "uint256 before = token.balanceOf(vault);",
        "Revenue test_aDepositCountsItsOwnAlone",
        "uint256 before = {{off}} ? held : token.balanceOf(vault);",
      ),
    ],
  },
];
