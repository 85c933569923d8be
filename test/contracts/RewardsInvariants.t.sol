// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Emission} from "../../contracts/emission/Emission.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {ComputeRewards} from "../../contracts/rewards/ComputeRewards.sol";
import {ActiveRoot, Claim, Leaf, PendingRoot} from "../../contracts/interfaces/IComputeRewards.sol";
import {Fixture} from "./support/Fixture.sol";
import {Invariants} from "./support/Invariants.sol";
import {Tree} from "./support/Tree.sol";

/// @notice What a model lives through, in any order: time passes, budgets change, roots are posted, activated and
/// claimed. Calls that the contracts must refuse are not made; each of the others must succeed.
contract RewardsHandler is Fixture {
    address[4] public people = [address(0xf001), address(0xf002), address(0xf003), address(0xf004)];
    uint256[4] private _earned;

    /// @dev What the handler knows by itself, root by root.
    uint256[4][] private _amounts;
    bool[4][] private _paid;
    bytes32[] private _roots;
    uint256[] private _totals;
    uint256 public minted;
    uint256 public paidInAll;
    uint256 public scheduled;
    uint64 public scheduledThrough;
    uint48 public postedAt;
    uint64 public toEpoch;
    bool public broken;

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

    function postRoot(uint256 seed) external {
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        (uint64 index, uint64 last, ) = rewards.newest(modelId, 1);
        if (over <= last || rewards.pending(modelId, 1).index != 0) return;
        uint64 epoch = uint64(bound(seed, last + 1, over));
        Attestation memory a = attest(epoch, 0, 0);
        uint256 budget = emission.authorisable(modelId, 1, last + 1, epoch, uint48(a.deadline));
        for (uint256 i = 0; i < 4; ++i) {
            _earned[i] = (budget * (uint256(keccak256(abi.encode(seed, i))) % 2_501)) / 10_000;
            a.total += _earned[i];
        }
        // Now and then the signers' leaves sum up to more than they say.
        if (seed % 7 == 0) a.total /= 2;
        a.root = Tree.root(_leaves(index + 1, _earned));
        post(a);
        postedAt = uint48(block.timestamp);
    }

    function activate() external {
        PendingRoot memory next = rewards.pending(modelId, 1);
        if (next.index == 0 || block.timestamp < next.activatableAt) return;
        uint256 supply = shares.totalSupply();
        rewards.activate(posted);
        minted += shares.totalSupply() - supply;
        if (shares.totalSupply() - supply != posted.total) broken = true;
        if (next.toEpoch <= toEpoch || next.fromEpoch != toEpoch + 1) broken = true;
        if (block.timestamp < postedAt + WINDOW) broken = true;
        toEpoch = next.toEpoch;
        _roots.push(posted.root);
        _totals.push(posted.total);
        _amounts.push(_earned);
        _paid.push();
    }

    function claim(uint8 who, uint256 which) external {
        if (_roots.length == 0) return;
        uint256 i = who % 4;
        uint64 index = uint64(bound(which, 1, _roots.length));
        uint256 due = _due(index, i);
        if (!_fits(index, i)) return;
        uint256 balance = shares.balanceOf(people[i]);
        uint256 amount = rewards.claim(modelId, 1, people[i], _leaf(index, i));
        if (amount != due || shares.balanceOf(people[i]) != balance + amount) broken = true;
        _paid[index - 1][i] = true;
        paidInAll += amount;
    }

    /// @dev From the newest roots, paid or not.
    function claimMany(uint8 who, uint8 count) external {
        if (_roots.length == 0) return;
        uint256 i = who % 4;
        count = uint8(bound(count, 1, _roots.length < 8 ? _roots.length : 8));
        Claim[] memory claims = new Claim[](1);
        claims[0] = Claim(modelId, 1, people[i], new Leaf[](count));
        uint256 due = 0;
        for (uint256 j = 0; j < count; ++j) {
            uint64 index = uint64(_roots.length - j);
            if (!_fits(index, i)) return;
            due += _due(index, i);
            claims[0].leaves[j] = _leaf(index, i);
        }
        uint256 balance = shares.balanceOf(people[i]);
        if (rewards.claimMany(claims)[0] != due || shares.balanceOf(people[i]) != balance + due) broken = true;
        for (uint256 j = 0; j < count; ++j) _paid[_roots.length - 1 - j][i] = true;
        paidInAll += due;
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

    /// @dev What a root still owes: what it may pay less what it has paid.
    function owed() external view returns (uint256 total) {
        for (uint256 k = 0; k < _roots.length; ++k) total += _totals[k] - _paidBy(k);
    }

    function rootsHold() external view returns (bool) {
        for (uint256 k = 0; k < _roots.length; ++k) {
            ActiveRoot memory root = rewards.rootAt(modelId, 1, uint64(k + 1));
            if (root.root != _roots[k] || root.total != _totals[k]) return false;
            if (root.paid != _paidBy(k) || root.paid > root.total) return false;
            for (uint256 i = 0; i < 4; ++i) if (paid(people[i], uint64(k + 1)) != _paid[k][i]) return false;
        }
        return true;
    }

    function count() external view returns (uint256) {
        return _roots.length;
    }

    function votes() external view returns (uint256 total) {
        for (uint256 i = 0; i < 4; ++i) total += shares.getVotes(people[i]);
    }

    function _paidBy(uint256 k) private view returns (uint256 sum) {
        for (uint256 i = 0; i < 4; ++i) if (_paid[k][i]) sum += _amounts[k][i];
    }

    function _due(uint64 index, uint256 i) private view returns (uint256) {
        return _paid[index - 1][i] ? 0 : _amounts[index - 1][i];
    }

    /// @dev Whether the root can still pay it: leaves may sum up to more than the total.
    function _fits(uint64 index, uint256 i) private view returns (bool) {
        return _paidBy(index - 1) + _due(index, i) <= _totals[index - 1];
    }

    function _leaf(uint64 index, uint256 i) private view returns (Leaf memory) {
        uint256[4] memory amounts = _amounts[index - 1];
        return Leaf(index, amounts[i], Tree.proof(_leaves(index, amounts), i));
    }

    function _leaves(uint64 index, uint256[4] memory amounts) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) leaves[i] = leafOf(index, people[i], amounts[i]);
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
        selectors[3] = RewardsHandler.postRoot.selector;
        selectors[4] = RewardsHandler.activate.selector;
        selectors[5] = RewardsHandler.claim.selector;
        selectors[6] = RewardsHandler.claimMany.selector;
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
        yes(handler.rootsHold(), "1, 3, 4, 8 each root is what was activated and has paid its leaves, each once");
        eq(handler.minted(), handler.owed() + handler.paidInAll(), "1 minted is what roots owe and have paid");
        eq(shares.totalSupply(), handler.minted(), "nothing else is minted");
        yes(shares.balanceOf(address(rewards)) >= handler.owed(), "2 the contract holds what it owes");
        yes(shares.totalSupply() <= handler.scheduled(), "11 the supply is within the schedule");
        yes(handler.votes() <= shares.totalSupply(), "15 votes are within the supply");
        (uint64 index, uint64 toEpoch, ) = rewards.newest(modelId, 1);
        eq(index, handler.count(), "6 every activation counts one on");
        eq(toEpoch, handler.toEpoch(), "6 and its epochs");
        eq(rewards.rootAt(modelId, 1, index + 1).root, 0, "5 there is no root that was not activated");
        eq(emission.authorisedThrough(modelId, 1), toEpoch, "12 epochs are authorised once");
        uint64 pending = rewards.pending(modelId, 1).toEpoch;
        yes(pending == 0 || pending > toEpoch, "9 one pending root, above the active one");
    }
}
