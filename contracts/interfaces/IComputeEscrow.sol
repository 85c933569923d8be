// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LeaseId} from "./Ids.sol";

/// @notice What a lease is about. Its id commits to all of it, so that who knows the id knows that no channel of that name has others.
/// @param renter Who pays: opens the channel, may close it, and gets back what is left.
/// @param provider Who is paid.
/// @param machine The key of the machine that works.
/// @param signer The key that signs vouchers. A plain key, never a contract: a contract could take back what it signed.
/// @param token The ERC-20 that is paid.
/// @param notice Seconds from the closing to the withdrawal of the rest, in which the provider redeems its last voucher.
/// @param salt Tells leases of the same terms apart.
struct LeaseTerms {
    address renter;
    address provider;
    address machine;
    address signer;
    address token;
    uint32 notice;
    bytes32 salt;
}

/// @notice A channel as it stands, in the token's smallest units.
/// @param deposit What arrived; once the rest was withdrawn, what the provider had earned.
/// @param earned The highest voucher that was redeemed, within the deposit.
/// @param paid What the provider was sent of it.
/// @param openedAt When it was opened, in seconds since 1970; 0 for one that never was.
/// @param closesAt From when on the rest may be withdrawn, in seconds since 1970; 0 for one that nobody closed.
struct Channel {
    uint128 deposit;
    uint128 earned;
    uint128 paid;
    uint48 openedAt;
    uint48 closesAt;
}

/// @title IComputeEscrow
/// @notice Pays for rented machines from deposits. A renter opens a channel for a lease; its signer signs vouchers, each for all that the
/// lease has cost so far; the provider redeems the highest whenever it likes. The renter closes with notice, and after it gets
/// back what no voucher took. Nobody judges anything, nobody owns this contract, and it takes no fee. Each channel's tokens lie
/// in a vault of their own, so that what a token does to one is no matter of another's.
interface IComputeEscrow {
    /// @notice A renter opened a channel.
    /// @param leaseId The lease.
    /// @param renter Who pays.
    /// @param provider Who is paid.
    /// @param vault Where the channel's tokens lie.
    /// @param terms All that the id commits to, as every call wants it.
    event ChannelOpened(
        LeaseId indexed leaseId,
        address indexed renter,
        address indexed provider,
        address vault,
        LeaseTerms terms
    );

    /// @notice Tokens arrived in a channel.
    /// @param leaseId The lease.
    /// @param payer Who sent them.
    /// @param amount What arrived, in the token's smallest units.
    /// @param deposit What has arrived in all.
    event ChannelFunded(LeaseId indexed leaseId, address indexed payer, uint256 amount, uint256 deposit);

    /// @notice A provider earned more.
    /// @param leaseId The lease.
    /// @param cumulative What the voucher says.
    /// @param through Until when it pays the machine, in seconds since 1970.
    /// @param earned What the provider has earned by it: no more than the deposit.
    event VoucherRedeemed(LeaseId indexed leaseId, uint128 cumulative, uint64 through, uint128 earned);

    /// @notice A provider was paid.
    /// @param leaseId The lease.
    /// @param provider Who was paid.
    /// @param amount What left the vault, in the token's smallest units.
    event ProviderPaid(LeaseId indexed leaseId, address indexed provider, uint256 amount);

    /// @notice The token refused to pay a provider. What it earned stays in the vault for it.
    /// @param leaseId The lease.
    /// @param provider Who was not paid.
    /// @param amount What stays due, in the token's smallest units.
    event ProviderUnpaid(LeaseId indexed leaseId, address indexed provider, uint256 amount);

    /// @notice A channel ends.
    /// @param leaseId The lease.
    /// @param caller Who closed it.
    /// @param closesAt From when on the rest may be withdrawn, in seconds since 1970.
    event ChannelClosing(LeaseId indexed leaseId, address indexed caller, uint48 closesAt);

    /// @notice A renter got back what no voucher took.
    /// @param leaseId The lease.
    /// @param renter Who got it.
    /// @param amount What left the vault, in the token's smallest units.
    event RestWithdrawn(LeaseId indexed leaseId, address indexed renter, uint256 amount);

    /// @notice Only the renter whom the terms name opens a channel.
    /// @param caller Who called.
    /// @param renter Whom the terms name.
    error ComputeEscrowNotRenter(address caller, address renter);
    /// @notice The terms name nobody as provider or as signer.
    /// @param provider Whom they name as provider.
    /// @param signer Whom they name as signer.
    error ComputeEscrowBadParties(address provider, address signer);
    /// @notice The token has no code.
    /// @param token What the terms name as the token.
    error ComputeEscrowBadToken(address token);
    /// @notice The notice is outside its bounds.
    /// @param notice What the terms say, in seconds.
    /// @param minimum What it must at least be.
    /// @param maximum What it may at most be.
    error ComputeEscrowBadNotice(uint256 notice, uint256 minimum, uint256 maximum);
    /// @notice The lease's channel was opened before; each has one, ever.
    /// @param leaseId The lease.
    error ComputeEscrowOpenedBefore(LeaseId leaseId);
    /// @notice There is no channel of these terms.
    /// @param leaseId The lease that they make.
    error ComputeEscrowUnknown(LeaseId leaseId);
    /// @notice Nothing arrived.
    /// @param leaseId The lease.
    error ComputeEscrowNothingArrived(LeaseId leaseId);
    /// @notice The channel is being closed, and takes nothing in any more.
    /// @param leaseId The lease.
    /// @param closesAt From when on the rest may be withdrawn, in seconds since 1970.
    error ComputeEscrowCloses(LeaseId leaseId, uint48 closesAt);
    /// @notice The voucher is not the lease's signer's.
    /// @param leaseId The lease.
    /// @param signed Whose signature it bears, for this lease on this chain.
    /// @param signer Whose it should.
    error ComputeEscrowBadSigner(LeaseId leaseId, address signed, address signer);
    /// @notice Only renter, signer and provider close a channel.
    /// @param leaseId The lease.
    /// @param caller Who called.
    error ComputeEscrowMayNotClose(LeaseId leaseId, address caller);
    /// @notice Nobody has closed the channel.
    /// @param leaseId The lease.
    error ComputeEscrowOpen(LeaseId leaseId);
    /// @notice The notice still runs.
    /// @param leaseId The lease.
    /// @param closesAt From when on the rest may be withdrawn, in seconds since 1970.
    error ComputeEscrowNoticeRuns(LeaseId leaseId, uint48 closesAt);

    /// @notice The call has too little gas left for a payment.
    /// @param left What it has.
    /// @param minimum What it must at least have.
    error ComputeEscrowLowGas(uint256 left, uint256 minimum);

    /// @notice Opens a lease's channel with tokens of the caller's, who must be its renter and have allowed this contract to move them.
    /// @dev Reverts with ComputeEscrowNotRenter, ComputeEscrowBadParties, ComputeEscrowBadToken, ComputeEscrowBadNotice,
    /// ComputeEscrowOpenedBefore, ComputeEscrowNothingArrived, and as the token does.
    /// @param terms What the lease is about; a notice of 1 second to 30 days.
    /// @param amount What is sent, in the token's smallest units. What arrives counts.
    /// @return leaseId The lease's id.
    function open(LeaseTerms calldata terms, uint256 amount) external returns (LeaseId leaseId);

    /// @notice Adds tokens of the caller's, whoever that is, to a channel that nobody has closed. The rest is the renter's all the same.
    /// @dev Reverts with ComputeEscrowUnknown, ComputeEscrowCloses, ComputeEscrowNothingArrived, and as the token does.
    /// @param terms What the lease is about.
    /// @param amount What is sent, in the token's smallest units. What arrives counts.
    function topUp(LeaseTerms calldata terms, uint256 amount) external;

    /// @notice Redeems a voucher and pays the provider what it has earned and was not sent; anyone may. Serves until the rest is
    /// withdrawn. A lower voucher than one before takes nothing back: it pays what is due, if something is. Where the token
    /// refuses to pay, what is earned stays in the vault for the provider, whatever the renter does, and the same call later pays it.
    /// @dev Reverts with ComputeEscrowUnknown, ComputeEscrowBadSigner, ComputeEscrowLowGas where something is to be paid, and ECDSA's
    /// errors where a signature is malformed.
    /// @param terms What the lease is about.
    /// @param cumulative What the voucher says is owed since the lease began.
    /// @param through Until when that pays the machine.
    /// @param signature The signer's, of 65 bytes, of the Voucher under this contract's domain.
    /// @return paid What was sent to the provider, in the token's smallest units.
    function redeem(
        LeaseTerms calldata terms,
        uint128 cumulative,
        uint64 through,
        bytes calldata signature
    ) external returns (uint256 paid);

    /// @notice Closes a channel: by its renter or its signer with notice, by its provider at once. Never moves the end to later.
    /// @dev Reverts with ComputeEscrowUnknown, ComputeEscrowMayNotClose.
    /// @param terms What the lease is about.
    /// @return closesAt From when on the rest may be withdrawn, in seconds since 1970.
    function close(LeaseTerms calldata terms) external returns (uint48 closesAt);

    /// @notice Sends the renter what the vault holds beyond what is due to the provider; anyone may, once the notice is over. From then
    /// on vouchers earn nothing more. What reaches the vault later is the renter's too, by the same call.
    /// @dev Reverts with ComputeEscrowUnknown, ComputeEscrowOpen, ComputeEscrowNoticeRuns, and as the token does.
    /// @param terms What the lease is about.
    /// @return amount What was sent, in the token's smallest units.
    function withdraw(LeaseTerms calldata terms) external returns (uint256 amount);

    /// @notice A channel as it stands. What its vault holds is the token's to say: it may have taken some.
    /// @param leaseId The lease.
    /// @return All zero where there is none.
    function channelOf(LeaseId leaseId) external view returns (Channel memory);

    /// @notice The id of a lease, known before its channel is opened.
    /// @param terms What the lease is about.
    /// @return keccak256(abi.encode(chainId, this contract, terms)).
    function leaseIdOf(LeaseTerms calldata terms) external view returns (LeaseId);

    /// @notice Where a lease's tokens lie, or would.
    /// @param leaseId The lease.
    /// @return Address of its vault.
    function vaultOf(LeaseId leaseId) external view returns (address);

    /// @notice What every vault runs.
    /// @return Address of the implementation.
    function vaultImplementation() external view returns (address);
}
