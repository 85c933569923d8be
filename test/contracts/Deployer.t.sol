// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {DeterministicDeployer} from "../../contracts/deployment/DeterministicDeployer.sol";
import {Assertions} from "./support/Assertions.sol";

contract DeployerTest is Assertions {
    bytes private constant ONE_BYTE = hex"600160005360016000f3";
    DeterministicDeployer private deployer;

    function setUp() public {
        deployer = new DeterministicDeployer();
        vm.roll(77);
    }

    function test_theAddressIsKnownBeforeAndDoesNotDependOnTheCode() public {
        address expected = deployer.addressOf(address(this), "salt");
        eq(deployer.deploy("salt", ONE_BYTE), expected, "address");
        eq(expected.code.length, 1, "code");
        eq(deployer.blockOf(expected), 77, "block");
        eq(deployer.blockOf(address(1)), 0, "nothing else");
    }

    function test_nobodyTakesAnothersAddress() public {
        address mine = deployer.addressOf(address(this), "salt");
        vm.prank(address(0xbad));
        address theirs = deployer.deploy("salt", ONE_BYTE);
        yes(mine != theirs, "bound to the caller");
        eq(theirs, deployer.addressOf(address(0xbad), "salt"), "theirs");
        eq(mine.code.length, 0, "mine is free");
    }

    function test_aSaltServesOnce() public {
        deployer.deploy("salt", ONE_BYTE);
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedDeployment.selector));
        deployer.deploy("salt", hex"600260005360016000f3");
    }
}
