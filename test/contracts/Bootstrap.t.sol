// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBootstrap} from "../../contracts/interfaces/IBootstrap.sol";
import {Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
import {IDisputes, Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {IModelRegistry, ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IStakeManager, Role} from "../../contracts/interfaces/IStakeManager.sol";
import {Court} from "./support/Court.sol";
import {Tree} from "./support/Tree.sol";

/// @notice A model that is young: its organiser is the court, until workers have claimed enough.
contract BootstrapTest is Court {
    function _endBootstrap() internal override {}

    function test_theOrganiserRulesInBootstrap() public {
        _dispute();
        uint48 until = _state().rulableUntil;
        eq(until, governor.proposalDeadline(_state().proposalId), "as long as the vote");
        vm.warp(_state().activatableAt);
        _rule(true);
        eq(_state().outcome, Outcome.Stands, "outcome");
        yes(!_state().voted, "by no vote");
        _activate();
        _postNext("next", 1);
        _dispute();
        vm.expectEmit(address(rewards));
        emit IDisputes.DisputeSettled(modelId, 1, nameOf(posted), Outcome.Undecided, false, 0, (2 * BOND) / 5);
        _rule(false);
        eq(_state().outcome, Outcome.Undecided, "outcome");
        yes(!_state().voted, "by no vote either");
        eq(rewards.pending(modelId, 1).index, 0, "refused");
    }

    /// @dev It refuses roots for as long as it pays for that, wins nothing by it, and has nobody punished.
    function test_whatTheOrganiserRefusesCostsItAndNobodyElse() public {
        vm.deal(ORGANISER, 100 ether);
        vm.deal(address(this), 10 ether);
        stakes.deposit{value: 10 ether}(modelId, Role.Validator, vm.addr(keys[0]));
        uint256 given = 0;
        for (uint256 i = 0; i < 5; ++i) {
            if (i != 0) _postNext(bytes32(i), 1);
            given += _bond();
            _disputeFrom(ORGANISER);
            _rule(false);
            bytes memory signed = signature(keys[0], digestOf(posted));
            vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerNotVoided.selector, nameOf(posted)));
            stakes.slashVoided(posted, signed);
        }
        eq(given, 31 * uint256(BOND), "each twice as much");
        eq(rewards.credit(ORGANISER), (given * 4) / 5, "a fifth is lost");
    }

    /// @dev Else it would dispute a false root itself and let it stand, before anybody else has looked.
    function test_theOrganiserLetsNoRootStandInsideItsWindow() public {
        _dispute();
        uint256 due = _state().activatableAt;
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesRuledTooEarly.selector, due));
        _rule(true);
        vm.warp(due);
        _rule(true);
    }

    function test_inAWindowLongerThanAVoteTheOrganiserRulesInItsLastQuarter() public {
        ModelConfig memory config = modelConfig();
        (config.window, config.governor.votingPeriod) = (40, 11);
        useModel(registry.createModel(config, "slow"));
        _postNext("root", 1);
        _dispute();
        uint256 from = block.timestamp + 9;
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesRuledTooEarly.selector, from));
        _rule(true);
        vm.warp(from);
        _rule(true);
        eq(_state().outcome, Outcome.Stands, "outcome");
    }

    function test_theOrganiserLetsNoRootStandThatAQuorumVotedOn() public {
        uint256 id = _dispute();
        for (uint8 side = AGAINST; side <= FOR; ++side) {
            uint256 before = vm.snapshotState();
            _ballot(CAROL, side);
            vm.warp(_state().rulableUntil);
            vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesHoldersDecide.selector, id));
            _rule(true);
            vm.revertToState(before);
        }
        _ballot(CAROL, FOR);
        _rule(false);
        eq(_state().outcome, Outcome.Undecided, "to refuse it is no harm that lasts");
    }

    function test_belowAQuorumTheOrganiserRules() public {
        vm.prank(CAROL);
        shares.transfer(BOB, 1);
        _dispute();
        _ballot(CAROL, AGAINST);
        vm.warp(_state().rulableUntil);
        _rule(true);
        eq(_state().outcome, Outcome.Stands, "outcome");
    }

    function test_nobodyElseRules() public {
        _dispute();
        bytes32 digest = nameOf(posted);
        address[3] memory others = [ALICE, address(timelock), DISPUTER];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotCourt.selector, others[i]));
            vm.prank(others[i]);
            rewards.rule(modelId, 1, digest, true);
        }
    }

    function test_theOrganiserRulesOnceAndInTime() public {
        bytes32 digest = nameOf(posted);
        _notRulable(digest, 0);
        _dispute();
        uint48 until = _state().rulableUntil;
        _notRulable("another", 0);
        vm.warp(until + 1);
        _notRulable(digest, until);
        vm.warp(until);
        _rule(true);
        _notRulable(digest, until);
    }

    function test_theOrganiserOfAnotherModelRulesOnNothing() public {
        _dispute();
        bytes32 digest = nameOf(posted);
        uint48 until = _state().rulableUntil;
        modelId = registry.createModel(modelConfig(), "other");
        vm.warp(until);
        _notRulable(digest, until);
    }

    function test_whatTheOrganiserLeavesTheHoldersDecide() public {
        _dispute();
        _ballot(ALICE, AGAINST);
        eq(_settleVote(), Outcome.Void, "outcome");
    }

    /// @dev Invariant 32, of the organiser: what is opened in bootstrap is ruled as in bootstrap, and nothing else is.
    function test_theCourtIsThatOfTheOpening() public {
        _activate();
        _mintFor(GONE, BOOTSTRAP_SHARES);
        afterEpoch(BOOTSTRAP_EPOCHS);
        _postNext("last", 1);
        _dispute();
        _claimFor(GONE, 2, BOOTSTRAP_SHARES);
        bootstrap.end(modelId);
        vm.warp(_state().activatableAt);
        _rule(true);
        _activate();
        _postNext("next", 1);
        _dispute();
        eq(_state().rulableUntil, 0, "no organiser");
        _notRulable(nameOf(posted), 0);
    }

    /// @dev Else the organiser would be the court for as long as nobody looks.
    function test_aDisputeEndsABootstrapThatIsDue() public {
        _activate();
        _mintClaimed(BOOTSTRAP_SHARES);
        afterEpoch(BOOTSTRAP_EPOCHS);
        _postNext("next", 1);
        eq(bootstrap.termsOf(modelId).endedAt, 0, "nobody has ended it");
        _dispute();
        eq(bootstrap.termsOf(modelId).endedAt, block.timestamp, "ended");
        eq(_state().rulableUntil, 0, "no organiser");
    }

    /// @dev An organiser who lets nothing be paid lets nothing be claimed.
    function test_bootstrapEndsInTimeWhateverWasClaimed() public {
        ModelConfig memory config = modelConfig();
        config.bootstrapMaxEpochs = uint32(EPOCHS_PER_YEAR / 4);
        useModel(registry.createModel(config, "a quarter"));
        uint256 end = block.timestamp + uint256(EPOCH) * (EPOCHS_PER_YEAR / 4);
        vm.warp(end - 1);
        yes(!bootstrap.endIfDue(modelId), "not yet");
        vm.expectRevert(
            abi.encodeWithSelector(
                IBootstrap.BootstrapNotOver.selector,
                0,
                BOOTSTRAP_SHARES,
                EPOCHS_PER_YEAR / 4 - 1,
                BOOTSTRAP_EPOCHS,
                EPOCHS_PER_YEAR / 4
            )
        );
        bootstrap.end(modelId);
        vm.warp(end);
        yes(bootstrap.endIfDue(modelId), "over");
        eq(bootstrap.termsOf(modelId).endedAt, end, "since");
        yes(bootstrap.endIfDue(modelId), "for ever");
    }

    /// @dev Holders who cannot make a quorum would be no court.
    function test_bootstrapGoesOnWhileNoQuorumIsClaimed() public {
        _activate();
        afterEpoch(5);
        uint256 rest = 19 * uint256(BOOTSTRAP_SHARES);
        bytes32[] memory leaves = new bytes32[](2);
        leaves[0] = leafOf(2, GONE, BOOTSTRAP_SHARES);
        leaves[1] = leafOf(2, BACKER, rest);
        _postNext(Tree.root(leaves), 20 * uint256(BOOTSTRAP_SHARES));
        _activate();
        rewards.claim(modelId, 1, GONE, Leaf(2, BOOTSTRAP_SHARES, Tree.proof(leaves, 0)));
        vm.warp(block.timestamp + 1);
        eq(bootstrap.neededOf(modelId), 2 * governor.quorum(block.timestamp - 1), "two quorums");
        eq(bootstrap.neededOf(modelId), ((100e18 + 1 + 20 * uint256(BOOTSTRAP_SHARES)) / 10) * 2, "of all shares");
        _refused(BOOTSTRAP_SHARES, emission.epochOf(modelId, uint48(block.timestamp)) - 1);
        rewards.claim(modelId, 1, BACKER, Leaf(2, rest, Tree.proof(leaves, 1)));
        bootstrap.end(modelId);
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
        bootstrap.open(modelId, 0, 0, 0);
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
        config.bootstrapMaxEpochs = uint32(EPOCHS_PER_YEAR + 1);
        _configRefused(config, "bootstrapMaxEpochs", EPOCHS_PER_YEAR + 1, EPOCHS_PER_YEAR / 4, EPOCHS_PER_YEAR);
        config.bootstrapMaxEpochs = uint32(EPOCHS_PER_YEAR / 4 - 1);
        _configRefused(config, "bootstrapMaxEpochs", EPOCHS_PER_YEAR / 4 - 1, EPOCHS_PER_YEAR / 4, EPOCHS_PER_YEAR);
        config.bootstrapEpochs = uint32(EPOCHS_PER_YEAR / 2);
        _configRefused(config, "bootstrapMaxEpochs", EPOCHS_PER_YEAR / 4 - 1, EPOCHS_PER_YEAR / 2, EPOCHS_PER_YEAR);
        config = modelConfig();
        config.disputeBond = 0;
        _configRefused(config, "disputeBond", 0, 1, 2 ** 70);
        config.disputeBond = 2 ** 70 + 1;
        _configRefused(config, "disputeBond", 2 ** 70 + 1, 1, 2 ** 70);
        config.disputeBond = 2 ** 70;
        (config.bootstrapShares, config.bootstrapEpochs) = (uint128(most), uint32(EPOCHS_PER_YEAR));
        ModelId id = registry.createModel(config, "most");
        eq(bootstrap.termsOf(id).shares, most, "shares");
        eq(bootstrap.termsOf(id).epochs, EPOCHS_PER_YEAR, "epochs");
        eq(bootstrap.termsOf(id).maxEpochs, EPOCHS_PER_YEAR, "in time");
        (uint256 bond, , ) = rewards.bondOf(id, 1);
        eq(bond, 2 ** 70, "bond");
    }

    /// @dev As if the active root had paid so much.
    function _mintClaimed(uint256 amount) private {
        _mintFor(GONE, amount);
        _claimFor(GONE, newestIndex(), amount);
    }

    function _mintFor(address account, uint256 amount) private {
        _postNext(leafOf(newestIndex() + 1, account, amount), amount);
        _activate();
    }

    function _claimFor(address account, uint64 index, uint256 amount) private {
        rewards.claim(modelId, 1, account, Leaf(index, amount, new bytes32[](0)));
    }

    function _endNow() private {
        _activate();
        _mintClaimed(BOOTSTRAP_SHARES);
        afterEpoch(BOOTSTRAP_EPOCHS);
        bootstrap.end(modelId);
    }

    function _notRulable(bytes32 digest, uint48 until) private {
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputesNotRulable.selector, digest, until));
        vm.prank(ORGANISER);
        rewards.rule(modelId, 1, digest, true);
    }

    function _refused(uint256 claimed, uint256 epochsOver) private {
        uint256 needed = bootstrap.neededOf(modelId);
        vm.expectRevert(
            abi.encodeWithSelector(
                IBootstrap.BootstrapNotOver.selector,
                claimed,
                needed,
                epochsOver,
                BOOTSTRAP_EPOCHS,
                EPOCHS_PER_YEAR
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
