// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Budget, IEmission} from "../../contracts/interfaces/IEmission.sol";
import {IModelShares} from "../../contracts/interfaces/IModelShares.sol";
import {CODE, COMPUTE} from "../../contracts/interfaces/Kinds.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Code is minted in parts, from the oldest budget that there is.
contract DrawBudgetTest is Fixture {
    uint256 private constant CODE_BUDGET = (uint256(BUDGET) * 1_000) / 10_000;

    function test_onlyTheDistributorDrawsAndBurns() public {
        address[4] memory others = [ORGANISER, address(timelock), address(registry), address(rewards)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.startPrank(others[i]);
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, CODE, others[i]));
            emission.draw(modelId, CODE, 1);
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, CODE, others[i]));
            emission.burn(modelId, CODE, 1);
            vm.stopPrank();
        }
        for (uint8 kind = 0; kind <= 5; ++kind) {
            if (kind == CODE) continue;
            vm.startPrank(address(grants));
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, kind, address(grants)));
            emission.draw(modelId, kind, 1);
            vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, kind, address(grants)));
            emission.burn(modelId, kind, 1);
            vm.stopPrank();
        }
    }

    function test_partsOfABudgetAreDrawnOneAfterAnother() public {
        _draw(30e18, 1, 1);
        eq(_left(), CODE_BUDGET - 30e18, "less");
        eq(emission.authorisedThrough(modelId, CODE), 0, "not all of it");
        _draw(70e18, 1, 1);
        eq(emission.authorisedThrough(modelId, CODE), 1, "all of it");
        eq(_left(), 0, "nothing");
        _refused(1, 0);
        vm.warp(START + EPOCH);
        eq(_left(), CODE_BUDGET, "the next epoch's");
        eq(shares.balanceOf(address(grants)), CODE_BUDGET, "minted to the distributor");
    }

    function test_theOldestBudgetIsDrawnFirst() public {
        vm.warp(START + 4 * EPOCH);
        eq(_left(), 5 * CODE_BUDGET, "of five epochs");
        _draw(250e18, 1, 3);
        eq(emission.authorisedThrough(modelId, CODE), 2, "two of them whole");
        eq(_left(), 250e18, "the rest");
        eq(_range(1, 2), 0, "of those two nothing");
        _draw(150e18, 3, 4);
        _refused(100e18 + 1, 100e18);
        _draw(100e18, 5, 5);
        eq(_left(), 0, "nothing");
    }

    function test_whatIsDrawnOfAnEpochCountsInItsRangeAlone() public {
        vm.warp(START + 4 * EPOCH);
        _draw(30e18, 1, 1);
        eq(_range(1, 1), 70e18, "its own");
        eq(_range(2, 2), CODE_BUDGET, "another's");
        eq(_range(1, 2), 170e18, "both");
        eq(emission.authorisable(modelId, COMPUTE, 1, 1, uint48(block.timestamp)), 700e18, "compute's is its own");
    }

    function test_changesOfTheBudgetAreFollowed() public {
        _setBudget(100e18, split(0, 10_000, 0, 0));
        vm.warp(START + 2 * EPOCH);
        _setBudget(500e18, split(10_000, 0, 0, 0));
        vm.warp(START + 4 * EPOCH);
        _setBudget(10e18, split(5_000, 5_000, 0, 0));
        vm.warp(START + 6 * EPOCH);
        // Epochs 1 to 7: 100, 100, 100, 0, 0, 5, 5.
        eq(_left(), 310e18, "sum");
        _draw(300e18, 1, 5);
        eq(_left(), 10e18, "nothing of those without a budget");
        _draw(7e18, 6, 7);
        eq(_left(), 3e18, "part of the last");
        _draw(3e18, 7, 7);
    }

    function test_oldBudgetsAreGoneWithWhatWasDrawnOfThem() public {
        _draw(30e18, 1, 1);
        uint256 end = emission.epochEnd(modelId, 1);
        vm.warp(end + 30 days);
        uint256 all = _left();
        vm.warp(end + 30 days + 1);
        eq(all - _left(), CODE_BUDGET - 30e18, "what was left of the first");
        uint256 epochs = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        eq(_left(), epochs * CODE_BUDGET, "the others are whole");
        _draw(epochs * CODE_BUDGET, 2, uint64(epochs + 1));
        eq(_left(), 0, "all of it");
    }

    function test_drawingNothingIsNothing() public {
        vm.recordLogs();
        vm.prank(address(grants));
        emission.draw(modelId, CODE, 0);
        eq(vm.getRecordedLogs().length, 0, "no event");
        eq(_left(), CODE_BUDGET, "all there");
    }

    function test_unknownModelsHaveNoBudget() public {
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionUnknownModel.selector, NO_MODEL));
        vm.prank(address(grants));
        emission.draw(NO_MODEL, CODE, 1);
    }

    function test_authorisingEpochsThatAreUsedUpChangesNothing() public {
        vm.warp(START + EPOCH);
        _draw(130e18, 1, 2);
        vm.prank(address(grants));
        emission.authorise(modelId, CODE, 1, 1, uint48(block.timestamp), 0);
        eq(_left(), 70e18, "what was drawn stays drawn");
    }

    /// @dev No distributor does both today.
    function test_wholeEpochsThatAreAuthorisedTakeTheirPartsAlong() public {
        _draw(30e18, 1, 1);
        vm.startPrank(address(grants));
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, CODE_BUDGET, 70e18));
        emission.authorise(modelId, CODE, 1, 1, uint48(block.timestamp), CODE_BUDGET);
        emission.authorise(modelId, CODE, 1, 1, uint48(block.timestamp), 1e18);
        vm.stopPrank();
        vm.warp(START + EPOCH);
        eq(_left(), CODE_BUDGET, "the next epoch's is whole");
    }

    function test_onlyEmissionBurns() public {
        vm.prank(address(emission));
        shares.mint(ORGANISER, 5);
        address[3] memory others = [ORGANISER, address(timelock), address(grants)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IModelShares.ModelSharesOnlyEmission.selector, others[i]));
            vm.prank(others[i]);
            shares.burn(ORGANISER, 1);
        }
    }

    function test_aDistributorBurnsItsOwn() public {
        _draw(30e18, 1, 1);
        vm.prank(address(grants));
        emission.burn(modelId, CODE, 10e18);
        eq(shares.balanceOf(address(grants)), 20e18, "balance");
        eq(shares.totalSupply(), 20e18, "supply");
        eq(_left(), CODE_BUDGET - 30e18, "no budget grows by it");
    }

    /// @dev Against the plain loop that the contract must not have.
    function testFuzz_drawsAreWhatTheEpochsHave(uint256 seed) public {
        uint256[32] memory left;
        uint64 known = 1;
        left[1] = CODE_BUDGET;
        for (uint256 i = 0; i < 12; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            vm.warp(block.timestamp + (dice % 40));
            uint64 current = emission.epochOf(modelId, uint48(block.timestamp));
            for (; known < current;) {
                Budget memory budget = emission.budgetOf(modelId, ++known);
                left[known] = (uint256(budget.perEpoch) * budget.codeBps) / 10_000;
            }
            uint256 sum = 0;
            for (uint64 e = 1; e <= current; ++e) sum += left[e];
            eq(_left(), sum, "what there is");
            uint256 amount = dice % 3 == 0 ? sum : (dice >> 8) % (sum + 1);
            vm.prank(address(grants));
            emission.draw(modelId, CODE, amount);
            for (uint64 e = 1; e <= current && amount != 0; ++e) {
                uint256 part = amount < left[e] ? amount : left[e];
                left[e] -= part;
                amount -= part;
            }
            uint16 bps = uint16((dice >> 16) % 10_001);
            if (dice % 5 < 2) _setBudget(uint128((dice >> 32) % BUDGET), split(10_000 - bps, bps, 0, 0));
        }
    }

    function _draw(uint256 amount, uint64 from, uint64 to) private {
        vm.expectEmit(address(emission));
        emit IEmission.EmissionAuthorised(modelId, CODE, from, to, uint48(block.timestamp), amount);
        vm.prank(address(grants));
        emission.draw(modelId, CODE, amount);
    }

    function _refused(uint256 amount, uint256 limit) private {
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, amount, limit));
        vm.prank(address(grants));
        emission.draw(modelId, CODE, amount);
    }

    function _left() private view returns (uint256) {
        return _range(1, type(uint64).max);
    }

    function _range(uint64 from, uint64 to) private view returns (uint256) {
        return emission.authorisable(modelId, CODE, from, to, uint48(block.timestamp));
    }

    function _setBudget(uint128 perEpoch, uint16[4] memory bps) private {
        uint32 newest = newestBudget(modelId);
        vm.prank(address(timelock));
        emission.setBudget(modelId, newest, perEpoch, bps);
    }
}
