// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Channel, IComputeEscrow, LeaseTerms} from "../interfaces/IComputeEscrow.sol";
import {LeaseId} from "../interfaces/Ids.sol";
import {Voucher} from "../interfaces/Statements.sol";
import {Protocol} from "../libraries/Protocol.sol";
import {ProtocolHashes} from "../libraries/ProtocolHashes.sol";
import {TokenVault} from "../rewards/TokenVault.sol";

/// @title ComputeEscrow
/// @notice See IComputeEscrow. It knows no model and no other contract of the protocol. Terms come with each call, and their hash is the
/// channel's name: storage holds what changes, and nothing else. What can call a token's code is guarded against calls from within
/// it, for all channels at once.
contract ComputeEscrow is IComputeEscrow, EIP712, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev With none, a channel could be closed and emptied in one block.
    uint256 private constant MIN_NOTICE = 1 seconds;
    /// @dev A renter who mistypes it waits so long at most.
    uint256 private constant MAX_NOTICE = 30 days;

    /// @dev What a payment has at least. A wallet's estimate is the least gas with which a call succeeds: it would be of a call in which
    /// the token runs out of gas, which counts as a refusal, and nobody would be paid. No token that is known takes half of it.
    uint256 private constant PAY_GAS = 200_000;

    TokenVault private immutable VAULT;

    mapping(LeaseId leaseId => Channel) private _channels;

    /// @notice Makes the vault that those of all channels are clones of.
    constructor() EIP712(Protocol.NAME, Protocol.VERSION) {
        VAULT = new TokenVault();
    }

    /// @inheritdoc IComputeEscrow
    function open(LeaseTerms calldata terms, uint256 amount) external nonReentrant returns (LeaseId leaseId) {
        if (msg.sender != terms.renter) revert ComputeEscrowNotRenter(msg.sender, terms.renter);
        if (terms.provider == address(0) || terms.signer == address(0)) {
            revert ComputeEscrowBadParties(terms.provider, terms.signer);
        }
        if (terms.token.code.length == 0) revert ComputeEscrowBadToken(terms.token);
        if (terms.notice < MIN_NOTICE || terms.notice > MAX_NOTICE) {
            revert ComputeEscrowBadNotice(terms.notice, MIN_NOTICE, MAX_NOTICE);
        }
        leaseId = leaseIdOf(terms);
        Channel storage channel = _channels[leaseId];
        if (channel.openedAt != 0) revert ComputeEscrowOpenedBefore(leaseId);
        channel.openedAt = uint48(block.timestamp);
        address vault = Clones.cloneDeterministic(address(VAULT), LeaseId.unwrap(leaseId));
        emit ChannelOpened(leaseId, terms.renter, terms.provider, vault, terms);
        _fund(leaseId, channel, terms, amount);
    }

    /// @inheritdoc IComputeEscrow
    function topUp(LeaseTerms calldata terms, uint256 amount) external nonReentrant {
        (LeaseId leaseId, Channel storage channel) = _existing(terms);
        if (channel.closesAt != 0) revert ComputeEscrowCloses(leaseId, channel.closesAt);
        _fund(leaseId, channel, terms, amount);
    }

    /// @inheritdoc IComputeEscrow
    function redeem(
        LeaseTerms calldata terms,
        uint128 cumulative,
        uint64 through,
        bytes calldata signature
    ) external nonReentrant returns (uint256) {
        (LeaseId leaseId, Channel storage channel) = _existing(terms);
        Voucher memory voucher = Voucher(leaseId, cumulative, through);
        _requireSigned(voucher, terms.signer, signature);
        uint128 earned = uint128(Math.min(cumulative, channel.deposit));
        if (earned > channel.earned) {
            channel.earned = earned;
            emit VoucherRedeemed(leaseId, cumulative, through, earned);
        }
        return _pay(leaseId, channel, terms);
    }

    /// @inheritdoc IComputeEscrow
    function close(LeaseTerms calldata terms) external returns (uint48 closesAt) {
        (LeaseId leaseId, Channel storage channel) = _existing(terms);
        closesAt = uint48(block.timestamp);
        // The notice protects the provider alone.
        if (msg.sender != terms.provider) {
            // Who signs may spend the whole deposit: closing is less.
            if (msg.sender != terms.renter && msg.sender != terms.signer) {
                revert ComputeEscrowMayNotClose(leaseId, msg.sender);
            }
            closesAt += terms.notice;
        }
        uint48 before = channel.closesAt;
        // No revert: who sends it again has what it wants.
        if (before != 0 && before <= closesAt) return before;
        channel.closesAt = closesAt;
        emit ChannelClosing(leaseId, msg.sender, closesAt);
    }

    /// @inheritdoc IComputeEscrow
    function withdraw(LeaseTerms calldata terms) external nonReentrant returns (uint256 amount) {
        (LeaseId leaseId, Channel storage channel) = _existing(terms);
        uint48 closesAt = channel.closesAt;
        if (closesAt == 0) revert ComputeEscrowOpen(leaseId);
        if (block.timestamp < closesAt) revert ComputeEscrowNoticeRuns(leaseId, closesAt);
        uint256 earned = channel.earned;
        channel.deposit = uint128(earned);
        (IERC20 token, TokenVault vault) = (IERC20(terms.token), TokenVault(vaultOf(leaseId)));
        amount = Math.saturatingSub(token.balanceOf(address(vault)), earned - channel.paid);
        if (amount == 0) return 0;
        emit RestWithdrawn(leaseId, terms.renter, amount);
        vault.pay(token, terms.renter, amount);
    }

    /// @inheritdoc IComputeEscrow
    function channelOf(LeaseId leaseId) external view returns (Channel memory) {
        return _channels[leaseId];
    }

    /// @inheritdoc IComputeEscrow
    function vaultImplementation() external view returns (address) {
        return address(VAULT);
    }

    /// @inheritdoc IComputeEscrow
    function leaseIdOf(LeaseTerms calldata terms) public view returns (LeaseId) {
        return LeaseId.wrap(keccak256(abi.encode(block.chainid, address(this), terms)));
    }

    /// @inheritdoc IComputeEscrow
    function vaultOf(LeaseId leaseId) public view returns (address) {
        return Clones.predictDeterministicAddress(address(VAULT), LeaseId.unwrap(leaseId));
    }

    /// @dev Moves the caller's tokens to the vault and counts what arrived there.
    function _fund(LeaseId leaseId, Channel storage channel, LeaseTerms calldata terms, uint256 amount) private {
        (IERC20 token, address vault) = (IERC20(terms.token), vaultOf(leaseId));
        uint256 before = token.balanceOf(vault);
        token.safeTransferFrom(msg.sender, vault, amount);
        uint256 arrived = Math.saturatingSub(token.balanceOf(vault), before);
        if (arrived == 0) revert ComputeEscrowNothingArrived(leaseId);
        uint128 deposit = (channel.deposit + arrived).toUint128();
        channel.deposit = deposit;
        emit ChannelFunded(leaseId, msg.sender, arrived, deposit);
    }

    /// @dev What is earned was recorded: a token that refuses to pay, or has taken from the vault, delays the rest and takes no claim away.
    function _pay(
        LeaseId leaseId,
        Channel storage channel,
        LeaseTerms calldata terms
    ) private returns (uint256 amount) {
        (IERC20 token, TokenVault vault) = (IERC20(terms.token), TokenVault(vaultOf(leaseId)));
        uint128 paid = channel.paid;
        uint256 due = channel.earned - paid;
        amount = Math.min(due, token.balanceOf(address(vault)));
        if (amount == 0) return 0;
        uint256 left = gasleft();
        if (left < PAY_GAS) revert ComputeEscrowLowGas(left, PAY_GAS);
        channel.paid = uint128(paid + amount);
        try vault.pay(token, terms.provider, amount) {
            emit ProviderPaid(leaseId, terms.provider, amount);
        } catch {
            channel.paid = paid;
            emit ProviderUnpaid(leaseId, terms.provider, due);
            amount = 0;
        }
    }

    /// @dev Never asked of a contract: an account could gain code later, and disown what it signed.
    function _requireSigned(Voucher memory voucher, address signer, bytes calldata signature) private view {
        address signed = ECDSA.recoverCalldata(_hashTypedDataV4(ProtocolHashes.hashVoucher(voucher)), signature);
        if (signed != signer) revert ComputeEscrowBadSigner(voucher.leaseId, signed, signer);
    }

    function _existing(LeaseTerms calldata terms) private view returns (LeaseId leaseId, Channel storage channel) {
        leaseId = leaseIdOf(terms);
        channel = _channels[leaseId];
        if (channel.openedAt == 0) revert ComputeEscrowUnknown(leaseId);
    }
}
