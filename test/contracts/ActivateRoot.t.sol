// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ActiveRoot, IComputeRewards} from "../../contracts/interfaces/IComputeRewards.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {Fixture} from "./support/Fixture.sol";

contract ActivateRootTest is Fixture {
    uint256 private constant COMPUTE_BUDGET = (uint256(BUDGET) * 7_000) / 10_000;

    function test_activationWaitsForTheWindow() public {
        afterEpoch(1);
        post(attest(1, "root", 1));
        uint256 due = block.timestamp + WINDOW;
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsWindowOpen.selector, due));
        rewards.activate(posted);
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsWindowOpen.selector, due));
        rewards.activate(posted);
        vm.warp(due);
        rewards.activate(posted);
    }

    function test_activationMintsTheRootsTotal() public {
        settle(1, "root", 100);
        eq(shares.balanceOf(address(rewards)), 100, "first");
        ActiveRoot memory root = rewards.rootAt(modelId, 1, 1);
        eq(root.root, "root", "root");
        eq(root.total, 100, "total");
        eq(root.paid, 0, "paid");
        eq(newestIndex(), 1, "index");
        eq(rewards.pending(modelId, 1).index, 0, "none pending");
        settle(2, "next", 50);
        eq(shares.balanceOf(address(rewards)), 150, "second");
        eq(emission.authorisedThrough(modelId, 1), 2, "through");
    }

    function test_aRootIsNotChangedByLaterOnes() public {
        settle(1, "root", 100);
        settle(4, "next", 50);
        eq(rewards.rootAt(modelId, 1, 1).root, "root", "root");
        eq(rewards.rootAt(modelId, 1, 1).total, 100, "total");
        eq(rewards.rootAt(modelId, 1, 2).root, "next", "the next beside it");
        (uint64 index, uint64 toEpoch, ActiveRoot memory root) = rewards.newest(modelId, 1);
        eq(index, 2, "index");
        eq(toEpoch, 4, "epochs");
        eq(root.root, "next", "the newest");
    }

    function test_aRootThatAddsNothingMintsNothing() public {
        settle(1, "root", 100);
        settle(2, "next", 0);
        eq(shares.totalSupply(), 100, "supply");
        eq(rewards.rootAt(modelId, 1, 2).root, "next", "but is active");
    }

    function test_rootsAreOfOneKind() public {
        afterEpoch(1);
        post(attest(1, "root", 1));
        vm.warp(block.timestamp + WINDOW);
        Attestation memory other = posted;
        other.kind = 2;
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsNothingPending.selector, modelId, 2));
        rewards.activate(other);
        eq(rewards.pending(modelId, 2).index, 0, "pending");
        rewards.activate(posted);
        eq(rewards.rootAt(modelId, 2, 1).root, 0, "active");
    }

    function test_nothingPendingNothingActive() public {
        posted = attest(1, "root", 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsNothingPending.selector, modelId, 1));
        rewards.activate(posted);
        settle(1, "root", 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsNothingPending.selector, modelId, 1));
        rewards.activate(posted);
    }

    function test_activationCannotFailForAge() public {
        afterEpoch(1);
        post(attest(1, "root", COMPUTE_BUDGET));
        vm.warp(block.timestamp + 400 days);
        rewards.activate(posted);
        eq(shares.balanceOf(address(rewards)), COMPUTE_BUDGET, "minted");
    }

    function test_activationCannotFailForAChangeOfTheBudget() public {
        afterEpoch(1);
        post(attest(1, "root", COMPUTE_BUDGET));
        vm.prank(address(timelock));
        emission.setBudget(modelId, 0, split(0, 10_000, 0, 0));
        vm.warp(block.timestamp + WINDOW + 100);
        rewards.activate(posted);
        eq(shares.balanceOf(address(rewards)), COMPUTE_BUDGET, "minted");
    }

    function test_activationCannotFailForAChangeOfTheSet() public {
        afterEpoch(1);
        post(attest(1, "root", 1));
        address[] memory six = new address[](6);
        for (uint256 i = 0; i < 6; ++i) six[i] = vm.addr(keys[i]);
        vm.prank(address(timelock));
        validators.setValidators(modelId, 1, six, 5);
        vm.warp(block.timestamp + WINDOW);
        rewards.activate(posted);
        eq(rewards.rootAt(modelId, 1, 1).root, "root", "active");
    }
}
