// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Budget, IEmission} from "../../contracts/interfaces/IEmission.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {Fixture} from "./support/Fixture.sol";

contract BudgetTest is Fixture {
    uint256 private constant COMPUTE_BUDGET = (uint256(BUDGET) * 7_000) / 10_000;

    function test_epochsAreCountedFromOne() public view {
        eq(emission.epochOf(modelId, uint48(START - 1)), 0, "before");
        eq(emission.epochOf(modelId, uint48(START)), 1, "first");
        eq(emission.epochOf(modelId, uint48(START + EPOCH - 1)), 1, "its last second");
        eq(emission.epochOf(modelId, uint48(START + EPOCH)), 2, "second");
        eq(emission.epochEnd(modelId, 1), START + EPOCH, "end");
        eq(emission.epochEnd(modelId, 10), START + 10 * EPOCH, "end");
    }

    function test_theEndOfAnEpochNeverWraps() public {
        uint64 last = uint64((type(uint48).max - START) / EPOCH);
        eq(emission.epochEnd(modelId, last), START + uint256(last) * EPOCH, "the last that can be said");
        uint64[2] memory beyond = [last + 1, type(uint64).max];
        for (uint256 i = 0; i < 2; ++i) {
            uint256 end = START + uint256(beyond[i]) * EPOCH;
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionEpochTooFar.selector, beyond[i], end));
            emission.epochEnd(modelId, beyond[i]);
        }
    }

    function test_anEpochMayEndAtTheLastTimeThatCanBeSaid() public {
        uint256 start = START + EPOCH - 1;
        vm.warp(start);
        ModelId late = registry.createModel(modelConfig(), "late");
        uint64 last = uint64((type(uint48).max - start) / EPOCH);
        eq(emission.epochEnd(late, last), type(uint48).max, "end");
    }

    function test_unknownModelsHaveNoClock() public {
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionUnknownModel.selector, NO_MODEL));
        emission.epochOf(NO_MODEL, uint48(START));
        eq(emission.budgetOf(NO_MODEL, 1).perEpoch, 0, "nor a budget");
    }

    function test_onlyTheTimelockSetsTheBudget() public {
        vm.expectRevert(unauthorised(modelId, ORGANISER));
        vm.prank(ORGANISER);
        emission.setBudget(modelId, 1, 1, split(10_000, 0, 0, 0));
    }

    function test_aBudgetCountsFromTheNextEpoch() public {
        _setBudget(100e18, split(5_000, 5_000, 0, 0));
        eq(emission.budgetOf(modelId, 1).perEpoch, BUDGET, "this epoch's stays");
        eq(emission.budgetOf(modelId, 2).perEpoch, 100e18, "the next one's is new");
        vm.warp(START + 5 * EPOCH);
        eq(_authorisable(1, 1, 2), COMPUTE_BUDGET + 50e18, "compute");
        eq(_authorisable(2, 1, 2), (uint256(BUDGET) * 1_000) / 10_000 + 50e18, "code");
        eq(_authorisable(3, 1, 2), (uint256(BUDGET) * 1_500) / 10_000, "capital");
        eq(_authorisable(4, 1, 2), (uint256(BUDGET) * 500) / 10_000, "treasury");
    }

    function test_aSecondChangeWithinAnEpochReplacesTheFirst() public {
        _setBudget(100e18, split(5_000, 5_000, 0, 0));
        _setBudget(10e18, split(10_000, 0, 0, 0));
        Budget memory budget = emission.budgetOf(modelId, 2);
        eq(budget.perEpoch, 10e18, "per epoch");
        eq(budget.computeBps, 10_000, "split");
    }

    function test_ofTwoDecisionsOnOneBudgetTheFirstHolds() public {
        eq(emission.budgetOf(modelId, 1).version, 1, "a model begins with one");
        vm.startPrank(address(timelock));
        emission.setBudget(modelId, 1, 100e18, split(5_000, 5_000, 0, 0));
        for (uint32 stale = 0; stale < 4; ++stale) {
            if (stale == 2) continue;
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionBudgetReplaced.selector, modelId, stale, 2));
            emission.setBudget(modelId, stale, BUDGET, split(10_000, 0, 0, 0));
        }
        eq(emission.budgetOf(modelId, 2).perEpoch, 100e18, "the first");
        // Also of those that come before it is in force.
        emission.setBudget(modelId, 2, 10e18, split(10_000, 0, 0, 0));
        vm.stopPrank();
        eq(emission.budgetOf(modelId, 2).version, 3, "counted");
        eq(emission.budgetOf(modelId, 1).version, 1, "and this epoch's stays");
    }

    function test_theSplitSumsToAll() public {
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionSplit.selector, 9_999));
        emission.setBudget(modelId, 1, 1, split(9_999, 0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionSplit.selector, 40_000));
        emission.setBudget(modelId, 1, 1, split(10_000, 10_000, 10_000, 10_000));
        vm.stopPrank();
    }

    function test_theYearlyCapStands() public {
        uint256 cap = emission.yearlyCapOf(modelId);
        vm.expectRevert(
            abi.encodeWithSelector(
                IEmission.EmissionAboveYearlyCap.selector,
                (uint256(BUDGET) + 1) * EPOCHS_PER_YEAR,
                cap
            )
        );
        vm.prank(address(timelock));
        emission.setBudget(modelId, 1, BUDGET + 1, split(10_000, 0, 0, 0));
    }

    function test_whatHasNotBegunIsNotAuthorisable() public {
        eq(_authorisable(1, 1, 100), COMPUTE_BUDGET, "the current epoch at most");
        vm.warp(START + 9 * EPOCH);
        eq(_authorisable(1, 1, 100), 10 * COMPUTE_BUDGET, "ten have begun");
        eq(_authorisable(1, 11, 100), 0, "none of these");
        eq(_authorisable(1, 5, 4), 0, "an empty range");
        eq(_authorisable(1, 0, 1), COMPUTE_BUDGET, "epoch 0 has none");
    }

    function test_aBudgetLastsThirtyDaysAfterItsEpoch() public {
        uint256 end = emission.epochEnd(modelId, 3);
        vm.warp(end + 60 days);
        eq(_asOf(3, 3, end + 30 days), COMPUTE_BUDGET, "on the last second");
        eq(_asOf(3, 3, end + 30 days + 1), 0, "a second later");
        eq(_asOf(1, 4, end + 30 days), 2 * COMPUTE_BUDGET, "older ones are gone");
    }

    function test_onlyTheDistributorAuthorises() public {
        address[4] memory others = [ORGANISER, address(timelock), address(registry), address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, 1, others[i]));
            vm.prank(others[i]);
            emission.authorise(modelId, 1, 1, 1, uint48(START), 1);
        }
        for (uint8 kind = 0; kind <= 5; ++kind) {
            if (kind == 1) continue;
            yes(emission.distributorOf(kind) != address(rewards), "another's, or nobody's");
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, kind, address(rewards)));
            vm.prank(address(rewards));
            emission.authorise(modelId, kind, 1, 1, uint48(START), 1);
        }
        eq(emission.distributorOf(1), address(rewards), "compute");
    }

    function test_rangesBeginAtOneAndEndByNow() public {
        _badRange(0, 1);
        _badRange(2, 1);
        _badRange(1, 2);
        _authorise(1, 1, 1);
        eq(shares.totalSupply(), 1, "the current epoch's own");
    }

    function test_anEpochServesOnce() public {
        vm.warp(START + 3 * EPOCH);
        _authorise(1, 2, 1);
        eq(shares.balanceOf(address(rewards)), 1, "minted to the distributor");
        eq(emission.authorisedThrough(modelId, 1), 2, "through");
        _overBudget(1, 2, 1, 0);
        _overBudget(1, 3, COMPUTE_BUDGET + 1, COMPUTE_BUDGET);
        _authorise(1, 3, COMPUTE_BUDGET);
        _overBudget(3, 3, 1, 0);
        eq(shares.totalSupply(), COMPUTE_BUDGET + 1, "what was left of the first two is never minted");
    }

    function test_anOlderRangeDoesNotReopenNewerEpochs() public {
        vm.warp(START + 5 * EPOCH);
        _authorise(1, 5, 1);
        _authorise(1, 2, 0);
        eq(emission.authorisedThrough(modelId, 1), 5, "through");
        _overBudget(3, 5, 1, 0);
    }

    function test_lateAuthorisationMintsNothing() public {
        uint256 end = emission.epochEnd(modelId, 1);
        vm.warp(end + 31 days);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, 1, 0));
        vm.prank(address(rewards));
        emission.authorise(modelId, 1, 1, 1, uint48(end + 31 days), 1);
    }

    /// @dev What is counted as minted has 128 bits: an amount that is more is refused, never cut, whatever time is judged by, and a
    /// model of the largest cap comes to no such amount in as long as its clock lasts.
    function test_noAmountIsCutShort() public {
        ModelConfig memory config = modelConfig();
        config.yearlyCap = 2 ** 96;
        config.epochBudget = uint128(2 ** 96 / EPOCHS_PER_YEAR);
        useModel(registry.createModel(config, "largest"));
        vm.warp(START + uint256(type(uint32).max) * EPOCH);
        uint64 current = emission.epochOf(modelId, uint48(block.timestamp));
        uint256 all = current * ((uint256(config.epochBudget) * 7_000) / 10_000);
        uint48[5] memory judged = [
            0,
            uint48(START),
            uint48(START + 30 days),
            uint48(block.timestamp),
            type(uint48).max
        ];
        uint256[4] memory amounts = [all + 1, 2 ** 128, 2 ** 128 + 1, 2 ** 132];
        for (uint256 i = 0; i < judged.length; ++i) {
            uint256 left = emission.authorisable(modelId, 1, 1, current, judged[i]);
            yes(left <= all, "the epochs' own");
            for (uint256 k = 0; k < amounts.length; ++k) {
                vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, amounts[k], left));
                vm.prank(address(rewards));
                emission.authorise(modelId, 1, 1, current, judged[i], amounts[k]);
            }
        }
        vm.prank(address(rewards));
        emission.authorise(modelId, 1, 1, current, 0, all);
        eq(emission.mintedOf(modelId, 1), all, "counted whole");
        eq(shares.balanceOf(address(rewards)), all, "minted whole");
    }

    /// @dev The values that halmos once gave for a proof of this with the epochs unknown, and that its reckoning took for an answer.
    function test_aTimeOfJudgementFarAheadLeavesNothing() public {
        ModelConfig memory config = modelConfig();
        config.epochLength = 7 days;
        (config.yearlyCap, config.bootstrapMaxEpochs) = (53 * BUDGET, 53);
        useModel(registry.createModel(config, "weeks"));
        vm.warp(START + 0xeee68000);
        eq(emission.authorisable(modelId, 1, 1, 0x469, 0xdca02c278480), 0, "all are too old");
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, 2 ** 132, 0));
        vm.prank(address(rewards));
        emission.authorise(modelId, 1, 1, 0x469, 0xdca02c278480, 2 ** 132);
    }

    /// @dev Thousands of epochs of a night's pause cost what one costs.
    function test_aLongRangeCostsWhatAShortOneCosts() public {
        vm.warp(START + 29 days);
        uint64 last = emission.epochOf(modelId, uint48(block.timestamp));
        _authorisable(1, 1, 1);
        uint256 before = gasleft();
        uint256 one = _authorisable(1, last, last);
        uint256 short = before - gasleft();
        before = gasleft();
        uint256 all = _authorisable(1, 1, last);
        uint256 long = before - gasleft();
        eq(all, one * last, "all of them");
        yes(long < short + 1_000, "no loop over epochs");
    }

    /// @dev Against the plain loop that the contract must not have.
    function testFuzz_aRangeIsTheSumOfItsEpochs(uint256 seed, uint64 from, uint64 to, uint32 asOf) public {
        for (uint256 i = 0; i < 6; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            vm.warp(block.timestamp + (dice % 100));
            _setBudget(uint128(dice % BUDGET), split(uint16(dice % 10_001), uint16(10_000 - (dice % 10_001)), 0, 0));
        }
        vm.warp(block.timestamp + 40);
        uint256 current = emission.epochOf(modelId, uint48(block.timestamp));
        from = uint64(bound(from, 0, current + 2));
        to = uint64(bound(to, 0, current + 2));
        uint256 time = START + bound(asOf, 0, 31 days);
        uint256 expected = 0;
        for (uint64 e = from; e <= to; ++e) {
            if (e == 0 || e > current || emission.epochEnd(modelId, e) + 30 days < time) continue;
            Budget memory budget = emission.budgetOf(modelId, e);
            expected += (uint256(budget.perEpoch) * budget.computeBps) / 10_000;
        }
        eq(_asOf(from, to, time), expected, "sum");
    }

    function _setBudget(uint128 perEpoch, uint16[4] memory bps) private {
        uint32 newest = newestBudget(modelId);
        vm.prank(address(timelock));
        emission.setBudget(modelId, newest, perEpoch, bps);
    }

    function _authorise(uint64 from, uint64 to, uint256 amount) private {
        vm.prank(address(rewards));
        emission.authorise(modelId, 1, from, to, uint48(block.timestamp), amount);
    }

    function _overBudget(uint64 from, uint64 to, uint256 amount, uint256 left) private {
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, amount, left));
        _authorise(from, to, amount);
    }

    function _badRange(uint64 from, uint64 to) private {
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionBadRange.selector, from, to, 1));
        _authorise(from, to, 0);
    }

    function _authorisable(uint8 kind, uint64 from, uint64 to) private view returns (uint256) {
        return emission.authorisable(modelId, kind, from, to, uint48(block.timestamp));
    }

    function _asOf(uint64 from, uint64 to, uint256 time) private view returns (uint256) {
        return emission.authorisable(modelId, 1, from, to, uint48(time));
    }
}
