// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IComputeRewards, Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {ClaimTo} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";

/// @dev A wallet that is a contract: it stands by one digest.
contract Wallet is IERC1271 {
    bytes32 private _signed;

    function sign(bytes32 digest) external {
        _signed = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _signed ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

contract ClaimToTest is Fixture {
    uint256 private constant KEY = 0xa11ce;
    address private constant TO = address(0xc01d);

    function test_anAccountHasItsEarningsPaidToAnother() public {
        Leaf[] memory leaves = _settled(vm.addr(KEY), 3);
        ClaimTo memory order = _order(vm.addr(KEY));
        bytes memory signature = signature(KEY, _digest(order));
        vm.prank(address(0xdead));
        eq(rewards.claimTo(order, leaves, signature), 60, "amount");
        eq(shares.balanceOf(TO), 60, "there");
        eq(shares.balanceOf(vm.addr(KEY)), 0, "not here");
        yes(paid(vm.addr(KEY), 1) && paid(vm.addr(KEY), 3), "remembered of the account");
        yes(!paid(TO, 1), "not of who was paid");
        eq(rewards.claimTo(order, leaves, signature), 0, "nothing twice");
    }

    /// @dev Whoever sees the order first can spend it on a part, and cannot spoil it for the rest.
    function test_anOrderServesUntilItsDeadline() public {
        Leaf[] memory leaves = _settled(vm.addr(KEY), 2);
        ClaimTo memory order = _order(vm.addr(KEY));
        bytes memory signature = signature(KEY, _digest(order));
        Leaf[] memory one = new Leaf[](1);
        one[0] = leaves[1];
        eq(rewards.claimTo(order, one, signature), 20, "a part");
        vm.warp(order.deadline);
        eq(rewards.claimTo(order, leaves, signature), 10, "the rest");
        vm.warp(order.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsOrderExpired.selector, order.deadline));
        rewards.claimTo(order, leaves, signature);
    }

    function test_whatIsRevokedServesNoMore() public {
        Leaf[] memory leaves = _settled(vm.addr(KEY), 1);
        ClaimTo memory order = _order(vm.addr(KEY));
        bytes memory old = signature(KEY, _digest(order));
        rewards.revokeClaimTo();
        eq(rewards.claimNonce(vm.addr(KEY)), 0, "nobody revokes for another");
        vm.prank(vm.addr(KEY));
        rewards.revokeClaimTo();
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsOrderRevoked.selector, 0, 1));
        rewards.claimTo(order, leaves, old);
        order.nonce = 1;
        eq(rewards.claimTo(order, leaves, signature(KEY, _digest(order))), 10, "signed anew");
    }

    /// @dev Any field changed after signing makes the signature somebody else's.
    function test_theSignatureCoversEveryField() public {
        Leaf[] memory leaves = _settled(vm.addr(KEY), 1);
        ClaimTo memory order = _order(vm.addr(KEY));
        bytes memory signature = signature(KEY, _digest(order));
        ModelId mine = order.modelId;
        order.modelId = NO_MODEL;
        _notSigned(order, leaves, signature);
        (order.modelId, order.kind) = (mine, 2);
        _notSigned(order, leaves, signature);
        (order.kind, order.account) = (1, address(0xbad));
        _notSigned(order, leaves, signature);
        (order.account, order.to) = (vm.addr(KEY), address(0xbad));
        _notSigned(order, leaves, signature);
        (order.to, order.deadline) = (TO, order.deadline + 1);
        _notSigned(order, leaves, signature);
        order.deadline -= 1;
        vm.chainId(99);
        _notSigned(order, leaves, signature);
        vm.chainId(31337);
        eq(rewards.claimTo(order, leaves, signature), 10, "as it was signed");
    }

    function test_nobodySignsForAnother() public {
        Leaf[] memory leaves = _settled(vm.addr(KEY), 1);
        ClaimTo memory order = _order(vm.addr(KEY));
        _notSigned(order, leaves, signature(0xbad, _digest(order)));
        _notSigned(order, leaves, "");
        order.account = address(0);
        _notSigned(order, leaves, new bytes(65));
    }

    function test_leavesOfOthersArePaidToNobody() public {
        Leaf[] memory leaves = _settled(vm.addr(KEY), 1);
        ClaimTo memory order = _order(vm.addr(0xbad));
        bytes memory signature = signature(0xbad, _digest(order));
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsInvalidProof.selector, modelId, 1, 1, vm.addr(0xbad))
        );
        rewards.claimTo(order, leaves, signature);
    }

    function test_aContractSignsAsItSays() public {
        Wallet wallet = new Wallet();
        Leaf[] memory leaves = _settled(address(wallet), 2);
        ClaimTo memory order = _order(address(wallet));
        _notSigned(order, leaves, "any");
        wallet.sign(_digest(order));
        eq(rewards.claimTo(order, leaves, "any"), 30, "amount");
        eq(shares.balanceOf(TO), 30, "there");
    }

    /// @dev Roots that grant one account 10, 20, 30…
    function _settled(address account, uint64 roots) private returns (Leaf[] memory leaves) {
        leaves = new Leaf[](roots);
        for (uint64 i = 1; i <= roots; ++i) {
            settle(i, leafOf(i, account, 10 * i), 10 * i);
            leaves[i - 1] = Leaf(i, 10 * i, new bytes32[](0));
        }
    }

    function _order(address account) private view returns (ClaimTo memory) {
        return ClaimTo(modelId, 1, account, TO, 0, uint64(block.timestamp + 100));
    }

    function _digest(ClaimTo memory order) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(rewards.domainSeparator(), ProtocolHashes.hashClaimTo(order));
    }

    function _notSigned(ClaimTo memory order, Leaf[] memory leaves, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsOrderNotSigned.selector, order.account));
        rewards.claimTo(order, leaves, signature);
    }
}
