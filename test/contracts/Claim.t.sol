// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {Claim, IComputeRewards, Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
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
        _settle();
        vm.prank(address(0xdead));
        eq(_claim(1, 2), 30e18, "amount");
        eq(shares.balanceOf(people[2]), 30e18, "balance");
        eq(shares.balanceOf(address(0xdead)), 0, "not the caller");
        yes(paid(people[2], 1), "remembered");
        yes(!paid(people[1], 1), "of nobody else");
        eq(rewards.rootAt(modelId, 1, 1).paid, 30e18, "counted");
    }

    /// @dev A4.
    function test_aRootPaysWhatItAdds() public {
        _settle();
        _claim(1, 0);
        amounts[0] = 7e18;
        _settle();
        eq(_claim(2, 0), 7e18, "amount");
        eq(shares.balanceOf(people[0]), 17e18, "in all");
    }

    function test_aClaimServesOnceAndTheNextGetsNothing() public {
        _settle();
        eq(_claim(1, 1), 20e18, "first");
        eq(_claim(1, 1), 0, "second");
        eq(shares.balanceOf(people[1]), 20e18, "balance");
        eq(rewards.rootAt(modelId, 1, 1).paid, 20e18, "counted once");
    }

    function test_earlierRootsPayForEver() public {
        _settle();
        for (uint256 i = 0; i < 5; ++i) amounts[i] += 1;
        _settle();
        for (uint256 i = 0; i < 5; ++i) eq(_claim(2, i), amounts[i], "second");
        for (uint256 i = 0; i < 5; ++i) amounts[i] -= 1;
        for (uint256 i = 0; i < 5; ++i) eq(_claim(1, i), amounts[i], "first");
        eq(shares.balanceOf(address(rewards)), 0, "nothing is left");
    }

    /// @dev A4. A false root takes the budget of its own epochs and nothing that others have earned and not claimed.
    function test_aFalseRootTakesNothingOfOthers() public {
        _settle();
        settle(2, leafOf(2, address(0xbad), 300e18), 300e18);
        eq(rewards.claim(modelId, 1, address(0xbad), Leaf(2, 300e18, new bytes32[](0))), 300e18, "its own");
        for (uint256 i = 0; i < 5; ++i) eq(_claim(1, i), amounts[i], "paid");
    }

    function test_rootsBeyondAWordOfBitsPayToo() public {
        settle(1, leafOf(1, people[0], 1), 1);
        // As if 253 more had become active, whose settling would take more gas than a test has: the third slot of the pool.
        bytes32 slot = keccak256(abi.encode(uint256(1), keccak256(abi.encode(modelId, uint256(0)))));
        slot = bytes32(uint256(slot) + 2);
        vm.store(address(rewards), slot, bytes32(uint256(vm.load(address(rewards), slot)) + (uint256(253) << 160)));
        eq(newestIndex(), 254, "it is that slot");
        uint64[4] memory indices = [uint64(1), 255, 256, 257];
        for (uint64 i = 1; i < 4; ++i) settle(i + 1, leafOf(indices[i], people[0], indices[i]), indices[i]);
        for (uint256 i = 0; i < 4; ++i) {
            Leaf memory leaf = Leaf(indices[i], indices[i], new bytes32[](0));
            yes(!paid(people[0], indices[i]), "not yet");
            eq(rewards.claim(modelId, 1, people[0], leaf), indices[i], "amount");
            yes(paid(people[0], indices[i]), "remembered");
            eq(rewards.claim(modelId, 1, people[0], leaf), 0, "once");
        }
        yes(!paid(people[0], 0) && !paid(people[0], 2) && !paid(people[0], 254), "others are not");
    }

    function test_aPendingRootPaysNobody() public {
        afterEpoch(1);
        post(attest(1, Tree.root(_leaves(1)), _total()));
        _invalid(1, people[0], amounts[0], Tree.proof(_leaves(1), 0));
    }

    function test_aModelWithoutARootPaysNobody() public {
        _invalid(1, people[0], amounts[0], new bytes32[](0));
        _invalid(0, address(0), 0, new bytes32[](0));
    }

    function test_numbersThatNoRootHasPayNobody() public {
        _settle();
        bytes32[] memory proof = Tree.proof(_leaves(1), 0);
        _invalid(0, people[0], amounts[0], proof);
        _invalid(2, people[0], amounts[0], proof);
        _invalid(type(uint64).max, people[0], amounts[0], proof);
    }

    /// @dev The same tree under another number has other leaves.
    function test_aLeafIsOfOneRoot() public {
        bytes32 root = Tree.root(_leaves(1));
        settle(1, root, _total());
        settle(2, root, _total());
        bytes32[] memory proof = Tree.proof(_leaves(1), 0);
        _invalid(2, people[0], amounts[0], proof);
        eq(_claim(1, 0), amounts[0], "its own");
    }

    function test_proofsAreWholeAndForTheLeaf() public {
        _settle();
        bytes32[] memory proof = Tree.proof(_leaves(1), 0);
        bytes32[] memory short = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < short.length; ++i) short[i] = proof[i];
        _invalid(1, people[0], amounts[0], short);
        _invalid(1, people[0], amounts[0], new bytes32[](0));
        bytes32[] memory long = new bytes32[](proof.length + 1);
        for (uint256 i = 0; i < proof.length; ++i) long[i] = proof[i];
        _invalid(1, people[0], amounts[0], long);
        _invalid(1, people[0], amounts[0] + 1, proof);
        _invalid(1, people[1], amounts[0], proof);
    }

    function test_anotherModelsRootPaysNobodyHere() public {
        _settle();
        ModelId mine = modelId;
        Leaf memory leaf = Leaf(1, amounts[0], Tree.proof(_leaves(1), 0));
        useModel(registry.createModel(modelConfig(), "twin"));
        _settle();
        _invalid(1, people[0], amounts[0], leaf.proof);
        rewards.claim(mine, 1, people[0], leaf);
    }

    function test_anotherKindsRootPaysNobodyHere() public {
        _settle();
        Leaf memory leaf = Leaf(1, amounts[0], Tree.proof(_leaves(1), 0));
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsInvalidProof.selector, modelId, 2, 1, people[0])
        );
        rewards.claim(modelId, 2, people[0], leaf);
    }

    /// @dev The inner node as a leaf: an attacker picks account and amount so that the leaf's encoding is two hashes.
    function test_aNodeIsNoLeaf() public {
        _settle();
        bytes32[] memory leaves = _leaves(1);
        bytes32 single = keccak256(abi.encode(uint8(1), modelId, uint64(1), people[0], amounts[0]));
        yes(single != leaves[0], "leaves are hashed twice");
        eq(leaves[0], keccak256(abi.encode(single)), "exactly twice");
    }

    /// @dev A tree whose leaf is hashed once pays nobody.
    function test_aTreeOfSingleHashesPaysNobody() public {
        bytes32 single = keccak256(abi.encode(uint8(1), modelId, uint64(1), people[0], amounts[0]));
        settle(1, single, amounts[0]);
        _invalid(1, people[0], amounts[0], new bytes32[](0));
    }

    function test_anotherKindsLeafPaysNobody() public {
        settle(1, ProtocolHashes.rewardLeaf(2, modelId, 1, people[0], amounts[0]), amounts[0]);
        _invalid(1, people[0], amounts[0], new bytes32[](0));
    }

    function test_aTreeOfOneLeafHasAnEmptyProof() public {
        settle(1, leafOf(1, people[0], 5), 5);
        eq(rewards.claim(modelId, 1, people[0], Leaf(1, 5, new bytes32[](0))), 5, "amount");
    }

    function test_aDuplicateLeafPaysOnce() public {
        people[1] = people[0];
        amounts[1] = amounts[0];
        _settle();
        eq(_claim(1, 0), 10e18, "first");
        eq(_claim(1, 1), 0, "twin");
    }

    /// @dev Nor does an account with two leaves of different amounts get both.
    function test_anAccountIsPaidOncePerRoot() public {
        people[1] = people[0];
        _settle();
        eq(_claim(1, 1), 20e18, "one of them");
        eq(_claim(1, 0), 0, "not the other");
    }

    /// @dev A4.
    function test_leavesAboveTheTotalPayNoMoreThanTheTotal() public {
        _settle();
        settle(2, Tree.root(_leaves(2)), 59e18);
        _claim(2, 4);
        Leaf memory leaf = Leaf(2, amounts[0], Tree.proof(_leaves(2), 0));
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsAboveTotal.selector, 2, 60e18, 59e18));
        rewards.claim(modelId, 1, people[0], leaf);
        yes(!paid(people[0], 2), "nothing recorded");
        for (uint256 i = 0; i < 5; ++i) eq(_claim(1, i), amounts[i], "what another root owes is not touched");
        eq(shares.balanceOf(address(rewards)), 9e18, "what the false root did not pay stays");
    }

    function test_aRootPaysItsTotalToTheLastWei() public {
        settle(1, Tree.root(_leaves(1)), 60e18);
        _claim(1, 4);
        eq(_claim(1, 0), 10e18, "up to the total");
    }

    function test_manyAccountsAtOnce() public {
        _settle();
        _claim(1, 3);
        Claim[] memory claims = new Claim[](5);
        for (uint256 i = 0; i < 5; ++i) claims[i] = _claimOf(i, 1);
        uint256[] memory got = rewards.claimMany(claims);
        for (uint256 i = 0; i < 5; ++i) {
            eq(shares.balanceOf(people[i]), amounts[i], "each");
            eq(got[i], i == 3 ? 0 : amounts[i], "says what it paid");
        }
        eq(shares.balanceOf(address(rewards)), 0, "nothing is left");
        got = rewards.claimMany(claims);
        for (uint256 i = 0; i < 5; ++i) eq(got[i], 0, "nothing twice");
        eq(rewards.claimMany(new Claim[](0)).length, 0, "nothing of nothing");
    }

    function test_manyRootsAtOnceAreOneTransfer() public {
        for (uint256 k = 0; k < 4; ++k) _settle();
        _claim(2, 1);
        Claim[] memory claims = new Claim[](1);
        claims[0] = _claimOf(1, 4);
        vm.recordLogs();
        uint256[] memory got = rewards.claimMany(claims);
        // The claim's event and the transfer's: what was paid before is passed over.
        eq(vm.getRecordedLogs().length, 2, "events");
        eq(got[0], 60e18, "three of four");
        eq(shares.balanceOf(people[1]), 80e18, "all four");
    }

    function test_oneFalseLeafStopsABatch() public {
        for (uint256 k = 0; k < 2; ++k) _settle();
        Claim[] memory claims = new Claim[](1);
        claims[0] = _claimOf(1, 2);
        claims[0].leaves[1].amount += 1;
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsInvalidProof.selector, modelId, 1, 2, people[1])
        );
        rewards.claimMany(claims);
        yes(!paid(people[1], 1), "nothing recorded");
    }

    /// @dev A19.
    function test_theSameLeafTwiceInABatchPaysOnce() public {
        _settle();
        Claim[] memory claims = new Claim[](2);
        claims[0] = _claimOf(2, 1);
        claims[0].leaves = new Leaf[](2);
        (claims[0].leaves[0], claims[0].leaves[1]) = (_leaf(1, 2), _leaf(1, 2));
        claims[1] = _claimOf(2, 1);
        uint256[] memory got = rewards.claimMany(claims);
        eq(got[0], 30e18, "once");
        eq(got[1], 0, "not again");
    }

    function test_nothingPausesTheClaimsOfAnActiveRoot() public {
        RunId runId = registerRun();
        _settle();
        vm.startPrank(address(timelock));
        runs.setStatus(runId, Status.Finished);
        emission.setBudget(modelId, 1, 0, split(0, 0, 0, 10_000));
        vm.stopPrank();
        vm.warp(block.timestamp + 400 days);
        for (uint256 i = 0; i < 5; ++i) eq(_claim(1, i), amounts[i], "paid");
    }

    function test_donatedSharesStayAndHarmNobody() public {
        _settle();
        _claim(1, 0);
        vm.prank(people[0]);
        shares.transfer(address(rewards), 10e18);
        for (uint256 i = 1; i < 5; ++i) eq(_claim(1, i), amounts[i], "paid");
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
        _settle();
        for (uint256 i = 0; i < size; ++i) eq(_claim(1, i), amounts[i], "amount");
        eq(shares.balanceOf(address(rewards)), 0, "nothing is left");
    }

    function _leaves(uint64 index) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](people.length);
        for (uint256 i = 0; i < leaves.length; ++i) leaves[i] = leafOf(index, people[i], amounts[i]);
    }

    function _total() private view returns (uint256 total) {
        for (uint256 i = 0; i < amounts.length; ++i) total += amounts[i];
    }

    /// @dev A root of one epoch more, with the present amounts.
    function _settle() private {
        uint64 index = newestIndex() + 1;
        settle(index, Tree.root(_leaves(index)), _total());
    }

    function _leaf(uint64 index, uint256 i) private view returns (Leaf memory) {
        return Leaf(index, amounts[i], Tree.proof(_leaves(index), i));
    }

    /// @dev What the first roots grant somebody.
    function _claimOf(uint256 i, uint64 roots) private view returns (Claim memory one) {
        one = Claim(modelId, 1, people[i], new Leaf[](roots));
        for (uint64 k = 1; k <= roots; ++k) one.leaves[k - 1] = _leaf(k, i);
    }

    function _claim(uint64 index, uint256 i) private returns (uint256) {
        return rewards.claim(modelId, 1, people[i], _leaf(index, i));
    }

    function _invalid(uint64 index, address account, uint256 amount, bytes32[] memory proof) private {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsInvalidProof.selector, modelId, 1, index, account)
        );
        rewards.claim(modelId, 1, account, Leaf(index, amount, proof));
    }
}
