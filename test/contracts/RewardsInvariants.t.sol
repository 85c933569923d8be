// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Emission} from "../../contracts/emission/Emission.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {ComputeRewards} from "../../contracts/rewards/ComputeRewards.sol";
import {RewardRoot} from "../../contracts/interfaces/IComputeRewards.sol";
import {Fixture} from "./support/Fixture.sol";
import {Invariants} from "./support/Invariants.sol";
import {Tree} from "./support/Tree.sol";

/// @notice What a model lives through, in any order: time passes, budgets change, roots are posted, activated and
/// claimed. Calls that the contracts must refuse are not made; each of the others must succeed.
contract RewardsHandler is Fixture {
    address[4] public people = [address(0xf001), address(0xf002), address(0xf003), address(0xf004)];
    uint256[4] private _earned;
    uint256[4] private _activeAmounts;

    /// @dev What the handler knows by itself.
    uint256 public minted;
    uint256 public paid;
    uint256 public scheduled;
    uint64 public scheduledThrough;
    uint48 public postedAt;
    uint256 public activations;
    bool public broken;
    RewardRoot public lastActive;

    constructor() {
        setUp();
    }

    function views() external view returns (ModelId, address, address, address) {
        return (modelId, address(rewards), address(emission), address(shares));
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, 200));
        _count();
    }

    function setBudget(uint128 perEpoch, uint16 compute) external {
        compute = uint16(bound(compute, 0, 10_000));
        vm.prank(address(timelock));
        emission.setBudget(modelId, uint128(bound(perEpoch, 0, BUDGET)), split(compute, 10_000 - compute, 0, 0));
    }

    function post(uint256 seed) external {
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        RewardRoot memory last = rewards.active(modelId);
        if (over <= last.epoch || rewards.pending(modelId).epoch != 0) return;
        uint64 epoch = uint64(bound(seed, last.epoch + 1, over));
        Attestation memory a = attest(epoch, 0, 0);
        uint256 budget = emission.authorisable(modelId, 1, last.epoch + 1, epoch, uint48(a.deadline));
        for (uint256 i = 0; i < 4; ++i) {
            uint256 share = (budget * (uint256(keccak256(abi.encode(seed, i))) % 2_501)) / 10_000;
            _earned[i] = _activeAmounts[i] + share;
            a.totalCumulative += _earned[i];
        }
        a.root = Tree.root(_leaves(_earned));
        rewards.postRoot(a, signedBy(quorum(), digestOf(a)));
        postedAt = uint48(block.timestamp);
    }

    function activate() external {
        RewardRoot memory next = rewards.pending(modelId);
        if (next.epoch == 0 || block.timestamp < next.activatableAt) return;
        RewardRoot memory last = rewards.active(modelId);
        uint256 supply = shares.totalSupply();
        rewards.activate(modelId);
        minted += shares.totalSupply() - supply;
        if (shares.totalSupply() - supply != next.totalCumulative - last.totalCumulative) broken = true;
        if (next.epoch <= last.epoch || block.timestamp < postedAt + WINDOW) broken = true;
        lastActive = next;
        _activeAmounts = _earned;
        ++activations;
    }

    function claim(uint8 who) external {
        if (rewards.active(modelId).epoch == 0) return;
        uint256 i = who % 4;
        uint256 before = rewards.claimed(modelId, people[i]);
        uint256 balance = shares.balanceOf(people[i]);
        bytes32[] memory proof = Tree.proof(_leaves(_activeAmounts), i);
        uint256 amount = rewards.claim(modelId, people[i], _activeAmounts[i], proof);
        if (amount != _activeAmounts[i] - before) broken = true;
        if (shares.balanceOf(people[i]) != balance + amount) broken = true;
        if (rewards.claimed(modelId, people[i]) < before) broken = true;
        paid += amount;
    }

    function delegate(uint8 from, uint8 to) external {
        vm.prank(people[from % 4]);
        shares.delegate(people[to % 4]);
    }

    function transfer(uint8 from, uint8 to, uint256 amount) external {
        uint256 balance = shares.balanceOf(people[from % 4]);
        vm.prank(people[from % 4]);
        shares.transfer(people[to % 4], bound(amount, 0, balance));
    }

    /// @dev Sums each epoch's whole budget once it has begun: what supply may never pass.
    function _count() private {
        uint64 current = emission.epochOf(modelId, uint48(block.timestamp));
        for (uint64 e = scheduledThrough + 1; e <= current; ++e) scheduled += emission.budgetOf(modelId, e).perEpoch;
        scheduledThrough = current;
    }

    function owed() external view returns (uint256 total) {
        for (uint256 i = 0; i < 4; ++i) total += _activeAmounts[i] - rewards.claimed(modelId, people[i]);
    }

    function claimedInAll() external view returns (uint256 total) {
        for (uint256 i = 0; i < 4; ++i) total += rewards.claimed(modelId, people[i]);
    }

    function votes() external view returns (uint256 total) {
        for (uint256 i = 0; i < 4; ++i) total += shares.getVotes(people[i]);
    }

    function _leaves(uint256[4] memory amounts) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) leaves[i] = leafOf(people[i], amounts[i]);
    }
}

contract RewardsInvariants is Invariants {
    RewardsHandler private handler;

    function setUp() public override {
        handler = new RewardsHandler();
        handler.pass(1);
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](9);
        selectors[0] = RewardsHandler.pass.selector;
        selectors[1] = RewardsHandler.pass.selector;
        selectors[2] = RewardsHandler.setBudget.selector;
        selectors[3] = RewardsHandler.post.selector;
        selectors[4] = RewardsHandler.activate.selector;
        selectors[5] = RewardsHandler.claim.selector;
        selectors[6] = RewardsHandler.claim.selector;
        selectors[7] = RewardsHandler.delegate.selector;
        selectors[8] = RewardsHandler.transfer.selector;
        return (address(handler), selectors);
    }

    /// @dev Numbered as in the design. A revert fails the run, so that what is due can always be activated and claimed (27).
    function invariant_rewardsKeepTheirPromises() external {
        (ModelId id, address rewards_, address emission_, address shares_) = handler.views();
        (modelId, rewards, emission, shares) = (
            id,
            ComputeRewards(rewards_),
            Emission(emission_),
            ModelShares(shares_)
        );

        yes(!handler.broken(), "each call did what it promises");
        yes(handler.paid() <= handler.minted(), "1 claimed is at most minted");
        eq(handler.paid(), handler.claimedInAll(), "1 and is what is recorded");
        eq(handler.minted(), rewards.active(modelId).totalCumulative, "1 minted is what roots authorised");
        eq(shares.totalSupply(), handler.minted(), "nothing else is minted");
        yes(shares.balanceOf(address(rewards)) >= handler.owed(), "2 the contract holds what it owes");
        yes(shares.totalSupply() <= handler.scheduled(), "11 the supply is within the schedule");
        yes(handler.votes() <= shares.totalSupply(), "15 votes are within the supply");
        (bytes32 root, uint128 total, uint32 epoch, , ) = handler.lastActive();
        eq(rewards.active(modelId).root, root, "8 the active root is the one activated last");
        eq(rewards.active(modelId).totalCumulative, total, "8 with its total");
        eq(rewards.active(modelId).epoch, epoch, "6 and its epoch");
        eq(emission.authorisedThrough(modelId, 1), epoch, "12 epochs are authorised once");
        uint64 posted = rewards.pending(modelId).epoch;
        yes(posted == 0 || posted > epoch, "9 one pending root, above the active one");
    }
}
