// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Channel, LeaseTerms} from "../../contracts/interfaces/IComputeEscrow.sol";
import {Escrow} from "./support/Escrow.sol";
import {Invariants} from "./support/Invariants.sol";

/// @notice Leases of three renters in one token, which is paused, and bans a provider, now and then. Calls that the contract must refuse
/// are not made; each of the others must succeed.
contract EscrowHandler is Escrow {
    struct Book {
        /// What was sent in, and the highest voucher redeemed before the rest was withdrawn, within what had been sent in by then.
        uint256 deposited;
        uint256 earned;
        /// What the provider and the renter got.
        uint256 paid;
        uint256 returned;
        /// From when on the rest may be withdrawn; 0 while the channel is open.
        uint256 closesAt;
        bool withdrawn;
    }

    uint256 public constant LEASES = 3;

    bool public broken;
    mapping(uint256 lease => Book) public bookOf;

    constructor() {
        setUp();
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, NOTICE));
    }

    function setPaused(bool paused) external {
        token.setPaused(paused);
    }

    function ban(uint8 which, bool banned) external {
        token.ban(banned ? termsOf(which % LEASES).provider : address(0));
    }

    function openOrTopUp(uint8 which, uint64 amount) external {
        uint256 lease = which % LEASES;
        LeaseTerms memory terms = termsOf(lease);
        Book storage book = bookOf[lease];
        if (book.closesAt != 0 || token.paused()) return;
        amount = uint64(bound(amount, 1, type(uint64).max));
        if (book.deposited == 0) open(terms, amount);
        else topUp(terms, amount);
        book.deposited += amount;
    }

    /// @dev Vouchers of any height, more than the deposit included, in any order.
    function redeemOne(uint8 which, uint96 cumulative) external {
        uint256 lease = which % LEASES;
        LeaseTerms memory terms = termsOf(lease);
        Book storage book = bookOf[lease];
        if (book.deposited == 0) return;
        cumulative = uint96(bound(cumulative, 0, book.deposited + 10));
        uint256 before = token.balanceOf(terms.provider);
        uint256 paid = redeem(terms, cumulative);
        if (token.balanceOf(terms.provider) != before + paid) broken = true;
        book.paid += paid;
        uint256 within = cumulative < book.deposited ? cumulative : book.deposited;
        if (!book.withdrawn && within > book.earned) book.earned = within;
        bool refused = token.paused() || token.banned() == terms.provider;
        if (refused && paid != 0) broken = true;
        if (!refused && book.paid != book.earned) broken = true;
    }

    function closeOne(uint8 which, uint8 who) external {
        uint256 lease = which % LEASES;
        LeaseTerms memory terms = termsOf(lease);
        Book storage book = bookOf[lease];
        if (book.deposited == 0) return;
        address caller = [terms.renter, terms.signer, terms.provider][who % 3];
        uint256 end = block.timestamp + (who % 3 == 2 ? 0 : NOTICE);
        if (book.closesAt == 0 || end < book.closesAt) book.closesAt = end;
        if (closeBy(caller, terms) != book.closesAt) broken = true;
    }

    function withdrawOne(uint8 which) external {
        uint256 lease = which % LEASES;
        LeaseTerms memory terms = termsOf(lease);
        Book storage book = bookOf[lease];
        if (book.closesAt == 0 || block.timestamp < book.closesAt) return;
        if (token.paused() && held(terms) > book.earned - book.paid) return;
        uint256 before = token.balanceOf(terms.renter);
        uint256 returned = withdraw(terms);
        if (token.balanceOf(terms.renter) != before + returned) broken = true;
        book.returned += returned;
        book.withdrawn = true;
        if (book.returned != book.deposited - book.earned) broken = true;
    }

    function termsOf(uint256 lease) public view returns (LeaseTerms memory terms) {
        terms = leaseTerms(bytes32(lease));
        terms.renter = address(uint160(0x4e00 + lease));
        terms.provider = address(uint160(0x9d00 + lease));
    }

    function standsAt(uint256 lease) external view returns (Channel memory channel, uint256 inVault) {
        LeaseTerms memory terms = termsOf(lease);
        return (escrow.channelOf(idOf(terms)), held(terms));
    }

    function heldByTheContract() external view returns (uint256) {
        return token.balanceOf(address(escrow));
    }
}

contract EscrowInvariantsTest is Invariants {
    EscrowHandler private handler;

    function setUp() public override {
        handler = new EscrowHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](9);
        selectors[0] = EscrowHandler.pass.selector;
        selectors[1] = EscrowHandler.setPaused.selector;
        selectors[2] = EscrowHandler.ban.selector;
        selectors[3] = EscrowHandler.openOrTopUp.selector;
        selectors[4] = EscrowHandler.openOrTopUp.selector;
        selectors[5] = EscrowHandler.redeemOne.selector;
        selectors[6] = EscrowHandler.redeemOne.selector;
        selectors[7] = EscrowHandler.closeOne.selector;
        selectors[8] = EscrowHandler.withdrawOne.selector;
        return (address(handler), selectors);
    }

    /// @dev Never more than the deposit, never less than the highest voucher redeemed in time.
    function invariant_aProviderEarnsTheHighestVoucherWithinTheDeposit() external view {
        yes(!handler.broken(), "each call moves what it says, and pays what is due unless the token refuses");
        for (uint256 lease = 0; lease < handler.LEASES(); ++lease) {
            (uint256 deposited, uint256 earned, uint256 paid, , uint256 closesAt, bool withdrawn) = handler.bookOf(
                lease
            );
            (Channel memory channel, ) = handler.standsAt(lease);
            eq(channel.earned, earned, "earned");
            eq(channel.paid, paid, "paid");
            eq(channel.closesAt, closesAt, "closes at");
            eq(channel.deposit, withdrawn ? channel.earned : deposited, "deposit");
            yes(channel.paid <= channel.earned && channel.earned <= deposited, "within the deposit");
        }
    }

    /// @dev All that came in is the provider's, the renter's, or in the lease's own vault.
    function invariant_nothingIsLostAndNothingIsMadeOfAnothersDeposit() external view {
        for (uint256 lease = 0; lease < handler.LEASES(); ++lease) {
            (uint256 deposited, , uint256 paid, uint256 returned, , ) = handler.bookOf(lease);
            (Channel memory channel, uint256 inVault) = handler.standsAt(lease);
            eq(inVault, deposited - paid - returned, "in the vault");
            yes(inVault >= channel.earned - channel.paid, "what is due is there");
        }
        eq(handler.heldByTheContract(), 0, "nothing lies in the contract");
    }
}
