// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IComputeEscrow, LeaseTerms} from "../../contracts/interfaces/IComputeEscrow.sol";
import {ITokenVault} from "../../contracts/interfaces/ITokenVault.sol";
import {Escrow} from "./support/Escrow.sol";

/// @notice Two leases in one token that behaves as tokens may: what it does to one is no matter of the other's, and what a provider has
/// earned stays its own whatever the token refuses meanwhile.
contract HostileEscrowTest is Escrow {
    LeaseTerms private mine;
    LeaseTerms private theirs;

    function setUp() public override {
        super.setUp();
        mine = leaseTerms("mine");
        theirs = leaseTerms("theirs");
        open(theirs, 100);
    }

    // --- tokens that keep a part ----------------------------------------------------------------------------------------

    function test_whatATokenKeepsIsNotDeposited() public {
        token.setFee(100);
        open(mine, 100);
        stands(mine, 99, 0, 0);
        topUp(mine, 200);
        stands(mine, 99 + 198, 0, 0);
        eq(redeem(mine, 1_000), 297, "all that arrived left");
        eq(token.balanceOf(PROVIDER), 295, "less what the token keeps again");
        closeBy(PROVIDER, mine);
        eq(withdraw(mine), 0, "nothing is left");
    }

    function test_whatATokenKeepsOfTheRestTheRenterBears() public {
        open(mine, 10_000);
        redeem(mine, 4_000);
        token.setFee(100);
        closeBy(PROVIDER, mine);
        eq(withdraw(mine), 6_000, "left the vault");
        eq(token.balanceOf(RENTER), 5_940, "arrived");
        eq(token.balanceOf(PROVIDER), 4_000, "as before");
    }

    function test_aTokenThatKeepsAllOpensNothing() public {
        token.setFee(10_000);
        ready(RENTER, 10);
        bytes memory nothing = abi.encodeWithSelector(IComputeEscrow.ComputeEscrowNothingArrived.selector, idOf(mine));
        vm.expectRevert(nothing);
        vm.prank(RENTER);
        escrow.open(mine, 10);
        token.setFee(0);
        vm.expectRevert(nothing);
        vm.prank(RENTER);
        escrow.open(mine, 0);
        open(mine, 1);
        vm.expectRevert(nothing);
        vm.prank(RENTER);
        escrow.topUp(mine, 0);
    }

    // --- tokens that answer false, or refuse ----------------------------------------------------------------------------

    function test_aTokenThatAnswersFalseDepositsNothing() public {
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token));
        ready(RENTER, 20);
        token.setLies(true);
        vm.expectRevert(failed);
        vm.prank(RENTER);
        escrow.open(mine, 10);
        vm.expectRevert(failed);
        vm.prank(RENTER);
        escrow.topUp(theirs, 10);
        stands(theirs, 100, 0, 0);
    }

    function test_aTokenThatAnswersFalseTakesNoClaimAway() public {
        open(mine, 100);
        token.setLies(true);
        _unpaid();
        token.setLies(false);
        _paidLater();
    }

    function test_aPausedTokenTakesNoClaimAway() public {
        open(mine, 100);
        token.setPaused(true);
        _unpaid();
        token.setPaused(false);
        _paidLater();
    }

    function test_aBannedProviderKeepsItsClaim() public {
        open(mine, 100);
        token.ban(PROVIDER);
        _unpaid();
        vm.warp(closeBy(RENTER, mine));
        eq(withdraw(mine), 40, "the rest alone");
        eq(held(mine), 60, "what is due stays");
        stands(mine, 60, 60, 0);
        eq(withdraw(mine), 0, "for the provider");
        token.ban(address(0));
        eq(redeem(mine, 60), 60, "paid by the same voucher");
        eq(token.balanceOf(PROVIDER), 60, "all of it");
    }

    function test_aRenterThatIsBannedHoldsUpNoProvider() public {
        open(mine, 100);
        vm.warp(closeBy(RENTER, mine));
        token.ban(RENTER);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "refused"));
        withdraw(mine);
        eq(redeem(mine, 60), 60, "paid");
        token.ban(address(0));
        eq(withdraw(mine), 40, "the rest, later");
    }

    function test_aBannedVaultIsOneLeasesAlone() public {
        open(mine, 100);
        token.ban(vaultOf(mine));
        _unpaid();
        eq(redeem(theirs, 30), 30, "the other's goes its way");
        token.ban(address(0));
        _paidLater();
    }

    // --- tokens that shrink, grow or take ---------------------------------------------------------------------------------

    function test_whatATokenTakesStaysDue() public {
        open(mine, 100);
        token.take(vaultOf(mine), 70);
        eq(redeem(mine, 60), 30, "what is there");
        stands(mine, 100, 60, 30);
        eq(redeem(mine, 60), 0, "nothing is there");
        eq(held(theirs), 100, "the other's is whole");
        token.mint(vaultOf(mine), 50);
        closeBy(PROVIDER, mine);
        eq(withdraw(mine), 20, "what the provider is not due");
        eq(redeem(mine, 60), 30, "once it is there again");
        eq(token.balanceOf(PROVIDER), 60, "all of it");
    }

    function test_theRenterGetsNothingBeforeTheProvider() public {
        open(mine, 100);
        token.setPaused(true);
        redeem(mine, 60);
        token.setPaused(false);
        token.take(vaultOf(mine), 50);
        closeBy(PROVIDER, mine);
        eq(withdraw(mine), 0, "all that is left is due");
        eq(redeem(mine, 60), 50, "to the provider");
    }

    function test_aTokenThatShrinksOrGrowsPaysNoMoreThanTheDeposit() public {
        open(mine, 100);
        token.setScale(5_000);
        eq(redeem(mine, 100), 50, "half is there");
        token.setScale(30_000);
        token.mint(vaultOf(mine), 100);
        eq(redeem(mine, 1_000), 50, "the other half");
        stands(mine, 100, 100, 100);
        closeBy(PROVIDER, mine);
        eq(withdraw(mine), 252, "what grew is the renter's");
        eq(token.balanceOf(RENTER), 252, "all of it");
    }

    // --- calls from within ----------------------------------------------------------------------------------------------

    /// @dev A deposit within a deposit would count twice by what arrived; no entry that calls the token may be come to from within it.
    function test_noCallFromWithinACallIsTaken() public {
        token.mint(address(token), 100);
        token.allow(address(token), address(escrow));
        LeaseTerms memory own = leaseTerms("own");
        own.renter = address(token);
        LeaseTerms memory lease = mine;
        bytes[4] memory within = [
            abi.encodeCall(escrow.open, (own, 10)),
            abi.encodeCall(escrow.topUp, (lease, 10)),
            abi.encodeCall(escrow.redeem, (lease, 50, THROUGH, sign(SIGNER_KEY, idOf(lease), 50))),
            abi.encodeCall(escrow.withdraw, (lease))
        ];
        for (uint256 i = 0; i < 4; ++i) {
            uint256 state = vm.snapshotState();
            token.hook(address(escrow), within[i]);
            open(mine, 100);
            _wasRefused();
            topUp(mine, 20);
            _wasRefused();
            redeem(mine, 30);
            _wasRefused();
            closeBy(PROVIDER, mine);
            withdraw(mine);
            _wasRefused();
            stands(mine, 30, 30, 30);
            eq(token.balanceOf(PROVIDER), 30, "paid once");
            eq(token.balanceOf(RENTER), 90, "and so is the rest");
            vm.revertToState(state);
        }
    }

    function test_aVaultPaysForTheEscrowAlone() public {
        address[2] memory vaults = [vaultOf(theirs), escrow.vaultImplementation()];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITokenVault.TokenVaultOnlyKeeper.selector, RENTER));
            vm.prank(RENTER);
            ITokenVault(vaults[i]).pay(IERC20(address(token)), RENTER, 1);
        }
    }

    /// @dev Whatever gas it is sent with, a call that succeeds has paid: so has one with the least that an estimate finds.
    function test_noGasIsTooLittleToPayAndEnoughToSucceed() public {
        open(mine, 100);
        bytes memory signature = sign(SIGNER_KEY, idOf(mine), 60);
        bool wasLow;
        for (uint256 gas = 40_000; gas <= 400_000; gas += 5_000) {
            try escrow.redeem{gas: gas}(mine, 60, THROUGH, signature) returns (uint256 paid) {
                eq(paid, 60, "paid");
                yes(wasLow, "some were refused before");
                return;
            } catch (bytes memory reason) {
                if (bytes4(reason) == IComputeEscrow.ComputeEscrowLowGas.selector) wasLow = true;
            }
        }
        revert("nothing was enough");
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    /// @dev A voucher of 60 is recorded, and its pay is refused.
    function _unpaid() private {
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.VoucherRedeemed(idOf(mine), 60, THROUGH, 60);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ProviderUnpaid(idOf(mine), PROVIDER, 60);
        eq(redeem(mine, 60), 0, "nothing is paid");
        stands(mine, 100, 60, 0);
    }

    /// @dev By a lower voucher, even.
    function _paidLater() private {
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.ProviderPaid(idOf(mine), PROVIDER, 60);
        eq(redeem(mine, 10), 60, "what is due");
        stands(mine, 100, 60, 60);
    }

    function _wasRefused() private view {
        eq(
            keccak256(token.refusal()),
            keccak256(abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)),
            "refused"
        );
    }
}
