// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {ModelTimelock} from "../../contracts/governance/ModelTimelock.sol";
import {Fixture} from "./support/Fixture.sol";

contract ChooseValidatorsTest is Fixture {
    /// @dev Number of the newest set.
    uint32 private latest = 1;

    function test_onlyTheTimelockChooses() public {
        address[] memory members = addressesOf(keys);
        vm.expectRevert(unauthorised(modelId, ORGANISER));
        vm.prank(ORGANISER);
        validators.setValidators(modelId, latest, members, 5);
        vm.expectRevert(unauthorised(modelId, members[0]));
        vm.prank(members[0]);
        validators.setValidators(modelId, latest, members, 5);
    }

    function test_aSetCountsAfterOneFullWindow() public {
        eq(_choose(_exchanged(2), 5), 2, "version");
        eq(validators.currentVersion(modelId), 1, "not yet");
        vm.warp(START + WINDOW - 1);
        eq(validators.currentVersion(modelId), 1, "not yet");
        vm.warp(START + WINDOW);
        eq(validators.currentVersion(modelId), 2, "in force");
        (address[] memory members, uint16 threshold, uint48 effectiveAt) = validators.setOf(modelId, 2);
        eq(keccak256(abi.encode(members)), keccak256(abi.encode(_exchanged(2))), "members");
        eq(threshold, 5, "threshold");
        eq(effectiveAt, START + WINDOW, "time");
    }

    function test_aThirdMayChangeAndNoMore() public {
        _refuseChanges(_exchanged(3), 5, 3, 2);
        _choose(_exchanged(2), 5);
    }

    function test_aThirdMayComeAndNoMore() public {
        address[] memory more = _joined(3);
        _refuseChanges(more, 7, 3, 2);
        _choose(_joined(2), 6);
    }

    function test_aThirdMayGoAndNoMore() public {
        address[] memory fewer = new address[](4);
        for (uint256 i = 0; i < 4; ++i) fewer[i] = vm.addr(keys[i + 1]);
        _refuseChanges(fewer, 3, 3, 2);
        fewer = new address[](5);
        for (uint256 i = 0; i < 5; ++i) fewer[i] = vm.addr(keys[i]);
        _choose(fewer, 4);
    }

    function test_aSetChangesOncePerEpoch() public {
        _choose(_exchanged(1), 5);
        vm.warp(START + EPOCH - 1);
        address[] memory next = _exchanged(2);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetChangedThisEpoch.selector, modelId, 1));
        vm.prank(address(timelock));
        validators.setValidators(modelId, latest, next, 5);
        vm.warp(START + EPOCH);
        eq(_choose(next, 5), 3, "version");
    }

    /// @dev A16. Two decisions on one set, each of them fit: the second would undo the first unseen.
    function test_ofTwoDecisionsOnOneSetTheFirstHolds() public {
        _choose(_exchanged(1), 5);
        vm.warp(START + EPOCH);
        address[] memory other = _exchanged(2);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetReplaced.selector, modelId, 1, 2));
        vm.prank(address(timelock));
        validators.setValidators(modelId, 1, other, 5);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetReplaced.selector, modelId, 3, 2));
        vm.prank(address(timelock));
        validators.setValidators(modelId, 3, other, 5);
        (address[] memory members, , ) = validators.setOf(modelId, 2);
        eq(keccak256(abi.encode(members)), keccak256(abi.encode(_exchanged(1))), "the first's");
        eq(_choose(other, 5), 3, "one that names it");
    }

    /// @dev Changes that wait for their window count as made: the set after them is what the next one is held against.
    function test_waitingChangesAreNotForgotten() public {
        ModelConfig memory config = modelConfig();
        config.window = 100;
        modelId = registry.createModel(config, "slow");
        address slow = registry.timelockOf(modelId);
        consentAll(_exchanged(4));
        vm.prank(slow);
        validators.setValidators(modelId, 1, _exchanged(2), 5);
        vm.warp(START + EPOCH);
        address[] memory far = _exchanged(4);
        vm.prank(slow);
        validators.setValidators(modelId, 2, far, 5);
        eq(validators.currentVersion(modelId), 1, "both wait");
        eq(validators.latestVersion(modelId), 3, "what the next one replaces");
        vm.warp(START + 100);
        eq(validators.currentVersion(modelId), 2, "the first");
        vm.warp(START + EPOCH + 100);
        eq(validators.currentVersion(modelId), 3, "the second");
    }

    function test_oneOrTwoMayChangeByOne() public {
        uint256[] memory few = ascendingKeys(7, 3);
        ModelConfig memory config = modelConfig();
        config.validators = new address[](1);
        config.validators[0] = vm.addr(few[0]);
        config.threshold = 1;
        modelId = registry.createModel(config, "few");
        address lock = registry.timelockOf(modelId);
        address[] memory three = addressesOf(few);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetTooManyChanges.selector, 2, 1));
        vm.prank(lock);
        validators.setValidators(modelId, 1, three, 2);
        address[] memory two = new address[](2);
        (two[0], two[1]) = (three[0], three[1]);
        consentAll(two);
        vm.prank(lock);
        eq(validators.setValidators(modelId, 1, two, 2), 2, "two");
    }

    function test_aFullSetChangesToo() public {
        ModelConfig memory config = modelConfig();
        config.validators = addressesOf(ascendingKeys(64, 64));
        config.threshold = 43;
        modelId = registry.createModel(config, "full");
        vm.prank(registry.timelockOf(modelId));
        eq(validators.setValidators(modelId, 1, config.validators, 44), 2, "version");
    }

    /// @dev Stake asks: what a validator signed may be posted until then.
    function test_aValidatorIsOneUntilASetWithoutItIsInForce() public {
        (address gone, address kept) = (vm.addr(keys[0]), vm.addr(keys[6]));
        eq(validators.memberUntil(modelId, gone), type(uint48).max, "of the newest set");
        eq(validators.memberUntil(modelId, ORGANISER), 0, "never");
        eq(validators.memberUntil(NO_MODEL, gone), 0, "of no set");
        address[] memory others = _exchanged(1);
        _choose(others, 5);
        eq(validators.memberUntil(modelId, gone), START + WINDOW, "to come");
        eq(validators.memberUntil(modelId, kept), type(uint48).max, "still");
        vm.warp(START + EPOCH);
        _choose(_exchanged(2), 5);
        eq(validators.memberUntil(modelId, gone), START + WINDOW, "long ago");
        vm.warp(START + 2 * EPOCH);
        _choose(others, 5);
        eq(validators.memberUntil(modelId, gone), START + WINDOW, "as before");
        vm.warp(START + 3 * EPOCH);
        _choose(addressesOf(keys), 5);
        eq(validators.memberUntil(modelId, gone), type(uint48).max, "again");
        uint256 came = 0;
        for (uint256 i = 0; i < others.length; ++i) {
            if (validators.memberUntil(modelId, others[i]) == START + 3 * EPOCH + WINDOW) ++came;
        }
        eq(came, 1, "who came for a while");
    }

    // --- consent ----------------------------------------------------------------------------------------------------------

    /// @dev A set holds what its members staked.
    function test_nobodyIsTakenIntoASetUnasked() public {
        address[] memory members = _exchanged(1);
        address stranger = _strangerOf(members);
        _refuseWithout(members, stranger);
        vm.expectEmit(address(validators));
        emit IValidatorSet.ValidatorConsent(modelId, stranger, true);
        _say(stranger, true);
        yes(validators.hasConsented(modelId, stranger), "it wants to");
        _say(stranger, false);
        yes(!validators.hasConsented(modelId, stranger), "no more");
        _refuseWithout(members, stranger);
        _say(stranger, true);
        vm.prank(address(timelock));
        eq(validators.setValidators(modelId, 1, members, 5), 2, "taken in");
        yes(!validators.hasConsented(modelId, stranger), "used up");
    }

    function test_whoHasLeftIsNotTakenInAgainUnasked() public {
        address[] memory with = _exchanged(1);
        address stranger = _strangerOf(with);
        _choose(with, 5);
        vm.warp(START + EPOCH);
        _choose(addressesOf(keys), 5);
        vm.warp(START + 2 * EPOCH);
        _refuseWithout(with, stranger);
        // Nor is who was in the first set, which asked nobody.
        vm.warp(START + 3 * EPOCH);
        address[] memory without = new address[](6);
        for (uint256 i = 0; i < 6; ++i) without[i] = vm.addr(keys[i + 1]);
        vm.prank(address(timelock));
        latest = validators.setValidators(modelId, latest, without, 5);
        vm.warp(START + 4 * EPOCH);
        _refuseWithout(addressesOf(keys), vm.addr(keys[0]));
    }

    function test_whoStaysIsNotAskedAgain() public {
        address[] memory members = addressesOf(keys);
        vm.prank(address(timelock));
        eq(validators.setValidators(modelId, 1, members, 6), 2, "of the first set");
        vm.warp(START + EPOCH);
        vm.prank(address(timelock));
        eq(validators.setValidators(modelId, 2, members, 5), 3, "and of the second");
    }

    function test_aConsentIsForOneModel() public {
        address[] memory members = _exchanged(1);
        _say(_strangerOf(members), true);
        modelId = registry.createModel(modelConfig(), "twin");
        timelock = ModelTimelock(payable(registry.timelockOf(modelId)));
        _refuseWithout(members, _strangerOf(members));
    }

    function test_unknownModelsAndVersionsHaveNoSet() public {
        eq(validators.currentVersion(NO_MODEL), 0, "none");
        eq(validators.latestVersion(NO_MODEL), 0, "none");
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, modelId, 2));
        validators.setOf(modelId, 2);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, modelId, 0));
        validators.setOf(modelId, 0);
    }

    function testFuzz_everySetIsAscendingAndItsThresholdTwoThirds(uint256 seed, uint8 size, uint8 threshold) public {
        uint256[] memory some = ascendingKeys(seed, bound(size, 1, 12));
        ModelConfig memory config = modelConfig();
        config.validators = addressesOf(some);
        config.threshold = uint16(bound(threshold, 0, 14));
        try registry.createModel(config, "fuzz") returns (ModelId id) {
            (address[] memory members, uint16 k, ) = validators.setOf(id, 1);
            yes(uint256(k) * 3 >= members.length * 2 && k <= members.length, "threshold");
            for (uint256 i = 1; i < members.length; ++i) yes(members[i - 1] < members[i], "ascending");
        } catch {
            uint256 k = config.threshold;
            yes(k * 3 < some.length * 2 || k > some.length, "refused for its threshold alone");
        }
    }

    function _choose(address[] memory members, uint16 threshold) private returns (uint32) {
        for (uint256 i = 0; i < members.length; ++i) {
            if (validators.memberUntil(modelId, members[i]) != type(uint48).max) _say(members[i], true);
        }
        vm.prank(address(timelock));
        return latest = validators.setValidators(modelId, latest, members, threshold);
    }

    function _say(address account, bool consents) private {
        vm.prank(account);
        validators.consent(modelId, consents);
    }

    function _refuseWithout(address[] memory members, address stranger) private {
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoConsent.selector, modelId, stranger));
        vm.prank(address(timelock));
        validators.setValidators(modelId, latest, members, 5);
    }

    /// @dev Of a set, the one that the first has not.
    function _strangerOf(address[] memory members) private view returns (address) {
        for (uint256 i = 0; i < members.length; ++i) {
            bool known = false;
            for (uint256 j = 0; j < keys.length; ++j) known = known || vm.addr(keys[j]) == members[i];
            if (!known) return members[i];
        }
        return address(0);
    }

    function _refuseChanges(address[] memory members, uint16 threshold, uint256 changes, uint256 allowed) private {
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetTooManyChanges.selector, changes, allowed));
        vm.prank(address(timelock));
        validators.setValidators(modelId, latest, members, threshold);
    }

    /// @dev The set with its first n members exchanged for others.
    function _exchanged(uint256 n) private view returns (address[] memory) {
        return _sorted(n, 7 - n);
    }

    function _joined(uint256 n) private view returns (address[] memory) {
        return _sorted(n, 7);
    }

    function _sorted(uint256 strangers, uint256 kept) private view returns (address[] memory list) {
        list = new address[](strangers + kept);
        for (uint256 i = 0; i < strangers; ++i) list[i] = address(uint160(uint256(keccak256(abi.encode("new", i)))));
        for (uint256 i = 0; i < kept; ++i) list[strangers + i] = vm.addr(keys[7 - kept + i]);
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 j = i; j > 0 && list[j - 1] > list[j]; --j) (list[j - 1], list[j]) = (list[j], list[j - 1]);
        }
    }
}
