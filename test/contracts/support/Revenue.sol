// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ActiveRoot, Leaf} from "../../../contracts/interfaces/IComputeRewards.sol";
import {HeadHash, ModelId, RunId} from "../../../contracts/interfaces/Ids.sol";
import {REVENUE} from "../../../contracts/interfaces/Kinds.sol";
import {Attestation} from "../../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../../contracts/libraries/ProtocolHashes.sol";
import {Capital} from "./Capital.sol";

/// @notice A model that earns test dollars.
abstract contract Revenue is Capital {
    address internal constant CUSTOMER = address(0xc5);
    address internal constant HOLDER = address(0xa1);

    /// @dev With a balance and an allowance that suffice.
    function earn(uint256 amount) internal returns (uint256) {
        dollar.mint(CUSTOMER, amount);
        vm.prank(CUSTOMER);
        dollar.approve(address(revenue), amount);
        vm.prank(CUSTOMER);
        return revenue.deposit(modelId, amount);
    }

    /// @dev An attestation of revenue that the contract accepts once the epoch is over.
    function attestRevenue(uint64 toEpoch, bytes32 root, uint256 total) internal view returns (Attestation memory a) {
        a = attest(toEpoch, root, total);
        (uint64 index, uint64 through, ActiveRoot memory last) = rewards.newest(modelId, REVENUE);
        (a.kind, a.index, a.fromEpoch, a.previousRoot) = (REVENUE, index + 1, through + 1, last.root);
        (a.runId, a.head) = (RunId.wrap(0), HeadHash.wrap(0));
    }

    /// @dev Posts and activates a root once its epoch is over.
    function settleRevenue(uint64 epoch, bytes32 root, uint256 total) internal {
        if (block.timestamp < emission.epochEnd(modelId, epoch)) afterEpoch(epoch);
        post(attestRevenue(epoch, root, total));
        vm.warp(block.timestamp + WINDOW);
        rewards.activate(posted);
    }

    function revenueLeaf(uint64 index, address account, uint256 amount) internal view returns (bytes32) {
        return ProtocolHashes.rewardLeaf(REVENUE, modelId, index, account, amount);
    }

    /// @dev Of a root with one leaf.
    function claimRevenue(uint64 index, address account, uint256 amount) internal returns (uint256) {
        return rewards.claim(modelId, REVENUE, account, Leaf(index, amount, new bytes32[](0)));
    }

    function available(uint64 toEpoch) internal view returns (uint256) {
        return revenue.authorisable(modelId, toEpoch);
    }

    function revenueVault(ModelId id) internal view returns (address) {
        return revenue.bookOf(id).vault;
    }
}
