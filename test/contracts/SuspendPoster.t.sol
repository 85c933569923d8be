// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Digest, HeadHash, RunId} from "../../contracts/interfaces/Ids.sol";
import {ICheckpointRegistry} from "../../contracts/interfaces/ICheckpointRegistry.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {IRunRegistry, Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Suspend} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";

contract SuspendPosterTest is Fixture {
    address private constant OTHER = address(0x600d);

    RunId private runId;
    HeadHash private genesis;

    function setUp() public override {
        super.setUp();
        runId = registerRun();
        (genesis, , ) = checkpoints.headOf(runId);
    }

    function test_aQuorumStopsThePosterAtOnceAndNothingElse() public {
        Suspend memory suspension = _suspension();
        vm.expectEmit(address(checkpoints));
        emit ICheckpointRegistry.PosterSuspended(runId, POSTER, HeadHash.wrap("false head"), 1);
        _suspend(suspension);
        yes(checkpoints.isSuspended(runId), "suspended");
        _refused(POSTER);
        yes(runs.runOf(runId).status == Status.Open, "the run is open all the same");
        (HeadHash head, , ) = checkpoints.headOf(runId);
        eq(head, genesis, "the head stands");
    }

    function test_theTimelockReplacesThePoster() public {
        _suspend(_suspension());
        vm.prank(address(timelock));
        runs.setPoster(runId, OTHER);
        yes(!checkpoints.isSuspended(runId), "another poster is free");
        vm.prank(OTHER);
        checkpoints.post(runId, genesis, 1, 1, Digest.wrap("true"), "receipts");
    }

    function test_nothingButAnotherPosterEndsIt() public {
        _suspend(_suspension());
        vm.startPrank(address(timelock));
        runs.setStatus(runId, Status.Paused);
        runs.setStatus(runId, Status.Open);
        runs.setParams(runId, 1, params());
        runs.setPoster(runId, POSTER);
        vm.stopPrank();
        yes(checkpoints.isSuspended(runId), "suspended");
        _refused(POSTER);
    }

    function test_aPausedRunIsSuspendedToo() public {
        vm.prank(address(timelock));
        runs.setStatus(runId, Status.Paused);
        _suspend(_suspension());
        _refused(POSTER);
    }

    function test_itCountsOnce() public {
        Suspend memory suspension = _suspension();
        bytes memory signatures = _signed(suspension);
        checkpoints.suspend(suspension, signatures);
        vm.recordLogs();
        checkpoints.suspend(suspension, signatures);
        eq(vm.getRecordedLogs().length, 0, "the same again is a success without an event");

        vm.startPrank(address(timelock));
        runs.setPoster(runId, OTHER);
        runs.setPoster(runId, POSTER);
        vm.stopPrank();
        bytes32 digest = _digestOf(suspension);
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistrySuspensionUsed.selector, runId, digest)
        );
        checkpoints.suspend(suspension, signatures);
        ++suspension.deadline;
        _suspend(suspension);
        yes(checkpoints.isSuspended(runId), "a new one counts");
    }

    function test_itNamesThePosterOfNow() public {
        Suspend memory suspension = _suspension();
        suspension.poster = OTHER;
        bytes memory signatures = _signed(suspension);
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryOtherPoster.selector, runId, OTHER, POSTER)
        );
        checkpoints.suspend(suspension, signatures);
    }

    function test_itExpires() public {
        Suspend memory suspension = _suspension();
        bytes memory signatures = _signed(suspension);
        vm.warp(suspension.deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICheckpointRegistry.CheckpointRegistrySuspensionExpired.selector,
                suspension.deadline
            )
        );
        checkpoints.suspend(suspension, signatures);
        vm.warp(suspension.deadline);
        checkpoints.suspend(suspension, signatures);
    }

    function test_theSetInForceSigns() public {
        Suspend memory suspension = _suspension();
        suspension.setVersion = 2;
        bytes memory signatures = _signed(suspension);
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryStaleSet.selector, uint32(2), uint32(1))
        );
        checkpoints.suspend(suspension, signatures);
    }

    function test_fewerThanAQuorumStopNobody() public {
        Suspend memory suspension = _suspension();
        uint256[] memory four = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) four[i] = keys[i];
        bytes memory signatures = signedBy(four, _digestOf(suspension));
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 4, 5));
        checkpoints.suspend(suspension, signatures);
    }

    function test_signaturesAreBoundToEveryField() public {
        bytes memory signatures = _signed(_suspension());
        Suspend memory other = _suspension();
        other.head = HeadHash.wrap("other");
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        checkpoints.suspend(other, signatures);
        other = _suspension();
        ++other.deadline;
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        checkpoints.suspend(other, signatures);
        other = _suspension();
        other.runId = _nextRun();
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        checkpoints.suspend(other, signatures);
        vm.chainId(99);
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        checkpoints.suspend(_suspension(), signatures);
        yes(!checkpoints.isSuspended(runId), "free");
    }

    function test_unknownRunsHaveNoPoster() public {
        Suspend memory suspension = _suspension();
        suspension.runId = NO_RUN;
        suspension.poster = address(0);
        bytes memory signatures = _signed(suspension);
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
        checkpoints.suspend(suspension, signatures);
    }

    /// @dev Like the validators, and at once.
    function test_inBootstrapTheOrganiserStopsThePosterAtOnceAndNothingElse() public {
        vm.expectEmit(address(checkpoints));
        emit ICheckpointRegistry.PosterSuspended(runId, POSTER, HeadHash.wrap("false head"), 0);
        _suspendAs(ORGANISER);
        yes(checkpoints.isSuspended(runId), "suspended");
        _refused(POSTER);
        yes(runs.runOf(runId).status == Status.Open, "the run is open all the same");
        (HeadHash head, , ) = checkpoints.headOf(runId);
        eq(head, genesis, "the head stands");
        vm.recordLogs();
        _suspendAs(ORGANISER);
        eq(vm.getRecordedLogs().length, 0, "the same again is a success without an event");
        // It does not lift what it did: another poster waits a window.
        bytes memory call = abi.encodeCall(runs.setPoster, (runId, OTHER));
        vm.startPrank(ORGANISER);
        bootstrap.announce(modelId, address(runs), call);
        vm.warp(block.timestamp + WINDOW);
        bootstrap.carryOut(modelId, address(runs), call);
        vm.stopPrank();
        yes(!checkpoints.isSuspended(runId), "another poster is free");
    }

    function test_whatTheOrganiserSuspendsTheValidatorsMaySuspendToo() public {
        _suspendAs(ORGANISER);
        Suspend memory suspension = _suspension();
        vm.expectEmit(address(checkpoints));
        emit ICheckpointRegistry.PosterSuspended(runId, POSTER, HeadHash.wrap("false head"), 1);
        _suspend(suspension);
        yes(checkpoints.isSuspended(runId), "suspended");
    }

    /// @dev Invariant 32, of suspensions. A bootstrap that is due is over, though nobody has said so yet.
    function test_afterBootstrapTheOrganiserSuspendsNobody() public {
        vm.warp(START + EPOCHS_PER_YEAR * EPOCH - 1);
        uint256 before = vm.snapshotState();
        _suspendAs(ORGANISER);
        vm.revertToState(before);
        vm.warp(block.timestamp + 1);
        _mayNotSuspend(ORGANISER);
        bootstrap.end(modelId);
        _mayNotSuspend(ORGANISER);
        yes(!checkpoints.isSuspended(runId), "free");
    }

    function test_nobodyElseSuspendsAtOnce() public {
        address[5] memory others = [OTHER, POSTER, address(timelock), address(governor), address(bootstrap)];
        for (uint256 i = 0; i < others.length; ++i) _mayNotSuspend(others[i]);
        ModelConfig memory config = modelConfig();
        config.organiser = OTHER;
        registry.createModel(config, "other");
        _mayNotSuspend(OTHER);
    }

    function test_theOrganiserSuspendsThePosterOfNowInARunThatMayGoOn() public {
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryOtherPoster.selector, runId, OTHER, POSTER)
        );
        vm.prank(ORGANISER);
        checkpoints.suspendAsOrganiser(runId, OTHER, HeadHash.wrap(0));
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
        vm.prank(ORGANISER);
        checkpoints.suspendAsOrganiser(NO_RUN, address(0), HeadHash.wrap(0));
        vm.prank(address(timelock));
        runs.setStatus(runId, Status.Finished);
        vm.expectRevert(abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryRunNotOpen.selector, runId));
        _suspendAs(ORGANISER);
    }

    function _suspendAs(address caller) private {
        vm.prank(caller);
        checkpoints.suspendAsOrganiser(runId, POSTER, HeadHash.wrap("false head"));
    }

    function _mayNotSuspend(address caller) private {
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryMayNotSuspend.selector, runId, caller)
        );
        _suspendAs(caller);
    }

    /// @dev Another run of the model, with the same poster.
    function _nextRun() private returns (RunId) {
        vm.startPrank(address(timelock));
        runs.setStatus(runId, Status.Finished);
        RunId next = runs.registerRun(modelId, "next", runConfig());
        vm.stopPrank();
        return next;
    }

    function _suspension() private view returns (Suspend memory) {
        return Suspend(runId, POSTER, HeadHash.wrap("false head"), 1, uint64(block.timestamp) + 60);
    }

    function _digestOf(Suspend memory suspension) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(checkpoints.domainSeparator(), ProtocolHashes.hashSuspend(suspension));
    }

    function _signed(Suspend memory suspension) private view returns (bytes memory) {
        return signedBy(quorum(), _digestOf(suspension));
    }

    function _suspend(Suspend memory suspension) private {
        checkpoints.suspend(suspension, _signed(suspension));
    }

    function _refused(address poster) private {
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistrySuspended.selector, runId, poster)
        );
        vm.prank(poster);
        checkpoints.post(runId, genesis, 1, 1, Digest.wrap("digest"), "receipts");
    }
}
