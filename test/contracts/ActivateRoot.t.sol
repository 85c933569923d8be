// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IComputeRewards, RewardRoot} from "../../contracts/interfaces/IComputeRewards.sol";
import {Fixture} from "./support/Fixture.sol";

contract ActivateRootTest is Fixture {
    uint256 private constant COMPUTE_BUDGET = (uint256(BUDGET) * 7_000) / 10_000;

    function test_activationWaitsForTheWindow() public {
        afterEpoch(1);
        post(attest(1, "root", 1));
        uint256 due = block.timestamp + WINDOW;
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsWindowOpen.selector, due));
        rewards.activate(modelId);
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsWindowOpen.selector, due));
        rewards.activate(modelId);
        vm.warp(due);
        rewards.activate(modelId);
    }

    function test_activationMintsWhatTheRootAdds() public {
        settle(1, "root", 100);
        eq(shares.balanceOf(address(rewards)), 100, "first");
        RewardRoot memory root = rewards.active(modelId);
        eq(root.root, "root", "root");
        eq(root.totalCumulative, 100, "total");
        eq(root.epoch, 1, "epoch");
        eq(rewards.pending(modelId).epoch, 0, "none pending");
        settle(2, "next", 150);
        eq(shares.balanceOf(address(rewards)), 150, "second");
        eq(emission.authorisedThrough(modelId, 1), 2, "through");
    }

    function test_aRootThatAddsNothingMintsNothing() public {
        settle(1, "root", 100);
        settle(2, "next", 100);
        eq(shares.totalSupply(), 100, "supply");
        eq(rewards.active(modelId).root, "next", "but is active");
    }

    function test_nothingPendingNothingActive() public {
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsNothingPending.selector, modelId));
        rewards.activate(modelId);
        settle(1, "root", 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsNothingPending.selector, modelId));
        rewards.activate(modelId);
    }

    function test_activationCannotFailForAge() public {
        afterEpoch(1);
        post(attest(1, "root", COMPUTE_BUDGET));
        vm.warp(block.timestamp + 400 days);
        rewards.activate(modelId);
        eq(shares.balanceOf(address(rewards)), COMPUTE_BUDGET, "minted");
    }

    function test_activationCannotFailForAChangeOfTheBudget() public {
        afterEpoch(1);
        post(attest(1, "root", COMPUTE_BUDGET));
        vm.prank(address(timelock));
        emission.setBudget(modelId, 0, split(0, 10_000, 0, 0));
        vm.warp(block.timestamp + WINDOW + 100);
        rewards.activate(modelId);
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
        rewards.activate(modelId);
        eq(rewards.active(modelId).root, "root", "active");
    }
}
