// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {Claim, IComputeRewards} from "../../contracts/interfaces/IComputeRewards.sol";
import {Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";
import {Tree} from "./support/Tree.sol";

contract ClaimTest is Fixture {
    address[] private people;
    uint256[] private amounts;

    function setUp() public override {
        super.setUp();
        for (uint160 i = 1; i <= 5; ++i) {
            people.push(address(0xc0ffee00 + i));
            amounts.push(uint256(i) * 10e18);
        }
    }

    function test_aClaimPaysTheAccountWhoeverCalls() public {
        _settle(1);
        vm.prank(address(0xdead));
        eq(_claim(2), 30e18, "amount");
        eq(shares.balanceOf(people[2]), 30e18, "balance");
        eq(shares.balanceOf(address(0xdead)), 0, "not the caller");
        eq(rewards.claimed(modelId, people[2]), 30e18, "claimed");
    }

    function test_aClaimPaysWhatWasAdded() public {
        _settle(1);
        _claim(0);
        amounts[0] += 7e18;
        _settle(2);
        eq(_claim(0), 7e18, "amount");
        eq(shares.balanceOf(people[0]), 17e18, "in all");
    }

    function test_aClaimServesOnceAndTheNextGetsNothing() public {
        _settle(1);
        eq(_claim(1), 20e18, "first");
        eq(_claim(1), 0, "second");
        eq(shares.balanceOf(people[1]), 20e18, "balance");
    }

    function test_aPendingRootPaysNobody() public {
        afterEpoch(1);
        post(attest(1, Tree.root(_leaves()), _total()));
        bytes32[] memory proof = Tree.proof(_leaves(), 0);
        _invalid(people[0], amounts[0], proof);
    }

    function test_aModelWithoutARootPaysNobody() public {
        _invalid(people[0], amounts[0], new bytes32[](0));
        _invalid(address(0), 0, new bytes32[](0));
    }

    function test_aReplacedRootPaysNobody() public {
        _settle(1);
        bytes32[] memory old = Tree.proof(_leaves(), 0);
        amounts[0] += 1;
        _settle(2);
        _invalid(people[0], amounts[0] - 1, old);
    }

    function test_proofsAreWholeAndForTheLeaf() public {
        _settle(1);
        bytes32[] memory proof = Tree.proof(_leaves(), 0);
        bytes32[] memory short = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < short.length; ++i) short[i] = proof[i];
        _invalid(people[0], amounts[0], short);
        _invalid(people[0], amounts[0], new bytes32[](0));
        bytes32[] memory long = new bytes32[](proof.length + 1);
        for (uint256 i = 0; i < proof.length; ++i) long[i] = proof[i];
        _invalid(people[0], amounts[0], long);
        _invalid(people[0], amounts[0] + 1, proof);
        _invalid(people[1], amounts[0], proof);
    }

    function test_anotherModelsRootPaysNobodyHere() public {
        _settle(1);
        ModelId mine = modelId;
        bytes32[] memory proof = Tree.proof(_leaves(), 0);
        modelId = registry.createModel(modelConfig(), "twin");
        _settle(1);
        ModelId twin = modelId;
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsInvalidProof.selector, twin, people[0]));
        rewards.claim(twin, people[0], amounts[0], proof);
        rewards.claim(mine, people[0], amounts[0], proof);
    }

    /// @dev The inner node as a leaf: an attacker picks account and amount so that the leaf's encoding is two hashes.
    function test_aNodeIsNoLeaf() public {
        _settle(1);
        bytes32[] memory leaves = _leaves();
        bytes32 single = keccak256(abi.encode(uint8(1), modelId, people[0], amounts[0]));
        yes(single != leaves[0], "leaves are hashed twice");
        eq(leaves[0], keccak256(abi.encode(single)), "exactly twice");
    }

    /// @dev A tree whose leaf is hashed once pays nobody.
    function test_aTreeOfSingleHashesPaysNobody() public {
        bytes32 single = keccak256(abi.encode(uint8(1), modelId, people[0], amounts[0]));
        settle(1, single, amounts[0]);
        _invalid(people[0], amounts[0], new bytes32[](0));
    }

    function test_anotherKindsLeafPaysNobody() public {
        settle(1, ProtocolHashes.rewardLeaf(2, modelId, people[0], amounts[0]), amounts[0]);
        _invalid(people[0], amounts[0], new bytes32[](0));
    }

    function test_aTreeOfOneLeafHasAnEmptyProof() public {
        settle(1, leafOf(people[0], 5), 5);
        eq(rewards.claim(modelId, people[0], 5, new bytes32[](0)), 5, "amount");
    }

    function test_aFallingLeafPaysNothing() public {
        _settle(1);
        _claim(4);
        amounts[4] -= 1;
        amounts[0] += 1;
        _settle(2);
        bytes32[] memory proof = Tree.proof(_leaves(), 4);
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeRewards.ComputeRewardsFallingCumulative.selector,
                people[4],
                amounts[4],
                amounts[4] + 1
            )
        );
        rewards.claim(modelId, people[4], amounts[4], proof);
        eq(rewards.claimed(modelId, people[4]), amounts[4] + 1, "what was paid stays");
    }

    function test_aDuplicateLeafPaysOnce() public {
        people[1] = people[0];
        amounts[1] = amounts[0];
        _settle(1);
        eq(_claim(0), 10e18, "first");
        eq(_claim(1), 0, "twin");
    }

    function test_leavesAboveTheTotalPayNoMoreThanTheTotal() public {
        settle(1, Tree.root(_leaves()), 50e18);
        _claim(4);
        bytes32[] memory proof = Tree.proof(_leaves(), 0);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, address(rewards), 0, 10e18)
        );
        rewards.claim(modelId, people[0], amounts[0], proof);
        eq(rewards.claimed(modelId, people[0]), 0, "nothing recorded");
    }

    function test_manyAtOnce() public {
        _settle(1);
        _claim(3);
        Claim[] memory claims = new Claim[](5);
        for (uint256 i = 0; i < 5; ++i) {
            claims[i] = Claim(modelId, people[i], amounts[i], Tree.proof(_leaves(), i));
        }
        rewards.claimMany(claims);
        for (uint256 i = 0; i < 5; ++i) eq(shares.balanceOf(people[i]), amounts[i], "each");
        eq(shares.balanceOf(address(rewards)), 0, "nothing is left");
        rewards.claimMany(claims);
        rewards.claimMany(new Claim[](0));
    }

    function test_nothingPausesTheClaimsOfAnActiveRoot() public {
        RunId runId = registerRun();
        _settle(1);
        vm.startPrank(address(timelock));
        runs.setStatus(runId, Status.Finished);
        emission.setBudget(modelId, 0, split(0, 0, 0, 10_000));
        vm.stopPrank();
        vm.warp(block.timestamp + 400 days);
        for (uint256 i = 0; i < 5; ++i) eq(_claim(i), amounts[i], "paid");
    }

    function test_donatedSharesStayAndHarmNobody() public {
        _settle(1);
        _claim(0);
        vm.prank(people[0]);
        shares.transfer(address(rewards), 10e18);
        for (uint256 i = 1; i < 5; ++i) eq(_claim(i), amounts[i], "paid");
        eq(shares.balanceOf(address(rewards)), 10e18, "the gift");
    }

    function testFuzz_everyTreePaysExactlyItsLeaves(uint256 seed, uint8 size) public {
        size = uint8(bound(size, 1, 20));
        delete people;
        delete amounts;
        for (uint256 i = 0; i < size; ++i) {
            people.push(address(uint160(0xf00d0000 + i)));
            amounts.push(uint256(keccak256(abi.encode(seed, i))) % 10e18);
        }
        _settle(1);
        for (uint256 i = 0; i < size; ++i) eq(_claim(i), amounts[i], "amount");
        eq(shares.balanceOf(address(rewards)), 0, "nothing is left");
    }

    function _leaves() private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](people.length);
        for (uint256 i = 0; i < leaves.length; ++i) leaves[i] = leafOf(people[i], amounts[i]);
    }

    function _total() private view returns (uint256 total) {
        for (uint256 i = 0; i < amounts.length; ++i) total += amounts[i];
    }

    function _settle(uint64 epoch) private {
        settle(epoch, Tree.root(_leaves()), _total());
    }

    function _claim(uint256 i) private returns (uint256) {
        return rewards.claim(modelId, people[i], amounts[i], Tree.proof(_leaves(), i));
    }

    function _invalid(address account, uint256 cumulative, bytes32[] memory proof) private {
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsInvalidProof.selector, modelId, account));
        rewards.claim(modelId, account, cumulative, proof);
    }
}
