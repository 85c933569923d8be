// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ICheckpointRegistry} from "../../contracts/interfaces/ICheckpointRegistry.sol";
import {Digest, HeadHash, RunId} from "../../contracts/interfaces/Ids.sol";
import {IRunRegistry, Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {Head} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice A false head is followed by the true one: the run goes back to a checkpoint before it.
contract RollbackTest is Fixture {
    Digest private constant GOOD = Digest.wrap("checkpoint 1");

    RunId private run;
    HeadHash private falseHead;

    function setUp() public override {
        super.setUp();
        run = registerRun();
        (HeadHash head, , ) = checkpoints.headOf(run);
        vm.startPrank(POSTER);
        head = checkpoints.post(run, head, 1, 1, GOOD, "receipts 1");
        head = checkpoints.post(run, head, 2, 1, Digest.wrap("checkpoint 2"), "receipts 2");
        falseHead = checkpoints.post(run, head, 3, 1, Digest.wrap("false"), "receipts 3");
        vm.stopPrank();
    }

    function test_theHoldersRollARunBack() public {
        HeadHash expected = _hash(falseHead, 4, 1, 1, GOOD, 0);
        vm.expectEmit(address(checkpoints));
        emit ICheckpointRegistry.HeadPosted(run, expected, falseHead, 4, 1, 1, GOOD, 0);
        vm.expectEmit(address(checkpoints));
        emit ICheckpointRegistry.RolledBack(run, expected, falseHead, 1, address(timelock));
        vm.prank(address(timelock));
        eq(checkpoints.rollback(run, falseHead, 1, GOOD), expected, "its link");
        (HeadHash head, uint64 sequence, uint64 round) = checkpoints.headOf(run);
        eq(head, expected, "head");
        eq(sequence, 4, "the chain goes on");
        eq(round, 1, "rounds go back");
    }

    /// @dev A15.
    function test_thePosterGoesOnFromThere() public {
        vm.prank(address(timelock));
        HeadHash head = checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.startPrank(POSTER);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICheckpointRegistry.CheckpointRegistryRoundNotNext.selector,
                run,
                uint64(4),
                uint64(1)
            )
        );
        checkpoints.post(run, head, 4, 1, Digest.wrap("checkpoint 4"), "receipts");
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryStaleParent.selector, run, falseHead, head)
        );
        checkpoints.post(run, falseHead, 4, 1, Digest.wrap("checkpoint 4"), "receipts");
        HeadHash next = checkpoints.post(run, head, 2, 1, Digest.wrap("checkpoint 2"), "receipts 2");
        eq(checkpoints.post(run, head, 2, 1, Digest.wrap("checkpoint 2"), "receipts 2"), next, "and again");
        vm.stopPrank();
    }

    function test_itGoesToTheBeginning() public {
        vm.prank(address(timelock));
        checkpoints.rollback(run, falseHead, 0, Digest.wrap("checkpoint 0"));
        (, , uint64 round) = checkpoints.headOf(run);
        eq(round, 0, "nothing was trained");
    }

    function test_onlyAnEarlierRoundIsBack() public {
        vm.startPrank(address(timelock));
        for (uint64 round = 3; round < 5; ++round) {
            vm.expectRevert(
                abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryNotBack.selector, run, round, uint64(3))
            );
            checkpoints.rollback(run, falseHead, round, GOOD);
        }
        checkpoints.rollback(run, falseHead, 2, GOOD);
        vm.stopPrank();
    }

    /// @dev A15.
    function test_whatWasDecidedOnAnotherHeadChangesNothing() public {
        vm.prank(POSTER);
        HeadHash later = checkpoints.post(run, falseHead, 4, 1, Digest.wrap("checkpoint 4"), "receipts 4");
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryStaleParent.selector, run, falseHead, later)
        );
        vm.prank(address(timelock));
        checkpoints.rollback(run, falseHead, 1, GOOD);
    }

    function test_aCheckpointHasADigest() public {
        vm.expectRevert(abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryDigestMissing.selector, run));
        vm.prank(address(timelock));
        checkpoints.rollback(run, falseHead, 1, Digest.wrap(0));
    }

    function test_aRunThatTakesNoHeadsGoesBackToo() public {
        vm.startPrank(address(timelock));
        runs.setStatus(run, Status.Paused);
        checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.stopPrank();
    }

    /// @dev No head follows there, so that what was decided could be done at any later time; and no root is signed of an epoch that has it.
    function test_aRunThatIsFinishedGoesNowhere() public {
        bytes memory refusal = abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryRunNotOpen.selector, run);
        vm.prank(ORGANISER);
        checkpoints.announceRollback(run, falseHead, 1, GOOD);
        vm.warp(block.timestamp + WINDOW);
        vm.startPrank(address(timelock));
        runs.setStatus(run, Status.Finished);
        vm.expectRevert(refusal);
        checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.stopPrank();
        vm.startPrank(ORGANISER);
        vm.expectRevert(refusal);
        checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.expectRevert(refusal);
        checkpoints.announceRollback(run, falseHead, 1, GOOD);
        vm.stopPrank();
    }

    function test_anUnknownRunHasNothingToGoBackTo() public {
        vm.startPrank(address(timelock));
        vm.expectPartialRevert(IRunRegistry.RunRegistryUnknownRun.selector);
        checkpoints.rollback(NO_RUN, HeadHash.wrap(0), 0, GOOD);
        vm.stopPrank();
    }

    // --- in bootstrap ---------------------------------------------------------------------------------------------------

    function test_inBootstrapTheOrganiserAnnouncesItOneWindowAhead() public {
        uint48 readyAt = uint48(block.timestamp + WINDOW);
        vm.startPrank(ORGANISER);
        vm.expectEmit(address(checkpoints));
        emit ICheckpointRegistry.RollbackAnnounced(run, falseHead, 1, GOOD, readyAt);
        checkpoints.announceRollback(run, falseHead, 1, GOOD);
        (bytes32 digest, uint48 ready) = checkpoints.announcedRollback(run);
        eq(digest, keccak256(abi.encode(falseHead, uint64(1), GOOD)), "what");
        eq(ready, readyAt, "when");
        vm.warp(readyAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryTooEarly.selector, run, readyAt));
        checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.warp(readyAt);
        HeadHash expected = _hash(falseHead, 4, 1, 1, GOOD, 0);
        vm.expectEmit(address(checkpoints));
        emit ICheckpointRegistry.RolledBack(run, expected, falseHead, 1, ORGANISER);
        checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.stopPrank();
    }

    function test_theOrganiserDoesWhatItAnnounced() public {
        bytes memory refusal = abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryNotAnnounced.selector, run);
        vm.startPrank(ORGANISER);
        vm.expectRevert(refusal);
        checkpoints.rollback(run, falseHead, 1, GOOD);
        checkpoints.announceRollback(run, falseHead, 1, GOOD);
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(refusal);
        checkpoints.rollback(run, falseHead, 2, GOOD);
        vm.expectRevert(refusal);
        checkpoints.rollback(run, falseHead, 1, Digest.wrap("another"));
        // A second announcement waits again.
        checkpoints.announceRollback(run, falseHead, 2, GOOD);
        vm.expectRevert(refusal);
        checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.expectPartialRevert(ICheckpointRegistry.CheckpointRegistryTooEarly.selector);
        checkpoints.rollback(run, falseHead, 2, GOOD);
        vm.stopPrank();
    }

    function test_anotherHeadEndsAnAnnouncement() public {
        vm.prank(ORGANISER);
        checkpoints.announceRollback(run, falseHead, 1, GOOD);
        vm.prank(POSTER);
        checkpoints.post(run, falseHead, 4, 1, Digest.wrap("checkpoint 4"), "receipts 4");
        vm.warp(block.timestamp + WINDOW);
        vm.expectPartialRevert(ICheckpointRegistry.CheckpointRegistryStaleParent.selector);
        vm.prank(ORGANISER);
        checkpoints.rollback(run, falseHead, 1, GOOD);
    }

    function test_anAnnouncementIsOfWhatCanBe() public {
        vm.startPrank(ORGANISER);
        vm.expectPartialRevert(ICheckpointRegistry.CheckpointRegistryStaleParent.selector);
        checkpoints.announceRollback(run, HeadHash.wrap("another"), 1, GOOD);
        vm.expectPartialRevert(ICheckpointRegistry.CheckpointRegistryNotBack.selector);
        checkpoints.announceRollback(run, falseHead, 3, GOOD);
        vm.expectPartialRevert(ICheckpointRegistry.CheckpointRegistryDigestMissing.selector);
        checkpoints.announceRollback(run, falseHead, 1, Digest.wrap(0));
        vm.stopPrank();
    }

    function test_afterBootstrapTheOrganiserRollsNothingBack() public {
        vm.prank(ORGANISER);
        checkpoints.announceRollback(run, falseHead, 1, GOOD);
        // Its time is over, though nobody has said so yet.
        vm.warp(START + EPOCHS_PER_YEAR * EPOCH);
        _refused(ORGANISER);
    }

    function test_nobodyElseRollsBack() public {
        address[4] memory others = [POSTER, address(this), address(runs), address(governor)];
        for (uint256 i = 0; i < others.length; ++i) _refused(others[i]);
    }

    function _refused(address caller) private {
        bytes memory refusal = abi.encodeWithSelector(
            ICheckpointRegistry.CheckpointRegistryMayNotRollBack.selector,
            run,
            caller
        );
        vm.startPrank(caller);
        vm.expectRevert(refusal);
        checkpoints.announceRollback(run, falseHead, 1, GOOD);
        vm.expectRevert(refusal);
        checkpoints.rollback(run, falseHead, 1, GOOD);
        vm.stopPrank();
    }

    function _hash(
        HeadHash parent,
        uint64 sequence,
        uint64 round,
        uint32 version,
        Digest digest,
        bytes32 receipts
    ) private view returns (HeadHash) {
        return
            ProtocolHashes.hashHead(
                Head({
                    chainId: block.chainid,
                    registry: address(checkpoints),
                    parentHead: parent,
                    runId: run,
                    sequence: sequence,
                    round: round,
                    paramsVersion: version,
                    checkpointDigest: digest,
                    receiptsRoot: receipts
                })
            );
    }
}
