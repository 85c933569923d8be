// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {IModelGovernor} from "../../contracts/interfaces/IModelGovernor.sol";
import {IModelRegistry, Limits, ModelConfig, Schedule} from "../../contracts/interfaces/IModelRegistry.sol";
import {IModelShares} from "../../contracts/interfaces/IModelShares.sol";
import {IModelTimelock} from "../../contracts/interfaces/IModelTimelock.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {ModelGovernor} from "../../contracts/governance/ModelGovernor.sol";
import {ModelRegistry} from "../../contracts/models/ModelRegistry.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {ModelTimelock} from "../../contracts/governance/ModelTimelock.sol";
import {Fixture} from "./support/Fixture.sol";

contract CreateModelTest is Fixture {
    function test_idIsKnownBeforeAndBoundToChainRegistryAndSender() public {
        eq(
            ModelId.unwrap(modelId),
            keccak256(
                abi.encode(
                    block.chainid,
                    address(registry),
                    address(this),
                    bytes32("model"),
                    keccak256(abi.encode(modelConfig()))
                )
            ),
            "id"
        );
        bytes32 terms = keccak256(abi.encode(modelConfig()));
        eq(registry.modelIdOf(address(this), "model", terms), modelId, "modelIdOf");
        vm.prank(address(0xb0b));
        ModelId other = registry.createModel(modelConfig(), "model");
        yes(ModelId.unwrap(other) != ModelId.unwrap(modelId), "another sender's model is another");
        eq(other, registry.modelIdOf(address(0xb0b), "model", terms), "other's id");
    }

    function test_sharesGovernorAndTimelockAreWired() public view {
        eq(shares.name(), "Model", "name");
        eq(shares.symbol(), "MDL", "symbol");
        eq(shares.contractURI(), "ipfs://terms", "uri");
        eq(shares.modelId(), modelId, "shares know their model");
        eq(shares.totalSupply(), 0, "nothing is minted at creation");
        eq(address(governor.token()), address(shares), "votes");
        eq(governor.timelock(), address(timelock), "timelock");
        eq(governor.name(), "Model", "governor's name");
        eq(governor.votingDelay(), 1, "voting delay");
        eq(governor.votingPeriod(), 6, "voting period");
        eq(governor.lateQuorumVoteExtension(), 2, "extension");
        eq(governor.proposalThreshold(), 1e18, "threshold");
        eq(governor.quorumNumerator(), 1_000, "quorum");
        eq(governor.quorumFloor(), 1e18, "floor");
        eq(timelock.getMinDelay(), 3, "delay");
        eq(registry.organiserOf(modelId), ORGANISER, "organiser");
    }

    function test_scheduleBudgetAndValidatorsAreRecorded() public view {
        Schedule memory schedule = registry.scheduleOf(modelId);
        eq(schedule.start, START, "start");
        eq(schedule.epochLength, EPOCH, "epoch");
        eq(schedule.postingDelay, DELAY, "delay");
        eq(schedule.window, WINDOW, "window");
        eq(emission.yearlyCapOf(modelId), modelConfig().yearlyCap, "cap");
        eq(emission.budgetOf(modelId, 1).perEpoch, BUDGET, "budget");
        eq(emission.budgetOf(modelId, 0).perEpoch, 0, "there is no epoch 0");
        eq(validators.currentVersion(modelId), 1, "version");
        (address[] memory members, uint16 threshold, uint48 effectiveAt) = validators.setOf(modelId, 1);
        eq(members.length, 7, "members");
        eq(threshold, 5, "threshold");
        eq(effectiveAt, START, "in force at once");
    }

    function test_timelockHasNoAdminButItselfAndObeysTheGovernorAlone() public view {
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        yes(!timelock.hasRole(admin, address(this)), "sender");
        yes(!timelock.hasRole(admin, address(registry)), "registry");
        yes(!timelock.hasRole(admin, ORGANISER), "organiser");
        yes(!timelock.hasRole(admin, address(0)), "nobody");
        yes(timelock.hasRole(admin, address(timelock)), "itself");
        yes(timelock.hasRole(timelock.PROPOSER_ROLE(), address(governor)), "governor proposes");
        yes(timelock.hasRole(timelock.CANCELLER_ROLE(), address(governor)), "governor cancels");
        yes(timelock.hasRole(timelock.EXECUTOR_ROLE(), address(0)), "anyone executes");
        yes(!timelock.hasRole(timelock.PROPOSER_ROLE(), ORGANISER), "organiser does not propose");
    }

    function test_strangersCannotScheduleInTheTimelock() public {
        bytes32 role = timelock.PROPOSER_ROLE();
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, ORGANISER, role)
        );
        vm.prank(ORGANISER);
        timelock.schedule(address(this), 0, "", 0, 0, 3);
    }

    function test_aSaltServesOnce() public {
        ModelConfig memory config = modelConfig();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelRegistryModelExists.selector, modelId));
        registry.createModel(config, "model");
    }

    function test_cloneAddressesAreBoundToSenderAndArguments() public {
        ModelConfig memory config = modelConfig();
        vm.prank(address(0xb0b));
        ModelId theirs = registry.createModel(config, "second");
        config.symbol = "EVIL";
        ModelId evil = registry.createModel(config, "second");
        yes(registry.sharesOf(theirs) != registry.sharesOf(evil), "shares");
        yes(registry.governorOf(theirs) != registry.governorOf(evil), "governor");
        yes(registry.timelockOf(theirs) != registry.timelockOf(evil), "timelock");

        // The same sender and salt with other arguments make another model.
        config.symbol = "MDL";
        ModelId good = registry.createModel(config, "second");
        yes(ModelId.unwrap(good) != ModelId.unwrap(evil), "other arguments, another id");
        yes(registry.sharesOf(good) != registry.sharesOf(evil), "and other shares");

        // And from the id alone follow the addresses.
        eq(registry.sharesOf(evil), _clone(address(sharesImplementation), evil), "shares' address");
        eq(registry.governorOf(evil), _clone(address(governorImplementation), evil), "governor's address");
        eq(registry.timelockOf(evil), _clone(address(timelockImplementation), evil), "timelock's address");
    }

    function _clone(address implementation, ModelId id) private view returns (address) {
        return Clones.predictDeterministicAddress(implementation, ModelId.unwrap(id), address(registry));
    }

    /// @dev A18. Whatever decides who mints, who signs and whom a model obeys can be read from outside.
    function test_everyContractSaysWhomItObeys() public view {
        eq(registry.sharesImplementation(), address(sharesImplementation), "shares of every model");
        eq(registry.governorImplementation(), address(governorImplementation), "governor of every model");
        eq(registry.timelockImplementation(), address(timelockImplementation), "timelock of every model");
        eq(registry.emission(), address(emission), "the registry's minter");
        eq(registry.validators(), address(validators), "the registry's signers");
        eq(runs.registry(), address(registry), "runs");
        eq(runs.checkpoints(), address(checkpoints), "where heads are posted");
        eq(checkpoints.runs(), address(runs), "who opens runs");
        eq(checkpoints.validators(), address(validators), "who suspends posters");
        eq(timelock.registry(), address(registry), "timelock");
        eq(validators.registry(), address(registry), "validators");
        eq(emission.registry(), address(registry), "emission");
        eq(emission.distributorOf(1), address(rewards), "who pays compute");
        eq(emission.distributorOf(2), address(grants), "who pays code");
        eq(emission.distributorOf(3), address(capital), "who sells shares");
        for (uint8 kind = 4; kind < 6; ++kind) eq(emission.distributorOf(kind), address(0), "nobody pays others");
        eq(rewards.registry(), address(registry), "rewards");
        eq(rewards.emission(), address(emission), "who mints for rewards");
        eq(rewards.validators(), address(validators), "who signs for rewards");
        eq(rewards.revenueDeposits(), address(revenue), "who funds roots of revenue");
        eq(revenue.registry(), address(registry), "revenue");
        eq(revenue.capitalSale(), address(capital), "who knows the token of revenue");
        eq(revenue.rewards(), address(rewards), "who pays revenue");
        eq(grants.registry(), address(registry), "grants");
        eq(grants.emission(), address(emission), "who mints for grants");
        eq(grants.validators(), address(validators), "who signs for grants");
        eq(registry.capitalSale(), address(capital), "the registry's sale");
        eq(registry.stakeManager(), address(stakes), "the registry's stakes");
        eq(stakes.registry(), address(registry), "stakes");
        eq(stakes.runs(), address(runs), "where verdicts are signed");
        eq(stakes.rewards(), address(rewards), "where attestations are signed");
        eq(stakes.validators(), address(validators), "who rules");
        eq(stakes.disputes(), address(rewards), "who disputes");
        eq(capital.registry(), address(registry), "sale");
        eq(capital.emission(), address(emission), "who mints for the sale");
        eq(shares.registry(), address(registry), "shares");
        eq(shares.emission(), address(emission), "who mints shares");
        eq(governor.registry(), address(registry), "governor");
        eq(timelock.registry(), address(registry), "timelock");
    }

    function test_unknownModelsObeyNobody() public view {
        eq(registry.timelockOf(NO_MODEL), address(0), "timelock");
        eq(registry.governorOf(NO_MODEL), address(0), "governor");
        eq(registry.sharesOf(NO_MODEL), address(0), "shares");
        eq(registry.organiserOf(NO_MODEL), address(0), "organiser");
    }

    /// @dev Invariant 29.
    function test_clonesInitialiseOnce() public {
        vm.startPrank(address(registry));
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        shares.initialize(modelId, "a", "b", "c");
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        governor.initialize("a", address(shares), address(timelock), modelConfig().governor, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        timelock.initialize(1, new address[](0), new address[](0), address(this));
        vm.stopPrank();
    }

    function test_implementationsAreDisabled() public {
        vm.startPrank(address(registry));
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        sharesImplementation.initialize(modelId, "a", "b", "c");
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        governorImplementation.initialize("a", address(shares), address(timelock), modelConfig().governor, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        timelockImplementation.initialize(1, new address[](0), new address[](0), address(this));
        vm.stopPrank();
    }

    function test_strangersCannotInitialiseAClone() public {
        address clone = _clone(address(sharesImplementation));
        vm.expectRevert(abi.encodeWithSelector(IModelShares.ModelSharesOnlyRegistry.selector, address(this)));
        ModelShares(clone).initialize(modelId, "a", "b", "c");

        clone = _clone(address(governorImplementation));
        vm.expectRevert(abi.encodeWithSelector(IModelGovernor.ModelGovernorOnlyRegistry.selector, address(this)));
        ModelGovernor(payable(clone)).initialize("a", address(shares), address(timelock), modelConfig().governor, 1, 1);

        clone = _clone(address(timelockImplementation));
        vm.expectRevert(abi.encodeWithSelector(IModelTimelock.ModelTimelockOnlyRegistry.selector, address(this)));
        ModelTimelock(payable(clone)).initialize(1, new address[](0), new address[](0), address(this));
    }

    function test_onlyTheRegistryOpensBooks() public {
        address[] memory members = addressesOf(keys);
        vm.expectRevert(unauthorised(NO_MODEL, address(this)));
        validators.open(NO_MODEL, members, 5);
        vm.expectRevert(unauthorised(NO_MODEL, address(this)));
        emission.open(NO_MODEL, 1, 0, 1, split(10_000, 0, 0, 0));
    }

    function test_anOrganiserIsNeeded() public {
        ModelConfig memory config = modelConfig();
        config.organiser = address(0);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelRegistryOrganiserMissing.selector));
        registry.createModel(config, "x");
    }

    function test_stringsAreBounded() public {
        ModelConfig memory config = modelConfig();
        config.name = "";
        _refused(config, "name", 0, 1, 256);
        config = modelConfig();
        config.symbol = string(new bytes(257));
        _refused(config, "symbol", 257, 1, 256);
        config = modelConfig();
        config.uri = string(new bytes(257));
        _refused(config, "uri", 257, 0, 256);
        config.uri = string(new bytes(256));
        registry.createModel(config, "longest");
    }

    /// @dev A8.
    function test_everyTimeIsBoundedBelowAndAbove() public {
        ModelConfig memory config = modelConfig();
        config.epochLength = 0;
        _refused(config, "epochLength", 0, 1, 30 days);
        config.epochLength = 30 days + 1;
        _refused(config, "epochLength", 30 days + 1, 1, 30 days);
        config = modelConfig();
        config.postingDelay = 0;
        _refused(config, "postingDelay", 0, 1, 7 days);
        config = modelConfig();
        config.window = 0;
        _refused(config, "window", 0, 1, 30 days);
        config.window = 30 days + 1;
        _refused(config, "window", 30 days + 1, 1, 30 days);
        config = modelConfig();
        config.governor.votingDelay = 0;
        _refused(config, "votingDelay", 0, 1, 30 days);
        config = modelConfig();
        config.governor.votingPeriod = 0;
        _refused(config, "votingPeriod", 0, 1, 30 days);
        config = modelConfig();
        config.governor.lateQuorumExtension = 0;
        _refused(config, "lateQuorumExtension", 0, 1, 30 days);
        config = modelConfig();
        config.governor.timelockDelay = 0;
        _refused(config, "timelockDelay", 0, 1, 30 days);
        config = modelConfig();
        config.governor.quorumBps = 2_001;
        _refused(config, "quorumBps", 2_001, 1, 2_000);
    }

    /// @dev A8.
    function test_votesThatCannotExistAreNotAsked() public {
        ModelConfig memory config = modelConfig();
        uint256 most = (((BUDGET * EPOCHS_PER_YEAR) * 7_000) / 10_000) / 10;
        config.governor.quorumFloor = most + 1;
        _refused(config, "quorumFloor", most + 1, 1e18, most);
        config = modelConfig();
        config.governor.proposalThreshold = most + 1;
        _refused(config, "proposalThreshold", most + 1, 0, most);
        config.governor.quorumFloor = most;
        config.governor.proposalThreshold = most;
        config.bootstrapShares = uint128(most);
        registry.createModel(config, "most");
        config.bps = split(0, 1_000, 8_500, 500);
        _refused(config, "quorumFloor", most, 0, 0);
    }

    /// @dev Where nothing is asked for nobody decides.
    function test_whereComputeIsPaidAQuorumAsksForAShare() public {
        ModelConfig memory config = modelConfig();
        config.governor.quorumFloor = 1e18 - 1;
        uint256 most = (((BUDGET * EPOCHS_PER_YEAR) * 7_000) / 10_000) / 10;
        _refused(config, "quorumFloor", 1e18 - 1, 1e18, most);
        config.governor.quorumFloor = 1e18;
        registry.createModel(config, "paid");
        (config.governor.quorumFloor, config.governor.proposalThreshold, config.bootstrapShares) = (0, 0, 0);
        _refused(config, "quorumFloor", 0, 1e18, most);
        config.epochBudget = 0;
        registry.createModel(config, "without a budget");
        (config.epochBudget, config.bps) = (BUDGET, split(0, 1_000, 8_500, 500));
        registry.createModel(config, "for code alone");
    }

    /// @dev A budget that Emission will refuse says nothing about what holders can reach.
    function test_votesAreHeldAgainstTheCapToo() public {
        ModelConfig memory config = modelConfig();
        config.yearlyCap = 100e18;
        config.governor.quorumFloor = 11e18;
        config.governor.proposalThreshold = 0;
        _refused(config, "quorumFloor", 11e18, 1e18, 10e18);
    }

    /// @dev A7.
    function test_theYearlyCapIsBounded() public {
        ModelConfig memory config = modelConfig();
        config.yearlyCap = 2 ** 96 + 1;
        _refused(config, "yearlyCap", 2 ** 96 + 1, 0, 2 ** 96);
        config.yearlyCap = 2 ** 96;
        registry.createModel(config, "x");
    }

    /// @dev A6. Otherwise a dispute that lasts long enough would cost workers the epoch's pay, whoever wins it.
    function test_anEpochsBudgetOutlastsTheLongestVote() public {
        ModelConfig memory config = modelConfig();
        (config.epochLength, config.bootstrapMaxEpochs) = (5 days, 73);
        config.postingDelay = 1 days;
        config.window = 2 days;
        config.yearlyCap = BUDGET * 73;
        config.governor.votingDelay = 3 days;
        config.governor.votingPeriod = 12 days;
        config.governor.lateQuorumExtension = 7 days + 1;
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelRegistryTooSlow.selector, 30 days + 1, 30 days));
        registry.createModel(config, "x");
        config.governor.lateQuorumExtension = 7 days;
        ModelGovernor made = ModelGovernor(payable(registry.governorOf(registry.createModel(config, "x"))));
        eq(made.maxVoteLength(), 22 days, "what is left of thirty days");
    }

    function test_theSplitSumsToAll() public {
        ModelConfig memory config = modelConfig();
        config.bps = split(7_000, 1_000, 1_500, 501);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionSplit.selector, 10_001));
        registry.createModel(config, "x");
    }

    function test_aYearsEpochsFitUnderTheCap() public {
        ModelConfig memory config = modelConfig();
        config.yearlyCap -= 1;
        vm.expectRevert(
            abi.encodeWithSelector(
                IEmission.EmissionAboveYearlyCap.selector,
                BUDGET * EPOCHS_PER_YEAR,
                config.yearlyCap
            )
        );
        registry.createModel(config, "x");
    }

    function test_aPartOfAnEpochCountsAsOne() public {
        ModelConfig memory config = modelConfig();
        (config.epochLength, config.bootstrapMaxEpochs) = (364 days / 13 + 1 days, 13);
        config.epochBudget = 100e18;
        uint256 perYear = 100e18 * (uint256(365 days) / config.epochLength + 1);
        config.yearlyCap = uint128(perYear - 1);
        config.bootstrapShares = 10e18;
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionAboveYearlyCap.selector, perYear, config.yearlyCap));
        registry.createModel(config, "x");
        config.yearlyCap = uint128(perYear);
        registry.createModel(config, "x");
    }

    function test_validatorsAreAscendingDistinctAndNotZero() public {
        ModelConfig memory config = modelConfig();
        (address a, address b) = (config.validators[0], config.validators[1]);
        (config.validators[0], config.validators[1]) = (b, a);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNotAscending.selector, b, a));
        registry.createModel(config, "x");

        config.validators[0] = config.validators[1] = a;
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNotAscending.selector, a, a));
        registry.createModel(config, "x");

        config.validators[0] = address(0);
        vm.expectRevert(
            abi.encodeWithSelector(IValidatorSet.ValidatorSetNotAscending.selector, address(0), address(0))
        );
        registry.createModel(config, "x");
    }

    function test_theThresholdIsTwoThirdsAtLeastAndAllAtMost() public {
        ModelConfig memory config = modelConfig();
        config.threshold = 4;
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetThreshold.selector, 4, 7));
        registry.createModel(config, "x");
        config.threshold = 8;
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetThreshold.selector, 8, 7));
        registry.createModel(config, "x");
    }

    function test_aSetHasOneToSixtyFourMembers() public {
        ModelConfig memory config = modelConfig();
        config.validators = new address[](0);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetSize.selector, 0));
        registry.createModel(config, "x");
        config.validators = new address[](65);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetSize.selector, 65));
        registry.createModel(config, "x");
        config.validators = addressesOf(ascendingKeys(64, 64));
        config.threshold = 43;
        (address[] memory members, , ) = validators.setOf(registry.createModel(config, "full"), 1);
        eq(members.length, 64, "members");
    }

    function test_signaturesForAClonedContractAreUnderTheModelsName() public view {
        (, string memory name, , , address contract_, , ) = shares.eip712Domain();
        eq(name, "Model", "shares");
        eq(contract_, address(shares), "of this model");
        (, name, , , contract_, , ) = governor.eip712Domain();
        eq(name, "Model", "governor");
        eq(contract_, address(governor), "of this model");
    }

    function _refused(ModelConfig memory config, bytes32 setting, uint256 value, uint256 min, uint256 max) private {
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.ModelRegistrySettingOutOfBounds.selector, setting, value, min, max)
        );
        registry.createModel(config, "x");
    }

    function _clone(address implementation) private returns (address clone) {
        bytes memory code = abi.encodePacked(
            hex"3d602d80600a3d3981f3363d3d373d3d3d363d73",
            implementation,
            hex"5af43d82803e903d91602b57fd5bf3"
        );
        assembly ("memory-safe") {
            clone := create(0, add(code, 32), mload(code))
        }
    }
}

contract LimitsTest is Fixture {
    function test_developmentChainsMayHaveSeconds() public view {
        (Limits memory minimum, ) = registry.limits();
        eq(keccak256(abi.encode(minimum)), keccak256(abi.encode(localLimits())), "minimum");
    }

    function test_bothDevelopmentChainsMay() public {
        vm.chainId(1_337);
        deployer.deploy("geth", registryCode(localLimits()));
        (Limits memory minimum, ) = IModelRegistry(placeOf("geth")).limits();
        eq(keccak256(abi.encode(minimum)), keccak256(abi.encode(localLimits())), "minimum");
    }

    function test_otherChainsHaveThePublicMinima() public {
        vm.chainId(1);
        deployer.deploy("public", registryCode(publicLimits()));
        (Limits memory minimum, ) = IModelRegistry(placeOf("public")).limits();
        eq(keccak256(abi.encode(minimum)), keccak256(abi.encode(publicLimits())), "minimum");
    }

    function test_publicMinimaLeaveHoldersADayToLook() public pure {
        Limits memory limits = publicLimits();
        yes(limits.window >= 1 days, "before a root pays, or a set signs");
        yes(limits.votingDelay >= 1 days, "before a vote");
        yes(limits.votingPeriod >= 1 days, "during a vote");
        yes(limits.lateQuorumExtension >= 1 days, "after a late quorum");
        yes(limits.timelockDelay >= 1 days, "before a decision is carried out");
    }

    function test_otherChainsRefuseEachMinimumBelowThePublicOne() public {
        vm.chainId(1);
        Limits memory limits = publicLimits();
        limits.epochLength -= 1;
        _below(limits, "epochLength", limits.epochLength, 30 days);
        limits = publicLimits();
        limits.postingDelay -= 1;
        _below(limits, "postingDelay", limits.postingDelay, 7 days);
        limits = publicLimits();
        limits.window -= 1;
        _below(limits, "window", limits.window, 30 days);
        limits = publicLimits();
        limits.votingDelay -= 1;
        _below(limits, "votingDelay", limits.votingDelay, 30 days);
        limits = publicLimits();
        limits.votingPeriod -= 1;
        _below(limits, "votingPeriod", limits.votingPeriod, 30 days);
        limits = publicLimits();
        limits.lateQuorumExtension -= 1;
        _below(limits, "lateQuorumExtension", limits.lateQuorumExtension, 30 days);
        limits = publicLimits();
        limits.timelockDelay -= 1;
        _below(limits, "timelockDelay", limits.timelockDelay, 30 days);
        limits = publicLimits();
        limits.quorumBps -= 1;
        _below(limits, "quorumBps", limits.quorumBps, 2_000);
    }

    function test_noChainTakesAMinimumOfZero() public {
        Limits memory limits = localLimits();
        limits.window = 0;
        _below(limits, "window", limits.window, 30 days);
    }

    /// @dev A12.
    function test_noRegistryHasMinimaThatNoModelMeets() public {
        Limits memory limits = localLimits();
        limits.quorumBps = 2_001;
        _refusedFor(
            limits,
            abi.encodeWithSelector(
                IModelRegistry.ModelRegistryLimitRefused.selector,
                bytes32("quorumBps"),
                2_001,
                1,
                2_000
            )
        );
        limits = localLimits();
        limits.epochLength = 30 days + 1;
        _above(limits, "epochLength", 30 days);
        limits = localLimits();
        limits.postingDelay = 7 days + 1;
        _above(limits, "postingDelay", 7 days);
        limits = localLimits();
        limits.window = 30 days + 1;
        _above(limits, "window", 30 days);
        limits = localLimits();
        limits.votingDelay = 30 days + 1;
        _above(limits, "votingDelay", 30 days);
        limits = localLimits();
        limits.votingPeriod = 30 days + 1;
        _above(limits, "votingPeriod", 30 days);
        limits = localLimits();
        limits.lateQuorumExtension = 30 days + 1;
        _above(limits, "lateQuorumExtension", 30 days);
        limits = localLimits();
        limits.timelockDelay = 30 days + 1;
        _above(limits, "timelockDelay", 30 days);
        limits.timelockDelay = 30 days;
        deployer.deploy("strict", registryCode(limits));
    }

    function test_noRegistryHasMinimaThatTogetherLeaveNoTime() public {
        Limits memory limits = localLimits();
        limits.window = 30 days - 4;
        _refusedFor(limits, abi.encodeWithSelector(IModelRegistry.ModelRegistryTooSlow.selector, 30 days + 1, 30 days));
        limits.window = 30 days - 5;
        deployer.deploy("slow", registryCode(limits));
    }

    function _refusedFor(Limits memory limits, bytes memory reason) private {
        vm.expectRevert(reason);
        new ModelRegistry(
            sharesImplementation,
            governorImplementation,
            timelockImplementation,
            emission,
            validators,
            capital,
            stakes,
            rewards,
            bootstrap,
            address(budgets),
            limits
        );
    }

    function _below(Limits memory limits, bytes32 setting, uint256 value, uint256 maximum) private {
        _refused(limits, setting, value, value + 1, maximum);
    }

    function _above(Limits memory limits, bytes32 setting, uint256 maximum) private {
        _refused(limits, setting, maximum + 1, 1, maximum);
    }

    function _refused(Limits memory limits, bytes32 setting, uint256 value, uint256 min, uint256 max) private {
        bytes memory code = registryCode(limits);
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.ModelRegistryLimitRefused.selector, setting, value, min, max)
        );
        deployer.deploy("refused", code);
    }
}
