// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBootstrap} from "../../contracts/interfaces/IBootstrap.sol";
import {Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
import {IDisputes, Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {IModelRegistry, ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {Court} from "./support/Court.sol";

/// @notice A model that is young: its organiser is the court, until workers have claimed enough.
contract BootstrapTest is Court {
    function _endBootstrap() internal override {}

    function test_theOrganiserRulesInBootstrap() public {
        _dispute();
        uint48 until = _state().rulableUntil;
        eq(until, governor.proposalDeadline(_state().proposalId), "as long as the vote");
        _rule(true);
        eq(_state().outcome, Outcome.Stands, "outcome");
        _activate();
        _postNext("next", 1);
        _dispute();
        _rule(false);
        eq(_state().outcome, Outcome.Void, "outcome");
        eq(rewards.pending(modelId, 1).index, 0, "void");
    }

    function test_nobodyElseRules() public {
        _dispute();
        address[3] memory others = [ALICE, address(timelock), DISPUTER];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotCourt.selector, others[i]));
            vm.prank(others[i]);
            rewards.rule(modelId, 1, 1, true);
        }
    }

    function test_theOrganiserRulesOnceAndInTime() public {
        _notRulable(0, 0);
        _dispute();
        uint48 until = _state().rulableUntil;
        _notRulable(2, until);
        vm.warp(until + 1);
        _notRulable(1, until);
        vm.warp(until);
        _rule(true);
        _notRulable(1, until);
    }

    function test_whatTheOrganiserLeavesTheHoldersDecide() public {
        _dispute();
        _ballot(ALICE, AGAINST);
        eq(_settleVote(), Outcome.Void, "outcome");
    }

    /// @dev A9: what is opened in bootstrap is ruled as in bootstrap, and nothing else is.
    function test_theCourtIsThatOfTheOpening() public {
        _activate();
        _mintClaimed(BOOTSTRAP_SHARES);
        _postNext("last", 1);
        _dispute();
        bootstrap.end(modelId);
        _rule(true);
        _activate();
        _postNext("next", 1);
        _dispute();
        eq(_state().rulableUntil, 0, "no organiser");
        _notRulable(2, 0);
    }

    function test_bootstrapEndsOnceSharesAreClaimedAndEpochsAreOver() public {
        _refused(0, 1);
        _activate();
        // Of what root 1 pays nothing is claimed.
        _refused(0, 1);
        _mintClaimed(BOOTSTRAP_SHARES - 1);
        afterEpoch(BOOTSTRAP_EPOCHS);
        _refused(BOOTSTRAP_SHARES - 1, BOOTSTRAP_EPOCHS);
        _mintClaimed(1);
        eq(bootstrap.claimedOf(modelId), BOOTSTRAP_SHARES, "claimed");
        yes(!bootstrap.isOver(modelId), "not by itself");
        vm.expectEmit(address(bootstrap));
        emit IBootstrap.BootstrapEnded(modelId, BOOTSTRAP_SHARES);
        vm.prank(address(0x57a6e4));
        bootstrap.end(modelId);
        yes(bootstrap.isOver(modelId), "over");
        eq(bootstrap.termsOf(modelId).endedAt, block.timestamp, "when");
    }

    function test_epochsMustBeOverToo() public {
        _activate();
        _mintClaimed(BOOTSTRAP_SHARES);
        vm.warp(START + uint256(EPOCH) * BOOTSTRAP_EPOCHS - 1);
        _refused(BOOTSTRAP_SHARES, BOOTSTRAP_EPOCHS - 1);
        vm.warp(START + uint256(EPOCH) * BOOTSTRAP_EPOCHS);
        bootstrap.end(modelId);
    }

    function test_bootstrapEndsForEver() public {
        _endNow();
        uint256 ended = block.timestamp;
        vm.prank(ALICE);
        shares.transfer(address(rewards), 60e18);
        vm.warp(ended + 1);
        vm.recordLogs();
        bootstrap.end(modelId);
        eq(vm.getRecordedLogs().length, 0, "once");
        eq(bootstrap.termsOf(modelId).endedAt, ended, "as it was");
    }

    /// @dev Shares that were never earned, and such as are sent to and fro, end nothing.
    function test_sharesThatWereNotClaimedDoNotCount() public {
        _activate();
        vm.warp(START + uint256(EPOCH) * BOOTSTRAP_EPOCHS);
        _mint(ALICE, 1_000e18);
        eq(bootstrap.claimedOf(modelId), 0, "not minted for compute");
        vm.prank(ALICE);
        shares.transfer(address(rewards), 1_000e18);
        eq(bootstrap.claimedOf(modelId), 0, "nor less than nothing");
        _refused(0, BOOTSTRAP_EPOCHS);
    }

    function test_onlyModelsHaveABootstrap() public {
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapUnknownModel.selector, NO_MODEL));
        bootstrap.end(NO_MODEL);
        vm.expectRevert(unauthorised(modelId, ALICE));
        vm.prank(ALICE);
        bootstrap.open(modelId, 0, 0);
        eq(bootstrap.emission(), address(emission), "emission");
        eq(bootstrap.rewards(), address(rewards), "rewards");
        eq(rewards.bootstrap(), address(bootstrap), "known where disputes are opened");
        eq(registry.bootstrap(), address(bootstrap), "and where models are");
        eq(registry.rewards(), address(rewards), "as are the rewards");
    }

    function test_theTermsOfAModelAreBounded() public {
        // A tenth of a year's compute.
        uint256 most = (uint256(BUDGET) * EPOCHS_PER_YEAR * 7) / 100;
        ModelConfig memory config = modelConfig();
        config.bootstrapShares = uint128(most + 1);
        _configRefused(config, "bootstrapShares", most + 1, config.governor.quorumFloor, most);
        config.bootstrapShares = uint128(config.governor.quorumFloor - 1);
        _configRefused(config, "bootstrapShares", config.bootstrapShares, config.governor.quorumFloor, most);
        config = modelConfig();
        config.bootstrapEpochs = uint32(EPOCHS_PER_YEAR + 1);
        _configRefused(config, "bootstrapEpochs", EPOCHS_PER_YEAR + 1, 0, EPOCHS_PER_YEAR);
        config = modelConfig();
        config.disputeBond = 0;
        _configRefused(config, "disputeBond", 0, 1, 2 ** 80);
        config.disputeBond = 2 ** 80 + 1;
        _configRefused(config, "disputeBond", 2 ** 80 + 1, 1, 2 ** 80);
        config.disputeBond = 2 ** 80;
        (config.bootstrapShares, config.bootstrapEpochs) = (uint128(most), uint32(EPOCHS_PER_YEAR));
        ModelId id = registry.createModel(config, "most");
        eq(bootstrap.termsOf(id).shares, most, "shares");
        eq(bootstrap.termsOf(id).epochs, EPOCHS_PER_YEAR, "epochs");
        (uint256 bond, , ) = rewards.bondOf(id, 1);
        eq(bond, 2 ** 80, "bond");
    }

    /// @dev As if the active root had paid so much.
    function _mintClaimed(uint256 amount) private {
        _postNext(leafOf(newestIndex() + 1, GONE, amount), amount);
        _activate();
        rewards.claim(modelId, 1, GONE, Leaf(newestIndex(), amount, new bytes32[](0)));
    }

    function _endNow() private {
        _activate();
        _mintClaimed(BOOTSTRAP_SHARES);
        afterEpoch(BOOTSTRAP_EPOCHS);
        bootstrap.end(modelId);
    }

    function _rule(bool stands) private {
        uint32 number = _state().number;
        vm.prank(ORGANISER);
        rewards.rule(modelId, 1, number, stands);
    }

    function _notRulable(uint32 number, uint48 until) private {
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotRulable.selector, number, until));
        vm.prank(ORGANISER);
        rewards.rule(modelId, 1, number, true);
    }

    function _refused(uint256 claimed, uint256 epochsOver) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IBootstrap.BootstrapNotOver.selector,
                claimed,
                BOOTSTRAP_SHARES,
                epochsOver,
                BOOTSTRAP_EPOCHS
            )
        );
        bootstrap.end(modelId);
    }

    function _configRefused(
        ModelConfig memory config,
        bytes32 setting,
        uint256 value,
        uint256 min,
        uint256 max
    ) private {
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.ModelRegistrySettingOutOfBounds.selector, setting, value, min, max)
        );
        registry.createModel(config, "refused");
    }
}
