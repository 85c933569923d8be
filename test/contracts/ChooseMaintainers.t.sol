// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Fixture} from "./support/Fixture.sol";

contract ChooseMaintainersTest is Fixture {
    uint256[] private some;

    function setUp() public override {
        super.setUp();
        some = ascendingKeys(2_000, 4);
    }

    function test_aModelBeginsWithoutMaintainers() public {
        eq(validators.currentMaintainers(modelId), 0, "none in force");
        eq(validators.latestMaintainers(modelId), 0, "none chosen");
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, modelId, 1));
        validators.maintainersOf(modelId, 1);
    }

    function test_onlyTheTimelockChooses() public {
        address[2] memory others = [ORGANISER, vm.addr(keys[0])];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(unauthorised(modelId, others[i]));
            vm.prank(others[i]);
            validators.setMaintainers(modelId, 0, addressesOf(some), 3);
        }
    }

    function test_theFirstAreWhoeverTheHoldersLikeAfterOneFullWindow() public {
        vm.expectEmit(address(validators));
        emit IValidatorSet.MaintainersSet(modelId, 1, addressesOf(some), 3, uint48(START + WINDOW));
        eq(_choose(0, addressesOf(some), 3), 1, "version");
        vm.warp(START + WINDOW - 1);
        eq(validators.currentMaintainers(modelId), 0, "not yet");
        eq(validators.latestMaintainers(modelId), 1, "chosen");
        vm.warp(START + WINDOW);
        eq(validators.currentMaintainers(modelId), 1, "in force");
        (address[] memory members, uint16 threshold, uint48 effectiveAt) = validators.maintainersOf(modelId, 1);
        eq(keccak256(abi.encode(members)), keccak256(abi.encode(addressesOf(some))), "members");
        eq(threshold, 3, "threshold");
        eq(effectiveAt, START + WINDOW, "time");
    }

    function test_aThirdMayChangeAnEpochAndNoMore() public {
        _choose(0, addressesOf(some), 3);
        address[] memory fewer = new address[](3);
        for (uint256 i = 0; i < 3; ++i) fewer[i] = vm.addr(some[i]);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetChangedThisEpoch.selector, modelId, 1));
        _choose(1, fewer, 2);
        vm.warp(START + EPOCH);
        address[] memory two = new address[](2);
        (two[0], two[1]) = (fewer[0], fewer[1]);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetTooManyChanges.selector, 2, 1));
        _choose(1, two, 2);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetReplaced.selector, modelId, 0, 1));
        _choose(0, fewer, 2);
        eq(_choose(1, fewer, 2), 2, "version");
        eq(validators.currentMaintainers(modelId), 1, "the old set serves its window");
    }

    function test_setsAreBounded() public {
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetSize.selector, 0));
        _choose(0, new address[](0), 0);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetThreshold.selector, 2, 4));
        _choose(0, addressesOf(some), 2);
    }

    /// @dev Two roles, two books: neither signs for the other, and neither's change uses up the other's.
    function test_maintainersAndValidatorsAreApart() public {
        _choose(0, addressesOf(some), 3);
        vm.prank(address(timelock));
        eq(validators.setValidators(modelId, 1, addressesOf(keys), 6), 2, "both in one epoch");
        vm.warp(START + WINDOW);
        bytes32 digest = keccak256("digest");
        bytes memory byMaintainers = signedBy(some, digest);
        bytes memory byValidators = signedBy(keys, digest);
        validators.requireMaintainers(modelId, 1, digest, byMaintainers);
        validators.requireQuorum(modelId, 1, digest, byValidators);
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        validators.requireMaintainers(modelId, 1, digest, byValidators);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 4, 5));
        validators.requireQuorum(modelId, 1, digest, byMaintainers);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, modelId, 2));
        validators.requireMaintainers(modelId, 2, digest, byMaintainers);
        bytes memory two = bytes.concat(signature(some[0], digest), signature(some[1], digest));
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 2, 3));
        validators.requireMaintainers(modelId, 1, digest, two);
    }

    function _choose(uint32 replaces, address[] memory members, uint16 threshold) private returns (uint32) {
        vm.prank(address(timelock));
        return validators.setMaintainers(modelId, replaces, members, threshold);
    }
}
