// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ICheckpointRegistry, NewHead} from "../../contracts/interfaces/ICheckpointRegistry.sol";
import {Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {Digest, HeadHash, RunId} from "../../contracts/interfaces/Ids.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {Head, Suspend} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";
import {Invariants} from "./support/Invariants.sol";
import {Vm} from "./support/Vm.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @notice A run's life in any order: heads are posted and posted again, parameters, poster and status change, strangers
/// try. The handler rebuilds the chain from events alone.
contract CheckpointHandler is Fixture {
    RunId public runId;
    HeadHash public rebuilt;
    uint64 public sequence;
    uint64 public round;
    bool public broken;
    bool public suspended;
    mapping(bytes32 digest => bool) private _used;
    address private _poster = POSTER;

    constructor() {
        setUp();
        vm.recordLogs();
        runId = registerRun();
        _replay(0, 0);
    }

    function post(Digest digest, bytes32 receipts) external {
        if (digest.isZero() || _status() != Status.Open || suspended) return;
        (HeadHash parent, , uint64 last) = checkpoints.headOf(runId);
        uint32 version = runs.runOf(runId).version;
        vm.recordLogs();
        vm.prank(_poster);
        checkpoints.post(runId, parent, last + 1, version, digest, receipts);
        _replay(sequence + 1, round + 1);
    }

    /// @dev Some of them may have been posted one by one before.
    function postMany(uint8 count, uint8 before, Digest digest, bytes32 receipts) external {
        if (digest.isZero() || _status() != Status.Open || suspended) return;
        (HeadHash parent, , uint64 last) = checkpoints.headOf(runId);
        NewHead[] memory heads = new NewHead[](bound(count, 1, 5));
        before = uint8(bound(before, 0, heads.length));
        uint32 version = runs.runOf(runId).version;
        vm.recordLogs();
        HeadHash tip = parent;
        for (uint64 i = 0; i < heads.length; ++i) {
            heads[i] = NewHead(version, digest, keccak256(abi.encode(receipts, i)));
            if (i >= before) continue;
            vm.prank(_poster);
            tip = checkpoints.post(runId, tip, last + 1 + i, version, digest, heads[i].receiptsRoot);
        }
        vm.prank(_poster);
        checkpoints.postMany(runId, parent, last + 1, heads);
        _replay(sequence + 1, round + 1);
    }

    /// @dev Goes back to any round before, whatever the poster and the status.
    function rollback(uint64 to, Digest digest) external {
        (HeadHash head, , uint64 last) = checkpoints.headOf(runId);
        if (last == 0 || digest.isZero()) return;
        to = uint64(bound(to, 0, last - 1));
        vm.recordLogs();
        vm.prank(address(timelock));
        checkpoints.rollback(runId, head, to, digest);
        _replay(sequence + 1, to);
    }

    /// @dev Neither the poster nor a stranger does it.
    function rollbackByAnother(bool stranger, Digest digest) external {
        (HeadHash head, , uint64 last) = checkpoints.headOf(runId);
        address who = stranger ? address(this) : _poster;
        if (last == 0 || digest.isZero() || who == address(timelock)) return;
        vm.prank(who);
        try checkpoints.rollback(runId, head, last - 1, digest) {
            broken = true;
        } catch {}
    }

    function postAnotherRound(uint64 other, Digest digest) external {
        if (digest.isZero()) return;
        (HeadHash parent, , uint64 last) = checkpoints.headOf(runId);
        if (other == last + 1) return;
        vm.prank(_poster);
        try checkpoints.post(runId, parent, other, 1, digest, 0) {
            broken = true;
        } catch {}
    }

    function postByAStranger(address who, Digest digest) external {
        if (who == _poster || digest.isZero()) return;
        (HeadHash parent, , uint64 last) = checkpoints.headOf(runId);
        vm.prank(who);
        try checkpoints.post(runId, parent, last + 1, 1, digest, 0) {
            broken = true;
        } catch {}
    }

    function postElsewhere(HeadHash parent, Digest digest) external {
        (HeadHash head, , uint64 last) = checkpoints.headOf(runId);
        if (parent == head) return;
        vm.prank(_poster);
        try checkpoints.post(runId, parent, last + 1, 1, digest, 0) {
            broken = true;
        } catch {}
    }

    function setParams(uint32 steps) external {
        if (_status() == Status.Finished) return;
        RunParams memory p = params();
        p.innerSteps = uint32(bound(steps, 1, 256)) * 4;
        uint32 replaces = runs.runOf(runId).version;
        vm.prank(address(timelock));
        runs.setParams(runId, replaces, p);
    }

    /// @dev Stops heads and nothing else, until there is another poster.
    function suspend(uint64 deadline) external {
        deadline = uint64(bound(deadline, block.timestamp, type(uint64).max));
        Suspend memory suspension = Suspend(runId, _poster, HeadHash.wrap(0), 1, deadline);
        bytes32 digest = MessageHashUtils.toTypedDataHash(
            checkpoints.domainSeparator(),
            ProtocolHashes.hashSuspend(suspension)
        );
        if (_used[digest]) return;
        checkpoints.suspend(suspension, signedBy(quorum(), digest));
        _used[digest] = suspended = true;
    }

    function suspendAsOrganiser(HeadHash head, address another) external {
        if (another != ORGANISER) {
            vm.prank(another);
            try checkpoints.suspendAsOrganiser(runId, _poster, head) {
                broken = true;
            } catch {}
        }
        if (bootstrap.endIfDue(modelId)) return;
        vm.prank(ORGANISER);
        checkpoints.suspendAsOrganiser(runId, _poster, head);
        suspended = true;
    }

    function postSuspended(Digest digest) external {
        if (!suspended || digest.isZero()) return;
        (HeadHash parent, , uint64 last) = checkpoints.headOf(runId);
        vm.prank(_poster);
        try checkpoints.post(runId, parent, last + 1, 1, digest, 0) {
            broken = true;
        } catch {}
    }

    function setPoster(address poster) external {
        if (poster == address(0)) return;
        if (poster != _poster) suspended = false;
        vm.prank(address(timelock));
        runs.setPoster(runId, _poster = poster);
    }

    function pauseOrOpen(bool pause) external {
        vm.prank(address(timelock));
        runs.setStatus(runId, pause ? Status.Paused : Status.Open);
    }

    function isSuspended() external view returns (bool) {
        return checkpoints.isSuspended(runId);
    }

    function current() external view returns (HeadHash, uint64, uint64) {
        return checkpoints.headOf(runId);
    }

    function _status() private view returns (Status) {
        return runs.runOf(runId).status;
    }

    /// @dev Links from `expected` on; their rounds are those from `next` on.
    function _replay(uint64 expected, uint64 next) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(checkpoints)) continue;
            if (logs[i].topics[0] != ICheckpointRegistry.HeadPosted.selector) continue;
            Head memory head;
            (
                head.parentHead,
                head.sequence,
                head.round,
                head.paramsVersion,
                head.checkpointDigest,
                head.receiptsRoot
            ) = abi.decode(logs[i].data, (HeadHash, uint64, uint64, uint32, Digest, bytes32));
            (head.chainId, head.registry, head.runId) = (block.chainid, logs[i].emitter, RunId.wrap(logs[i].topics[1]));
            if (head.parentHead != rebuilt || head.sequence != expected || head.round != next) broken = true;
            (++expected, ++next);
            rebuilt = ProtocolHashes.hashHead(head);
            if (rebuilt != HeadHash.wrap(logs[i].topics[2])) broken = true;
            (sequence, round) = (head.sequence, head.round);
        }
    }
}

contract CheckpointInvariants is Invariants {
    CheckpointHandler private handler;

    function setUp() public override {
        handler = new CheckpointHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](14);
        selectors[0] = CheckpointHandler.post.selector;
        selectors[1] = CheckpointHandler.post.selector;
        selectors[2] = CheckpointHandler.postByAStranger.selector;
        selectors[3] = CheckpointHandler.postElsewhere.selector;
        selectors[4] = CheckpointHandler.setParams.selector;
        selectors[5] = CheckpointHandler.setPoster.selector;
        selectors[6] = CheckpointHandler.pauseOrOpen.selector;
        selectors[7] = CheckpointHandler.postMany.selector;
        selectors[8] = CheckpointHandler.postAnotherRound.selector;
        selectors[9] = CheckpointHandler.suspend.selector;
        selectors[10] = CheckpointHandler.postSuspended.selector;
        selectors[11] = CheckpointHandler.rollback.selector;
        selectors[12] = CheckpointHandler.rollbackByAnother.selector;
        selectors[13] = CheckpointHandler.suspendAsOrganiser.selector;
        return (address(handler), selectors);
    }

    function invariant_theHeadIsRebuiltFromEvents() external view {
        (HeadHash head, uint64 sequence, uint64 round) = handler.current();
        yes(!handler.broken(), "nobody but the poster, one by one, and back by the holders alone");
        eq(head, handler.rebuilt(), "23 the head recomputes");
        eq(sequence, handler.sequence(), "24 sequence");
        eq(round, handler.round(), "round");
        yes(handler.isSuspended() == handler.suspended(), "28 only another poster ends a suspension");
    }
}
