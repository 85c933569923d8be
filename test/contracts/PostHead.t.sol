// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, RunId} from "../../contracts/interfaces/Ids.sol";
import {ICheckpointRegistry} from "../../contracts/interfaces/ICheckpointRegistry.sol";
import {Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {Head} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";
import {Vm} from "./support/Vm.sol";

contract PostHeadTest is Fixture {
    RunId private runId;
    HeadHash private genesis;

    function setUp() public override {
        super.setUp();
        runId = registerRun();
        (genesis, , ) = checkpoints.headOf(runId);
    }

    function test_aHeadIsTheHashOfItsFields() public {
        HeadHash head = _post(genesis, 1, "digest");
        Head memory expected = Head({
            chainId: block.chainid,
            registry: address(checkpoints),
            parentHead: genesis,
            runId: runId,
            sequence: 1,
            round: 1,
            paramsVersion: 1,
            checkpointDigest: Digest.wrap("digest"),
            receiptsRoot: "receipts"
        });
        eq(head, ProtocolHashes.hashHead(expected), "head");
        (HeadHash current, uint64 sequence, uint64 round) = checkpoints.headOf(runId);
        eq(current, head, "current");
        eq(sequence, 1, "sequence");
        eq(round, 1, "round");
    }

    function test_theEventCarriesEveryField() public {
        vm.recordLogs();
        HeadHash head = _post(genesis, 1, "digest");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(logs.length, 1, "one event");
        eq(logs[0].topics[0], ICheckpointRegistry.HeadPosted.selector, "event");
        eq(logs[0].topics[1], RunId.unwrap(runId), "run");
        eq(logs[0].topics[2], HeadHash.unwrap(head), "head");
        eq(
            keccak256(logs[0].data),
            keccak256(abi.encode(genesis, uint64(1), uint64(1), uint32(1), bytes32("digest"), bytes32("receipts"))),
            "fields"
        );
        eq(logs[0].emitter, address(checkpoints), "registry");
    }

    function test_sequenceAndRoundGoUpByOne() public {
        HeadHash head = _post(genesis, 1, "one");
        _post(head, 2, "two");
        (, uint64 sequence, uint64 round) = checkpoints.headOf(runId);
        eq(sequence, 2, "sequence");
        eq(round, 2, "round");
    }

    function test_postingTheCurrentHeadAgainSucceedsAndChangesNothing() public {
        HeadHash head = _post(genesis, 1, "digest");
        vm.recordLogs();
        eq(_post(genesis, 1, "digest"), head, "same head");
        vm.prank(address(0xdead));
        eq(checkpoints.post(runId, genesis, 1, 1, Digest.wrap("digest"), "receipts"), head, "whoever asks");
        eq(vm.getRecordedLogs().length, 0, "no event");
        (, uint64 sequence, ) = checkpoints.headOf(runId);
        eq(sequence, 1, "sequence");
    }

    function test_aStaleParentIsRefused() public {
        HeadHash head = _post(genesis, 1, "digest");
        _stale(genesis, head, 1, "another digest");
        _stale(genesis, head, 2, "digest");
        _stale(HeadHash.wrap("elsewhere"), head, 2, "digest");
    }

    /// @dev A15.
    function test_aFakeHeadOfAStolenKeyDoesNotBecomeTheTrueOne() public {
        HeadHash fake = _post(genesis, 1, "fake");
        _stale(genesis, fake, 1, "true");
        vm.prank(address(timelock));
        runs.setPoster(runId, address(0x600d));
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryNotPoster.selector, runId, POSTER)
        );
        vm.prank(POSTER);
        checkpoints.post(runId, fake, 2, 1, Digest.wrap("fake again"), "receipts");
        vm.prank(address(0x600d));
        checkpoints.post(runId, fake, 2, 1, Digest.wrap("true"), "receipts");
    }

    function test_onlyThePosterPosts() public {
        address[3] memory others = [ORGANISER, address(timelock), address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryNotPoster.selector, runId, others[i])
            );
            vm.prank(others[i]);
            checkpoints.post(runId, genesis, 1, 1, Digest.wrap("digest"), "receipts");
        }
    }

    function test_unknownRunsTakeNoHeads() public {
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryNotPoster.selector, NO_RUN, POSTER)
        );
        vm.prank(POSTER);
        checkpoints.post(NO_RUN, HeadHash.wrap(0), 1, 1, Digest.wrap("digest"), "receipts");
    }

    function test_pausedAndFinishedRunsTakeNoHeads() public {
        Status[2] memory closed = [Status.Paused, Status.Finished];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(address(timelock));
            runs.setStatus(runId, closed[i]);
            vm.expectRevert(abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryRunNotOpen.selector, runId));
            vm.prank(POSTER);
            checkpoints.post(runId, genesis, 1, 1, Digest.wrap("digest"), "receipts");
        }
    }

    /// @dev A1.
    function test_theRoundRisesByExactlyOne() public {
        HeadHash head = _post(genesis, 1, "digest");
        uint64[5] memory others = [uint64(0), 1, 3, 4, type(uint64).max];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    ICheckpointRegistry.CheckpointRegistryRoundNotNext.selector,
                    runId,
                    others[i],
                    uint64(1)
                )
            );
            vm.prank(POSTER);
            checkpoints.post(runId, head, others[i], 1, Digest.wrap("next"), "receipts");
        }
    }

    function test_theParametersVersionExists() public {
        uint32[2] memory versions = [uint32(0), 2];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryUnknownParams.selector, runId, versions[i])
            );
            vm.prank(POSTER);
            checkpoints.post(runId, genesis, 1, versions[i], Digest.wrap("digest"), "receipts");
        }
        vm.prank(address(timelock));
        runs.setParams(runId, 1, params());
        vm.prank(POSTER);
        checkpoints.post(runId, genesis, 1, 2, Digest.wrap("digest"), "receipts");
    }

    function test_aCheckpointNeedsADigest() public {
        vm.expectRevert(abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryDigestMissing.selector, runId));
        vm.prank(POSTER);
        checkpoints.post(runId, genesis, 1, 1, Digest.wrap(0), "receipts");
    }

    function test_aForkHasOtherHeads() public {
        HeadHash head = _post(genesis, 1, "digest");
        vm.chainId(99);
        HeadHash next = _post(head, 2, "two");
        Head memory expected = Head(99, address(checkpoints), head, runId, 2, 2, 1, Digest.wrap("two"), "receipts");
        eq(next, ProtocolHashes.hashHead(expected), "bound to the chain");
    }

    function _post(HeadHash parent, uint64 round, bytes32 digest) private returns (HeadHash) {
        vm.prank(POSTER);
        return checkpoints.post(runId, parent, round, 1, Digest.wrap(digest), "receipts");
    }

    function _stale(HeadHash parent, HeadHash current, uint64 round, bytes32 digest) private {
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryStaleParent.selector, runId, parent, current)
        );
        vm.prank(POSTER);
        checkpoints.post(runId, parent, round, 1, Digest.wrap(digest), "receipts");
    }
}
