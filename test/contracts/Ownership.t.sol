// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {TimelockControllerUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/TimelockControllerUpgradeable.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {DeterministicDeployer} from "../../contracts/deployment/DeterministicDeployer.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {IModelGovernor} from "../../contracts/interfaces/IModelGovernor.sol";
import {IModelTimelock} from "../../contracts/interfaces/IModelTimelock.sol";
import {IRunRegistry} from "../../contracts/interfaces/IRunRegistry.sol";
import {Vm} from "./support/Vm.sol";
import {Holders} from "./support/Holders.sol";

/// @notice What decides cannot be given away, frozen or replayed, by whatever majority of one day.
contract OwnershipTest is Holders {
    uint256 private constant GRACE = 21 days;

    // --- given away -----------------------------------------------------------------------------------------------------

    /// @dev A3.
    function test_aVoteGrantsNobodyARole() public {
        bytes32[4] memory roles = _roles();
        for (uint256 i = 0; i < roles.length; ++i) {
            _ready(address(timelock), abi.encodeCall(timelock.grantRole, (roles[i], BOB)));
            _executionFails(abi.encodeWithSelector(IModelTimelock.ModelTimelockRolesFixed.selector));
            yes(!timelock.hasRole(roles[i], BOB), "no role");
        }
    }

    /// @dev A3.
    function test_aVoteTakesNoRoleFromTheGovernor() public {
        _ready(address(timelock), abi.encodeCall(timelock.revokeRole, (timelock.PROPOSER_ROLE(), address(governor))));
        _executionFails(abi.encodeWithSelector(IModelTimelock.ModelTimelockRolesFixed.selector));
        _ready(address(timelock), abi.encodeCall(timelock.revokeRole, (timelock.EXECUTOR_ROLE(), address(0))));
        _executionFails(abi.encodeWithSelector(IModelTimelock.ModelTimelockRolesFixed.selector));
        yes(timelock.hasRole(timelock.PROPOSER_ROLE(), address(governor)), "the governor proposes");
        yes(timelock.hasRole(timelock.EXECUTOR_ROLE(), address(0)), "anyone executes");
    }

    /// @dev A3. The governor can be made to call anything, the timelock itself included.
    function test_aVoteMakesNeitherGovernorNorTimelockRenounce() public {
        bytes32 role = timelock.PROPOSER_ROLE();
        bytes memory renounce = abi.encodeCall(timelock.renounceRole, (role, address(governor)));
        _ready(address(governor), abi.encodeCall(governor.relay, (address(timelock), 0, renounce)));
        _executionFails(abi.encodeWithSelector(IModelTimelock.ModelTimelockRolesFixed.selector));
        yes(timelock.hasRole(role, address(governor)), "the governor proposes");
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        _ready(address(timelock), abi.encodeCall(timelock.renounceRole, (admin, address(timelock))));
        _executionFails(abi.encodeWithSelector(IModelTimelock.ModelTimelockRolesFixed.selector));
    }

    /// @dev All roles that were ever granted, by the events of a model's creation and of its life: the timelock's own, the
    /// governor's and everybody's. Whoever deployed, created, organised or posts is in none.
    function test_nobodyWhoDeployedOrCreatedEverHeldARole() public {
        vm.recordLogs();
        deployer = new DeterministicDeployer();
        deployContracts(localLimits());
        vm.prank(BOB);
        modelId = registry.createModel(modelConfig(), "recorded");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        address made = registry.timelockOf(modelId);
        uint256 granted = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            yes(topic != IAccessControl.RoleRevoked.selector, "none was taken back");
            yes(topic != IAccessControl.RoleAdminChanged.selector, "no admin changed");
            if (topic != IAccessControl.RoleGranted.selector) continue;
            eq(logs[i].emitter, made, "timelocks alone have roles");
            address holder = address(uint160(uint256(logs[i].topics[2])));
            yes(
                holder == made || holder == registry.governorOf(modelId) || holder == address(0),
                "the model's own, or anybody"
            );
            ++granted;
        }
        eq(granted, 4, "admin, proposer, canceller, executor");
    }

    // --- frozen ---------------------------------------------------------------------------------------------------------

    /// @dev A2.
    function test_aTenthOfTheSharesCanAlwaysPropose() public {
        eq(governor.maxProposalThreshold(), 10e18, "a tenth of a hundred");
        _ready(address(governor), abi.encodeCall(governor.setProposalThreshold, (10e18 + 1)));
        _executionFails(
            abi.encodeWithSelector(IModelGovernor.ModelGovernorSettingOutOfBounds.selector, 10e18 + 1, 0, 10e18)
        );
        _pass(address(governor), abi.encodeCall(governor.setProposalThreshold, (10e18)));
        _plan(address(governor), abi.encodeCall(governor.setProposalThreshold, (0)));
        text = "again";
        _propose(CAROL);
    }

    /// @dev A2.
    function test_theThresholdNeverPassesATenthOfAYearsCompute() public {
        uint256 ceiling = (((BUDGET * EPOCHS_PER_YEAR) * 7_000) / 10_000) / 10;
        _mint(ALICE, ceiling * 20);
        vm.warp(block.timestamp + 1);
        eq(governor.maxProposalThreshold(), ceiling, "however many shares there are");
        _ready(address(governor), abi.encodeCall(governor.setProposalThreshold, (ceiling + 1)));
        _executionFails(
            abi.encodeWithSelector(IModelGovernor.ModelGovernorSettingOutOfBounds.selector, ceiling + 1, 0, ceiling)
        );
        _pass(address(governor), abi.encodeCall(governor.setProposalThreshold, (ceiling)));
    }

    /// @dev A6. A model of slow epochs leaves votes 22 days; each of the three parts of a vote is held to it.
    function test_noVoteGrowsBeyondTheTimeOfABudget() public {
        _slowModel();
        uint256 used = 3 days + 12 days + 7 days;
        eq(governor.maxVoteLength(), used, "all of it is used");
        bytes[3] memory setters = [
            abi.encodeCall(governor.setVotingDelay, (3 days + 1)),
            abi.encodeCall(governor.setVotingPeriod, (12 days + 1)),
            abi.encodeCall(governor.setLateQuorumVoteExtension, (7 days + 1))
        ];
        for (uint256 i = 0; i < setters.length; ++i) {
            _ready(address(governor), setters[i]);
            _executionFails(abi.encodeWithSelector(IModelGovernor.ModelGovernorVoteTooLong.selector, used + 1, used));
        }
        _pass(address(governor), abi.encodeCall(governor.setVotingPeriod, (11 days)));
        _pass(address(governor), abi.encodeCall(governor.setVotingDelay, (4 days)));
    }

    /// @dev A11. What cannot be cancelled need not be guarded: whoever copies a proposal only spares its author the gas.
    function test_whoCopiesAProposalCannotCancelIt() public {
        uint256 id = _propose(BOB);
        vm.expectRevert(
            abi.encodeWithSelector(
                IGovernor.GovernorUnexpectedProposalState.selector,
                id,
                IGovernor.ProposalState.Pending,
                bytes32(0)
            )
        );
        _propose(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, id, BOB));
        vm.prank(BOB);
        governor.cancel(targets, values, calls, keccak256(bytes(text)));
        _vote(id, ALICE, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        eq(
            uint256(governor.state(id)),
            uint256(IGovernor.ProposalState.Succeeded),
            "decided as if it were the author's"
        );
    }

    /// @dev A name that is none, or stands elsewhere than at the end, gives no right.
    function test_onlyANameAtTheEndGivesTheRightToCancel() public {
        string memory suffix = string.concat("#proposer=", Strings.toHexString(BOB));
        string[3] memory texts = [
            string.concat(suffix, " more steps"),
            "more steps #proposer=0xzz00000000000000000000000000000000000b0b",
            "more steps #proposer=0xb0b"
        ];
        for (uint256 i = 0; i < texts.length; ++i) {
            text = texts[i];
            uint256 id = _propose(BOB);
            vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, id, BOB));
            vm.prank(BOB);
            governor.cancel(targets, values, calls, keccak256(bytes(text)));
        }
        text = suffix;
        _propose(BOB);
        vm.prank(BOB);
        governor.cancel(targets, values, calls, keccak256(bytes(text)));
    }

    // --- replayed -------------------------------------------------------------------------------------------------------

    function test_aDecisionExpiresThreeWeeksAfterItIsReady() public {
        uint256 id = _accepted(targets[0], calls[0]);
        _queue();
        bytes32 operation = _operation();
        uint256 last = governor.proposalEta(id) + GRACE;
        eq(governor.proposalExpiry(id), last, "expiry");
        eq(timelock.gracePeriod(), GRACE, "three weeks");
        vm.warp(last);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Queued), "its last second");
        yes(timelock.isOperationReady(operation), "ready");
        yes(!timelock.isOperationExpired(operation), "not expired");
        vm.warp(last + 1);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Expired), "expired");
        yes(!timelock.isOperationReady(operation), "not ready");
        yes(timelock.isOperationExpired(operation), "expired in the timelock");
        yes(!timelock.isOperationExpired("none"), "what is not there has not expired");
        _executionFails(
            abi.encodeWithSelector(
                IGovernor.GovernorUnexpectedProposalState.selector,
                id,
                IGovernor.ProposalState.Expired,
                bytes32(1 << uint8(IGovernor.ProposalState.Queued))
            )
        );
        eq(runs.runOf(runId).version, 1, "unchanged");
    }

    /// @dev A5. What nobody queues is no decision in hand, to be carried out when those who accepted it are gone.
    function test_whatNobodyQueuesExpiresThreeWeeksAfterItsVote() public {
        uint256 id = _accepted(targets[0], calls[0]);
        uint256 last = governor.proposalDeadline(id) + GRACE;
        eq(governor.proposalExpiry(id), last, "expiry");
        vm.warp(last);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Succeeded), "its last second");
        vm.warp(last + 1);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Expired), "expired");
        bytes memory reason = abi.encodeWithSelector(
            IGovernor.GovernorUnexpectedProposalState.selector,
            id,
            IGovernor.ProposalState.Expired,
            bytes32(1 << uint8(IGovernor.ProposalState.Succeeded))
        );
        vm.expectRevert(reason);
        _queue();
        vm.warp(last + 365 days);
        vm.expectRevert(reason);
        _queue();
        eq(governor.proposalEta(id), 0, "never queued");
    }

    /// @dev Then it waits for the delay, and may be executed as long as any other.
    function test_theLastSecondIsTimeEnoughToQueue() public {
        uint256 id = _accepted(targets[0], calls[0]);
        vm.warp(governor.proposalExpiry(id));
        _queue();
        uint256 eta = governor.proposalEta(id);
        eq(governor.proposalExpiry(id), eta + GRACE, "anew");
        vm.warp(eta + GRACE);
        _execute();
        eq(runs.runOf(runId).version, 2, "changed");
    }

    /// @dev A quorum that comes late moves the end of the vote, and with it the time for queueing.
    function test_theTimeToQueueBeginsWhenALateVoteEnds() public {
        _mint(address(0xdead), 500e18);
        vm.warp(block.timestamp + 1);
        uint256 id = _propose(ALICE);
        uint256 planned = governor.proposalDeadline(id);
        vm.warp(planned);
        _castVote(id, ALICE, 1);
        eq(governor.proposalDeadline(id), planned + 2, "later");
        eq(governor.proposalExpiry(id), planned + 2 + GRACE, "expiry");
        vm.warp(planned + 2 + GRACE);
        _queue();
    }

    function test_onlyWhatWasAcceptedExpires() public {
        eq(governor.proposalExpiry(1), 0, "there is none");
        uint256 id = _propose(ALICE);
        _vote(id, ALICE, 0);
        vm.warp(governor.proposalExpiry(id) + 1);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Defeated), "defeated");
    }

    function test_itsLastSecondIsTimeEnough() public {
        uint256 id = _accepted(targets[0], calls[0]);
        _queue();
        vm.warp(governor.proposalExpiry(id));
        _execute();
        eq(runs.runOf(runId).version, 2, "changed");
        yes(!timelock.isOperationExpired(_operation()), "done is not expired");
        vm.warp(block.timestamp + 2 * GRACE);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Executed), "for ever");
        yes(!timelock.isOperationExpired(_operation()), "done stays done");
    }

    /// @dev A5. Past the governor, in the timelock itself.
    function test_anExpiredOperationIsNeitherExecutedNorQueuedAgain() public {
        uint256 id = _accepted(targets[0], calls[0]);
        _queue();
        bytes32 operation = _operation();
        bytes32 salt = bytes20(address(governor)) ^ keccak256(bytes(text));
        (address[] memory to, uint256[] memory coins, bytes[] memory data) = (targets, values, calls);
        vm.warp(governor.proposalExpiry(id) + 1);
        vm.expectRevert(_unexpected(operation, TimelockControllerUpgradeable.OperationState.Ready));
        timelock.executeBatch(to, coins, data, 0, salt);
        vm.expectRevert(_unexpected(operation, TimelockControllerUpgradeable.OperationState.Unset));
        vm.prank(address(governor));
        timelock.scheduleBatch(to, coins, data, 0, salt, 3);
    }

    function test_cancelledInTheTimelockIsNotExpired() public {
        uint256 id = _accepted(targets[0], calls[0]);
        _queue();
        bytes32 operation = _operation();
        vm.prank(address(governor));
        timelock.cancel(operation);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Canceled), "cancelled");
        vm.warp(governor.proposalExpiry(id) + 1);
        eq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Canceled), "and stays so");
        yes(!timelock.isOperationExpired(operation), "not expired");
    }

    /// @dev A5. A vote could have the governor queue what is meant for a time at which nobody looks any more.
    function test_anOperationWaitsExactlyTheDelay() public {
        uint256[3] memory delays = [uint256(2), 4, 365 days];
        for (uint256 i = 0; i < delays.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(
                IModelTimelock.ModelTimelockDelayNotExact.selector,
                delays[i],
                3
            );
            bytes memory one = abi.encodeCall(timelock.schedule, (BOB, 0, "", 0, bytes32(i), delays[i]));
            _ready(address(governor), abi.encodeCall(governor.relay, (address(timelock), 0, one)));
            _executionFails(reason);
            bytes memory batch = abi.encodeCall(
                timelock.scheduleBatch,
                (new address[](1), new uint256[](1), new bytes[](1), 0, bytes32(i), delays[i])
            );
            _ready(address(governor), abi.encodeCall(governor.relay, (address(timelock), 0, batch)));
            _executionFails(reason);
        }
        bytes memory exact = abi.encodeCall(timelock.schedule, (BOB, 0, "", 0, "salt", 3));
        _pass(address(governor), abi.encodeCall(governor.relay, (address(timelock), 0, exact)));
        yes(timelock.isOperationPending(timelock.hashOperation(BOB, 0, "", 0, "salt")), "queued");
    }

    /// @dev Both were accepted; what is executed late would undo what came first.
    function test_ofTwoAcceptedDecisionsOnOneVersionTheFirstExecutedHolds() public {
        _accepted(targets[0], calls[0]);
        _queue();
        text = "first";
        uint256 id = _propose(ALICE);
        _vote(id, ALICE, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        _queue();
        vm.warp(governor.proposalEta(id));
        _execute();
        text = "more steps";
        _executionFails(abi.encodeWithSelector(IRunRegistry.RunRegistryParamsReplaced.selector, runId, 1, 2));
    }

    function _executionFails(bytes memory reason) private {
        vm.expectRevert(reason);
        _execute();
    }

    function _roles() private view returns (bytes32[4] memory) {
        return
            [
                timelock.DEFAULT_ADMIN_ROLE(),
                timelock.PROPOSER_ROLE(),
                timelock.CANCELLER_ROLE(),
                timelock.EXECUTOR_ROLE()
            ];
    }

    function _unexpected(
        bytes32 operation,
        TimelockControllerUpgradeable.OperationState expected
    ) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                TimelockControllerUpgradeable.TimelockUnexpectedOperationState.selector,
                operation,
                bytes32(1 << uint8(expected))
            );
    }

    /// @dev Its votes take all the time that its epochs leave.
    function _slowModel() private {
        ModelConfig memory config = modelConfig();
        (config.epochLength, config.bootstrapMaxEpochs) = (5 days, 73);
        config.postingDelay = 1 days;
        config.window = 2 days;
        config.yearlyCap = BUDGET * 73;
        config.governor.votingDelay = 3 days;
        config.governor.votingPeriod = 12 days;
        config.governor.lateQuorumExtension = 7 days;
        useModel(registry.createModel(config, "slow"));
        _skipBootstrap();
        _mint(ALICE, 60e18);
        vm.warp(block.timestamp + 1);
    }
}
