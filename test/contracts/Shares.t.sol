// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20PermitUpgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IModelShares} from "../../contracts/interfaces/IModelShares.sol";
import {Fixture} from "./support/Fixture.sol";

contract SharesTest is Fixture {
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    function _mint(address to, uint256 amount) private {
        vm.prank(address(emission));
        shares.mint(to, amount);
    }

    function test_onlyEmissionMints() public {
        address[4] memory others = [address(this), address(timelock), address(registry), address(rewards)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IModelShares.ModelSharesOnlyEmission.selector, others[i]));
            vm.prank(others[i]);
            shares.mint(ALICE, 1);
        }
        _mint(ALICE, 5);
        eq(shares.balanceOf(ALICE), 5, "balance");
    }

    function test_votesCountByTime() public view {
        eq(shares.clock(), START, "clock");
        eq(shares.CLOCK_MODE(), "mode=timestamp", "mode");
        eq(governor.clock(), START, "governor's clock");
    }

    function test_transfersWithinASecondDoNotDoubleVotes() public {
        _mint(ALICE, 100);
        vm.prank(ALICE);
        shares.delegate(ALICE);
        vm.prank(BOB);
        shares.delegate(BOB);
        vm.warp(START + 10);
        vm.prank(ALICE);
        shares.transfer(BOB, 100);
        vm.warp(START + 11);
        eq(shares.getPastVotes(ALICE, START + 10), 0, "gone");
        eq(shares.getPastVotes(BOB, START + 10), 100, "come");
        eq(shares.getPastVotes(ALICE, START + 9), 100, "the past stays");
        eq(shares.getPastVotes(BOB, START + 9), 0, "and stays nothing");
    }

    function test_permitsAllowByASignatureOnce() public {
        uint256 key = 0xa11ce;
        address owner = vm.addr(key);
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                BOB,
                uint256(7),
                shares.nonces(owner),
                block.timestamp
            )
        );
        bytes32 digest = MessageHashUtils.toTypedDataHash(shares.DOMAIN_SEPARATOR(), permit);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        shares.permit(owner, BOB, 7, block.timestamp, v, r, s);
        eq(shares.allowance(owner, BOB), 7, "allowance");
        vm.expectPartialRevert(ERC20PermitUpgradeable.ERC2612InvalidSigner.selector);
        shares.permit(owner, BOB, 7, block.timestamp, v, r, s);
    }

    function test_theTimelockAloneSetsTheUri() public {
        vm.expectRevert(abi.encodeWithSelector(IModelShares.ModelSharesOnlyTimelock.selector, ORGANISER));
        vm.prank(ORGANISER);
        shares.setContractURI("ipfs://evil");
        vm.prank(address(timelock));
        shares.setContractURI("ipfs://new");
        eq(shares.contractURI(), "ipfs://new", "uri");
    }

    function testFuzz_delegatedVotesNeverExceedTheSupply(uint8[24] calldata moves) public {
        address[4] memory people = [ALICE, BOB, address(0xca401), address(0xdade)];
        for (uint256 i = 0; i < 4; ++i) _mint(people[i], 100 * (i + 1));
        for (uint256 i = 0; i < moves.length; ++i) {
            address from = people[moves[i] % 4];
            address to = people[(moves[i] / 4) % 4];
            uint256 third = shares.balanceOf(from) / 3;
            vm.prank(from);
            if (moves[i] >= 128) shares.delegate(to);
            else shares.transfer(to, third);
        }
        uint256 votes = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 given = 0;
            for (uint256 j = 0; j < 4; ++j) {
                if (shares.delegates(people[j]) == people[i]) given += shares.balanceOf(people[j]);
            }
            eq(shares.getVotes(people[i]), given, "what those hold who chose this one");
            votes += given;
        }
        yes(votes <= shares.totalSupply(), "votes");
    }
}
