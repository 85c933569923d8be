// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Channel, LeaseTerms} from "../../../contracts/interfaces/IComputeEscrow.sol";
import {LeaseId} from "../../../contracts/interfaces/Ids.sol";
import {ComputeEscrow} from "../../../contracts/market/ComputeEscrow.sol";
import {Assertions} from "./Assertions.sol";
import {HostileToken} from "./Tokens.sol";

/// @notice A renter, a provider and a signer with one token between them. Ids and digests are made here anew, not asked for.
abstract contract Escrow is Assertions {
    uint256 internal constant START = 1_800_000_000;
    address internal constant RENTER = address(0x4e);
    address internal constant PROVIDER = address(0x9d);
    address internal constant MACHINE = address(0x3a);
    address internal constant STRANGER = address(0x57);
    uint256 internal constant SIGNER_KEY = 0x516e;
    uint32 internal constant NOTICE = 600;
    uint64 internal constant THROUGH = 1_800_000_300;

    ComputeEscrow internal escrow;
    HostileToken internal token;

    function setUp() public virtual {
        vm.warp(START);
        escrow = new ComputeEscrow();
        token = new HostileToken();
    }

    function signer() internal pure returns (address) {
        return vm.addr(SIGNER_KEY);
    }

    function leaseTerms(bytes32 salt) internal view returns (LeaseTerms memory) {
        return LeaseTerms(RENTER, PROVIDER, MACHINE, signer(), address(token), NOTICE, salt);
    }

    function idOf(LeaseTerms memory terms) internal view returns (LeaseId) {
        return LeaseId.wrap(keccak256(abi.encode(block.chainid, address(escrow), terms)));
    }

    /// @dev With a balance and an allowance that suffice.
    function ready(address payer, uint256 amount) internal {
        token.mint(payer, amount);
        token.allow(payer, address(escrow));
    }

    function open(LeaseTerms memory terms, uint256 amount) internal returns (LeaseId) {
        ready(terms.renter, amount);
        vm.prank(terms.renter);
        return escrow.open(terms, amount);
    }

    function topUp(LeaseTerms memory terms, uint256 amount) internal {
        ready(terms.renter, amount);
        vm.prank(terms.renter);
        escrow.topUp(terms, amount);
    }

    /// @dev By a stranger.
    function redeem(LeaseTerms memory terms, uint128 cumulative) internal returns (uint256) {
        bytes memory signature = sign(SIGNER_KEY, idOf(terms), cumulative);
        vm.prank(STRANGER);
        return escrow.redeem(terms, cumulative, THROUGH, signature);
    }

    function closeBy(address caller, LeaseTerms memory terms) internal returns (uint48) {
        vm.prank(caller);
        return escrow.close(terms);
    }

    /// @dev By a stranger.
    function withdraw(LeaseTerms memory terms) internal returns (uint256) {
        vm.prank(STRANGER);
        return escrow.withdraw(terms);
    }

    function sign(uint256 key, LeaseId leaseId, uint128 cumulative) internal view returns (bytes memory) {
        return signFor(key, block.chainid, address(escrow), leaseId, cumulative);
    }

    function signFor(
        uint256 key,
        uint256 chainId,
        address contract_,
        LeaseId leaseId,
        uint128 cumulative
    ) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, voucherDigest(chainId, contract_, leaseId, cumulative));
        return abi.encodePacked(r, s, v);
    }

    function voucherDigest(
        uint256 chainId,
        address contract_,
        LeaseId leaseId,
        uint128 cumulative
    ) internal pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Cotrain"),
                keccak256("1"),
                chainId,
                contract_
            )
        );
        bytes32 voucher = keccak256(
            abi.encode(
                keccak256("Voucher(bytes32 leaseId,uint128 cumulative,uint64 through)"),
                leaseId,
                cumulative,
                THROUGH
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, voucher));
    }

    function vaultOf(LeaseTerms memory terms) internal view returns (address) {
        return escrow.vaultOf(idOf(terms));
    }

    /// @dev What lies in the vault, as the token says.
    function held(LeaseTerms memory terms) internal view returns (uint256) {
        return token.balanceOf(vaultOf(terms));
    }

    function stands(LeaseTerms memory terms, uint256 deposit, uint256 earned, uint256 paid) internal view {
        Channel memory channel = escrow.channelOf(idOf(terms));
        eq(channel.deposit, deposit, "deposit");
        eq(channel.earned, earned, "earned");
        eq(channel.paid, paid, "paid");
    }
}
