// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IBootstrap} from "../../../contracts/interfaces/IBootstrap.sol";
import {ActiveRoot, Leaf} from "../../../contracts/interfaces/IComputeRewards.sol";
import {ModelId} from "../../../contracts/interfaces/Ids.sol";
import {IEmission} from "../../../contracts/interfaces/IEmission.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {IRevenueDeposits} from "../../../contracts/interfaces/IRevenueDeposits.sol";
import {IValidatorSet} from "../../../contracts/interfaces/IValidatorSet.sol";
import {COMPUTE} from "../../../contracts/interfaces/Kinds.sol";
import {ClaimTo} from "../../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../../contracts/libraries/ProtocolHashes.sol";
import {ComputeRewards} from "../../../contracts/rewards/ComputeRewards.sol";
import {Ground, MODEL} from "./Ground.sol";

/// @notice ComputeRewards with any root active: claims depend on nothing else of how it came to be.
contract RewardsOfAnyRoot is ComputeRewards {
    constructor(
        address ground
    )
        ComputeRewards(
            IModelRegistry(ground),
            IEmission(ground),
            IValidatorSet(ground),
            IBootstrap(ground),
            IRevenueDeposits(ground)
        )
    {}

    /// @dev Of no constants: the compiler would reckon the slot, and halmos not know it for one of a mapping.
    function place(ModelId modelId, uint8 kind, IERC20 token, uint64 index, ActiveRoot calldata root) external {
        _pools[modelId][kind].token = token;
        _pools[modelId][kind].roots[index] = root;
    }
}

/// @notice An account that signs one digest.
contract Signer is IERC1271 {
    bytes32 private _signed;

    function sign(bytes32 digest) external {
        _signed = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _signed ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

contract ClaimProofs is Ground {
    RewardsOfAnyRoot private rewards;
    Signer private signer;

    function setUp() public {
        rewards = new RewardsOfAnyRoot(address(this));
        signer = new Signer();
        paper.mint(address(rewards), type(uint128).max);
    }

    /// @dev Whoever calls, the account gets what its leaf says, the root counts it, and no root pays more than its total.
    function check_aClaimPaysItsLeafWithinTheTotal(
        address caller,
        address account,
        uint64 index,
        uint256 amount,
        ActiveRoot memory root,
        bytes32 sibling
    ) public {
        vm.assume(account != address(rewards));
        root.root = Hashes.commutativeKeccak256(leafOf(index, account, amount), sibling);
        rewards.place(MODEL, COMPUTE, paper, index, root);
        Leaf memory leaf = Leaf(index, amount, new bytes32[](1));
        leaf.proof[0] = sibling;

        vm.prank(caller);
        uint256 said = rewards.claim(MODEL, COMPUTE, account, leaf);

        uint256 paid = rewards.rootAt(MODEL, COMPUTE, index).paid;
        assert(said == amount);
        assert(paper.balanceOf(account) == amount);
        assert(paid == root.paid + amount);
        assert(paid <= root.total);
    }

    /// @dev After one claim of an account from a root, no other pays it anything from that root: whatever it says.
    function check_aRootPaysAnAccountOnce(
        address account,
        uint64 index,
        uint256 amount,
        uint128 total,
        uint256 otherAmount,
        bytes32 otherSibling
    ) public {
        vm.assume(account != address(rewards));
        bytes32 root = leafOf(index, account, amount);
        rewards.place(MODEL, COMPUTE, paper, index, ActiveRoot(root, total, 0));
        rewards.claim(MODEL, COMPUTE, account, Leaf(index, amount, new bytes32[](0)));

        Leaf memory again = Leaf(index, amount, new bytes32[](0));
        if (otherSibling != 0) {
            again = Leaf(index, otherAmount, new bytes32[](1));
            again.proof[0] = otherSibling;
        }
        assert(rewards.claim(MODEL, COMPUTE, account, again) == 0);
        assert(paper.balanceOf(account) == amount);
    }

    /// @dev Of a tree of two leaves nothing is paid but these: no inner node, no shorter or longer proof serves.
    function check_nothingIsPaidButLeavesOfTheTree(
        address[2] memory accounts,
        uint256[2] memory amounts,
        address account,
        uint256 amount,
        bytes32[] memory proof
    ) public {
        bytes32 first = leafOf(1, accounts[0], amounts[0]);
        bytes32 second = leafOf(1, accounts[1], amounts[1]);
        bytes32 root = Hashes.commutativeKeccak256(first, second);
        rewards.place(MODEL, COMPUTE, paper, 1, ActiveRoot(root, type(uint128).max, 0));

        rewards.claim(MODEL, COMPUTE, account, Leaf(1, amount, proof));

        bool isFirst = account == accounts[0] && amount == amounts[0];
        bool isSecond = account == accounts[1] && amount == amounts[1];
        assert(isFirst || isSecond);
    }

    /// @dev A leaf is one of its own root's alone, though another root were the same.
    function check_aLeafServesUnderNoOtherNumber(
        address account,
        uint256 amount,
        uint64 index,
        uint64 other,
        bytes32[] memory proof
    ) public {
        bytes32 root = leafOf(index, account, amount);
        rewards.place(MODEL, COMPUTE, paper, other, ActiveRoot(root, type(uint128).max, 0));

        rewards.claim(MODEL, COMPUTE, account, Leaf(other, amount, proof));

        assert(index == other);
    }

    /// @dev A number that no active root has pays nobody.
    function check_withoutARootNothingIsPaid(
        address account,
        uint64 index,
        uint64 other,
        uint256 amount,
        bytes32 root,
        bytes32[] memory proof
    ) public {
        vm.assume(index != other);
        rewards.place(MODEL, COMPUTE, paper, other, ActiveRoot(root, type(uint128).max, 0));

        try rewards.claim(MODEL, COMPUTE, account, Leaf(index, amount, proof)) {
            assert(false);
        } catch {}
    }

    /// @dev Who is paid in place of an account is for the account to say: in time, once, and not after it took that back.
    function check_anotherIsPaidByTheAccountsOrderAlone(
        address caller,
        ClaimTo memory order,
        bytes32 signed,
        uint256 amount,
        uint32 elapsed,
        bool revoked
    ) public {
        goTo(elapsed);
        order.modelId = MODEL;
        order.kind = COMPUTE;
        order.account = address(signer);
        vm.assume(order.to != address(rewards) && order.to != address(signer));
        signer.sign(signed);
        if (revoked) {
            vm.prank(address(signer));
            rewards.revokeClaimTo();
        }
        rewards.place(MODEL, COMPUTE, paper, 1, ActiveRoot(leafOf(1, address(signer), amount), type(uint128).max, 0));
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = Leaf(1, amount, new bytes32[](0));

        vm.prank(caller);
        rewards.claimTo(order, leaves, "");

        bytes32 digest = MessageHashUtils.toTypedDataHash(rewards.domainSeparator(), ProtocolHashes.hashClaimTo(order));
        assert(signed == digest);
        assert(order.nonce == (revoked ? 1 : 0));
        assert(order.deadline >= block.timestamp);
        assert(paper.balanceOf(order.to) == amount);
    }

    function leafOf(uint64 index, address account, uint256 amount) internal pure returns (bytes32) {
        return ProtocolHashes.rewardLeaf(COMPUTE, MODEL, index, account, amount);
    }
}
