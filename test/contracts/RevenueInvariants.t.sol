// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ActiveRoot, Leaf, PendingRoot} from "../../contracts/interfaces/IComputeRewards.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {RevenueBook} from "../../contracts/interfaces/IRevenueDeposits.sol";
import {REVENUE} from "../../contracts/interfaces/Kinds.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {TestDollar} from "../../contracts/local/TestDollar.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {ComputeRewards} from "../../contracts/rewards/ComputeRewards.sol";
import {RevenueDeposits} from "../../contracts/rewards/RevenueDeposits.sol";
import {Invariants} from "./support/Invariants.sol";
import {Revenue} from "./support/Revenue.sol";
import {Tree} from "./support/Tree.sol";

/// @notice What happens to the revenue of two models that earn one token: customers deposit or just send, roots are posted, activated and
/// claimed in any order. Calls that the contracts must refuse are not made; each of the others must succeed.
contract RevenueHandler is Revenue {
    struct Life {
        uint256 arrived;
        uint256 setAside;
        uint256 paid;
        uint64 toEpoch;
        uint48 postedAt;
        Attestation pending;
        uint256[3] amounts;
        uint256[3][] leaves;
        bool[3][] claimed;
        bytes32[] roots;
        uint256[] totals;
    }

    address[3] public holders = [address(0xa1), address(0xa2), address(0xa3)];
    ModelId[2] public models;
    Life[2] private _lives;
    bool public broken;

    constructor() {
        setUp();
        models = [modelId, registry.createModel(capitalConfig(address(dollar)), "twin")];
        for (uint256 i = 0; i < 2; ++i) revenue.count(models[i]);
    }

    function views() external view returns (address, address, address) {
        return (address(rewards), address(revenue), address(dollar));
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, 60));
    }

    function deposit(uint8 model, uint256 amount) external {
        Life storage life = _pick(model);
        amount = bound(amount, 1, 10e6);
        if (earn(amount) != amount) broken = true;
        life.arrived += amount;
    }

    function send(uint8 model, uint256 amount) external {
        Life storage life = _pick(model);
        amount = bound(amount, 0, 10e6);
        dollar.mint(revenueVault(modelId), amount);
        if (revenue.count(modelId) != amount) broken = true;
        life.arrived += amount;
    }

    function postRoot(uint8 model, uint256 seed) external {
        Life storage life = _pick(model);
        uint64 over = current() - 1;
        if (over <= life.toEpoch || rewards.pending(modelId, REVENUE).index != 0) return;
        uint64 epoch = uint64(bound(seed, life.toEpoch + 1, over));
        uint256 budget = available(epoch);
        if (budget > life.arrived - life.setAside) broken = true;
        uint256 total = 0;
        for (uint256 i = 0; i < 3; ++i) {
            life.amounts[i] = (budget * (uint256(keccak256(abi.encode(seed, i))) % 3_334)) / 10_000;
            total += life.amounts[i];
        }
        // Now and then the signers' leaves sum up to more than they say.
        if (seed % 7 == 0) total /= 2;
        life.pending = attestRevenue(epoch, Tree.root(_leaves(uint64(life.roots.length + 1), life.amounts)), total);
        post(life.pending);
        life.postedAt = uint48(block.timestamp);
    }

    function activate(uint8 model) external {
        Life storage life = _pick(model);
        PendingRoot memory next = rewards.pending(modelId, REVENUE);
        if (next.index == 0 || block.timestamp < next.activatableAt) return;
        rewards.activate(life.pending);
        if (block.timestamp < life.postedAt + WINDOW || next.fromEpoch != life.toEpoch + 1) broken = true;
        life.toEpoch = next.toEpoch;
        life.setAside += life.pending.total;
        life.roots.push(life.pending.root);
        life.totals.push(life.pending.total);
        life.leaves.push(life.amounts);
        life.claimed.push();
    }

    function claim(uint8 model, uint8 who, uint256 which) external {
        Life storage life = _pick(model);
        if (life.roots.length == 0) return;
        uint64 index = uint64(bound(which, 1, life.roots.length));
        uint256 i = who % 3;
        uint256 amount = life.leaves[index - 1][i];
        bool before = life.claimed[index - 1][i];
        // Leaves may sum up to more than the total.
        if (!before && paidOf(model % 2, index - 1) + amount > life.totals[index - 1]) return;
        uint256 balance = dollar.balanceOf(holders[i]);
        bytes32[] memory proof = Tree.proof(_leaves(index, life.leaves[index - 1]), i);
        uint256 got = rewards.claim(modelId, REVENUE, holders[i], Leaf(index, amount, proof));
        if (got != (before ? 0 : amount) || dollar.balanceOf(holders[i]) != balance + got) broken = true;
        life.claimed[index - 1][i] = true;
        life.paid += got;
    }

    function paidOf(uint256 model, uint256 k) public view returns (uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) if (_lives[model].claimed[k][i]) sum += _lives[model].leaves[k][i];
    }

    function sums(uint256 model) external view returns (uint256, uint256, uint256, uint64, uint256) {
        Life storage life = _lives[model];
        return (life.arrived, life.setAside, life.paid, life.toEpoch, life.roots.length);
    }

    function rootOf(uint256 model, uint256 k) external view returns (bytes32, uint256) {
        return (_lives[model].roots[k], _lives[model].totals[k]);
    }

    function supplyOf(uint256 model) external view returns (uint256) {
        return ModelShares(registry.sharesOf(models[model])).totalSupply();
    }

    function _leaves(uint64 index, uint256[3] memory amounts) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](3);
        for (uint256 i = 0; i < 3; ++i) leaves[i] = revenueLeaf(index, holders[i], amounts[i]);
    }

    function _pick(uint8 model) private returns (Life storage) {
        modelId = models[model % 2];
        return _lives[model % 2];
    }
}

contract RevenueInvariants is Invariants {
    RevenueHandler private handler;
    TestDollar private dollar;

    function setUp() public override {
        handler = new RevenueHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](10);
        selectors[0] = RevenueHandler.pass.selector;
        selectors[1] = RevenueHandler.pass.selector;
        selectors[2] = RevenueHandler.deposit.selector;
        selectors[3] = RevenueHandler.deposit.selector;
        selectors[4] = RevenueHandler.send.selector;
        selectors[5] = RevenueHandler.postRoot.selector;
        selectors[6] = RevenueHandler.postRoot.selector;
        selectors[7] = RevenueHandler.activate.selector;
        selectors[8] = RevenueHandler.activate.selector;
        selectors[9] = RevenueHandler.claim.selector;
        return (address(handler), selectors);
    }

    /// @dev Numbered as in the design. A revert fails the run, so that what is owed can always be had (27).
    function invariant_revenueIsPaidOnceToThoseItIsFor() external {
        (address rewards_, address revenue_, address dollar_) = handler.views();
        (rewards, revenue, dollar) = (ComputeRewards(rewards_), RevenueDeposits(revenue_), TestDollar(dollar_));

        yes(!handler.broken(), "3, 4, 7 each call did what it promises");
        eq(dollar.balanceOf(revenue_), 0, "nothing lies beside the vaults");
        for (uint256 model = 0; model < 2; ++model) {
            modelId = handler.models(model);
            _checkBook(model);
            _checkRoots(model);
            eq(handler.supplyOf(model), 0, "11 revenue mints nothing");
        }
    }

    function _checkBook(uint256 model) private view {
        (uint256 arrived, uint256 aside, uint256 paid, , ) = handler.sums(model);
        RevenueBook memory book = revenue.bookOf(modelId);
        eq(book.arrived, arrived, "what arrived is known");
        eq(book.setAside, aside, "1 as is what was set aside");
        yes(aside <= arrived, "31 no more is set aside than arrived");
        yes(paid <= aside, "1 no more is paid than was set aside");
        eq(book.held, arrived - paid, "the contract knows what it holds");
        eq(dollar.balanceOf(book.vault), arrived - paid, "2 each vault holds what it owes");
    }

    function _checkRoots(uint256 model) private view {
        (, , , uint64 toEpoch, uint256 count) = handler.sums(model);
        (uint64 index, uint64 through, ) = rewards.newest(modelId, REVENUE);
        eq(index, count, "6 every activation counts one on");
        eq(through, toEpoch, "6 and its epochs");
        eq(rewards.rootAt(modelId, REVENUE, index + 1).root, 0, "5 there is no root that was not activated");
        uint64 pending = rewards.pending(modelId, REVENUE).toEpoch;
        yes(pending == 0 || pending > toEpoch, "9 one pending root, above the active one");
        for (uint256 k = 0; k < count; ++k) _checkRoot(model, k);
    }

    function _checkRoot(uint256 model, uint256 k) private view {
        ActiveRoot memory root = rewards.rootAt(modelId, REVENUE, uint64(k + 1));
        (bytes32 hash, uint256 total) = handler.rootOf(model, k);
        yes(root.root == hash && root.total == total, "8 an active root never changes");
        eq(root.paid, handler.paidOf(model, k), "1 and knows what it paid");
        yes(root.paid <= root.total, "1 within its total");
    }
}
