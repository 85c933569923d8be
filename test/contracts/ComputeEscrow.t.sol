// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Channel, IComputeEscrow, LeaseTerms} from "../../contracts/interfaces/IComputeEscrow.sol";
import {ITokenVault} from "../../contracts/interfaces/ITokenVault.sol";
import {LeaseId} from "../../contracts/interfaces/Ids.sol";
import {ComputeEscrow} from "../../contracts/market/ComputeEscrow.sol";
import {Escrow} from "./support/Escrow.sol";

/// @notice A renter pays a provider for a machine from a deposit, by vouchers.
contract ComputeEscrowTest is Escrow {
    LeaseTerms private terms;
    LeaseId private leaseId;

    function setUp() public override {
        super.setUp();
        terms = leaseTerms("lease");
        leaseId = idOf(terms);
    }

    // --- opening --------------------------------------------------------------------------------------------------------

    function test_aRenterOpensAChannel() public {
        eq(LeaseId.unwrap(escrow.leaseIdOf(terms)), LeaseId.unwrap(leaseId), "known before");
        address vault = escrow.vaultOf(leaseId);
        eq(vault.code.length, 0, "nothing there yet");
        ready(RENTER, 100e6);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ChannelOpened(leaseId, RENTER, PROVIDER, vault, terms);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ChannelFunded(leaseId, RENTER, 100e6, 100e6);
        vm.prank(RENTER);
        eq(LeaseId.unwrap(escrow.open(terms, 100e6)), LeaseId.unwrap(leaseId), "id");
        stands(terms, 100e6, 0, 0);
        Channel memory channel = escrow.channelOf(leaseId);
        eq(channel.openedAt, START, "opened");
        eq(channel.closesAt, 0, "open");
        eq(token.balanceOf(vault), 100e6, "in a vault of its own");
        eq(ITokenVault(vault).keeper(), address(escrow), "which obeys the contract");
        eq(ITokenVault(escrow.vaultImplementation()).keeper(), address(escrow), "and so does what it runs");
    }

    function test_onlyTheRenterOpensIt() public {
        ready(STRANGER, 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeEscrow.ComputeEscrowNotRenter.selector, STRANGER, RENTER));
        vm.prank(STRANGER);
        escrow.open(terms, 1);
    }

    function test_termsHaveBounds() public {
        address key = signer();
        terms.provider = address(0);
        _refusedTerms(abi.encodeWithSelector(IComputeEscrow.ComputeEscrowBadParties.selector, address(0), key));
        terms = leaseTerms("lease");
        terms.signer = address(0);
        _refusedTerms(abi.encodeWithSelector(IComputeEscrow.ComputeEscrowBadParties.selector, PROVIDER, address(0)));
        terms = leaseTerms("lease");
        terms.token = STRANGER;
        _refusedTerms(abi.encodeWithSelector(IComputeEscrow.ComputeEscrowBadToken.selector, STRANGER));
        terms = leaseTerms("lease");
        terms.notice = 0;
        _refusedTerms(_badNotice(0));
        terms.notice = 30 days + 1;
        _refusedTerms(_badNotice(30 days + 1));
        terms.notice = 30 days;
        open(terms, 1);
        terms.notice = 1;
        open(terms, 1);
    }

    function test_aLeaseHasOneChannelEver() public {
        open(terms, 1);
        bytes memory before = abi.encodeWithSelector(IComputeEscrow.ComputeEscrowOpenedBefore.selector, leaseId);
        _refusedTerms(before);
        closeBy(PROVIDER, terms);
        withdraw(terms);
        _refusedTerms(before);
    }

    /// @dev Each term is of the id, and so are chain and contract.
    function test_anIdCommitsToAllThatTheLeaseIsAbout() public {
        LeaseTerms[7] memory others;
        for (uint256 i = 0; i < 7; ++i) others[i] = leaseTerms("lease");
        others[0].renter = STRANGER;
        others[1].provider = STRANGER;
        others[2].machine = STRANGER;
        others[3].signer = STRANGER;
        others[4].token = STRANGER;
        others[5].notice = NOTICE + 1;
        others[6].salt = "another";
        for (uint256 i = 0; i < 7; ++i) _other(escrow.leaseIdOf(others[i]));
        _other(new ComputeEscrow().leaseIdOf(terms));
        vm.chainId(1);
        _other(escrow.leaseIdOf(terms));
    }

    function test_whoeverLikesTopsItUp() public {
        open(terms, 100);
        ready(STRANGER, 20);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ChannelFunded(leaseId, STRANGER, 20, 120);
        vm.prank(STRANGER);
        escrow.topUp(terms, 20);
        topUp(terms, 3);
        stands(terms, 123, 0, 0);
        eq(held(terms), 123, "held");
        eq(token.balanceOf(RENTER) + token.balanceOf(STRANGER), 0, "taken from who sent it");
    }

    function test_aChannelThatClosesTakesNothingIn() public {
        open(terms, 100);
        closeBy(RENTER, terms);
        ready(RENTER, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeEscrow.ComputeEscrowCloses.selector, leaseId, uint48(START + NOTICE))
        );
        vm.prank(RENTER);
        escrow.topUp(terms, 1);
    }

    function test_aDepositIsAsLargeAsItsRecord() public {
        uint256 most = type(uint128).max;
        open(terms, most);
        ready(RENTER, 1);
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, uint8(128), most + 1));
        vm.prank(RENTER);
        escrow.topUp(terms, 1);
        eq(redeem(terms, type(uint128).max), most, "and all of it can be earned");
    }

    function test_unknownChannelsAreRefused() public {
        bytes memory signature = sign(SIGNER_KEY, leaseId, 1);
        bytes memory unknown = abi.encodeWithSelector(IComputeEscrow.ComputeEscrowUnknown.selector, leaseId);
        ready(RENTER, 1);
        vm.startPrank(RENTER);
        vm.expectRevert(unknown);
        escrow.topUp(terms, 1);
        vm.expectRevert(unknown);
        escrow.redeem(terms, 1, THROUGH, signature);
        vm.expectRevert(unknown);
        escrow.close(terms);
        vm.expectRevert(unknown);
        escrow.withdraw(terms);
        vm.stopPrank();
        eq(escrow.channelOf(leaseId).openedAt, 0, "none");
    }

    // --- vouchers -------------------------------------------------------------------------------------------------------

    function test_anybodyRedeemsForTheProvider() public {
        open(terms, 100);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.VoucherRedeemed(leaseId, 30, THROUGH, 30);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ProviderPaid(leaseId, PROVIDER, 30);
        eq(redeem(terms, 30), 30, "paid");
        eq(token.balanceOf(PROVIDER), 30, "to the provider");
        stands(terms, 100, 30, 30);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ProviderPaid(leaseId, PROVIDER, 12);
        eq(redeem(terms, 42), 12, "the difference");
        eq(token.balanceOf(PROVIDER), 42, "in all");
        stands(terms, 100, 42, 42);
    }

    function test_aLowerVoucherTakesNothingBack() public {
        open(terms, 100);
        redeem(terms, 42);
        vm.recordLogs();
        eq(redeem(terms, 42), 0, "the same");
        eq(redeem(terms, 41), 0, "a lower one");
        eq(redeem(terms, 0), 0, "none");
        eq(vm.getRecordedLogs().length, 0, "in silence");
        eq(token.balanceOf(PROVIDER), 42, "paid once");
        stands(terms, 100, 42, 42);
    }

    function test_noMoreThanTheDepositIsEverPaid() public {
        open(terms, 100);
        token.mint(vaultOf(terms), 50);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.VoucherRedeemed(leaseId, 130, THROUGH, 100);
        eq(redeem(terms, 130), 100, "the deposit");
        eq(redeem(terms, 130), 0, "and no more");
        topUp(terms, 50);
        eq(redeem(terms, 130), 30, "until more is deposited");
        stands(terms, 150, 130, 130);
    }

    function test_onlyTheSignersVouchersCount() public {
        open(terms, 100);
        uint256 key = 0xbad;
        bytes memory forged = sign(key, leaseId, 50);
        vm.expectRevert(_badSigner(vm.addr(key)));
        escrow.redeem(terms, 50, THROUGH, forged);
        LeaseTerms memory other = leaseTerms("other");
        open(other, 100);
        _refusedVoucher(50, sign(SIGNER_KEY, idOf(other), 50));
        _refusedVoucher(51, sign(SIGNER_KEY, leaseId, 50));
        _refusedVoucher(50, signFor(SIGNER_KEY, block.chainid + 1, address(escrow), leaseId, 50));
        _refusedVoucher(50, signFor(SIGNER_KEY, block.chainid, address(token), leaseId, 50));
        bytes memory good = sign(SIGNER_KEY, leaseId, 50);
        vm.expectPartialRevert(IComputeEscrow.ComputeEscrowBadSigner.selector);
        escrow.redeem(terms, 50, THROUGH + 1, good);
        stands(terms, 100, 0, 0);
    }

    function test_malformedSignaturesAreRefused() public {
        open(terms, 100);
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 0));
        escrow.redeem(terms, 50, THROUGH, "");
        bytes memory high = _otherForm(sign(SIGNER_KEY, leaseId, 50));
        vm.expectPartialRevert(ECDSA.ECDSAInvalidSignatureS.selector);
        escrow.redeem(terms, 50, THROUGH, high);
    }

    /// @dev A contract at the signer's address is not asked: it could disown what its key has signed.
    function test_aSignerThatGainsCodeOwesWhatItSigned() public {
        open(terms, 100);
        vm.etch(signer(), hex"60006000fd");
        eq(redeem(terms, 50), 50, "paid");
        terms = leaseTerms("contract");
        terms.signer = address(new Agreeable());
        open(terms, 100);
        bytes memory signature = sign(SIGNER_KEY, idOf(terms), 50);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeEscrow.ComputeEscrowBadSigner.selector, idOf(terms), signer(), terms.signer)
        );
        escrow.redeem(terms, 50, THROUGH, signature);
    }

    function test_anotherLeasesDepositIsNotTouched() public {
        LeaseTerms memory other = leaseTerms("other");
        open(terms, 100);
        open(other, 70);
        redeem(terms, 1_000);
        eq(held(other), 70, "held");
        stands(other, 70, 0, 0);
        closeBy(PROVIDER, terms);
        eq(withdraw(terms), 0, "nothing of it is left over");
        eq(held(other), 70, "still held");
    }

    // --- closing --------------------------------------------------------------------------------------------------------

    function test_renterAndSignerCloseWithNotice() public {
        address[2] memory callers = [RENTER, signer()];
        for (uint256 i = 0; i < 2; ++i) {
            terms.salt = bytes32(i);
            open(terms, 100);
            uint48 end = uint48(START + NOTICE);
            vm.expectEmit(address(escrow));
            emit IComputeEscrow.ChannelClosing(idOf(terms), callers[i], end);
            eq(closeBy(callers[i], terms), end, "after the notice");
            eq(escrow.channelOf(idOf(terms)).closesAt, end, "recorded");
        }
    }

    function test_nobodyElseClosesIt() public {
        open(terms, 100);
        address[3] memory others = [STRANGER, MACHINE, address(token)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IComputeEscrow.ComputeEscrowMayNotClose.selector, leaseId, others[i])
            );
            closeBy(others[i], terms);
        }
    }

    /// @dev Sent again, it neither fails nor begins the notice anew.
    function test_closingAgainChangesNothing() public {
        open(terms, 100);
        uint48 end = closeBy(RENTER, terms);
        vm.recordLogs();
        eq(closeBy(RENTER, terms), end, "at once");
        vm.warp(START + 100);
        eq(closeBy(signer(), terms), end, "later");
        vm.warp(uint256(end) + 1);
        eq(closeBy(PROVIDER, terms), end, "nor does the provider move it to later");
        eq(vm.getRecordedLogs().length, 0, "in silence");
        eq(escrow.channelOf(leaseId).closesAt, end, "as it was");
    }

    function test_theProviderLetsTheRenterGoAtOnce() public {
        open(terms, 100);
        closeBy(RENTER, terms);
        vm.warp(START + 7);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ChannelClosing(leaseId, PROVIDER, uint48(START + 7));
        eq(closeBy(PROVIDER, terms), START + 7, "without the rest of the notice");
        eq(withdraw(terms), 100, "back");
    }

    function test_theRestIsTheRentersAfterTheNotice() public {
        open(terms, 100);
        redeem(terms, 30);
        vm.expectRevert(abi.encodeWithSelector(IComputeEscrow.ComputeEscrowOpen.selector, leaseId));
        withdraw(terms);
        uint48 end = closeBy(RENTER, terms);
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeEscrow.ComputeEscrowNoticeRuns.selector, leaseId, end));
        withdraw(terms);
        eq(redeem(terms, 45), 15, "redeemed in time");
        vm.warp(end);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.RestWithdrawn(leaseId, RENTER, 55);
        eq(withdraw(terms), 55, "the rest");
        eq(token.balanceOf(RENTER), 55, "to the renter");
        eq(token.balanceOf(PROVIDER), 45, "and the provider has its own");
        eq(held(terms), 0, "nothing stays");
        stands(terms, 45, 45, 45);
    }

    function test_aVoucherServesUntilTheRestIsWithdrawn() public {
        open(terms, 100);
        vm.warp(uint256(closeBy(RENTER, terms)) + 1 days);
        eq(redeem(terms, 60), 60, "late, and the money is there");
        eq(withdraw(terms), 40, "the rest");
        token.mint(vaultOf(terms), 25);
        vm.recordLogs();
        eq(redeem(terms, 90), 0, "too late");
        eq(vm.getRecordedLogs().length, 0, "in silence");
        stands(terms, 60, 60, 60);
    }

    function test_whatReachesTheVaultLaterIsTheRenters() public {
        open(terms, 100);
        closeBy(PROVIDER, terms);
        eq(withdraw(terms), 100, "the rest");
        vm.recordLogs();
        eq(withdraw(terms), 0, "nothing more");
        eq(vm.getRecordedLogs().length, 0, "in silence");
        token.mint(vaultOf(terms), 5);
        eq(withdraw(terms), 5, "sent by mistake");
        eq(token.balanceOf(RENTER), 105, "to the renter");
    }

    /// @dev Whatever is deposited and signed: the provider gets the highest voucher within the deposit, the renter the rest.
    function testFuzz_whatIsDepositedIsShared(uint128 deposit, uint128 first, uint128 second, uint16 wait) public {
        deposit = uint128(bound(deposit, 1, type(uint128).max));
        open(terms, deposit);
        redeem(terms, first);
        uint48 end = closeBy(RENTER, terms);
        vm.warp(START + bound(wait, 0, NOTICE));
        redeem(terms, second);
        uint128 most = first > second ? first : second;
        if (most > deposit) most = deposit;
        vm.warp(end);
        eq(withdraw(terms), deposit - most, "the rest");
        eq(token.balanceOf(PROVIDER), most, "the highest voucher");
        eq(token.balanceOf(RENTER), deposit - most, "back");
    }

    /// @dev A voucher of any other lease, chain, contract, amount or key pays nothing.
    function testFuzz_noOtherVoucherPays(
        bytes32 salt,
        uint64 chain,
        address contract_,
        uint128 said,
        uint256 key
    ) public {
        key = bound(key, 1, type(uint128).max);
        open(terms, 100);
        LeaseId named = idOf(leaseTerms(salt));
        bool same =
            LeaseId.unwrap(named) == LeaseId.unwrap(leaseId) &&
                chain == block.chainid &&
                contract_ == address(escrow) &&
                said == 50 &&
                key == SIGNER_KEY;
        vm.assume(!same);
        bytes memory signature = signFor(key, chain, contract_, named, said);
        vm.expectPartialRevert(IComputeEscrow.ComputeEscrowBadSigner.selector);
        escrow.redeem(terms, 50, THROUGH, signature);
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    function _refusedTerms(bytes memory reason) private {
        ready(RENTER, 1);
        vm.expectRevert(reason);
        vm.prank(RENTER);
        escrow.open(terms, 1);
    }

    function _refusedVoucher(uint128 cumulative, bytes memory signature) private {
        vm.expectPartialRevert(IComputeEscrow.ComputeEscrowBadSigner.selector);
        escrow.redeem(terms, cumulative, THROUGH, signature);
    }

    function _badSigner(address signed) private view returns (bytes memory) {
        return abi.encodeWithSelector(IComputeEscrow.ComputeEscrowBadSigner.selector, leaseId, signed, signer());
    }

    function _badNotice(uint256 notice) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IComputeEscrow.ComputeEscrowBadNotice.selector, notice, 1, 30 days);
    }

    function _other(LeaseId id) private view {
        yes(LeaseId.unwrap(id) != LeaseId.unwrap(leaseId), "another lease");
    }

    /// @dev The same signature with s in the upper half of the curve's order.
    function _otherForm(bytes memory signature) private pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = (bytes32(0), bytes32(0), 0);
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        return abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27));
    }
}

/// @notice Says of everything that it has signed it.
contract Agreeable {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}
