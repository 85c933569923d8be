// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Founder, FoundersConfig, GrantState, ICodeGrants} from "../../contracts/interfaces/ICodeGrants.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IModelRegistry, ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {CODE} from "../../contracts/interfaces/Kinds.sol";
import {Grant} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";
import {Vm} from "./support/Vm.sol";

/// @notice A model may mint a part of its first year's shares at its creation, to be paid to its founders over years.
contract FoundersTest is Fixture {
    address private constant ANNA = address(0xa1);
    address private constant BENO = address(0xb1);
    uint128 private constant YEAR = uint128(uint256(BUDGET) * EPOCHS_PER_YEAR);
    uint32 private constant CLIFF = 200 days;
    uint32 private constant DURATION = 800 days;

    bytes32 private annas;
    bytes32 private benos;

    function setUp() public override {
        super.setUp();
        useModel(registry.createModel(_config(3_000e18, 1_000e18), "founded"));
        annas = ProtocolHashes.grantId(_grant(ANNA, 3_000e18));
        benos = ProtocolHashes.grantId(_grant(BENO, 1_000e18));
    }

    function test_founderSharesLieWhereGrantsArePaid() public view {
        eq(shares.totalSupply(), 4_000e18, "minted at the creation");
        eq(shares.balanceOf(address(grants)), 4_000e18, "to the contract that pays");
        eq(emission.foundersOf(modelId), 4_000e18, "and Emission says so");
        eq(emission.mintedOf(modelId, CODE), 0, "code's budget has paid nothing");
        GrantState memory state = grants.grantOf(modelId, annas);
        eq(state.author, ANNA, "who");
        eq(state.amount, 3_000e18, "what");
        eq(state.start, START, "from when");
        eq(state.cliff, CLIFF, "cliff");
        eq(state.duration, DURATION, "duration");
        eq(state.setVersion, 0, "no maintainers");
        eq(state.vetoEnds, START, "no veto");
        eq(grants.grantOf(modelId, benos).author, BENO, "and the other");
        eq(shares.getVotes(address(grants)), 0, "none of them votes");
    }

    function test_whoFollowsEventsSeesThem() public {
        ModelConfig memory config = _config(3_000e18, 1_000e18);
        ModelId id = registry.modelIdOf(address(this), "seen", keccak256(abi.encode(config)));
        (Grant memory first, Grant memory second) = (_grant(ANNA, 3_000e18), _grant(BENO, 1_000e18));
        (first.modelId, second.modelId) = (id, id);
        vm.expectEmit(address(emission));
        emit IEmission.FoundersMinted(id, address(grants), 4_000e18);
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantApproved(id, ProtocolHashes.grantId(first), ANNA, first, "", uint48(START));
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantApproved(id, ProtocolHashes.grantId(second), BENO, second, "", uint48(START));
        registry.createModel(config, "seen");
    }

    function test_theyArePaidLinearlyAfterTheCliff() public {
        vm.warp(START + CLIFF - 1);
        eq(grants.claim(modelId, annas), 0, "before the cliff");
        vm.warp(START + CLIFF);
        eq(grants.claim(modelId, annas), 750e18, "a quarter");
        eq(shares.balanceOf(ANNA), 750e18, "paid");
        vm.warp(START + DURATION);
        eq(grants.claim(modelId, annas), 2_250e18, "the rest");
        eq(grants.claim(modelId, benos), 1_000e18, "the other's");
        eq(shares.balanceOf(address(grants)), 0, "nothing is left");
    }

    function test_theHoldersMayEndThem() public {
        vm.warp(START + DURATION / 2);
        vm.prank(address(timelock));
        grants.revoke(modelId, annas);
        eq(shares.totalSupply(), 2_500e18, "what was not due is burned");
        eq(grants.claim(modelId, annas), 1_500e18, "what was due is paid");
        eq(emission.foundersOf(modelId), 4_000e18, "what was minted stays said");
    }

    function test_theFirstYearHasSoMuchLess() public {
        ModelConfig memory config = _config(3_000e18, 1_000e18);
        config.yearlyCap -= 1;
        bytes memory above = abi.encodeWithSelector(IEmission.EmissionAboveYearlyCap.selector, YEAR, YEAR - 1);
        vm.expectRevert(above);
        registry.createModel(config, "x");

        // Neither does a later budget of that year; the first of the next may be larger.
        uint128 more = BUDGET + 1;
        vm.warp(START + (EPOCHS_PER_YEAR - 1) * EPOCH - 1);
        vm.startPrank(address(timelock));
        vm.expectRevert(
            abi.encodeWithSelector(IEmission.EmissionAboveYearlyCap.selector, more * EPOCHS_PER_YEAR, YEAR)
        );
        emission.setBudget(modelId, 1, more, split(10_000, 0, 0, 0));
        vm.warp(START + (EPOCHS_PER_YEAR - 1) * EPOCH);
        emission.setBudget(modelId, 1, more, split(10_000, 0, 0, 0));
        vm.stopPrank();
        eq(emission.yearlyCapOf(modelId), YEAR + 4_000e18, "the cap itself");
    }

    function test_theyAreAFifthOfTheCapAtMost() public {
        ModelConfig memory config = _config(1, 1);
        config.yearlyCap = 2 * YEAR;
        // Compute's part of a year is 0.7 of the budget's, half of which is less than a fifth of this cap.
        (uint128 fifth, uint128 half) = (config.yearlyCap / 5, uint128((uint256(YEAR) * 7_000) / 10_000 / 10) * 5);
        yes(half < fifth, "the smaller one");
        config.founders.list[0].amount = half;
        _refused(config, half + 1, half);
        config.founders.list[0].amount = half - 1;
        registry.createModel(config, "half of a year's compute");

        config.yearlyCap = (YEAR * 5) / 4 + 5;
        fifth = config.yearlyCap / 5;
        yes(fifth < half, "the smaller one");
        config.founders.list[0].amount = fifth;
        _refused(config, fifth + 1, fifth);
        config.founders.list[0].amount = fifth - 1;
        registry.createModel(config, "a fifth");
    }

    /// @dev They count in a quorum and do not vote: where nobody earns votes nobody could ever decide.
    function test_aModelThatPaysNoComputeHasNoFounders() public {
        ModelConfig memory config = _config(1, 1);
        config.bps = split(0, 10_000, 0, 0);
        (config.governor.quorumFloor, config.governor.proposalThreshold, config.bootstrapShares) = (0, 0, 0);
        _refused(config, 2, 0);
    }

    function test_theyWaitAQuarterOfAYearAndTakeAYearAtLeast() public {
        ModelConfig memory config = _config(1, 2);
        uint32 quarter = uint32(365 days) / 4;
        config.founders.cliff = quarter - 1;
        _term(config, "cliff", quarter - 1, quarter, DURATION);
        config.founders.cliff = DURATION + 1;
        _term(config, "cliff", DURATION + 1, quarter, DURATION);
        config.founders.cliff = quarter;
        config.founders.duration = 365 days - 1;
        _term(config, "duration", 365 days - 1, 365 days, 3_650 days);
        config.founders.duration = 3_650 days + 1;
        _term(config, "duration", 3_650 days + 1, 365 days, 3_650 days);
        config.founders.duration = 365 days;
        registry.createModel(config, "the least");
        (config.founders.cliff, config.founders.duration) = (3_650 days, 3_650 days);
        registry.createModel(config, "the most");
    }

    function test_eachIsSomebodyWithAnAmount() public {
        ModelConfig memory config = _config(1, 2);
        config.founders.list[1].account = address(0);
        _term(config, "author", 0, 1, type(uint160).max);
        config = _config(1, 0);
        _term(config, "amount", 0, 1, type(uint128).max);
        config = _config(1, 1);
        config.founders.list[1].account = ANNA;
        vm.expectPartialRevert(ICodeGrants.CodeGrantsApproved.selector);
        registry.createModel(config, "x");
    }

    function test_onlyACreationMakesThem() public {
        FoundersConfig memory config = _config(1, 2).founders;
        address[3] memory others = [ORGANISER, address(timelock), address(emission)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(unauthorised(modelId, others[i]));
            vm.prank(others[i]);
            grants.open(modelId, config);
        }
    }

    function test_aModelWithoutFoundersMintsNothing() public {
        vm.recordLogs();
        useModel(registry.createModel(modelConfig(), "none"));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i)
            yes(logs[i].topics[0] != IEmission.FoundersMinted.selector, "and says nothing");
        eq(shares.totalSupply(), 0, "supply");
        eq(emission.foundersOf(modelId), 0, "founders");
    }

    function _config(uint128 first, uint128 second) private view returns (ModelConfig memory config) {
        config = modelConfig();
        config.founders.list = new Founder[](2);
        config.founders.list[0] = Founder(ANNA, first);
        config.founders.list[1] = Founder(BENO, second);
        (config.founders.cliff, config.founders.duration) = (CLIFF, DURATION);
        config.yearlyCap += first + second;
    }

    function _grant(address author, uint128 amount) private view returns (Grant memory grant) {
        (grant.modelId, grant.author, grant.amount) = (modelId, author, amount);
        (grant.start, grant.cliff, grant.duration) = (uint64(START), CLIFF, DURATION);
        grant.deadline = uint64(START);
    }

    function _refused(ModelConfig memory config, uint256 value, uint256 most) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IModelRegistry.ModelRegistrySettingOutOfBounds.selector,
                bytes32("founders"),
                value,
                0,
                most
            )
        );
        registry.createModel(config, "x");
    }

    function _term(ModelConfig memory config, bytes32 term, uint256 value, uint256 min, uint256 max) private {
        vm.expectRevert(abi.encodeWithSelector(ICodeGrants.CodeGrantsTermOutOfBounds.selector, term, value, min, max));
        registry.createModel(config, "x");
    }
}
