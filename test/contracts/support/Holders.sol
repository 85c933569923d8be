// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {RunId} from "../../../contracts/interfaces/Ids.sol";
import {RunParams} from "../../../contracts/interfaces/RunParams.sol";
import {Fixture} from "./Fixture.sol";

/// @notice Three holders, and a proposal of theirs from its making to its execution.
abstract contract Holders is Fixture {
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    address internal constant CAROL = address(0xca401);

    RunId internal runId;
    address[] internal targets;
    uint256[] internal values;
    bytes[] internal calls;
    string internal text;

    function setUp() public virtual override {
        super.setUp();
        runId = registerRun();
        _mint(ALICE, 60e18);
        _mint(BOB, 30e18);
        _mint(CAROL, 10e18);
        vm.warp(block.timestamp + 10);
        RunParams memory p = params();
        p.innerSteps = 128;
        _plan(address(runs), abi.encodeCall(runs.setParams, (runId, 1, p)));
        _skipBootstrap();
    }

    /// @dev Holders of a young model may decide little, and these tests are of all that they may.
    function _skipBootstrap() internal virtual {
        _endBootstrapOf(modelId);
    }

    function _mint(address to, uint256 amount) internal {
        vm.prank(address(emission));
        shares.mint(to, amount);
        if (to == address(0xdead)) return;
        vm.prank(to);
        shares.delegate(to);
    }

    function _plan(address target, bytes memory call) internal {
        targets = [target];
        values = [uint256(0)];
        calls = [call];
        text = "more steps";
    }

    function _propose(address who) internal returns (uint256) {
        vm.prank(who);
        return governor.propose(targets, values, calls, text);
    }

    function _vote(uint256 id, address who, uint8 support) internal {
        if (block.timestamp <= governor.proposalSnapshot(id)) vm.warp(governor.proposalSnapshot(id) + 1);
        _castVote(id, who, support);
    }

    function _castVote(uint256 id, address who, uint8 support) internal {
        vm.prank(who);
        governor.castVote(id, support);
    }

    function _queue() internal {
        governor.queue(targets, values, calls, keccak256(bytes(text)));
    }

    function _execute() internal {
        governor.execute(targets, values, calls, keccak256(bytes(text)));
    }

    function _ready(address target, bytes memory call) internal {
        uint256 id = _accepted(target, call);
        _queue();
        vm.warp(governor.proposalEta(id));
    }

    function _pass(address target, bytes memory call) internal {
        _ready(target, call);
        _execute();
    }

    function _accepted(address target, bytes memory call) internal returns (uint256 id) {
        _plan(target, call);
        id = _propose(ALICE);
        _vote(id, ALICE, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
    }

    /// @dev What the governor's operation is called in the timelock.
    function _operation() internal view returns (bytes32) {
        bytes32 salt = bytes20(address(governor)) ^ keccak256(bytes(text));
        return timelock.hashOperationBatch(targets, values, calls, 0, salt);
    }
}
