// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, RunId} from "../../contracts/interfaces/Ids.sol";
import {ICheckpointRegistry, NewHead} from "../../contracts/interfaces/ICheckpointRegistry.sol";
import {Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {Fixture} from "./support/Fixture.sol";
import {Vm} from "./support/Vm.sol";

/// @notice Several heads in one transaction are what as many transactions would make.
contract PostManyTest is Fixture {
    RunId private runId;
    HeadHash private genesis;

    function setUp() public override {
        super.setUp();
        runId = registerRun();
        (genesis, , ) = checkpoints.headOf(runId);
    }

    function test_aBatchIsWhatSingleHeadsAre() public {
        uint256 before = vm.snapshotState();
        vm.recordLogs();
        HeadHash parent = genesis;
        for (uint64 round = 1; round <= 4; ++round) parent = _post(parent, round);
        Vm.Log[] memory single = vm.getRecordedLogs();
        vm.revertToState(before);

        vm.recordLogs();
        HeadHash last = _postMany(genesis, 1, 4);
        Vm.Log[] memory many = vm.getRecordedLogs();
        eq(last, parent, "last");
        eq(many.length, 4, "one event each");
        for (uint256 i = 0; i < 4; ++i) eq(keccak256(abi.encode(many[i])), keccak256(abi.encode(single[i])), "event");
        _stands(parent, 4);
        _post(last, 5);
    }

    function test_aBatchFollowsSingleHeadsAndOthers() public {
        HeadHash head = _post(genesis, 1);
        head = _postMany(head, 2, 3);
        head = _postMany(head, 5, 1);
        _stands(head, 5);
    }

    function testFuzz_whatIsThereAlreadyIsSkipped(uint8 there, uint8 more) public {
        there = uint8(bound(there, 1, 6));
        more = uint8(bound(more, 0, 6));
        _postMany(genesis, 1, there);
        vm.recordLogs();
        HeadHash head = _postMany(genesis, 1, there + more);
        eq(vm.getRecordedLogs().length, more, "only what was not there");
        _stands(head, there + more);
    }

    function test_allThatIsThereIsASuccessWhoeverAsks() public {
        HeadHash head = _postMany(genesis, 1, 3);
        vm.recordLogs();
        vm.prank(address(0xdead));
        eq(checkpoints.postMany(runId, genesis, 1, _heads(1, 3)), head, "same head");
        eq(checkpoints.postMany(runId, head, 4, new NewHead[](0)), head, "nothing");
        eq(vm.getRecordedLogs().length, 0, "no event");
        _stands(head, 3);
    }

    function test_aBatchThatWasPostedOnlyInPartIsStaleElsewhere() public {
        HeadHash head = _postMany(genesis, 1, 3);
        // The current head is none of these.
        _stale(genesis, 1, _heads(1, 2), head);
        _stale(genesis, 2, _heads(2, 3), head);
        _stale(HeadHash.wrap("elsewhere"), 1, _heads(1, 4), head);
        _stale(HeadHash.wrap("elsewhere"), 4, _heads(4, 1), head);
        NewHead[] memory other = _heads(1, 4);
        other[1].receiptsRoot = "other";
        _stale(genesis, 1, other, head);
        other = _heads(1, 4);
        other[0].paramsVersion = 2;
        _stale(genesis, 1, other, head);
        other = _heads(1, 4);
        other[2].checkpointDigest = Digest.wrap("other");
        _stale(genesis, 1, other, head);
        _stale(genesis, 1, new NewHead[](0), head);
    }

    /// @dev A1.
    function test_theFirstRoundIsTheNext() public {
        uint64[3] memory others = [uint64(0), 2, type(uint64).max];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    ICheckpointRegistry.CheckpointRegistryRoundNotNext.selector,
                    runId,
                    others[i],
                    uint64(0)
                )
            );
            vm.prank(POSTER);
            checkpoints.postMany(runId, genesis, others[i], _heads(1, 2));
        }
    }

    function test_onlyThePosterPosts() public {
        _postMany(genesis, 1, 1);
        // Also where a part of it is there.
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryNotPoster.selector, runId, ORGANISER)
        );
        vm.prank(ORGANISER);
        checkpoints.postMany(runId, genesis, 1, _heads(1, 2));
    }

    function test_aPausedRunTakesNone() public {
        vm.prank(address(timelock));
        runs.setStatus(runId, Status.Paused);
        vm.expectRevert(abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryRunNotOpen.selector, runId));
        vm.prank(POSTER);
        checkpoints.postMany(runId, genesis, 1, _heads(1, 2));
    }

    function test_oneBadHeadRefusesAll() public {
        NewHead[] memory heads = _heads(1, 3);
        heads[2].paramsVersion = 2;
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryUnknownParams.selector, runId, uint32(2))
        );
        vm.prank(POSTER);
        checkpoints.postMany(runId, genesis, 1, heads);

        heads = _heads(1, 3);
        heads[1].checkpointDigest = Digest.wrap(0);
        vm.expectRevert(abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryDigestMissing.selector, runId));
        vm.prank(POSTER);
        checkpoints.postMany(runId, genesis, 1, heads);
        _stands(genesis, 0);
    }

    function _stands(HeadHash expected, uint64 links) private view {
        (HeadHash head, uint64 sequence, uint64 round) = checkpoints.headOf(runId);
        eq(head, expected, "head");
        eq(sequence, links, "sequence");
        eq(round, links, "round");
    }

    function _digestOf(uint64 round) private pure returns (Digest) {
        return Digest.wrap(keccak256(abi.encode("checkpoint", round)));
    }

    function _heads(uint64 round, uint64 count) private pure returns (NewHead[] memory heads) {
        heads = new NewHead[](count);
        for (uint64 i = 0; i < count; ++i) heads[i] = NewHead(1, _digestOf(round + i), "receipts");
    }

    function _post(HeadHash parent, uint64 round) private returns (HeadHash) {
        vm.prank(POSTER);
        return checkpoints.post(runId, parent, round, 1, _digestOf(round), "receipts");
    }

    function _postMany(HeadHash parent, uint64 round, uint64 count) private returns (HeadHash) {
        vm.prank(POSTER);
        return checkpoints.postMany(runId, parent, round, _heads(round, count));
    }

    function _stale(HeadHash parent, uint64 round, NewHead[] memory heads, HeadHash current) private {
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryStaleParent.selector, runId, parent, current)
        );
        vm.prank(POSTER);
        checkpoints.postMany(runId, parent, round, heads);
    }
}
