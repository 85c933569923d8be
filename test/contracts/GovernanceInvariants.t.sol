// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Budget} from "../../contracts/interfaces/IEmission.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {Holders} from "./support/Holders.sol";
import {Invariants} from "./support/Invariants.sol";

/// @notice Three holders who move shares and votes and decide one thing after the other, and others who try without a vote. Calls that
/// the contracts must refuse are made in `meddle` alone, where none may succeed; each of the others must.
contract GovernanceHandler is Holders {
    struct Seen {
        address account;
        uint48 at;
        uint256 votes;
    }

    uint256 private constant TIMELOCK_DELAY = 3;
    uint256 private constant SEEN_AT_MOST = 48;
    /// @dev What a run's inner steps are a multiple of: its fragments, each of which is sent as often.
    uint256 private constant FRAGMENTS = 4;

    bool public broken;
    uint256 public executed;

    /// @dev What the decisions that were executed have made of it.
    uint32 public version = 1;
    uint32 public innerSteps;
    uint32 public budgets_;
    uint256 public threshold;

    uint256 private _id;
    uint256 private _number;
    uint256 private _queuedAt;
    uint8 private _what;
    uint256 private _value;
    Seen[] private _seen;

    constructor() {
        setUp();
        innerSteps = runs.paramsOf(runId, 1).innerSteps;
        budgets_ = newestBudget(modelId);
        threshold = governor.proposalThreshold();
    }

    function pass(uint8 time) external {
        vm.warp(block.timestamp + bound(time, 1, 12));
    }

    function transfer(uint8 from, uint8 to, uint256 amount) external {
        address sender = _holder(from);
        amount = bound(amount, 0, shares.balanceOf(sender));
        vm.prank(sender);
        shares.transfer(_holder(to), amount);
    }

    function delegate(uint8 who, uint8 to) external {
        vm.prank(_holder(who));
        shares.delegate(_holder(to));
    }

    function see(uint8 who, uint8 back) external {
        if (_seen.length == SEEN_AT_MOST) return;
        uint48 at = uint48(block.timestamp - bound(back, 1, 60));
        _seen.push(Seen(_holder(who), at, shares.getPastVotes(_holder(who), at)));
    }

    function propose(uint8 who, uint8 what, uint256 value) external {
        if (_id != 0 && _isOpen(governor.state(_id))) return;
        if (shares.getPastVotes(_holder(who), block.timestamp - 1) < threshold) return;
        (_what, _value) = (what % 3, FRAGMENTS * bound(value, 16, 256));
        (address target, bytes memory call) = _decision();
        _plan(target, call);
        text = string.concat("decision ", Strings.toString(++_number));
        _id = _propose(_holder(who));
    }

    function vote(uint8 who, uint8 support) external {
        if (_id == 0 || governor.state(_id) != IGovernor.ProposalState.Active) return;
        address voter = _holder(who);
        uint256 before = _cast();
        if (governor.hasVoted(_id, voter)) {
            vm.prank(voter);
            try governor.castVote(_id, support % 3) {
                broken = true;
            } catch {}
            return;
        }
        uint256 weight = shares.getPastVotes(voter, governor.proposalSnapshot(_id));
        _castVote(_id, voter, support % 3);
        if (_cast() != before + weight) broken = true;
    }

    function queue() external {
        if (_id == 0 || governor.state(_id) != IGovernor.ProposalState.Succeeded) return;
        _queue();
        _queuedAt = block.timestamp;
    }

    function execute() external {
        if (_id == 0 || governor.state(_id) != IGovernor.ProposalState.Queued) return;
        if (block.timestamp < governor.proposalEta(_id)) return;
        _execute();
        ++executed;
        (uint256 against, uint256 inFavour, uint256 abstained) = governor.proposalVotes(_id);
        if (inFavour <= against) broken = true;
        if (inFavour + abstained < governor.quorum(governor.proposalSnapshot(_id))) broken = true;
        if (block.timestamp <= governor.proposalDeadline(_id)) broken = true;
        if (block.timestamp < _queuedAt + TIMELOCK_DELAY) broken = true;
        if (_what == 0) (version, innerSteps) = (version + 1, uint32(_value));
        else if (_what == 1) ++budgets_;
        else threshold = _value * 1e15;
    }

    /// @notice Whoever it is, no call but the timelock's changes anything, and none initialises a clone again.
    function meddle(uint8 who, uint8 what) external {
        address[6] memory strangers = [
            ALICE,
            ORGANISER,
            POSTER,
            vm.addr(keys[0]),
            address(governor),
            address(registry)
        ];
        (address target, bytes memory call) = _meddling(what % 9);
        vm.prank(strangers[who % 6]);
        (bool done, ) = target.call(call);
        if (done) broken = true;
    }

    function remembersAll() external view returns (bool) {
        for (uint256 i = 0; i < _seen.length; ++i) {
            if (shares.getPastVotes(_seen[i].account, _seen[i].at) != _seen[i].votes) return false;
        }
        return true;
    }

    function inForce() external view returns (uint32 version_, uint32 steps, uint32 budget, uint256 threshold_) {
        version_ = runs.runOf(runId).version;
        return (
            version_,
            runs.paramsOf(runId, version_).innerSteps,
            newestBudget(modelId),
            governor.proposalThreshold()
        );
    }

    function splitAt(uint64 ahead) external view returns (uint256) {
        uint64 epoch = emission.epochOf(modelId, uint48(block.timestamp)) + ahead;
        Budget memory b = emission.budgetOf(modelId, epoch);
        return uint256(b.computeBps) + b.codeBps + b.capitalBps + b.treasuryBps;
    }

    function votesAndSupply() external view returns (uint256 votes, uint256 supply) {
        for (uint8 i = 0; i < 3; ++i) votes += shares.getVotes(_holder(i));
        return (votes, shares.totalSupply());
    }

    function _holder(uint8 who) private pure returns (address) {
        return [ALICE, BOB, CAROL][who % 3];
    }

    function _isOpen(IGovernor.ProposalState state) private pure returns (bool) {
        return
            state == IGovernor.ProposalState.Pending ||
            state == IGovernor.ProposalState.Active ||
            state == IGovernor.ProposalState.Succeeded ||
            state == IGovernor.ProposalState.Queued;
    }

    function _cast() private view returns (uint256) {
        (uint256 against, uint256 inFavour, uint256 abstained) = governor.proposalVotes(_id);
        return against + inFavour + abstained;
    }

    function _decision() private view returns (address, bytes memory) {
        if (_what == 0) return (address(runs), abi.encodeCall(runs.setParams, (runId, version, _params(_value))));
        if (_what == 2) return (address(governor), abi.encodeCall(governor.setProposalThreshold, (_value * 1e15)));
        uint16 compute = uint16(_value * 8);
        uint16[4] memory bps = split(compute, 10_000 - compute, 0, 0);
        return (address(emission), abi.encodeCall(emission.setBudget, (modelId, budgets_, BUDGET, bps)));
    }

    function _params(uint256 steps) private pure returns (RunParams memory p) {
        p = params();
        p.innerSteps = uint32(steps);
    }

    function _meddling(uint8 what) private view returns (address, bytes memory) {
        bytes32 role = timelock.PROPOSER_ROLE();
        if (what == 0) return (address(runs), abi.encodeCall(runs.setParams, (runId, version, _params(68))));
        if (what == 1) return (address(runs), abi.encodeCall(runs.setPoster, (runId, ALICE)));
        if (what == 2) {
            uint16[4] memory bps = split(0, 10_000, 0, 0);
            return (address(emission), abi.encodeCall(emission.setBudget, (modelId, budgets_, BUDGET, bps)));
        }
        if (what == 3) return (address(governor), abi.encodeCall(governor.setProposalThreshold, (0)));
        if (what == 4) return (address(timelock), abi.encodeCall(timelock.grantRole, (role, ALICE)));
        if (what == 5) return (address(timelock), abi.encodeCall(timelock.renounceRole, (role, address(governor))));
        if (what == 6) return (address(shares), abi.encodeCall(shares.mint, (ALICE, 1)));
        if (what == 7) return (address(shares), abi.encodeCall(shares.initialize, (modelId, "again", "A", "")));
        address[] memory none = new address[](0);
        return (address(timelock), abi.encodeCall(timelock.initialize, (1, none, none, ALICE)));
    }
}

contract GovernanceInvariantsTest is Invariants {
    GovernanceHandler private handler;

    function setUp() public override {
        handler = new GovernanceHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](14);
        selectors[0] = GovernanceHandler.pass.selector;
        selectors[1] = GovernanceHandler.pass.selector;
        selectors[2] = GovernanceHandler.pass.selector;
        selectors[3] = GovernanceHandler.transfer.selector;
        selectors[4] = GovernanceHandler.delegate.selector;
        selectors[5] = GovernanceHandler.see.selector;
        selectors[6] = GovernanceHandler.propose.selector;
        selectors[7] = GovernanceHandler.propose.selector;
        selectors[8] = GovernanceHandler.vote.selector;
        selectors[9] = GovernanceHandler.vote.selector;
        selectors[10] = GovernanceHandler.vote.selector;
        selectors[11] = GovernanceHandler.queue.selector;
        selectors[12] = GovernanceHandler.execute.selector;
        selectors[13] = GovernanceHandler.meddle.selector;
        return (address(handler), selectors);
    }

    /// @dev Numbered as in the design. A revert fails the run, so that what was decided can always be carried out.
    function invariant_holdersDecideAndNobodyElse() external view {
        yes(
            !handler.broken(),
            "17, 18, 19 each holder counts once, and nothing happens without quorum, delay and timelock"
        );
        yes(handler.remembersAll(), "16 past votes never change");
        (uint256 votes, uint256 supply) = handler.votesAndSupply();
        yes(votes <= supply, "15 votes are within the supply");
        for (uint64 ahead = 0; ahead < 3; ++ahead) eq(handler.splitAt(ahead), 10_000, "13 the split sums to all");
        (uint32 version, uint32 steps, uint32 budget, uint256 threshold) = handler.inForce();
        eq(version, handler.version(), "19 parameters change by decisions alone");
        eq(steps, handler.innerSteps(), "19 and to what was decided");
        eq(budget, handler.budgets_(), "19 so do budgets");
        eq(threshold, handler.threshold(), "19 and the governor's settings");
    }
}
