// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Leaf} from "../../../contracts/interfaces/IComputeRewards.sol";
import {Dispute, Outcome} from "../../../contracts/interfaces/IDisputes.sol";
import {Digest} from "../../../contracts/interfaces/Ids.sol";
import {COMPUTE} from "../../../contracts/interfaces/Kinds.sol";
import {Attestation} from "../../../contracts/interfaces/Statements.sol";
import {Holders} from "./Holders.sol";
import {Tree} from "./Tree.sol";

/// @notice A model whose bootstrap is over, three holders (60, 30 and 10 of 100 shares; the quorum is 10), a root in its window,
/// and who disputes and who posts the next one.
abstract contract Court is Holders {
    address internal constant DISPUTER = address(0xd15);
    address internal constant GONE = address(0x60e);
    address internal constant BACKER = address(0xbac);
    Digest internal constant EVIDENCE = Digest.wrap("evidence");
    uint8 internal constant AGAINST = 0;
    uint8 internal constant FOR = 1;
    uint8 internal constant ABSTAIN = 2;
    uint256 internal constant COMPUTE_BUDGET = (uint256(BUDGET) * 7_000) / 10_000;

    function setUp() public virtual override {
        super.setUp();
        vm.deal(DISPUTER, 1_000_000 ether);
        vm.deal(BACKER, 1_000_000 ether);
        vm.deal(address(rewards), 0);
        _endBootstrap();
        // So little that no quorum grows by it.
        _postNext("root", 1);
    }

    /// @dev It ends as it does in life.
    function _skipBootstrap() internal override {}

    /// @dev Root 1 pays what bootstrap asks for to one who is gone again, and leaves a wei for Alice to claim.
    function _endBootstrap() internal virtual {
        settle(BOOTSTRAP_EPOCHS, Tree.root(_firstLeaves()), BOOTSTRAP_SHARES + 1);
        rewards.claim(modelId, COMPUTE, GONE, Leaf(1, BOOTSTRAP_SHARES, Tree.proof(_firstLeaves(), 1)));
        bootstrap.end(modelId);
        vm.prank(address(emission));
        shares.burn(GONE, BOOTSTRAP_SHARES);
    }

    function _firstLeaves() internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](2);
        (leaves[0], leaves[1]) = (leafOf(1, ALICE, 1), leafOf(1, GONE, BOOTSTRAP_SHARES));
    }

    /// @dev Posts a root for all epochs that are over, with the bond that is due.
    function _postNext(bytes32 root, uint256 total) internal {
        (, uint64 through, ) = rewards.newest(modelId, COMPUTE);
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        if (over <= through) {
            over = through + 1;
            afterEpoch(over);
        }
        _postBacked(attest(over, root, total));
    }

    function _postBacked(Attestation memory a) internal {
        (uint256 bond, , bool isDue) = rewards.bondOf(modelId, COMPUTE);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.prank(BACKER);
        rewards.postRoot{value: isDue ? bond : 0}(a, signatures);
        posted = a;
    }

    function _dispute() internal returns (uint256) {
        return _disputeFrom(DISPUTER);
    }

    function _disputeFrom(address who) internal returns (uint256 proposalId) {
        (uint256 bond, , ) = rewards.bondOf(modelId, COMPUTE);
        vm.prank(who);
        return rewards.dispute{value: bond}(modelId, COMPUTE, nameOf(posted), EVIDENCE);
    }

    /// @dev Of what was posted last.
    function _state() internal view returns (Dispute memory) {
        return rewards.disputeOf(nameOf(posted));
    }

    function _ballot(address who, uint8 support) internal {
        _vote(_state().proposalId, who, support);
    }

    function _settleVote() internal returns (Outcome) {
        vm.warp(governor.proposalDeadline(_state().proposalId) + 1);
        rewards.settleDispute(modelId, COMPUTE, nameOf(posted));
        return _state().outcome;
    }

    /// @dev Disputes what is pending, and Alice decides.
    function _decided(uint8 support) internal returns (Outcome) {
        _dispute();
        _ballot(ALICE, support);
        return _settleVote();
    }

    /// @dev As the model's organiser.
    function _rule(bool stands) internal {
        vm.prank(ORGANISER);
        rewards.rule(modelId, COMPUTE, nameOf(posted), stands);
    }

    /// @dev Nobody votes.
    function _undecided() internal returns (Outcome) {
        _dispute();
        return _settleVote();
    }

    function _activate() internal {
        uint48 due = rewards.pending(modelId, COMPUTE).activatableAt;
        if (block.timestamp < due) vm.warp(due);
        rewards.activate(posted);
    }

    function _bond() internal view returns (uint256 bond) {
        (bond, , ) = rewards.bondOf(modelId, COMPUTE);
    }

    function _level() internal view returns (uint8 level) {
        (, level, ) = rewards.bondOf(modelId, COMPUTE);
    }

    function _isDue() internal view returns (bool isDue) {
        (, , isDue) = rewards.bondOf(modelId, COMPUTE);
    }

    function eq(Outcome actual, Outcome expected, string memory what) internal pure {
        eq(uint256(actual), uint256(expected), what);
    }
}
