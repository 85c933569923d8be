// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {IBootstrap} from "../../contracts/interfaces/IBootstrap.sol";
import {Digest, HeadHash, ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {IRunRegistry, Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {Grant} from "../../contracts/interfaces/Statements.sol";
import {ModelGovernor} from "../../contracts/governance/ModelGovernor.sol";
import {Holders} from "./support/Holders.sol";

/// @notice What holders of a young model decide: parameters of its runs, pause and resume. Nothing else outlives its bootstrap.
contract BootstrapVotesTest is Holders {
    function _skipBootstrap() internal override {}

    function test_holdersOfAYoungModelSetParametersPauseAndResume() public {
        RunParams memory p = params();
        p.innerSteps = 128;
        _pass(address(runs), abi.encodeCall(runs.setParams, (runId, 1, p)));
        eq(runs.runOf(runId).version, 2, "parameters");
        _pass(address(runs), abi.encodeCall(runs.setStatus, (runId, Status.Paused)));
        yes(runs.runOf(runId).status == Status.Paused, "paused");
        _pass(address(runs), abi.encodeCall(runs.setStatus, (runId, Status.Open)));
        yes(runs.runOf(runId).status == Status.Open, "resumed");
        yes(!bootstrap.isOver(modelId), "in bootstrap all the time");
    }

    /// @dev Invariant 32, of the holders.
    function test_nothingElseIsVotedInBootstrap() public {
        Grant memory grant;
        (grant.modelId, grant.author, grant.amount) = (modelId, ALICE, 100e18);
        address[] memory members = addressesOf(keys);
        // What outlives the bootstrap: who is paid, and how much.
        _refused(address(grants), abi.encodeCall(grants.approveByVote, (grant, "code")));
        _refused(address(grants), abi.encodeCall(grants.setCaps, (modelId, 0, 1e18, 1e18)));
        _refused(address(emission), abi.encodeCall(emission.setBudget, (modelId, 1, BUDGET, split(0, 10_000, 0, 0))));
        _refused(address(emission), abi.encodeCall(emission.nameSuccessor, (modelId, 1, ALICE)));
        _refused(address(shares), abi.encodeCall(shares.transfer, (ALICE, 1e18)));
        _refused(address(capital), abi.encodeCall(capital.setTerms, (modelId, 1, 1, 1)));
        _refused(address(rewards), abi.encodeCall(rewards.setBond, (modelId, 1, 1)));
        _refused(address(stakes), abi.encodeCall(stakes.setTerms, (modelId, 0, 1_000, 1_000, 1_000)));
        // What is the organiser's.
        _refused(address(validators), abi.encodeCall(validators.setValidators, (modelId, 1, members, 7)));
        _refused(address(validators), abi.encodeCall(validators.setMaintainers, (modelId, 0, members, 7)));
        _refused(address(runs), abi.encodeCall(runs.setPoster, (runId, ALICE)));
        _refused(address(runs), abi.encodeCall(runs.admitBuild, (runId, Digest.wrap("build"), true)));
        _refused(address(runs), abi.encodeCall(runs.registerRun, (modelId, "next", runConfig())));
        _refused(
            address(checkpoints),
            abi.encodeCall(checkpoints.rollback, (runId, HeadHash.wrap("head"), 0, Digest.wrap("checkpoint 0")))
        );
        // How holders decide, and calls that make others.
        _refused(address(governor), abi.encodeCall(governor.setVotingDelay, (2)));
        bytes memory inner = abi.encodeCall(runs.setPoster, (runId, ALICE));
        _refused(address(governor), abi.encodeCall(governor.relay, (address(runs), 0, inner)));
        _refused(address(timelock), abi.encodeCall(timelock.schedule, (address(runs), 0, inner, 0, 0, 3)));
        _refused(address(timelock), abi.encodeCall(timelock.updateDelay, (4)));
        // As if another contract had such a function.
        _refused(ALICE, abi.encodeCall(runs.setParams, (runId, 1, params())));
        _refused(address(timelock), abi.encodeCall(runs.setStatus, (runId, Status.Paused)));
        // No function at all.
        _refused(address(runs), "");
        _refused(address(runs), hex"aabbcc");
        _refused(address(runs), hex"aabbccdd");
        _refused(ALICE, "");
    }

    /// @dev Nothing resumes a run that is finished.
    function test_votesFinishNoRunInBootstrap() public {
        _refused(address(runs), abi.encodeCall(runs.setStatus, (runId, Status.Finished)));
    }

    /// @dev However a call is made up.
    function testFuzz_nothingElseIsVotedInBootstrap(
        address target,
        bytes4 selector,
        RunId run,
        bytes calldata rest
    ) public {
        bool votable = selector == IRunRegistry.setParams.selector || selector == IRunRegistry.setStatus.selector;
        vm.assume(target != address(runs) || !votable);
        _refused(target, bytes.concat(selector, abi.encode(run), rest));
    }

    function test_noCoinGoesAlongInBootstrap() public {
        values[0] = 1;
        _expectRefusal(0, address(runs), calls[0]);
        _propose(ALICE);
        values[0] = 0;
        _propose(ALICE);
    }

    /// @dev One call that is allowed takes no other along.
    function test_everyCallIsHeldToTheBootstrap() public {
        address[] memory two = new address[](2);
        bytes[] memory made = new bytes[](2);
        (two[0], made[0]) = (address(runs), calls[0]);
        (two[1], made[1]) = (address(runs), abi.encodeCall(runs.setPoster, (runId, ALICE)));
        _expectRefusal(1, address(runs), made[1]);
        vm.prank(ALICE);
        governor.propose(two, new uint256[](2), made, "both");
        vm.expectPartialRevert(IGovernor.GovernorInvalidProposalLength.selector);
        vm.prank(ALICE);
        governor.propose(two, new uint256[](1), made, "a value is missing");
    }

    function test_aRunOfAnotherModelIsNotTheirs() public {
        ModelId other = registry.createModel(modelConfig(), "other");
        vm.prank(ORGANISER);
        RunId theirs = runs.registerRun(other, "run", runConfig());
        _refused(address(runs), abi.encodeCall(runs.setParams, (theirs, 1, params())));
        _refused(address(runs), abi.encodeCall(runs.setStatus, (theirs, Status.Paused)));
        _plan(address(runs), abi.encodeCall(runs.setStatus, (NO_RUN, Status.Paused)));
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
        _propose(ALICE);
    }

    /// @dev Else holders would stay bound for as long as nobody looks.
    function test_aProposalEndsABootstrapThatIsDue() public {
        vm.warp(START + EPOCHS_PER_YEAR * EPOCH - 1);
        bytes memory call = abi.encodeCall(runs.setPoster, (runId, ALICE));
        _refused(address(runs), call);
        vm.warp(block.timestamp + 1);
        _plan(address(runs), call);
        vm.expectEmit(address(bootstrap));
        emit IBootstrap.BootstrapEnded(modelId, 0);
        _propose(ALICE);
        eq(bootstrap.termsOf(modelId).endedAt, block.timestamp, "ended");
        _pass(address(runs), abi.encodeCall(runs.setPoster, (runId, BOB)));
        eq(runs.runOf(runId).poster, BOB, "as voted");
    }

    function test_whatWasProposedInBootstrapIsCancelledAsEver() public {
        text = string.concat("more steps#proposer=", "0x00000000000000000000000000000000000a11ce");
        uint256 id = _propose(ALICE);
        vm.prank(ALICE);
        governor.cancel(targets, values, calls, keccak256(bytes(text)));
        yes(governor.state(id) == IGovernor.ProposalState.Canceled, "cancelled");
    }

    /// @dev Every governor asks, the implementation's own included, and knows whom.
    function test_theGovernorKnowsWhomToAsk() public {
        eq(governor.bootstrap(), address(bootstrap), "one for all");
        eq(bootstrap.runs(), address(runs), "which knows the runs");
        ModelGovernor other = new ModelGovernor(registry, address(rewards), IBootstrap(ALICE));
        eq(other.bootstrap(), ALICE, "as it was made");
    }

    function _refused(address target, bytes memory call) private {
        _plan(target, call);
        _expectRefusal(0, target, call);
        _propose(ALICE);
    }

    function _expectRefusal(uint256 index, address target, bytes memory call) private {
        bytes4 selector = call.length < 4 ? bytes4(0) : bytes4(call);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapVoteRefused.selector, index, target, selector));
    }
}
