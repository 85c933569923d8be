// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {GovernorUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/GovernorUpgradeable.sol";
import {TimelockControllerUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/TimelockControllerUpgradeable.sol";
import {GovernorCountingSimpleUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorCountingSimpleUpgradeable.sol";
import {GovernorPreventLateQuorumUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorPreventLateQuorumUpgradeable.sol";
import {GovernorSettingsUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorSettingsUpgradeable.sol";
import {GovernorTimelockControlUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorTimelockControlUpgradeable.sol";
import {GovernorVotesUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorVotesUpgradeable.sol";
import {GovernorVotesQuorumFractionUpgradeable} from "@openzeppelin/contracts-upgradeable/governance/extensions/GovernorVotesQuorumFractionUpgradeable.sol";
import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {ERC20PermitUpgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {ERC20VotesUpgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20VotesUpgradeable.sol";
import {NoncesUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/NoncesUpgradeable.sol";

/// @notice OpenZeppelin's shares with nothing of ours, as a clone: what ModelShares is measured beside.
contract PlainShares is ERC20Upgradeable, ERC20PermitUpgradeable, ERC20VotesUpgradeable {
    function initialize(string calldata name_, string calldata symbol_) external initializer {
        __ERC20_init(name_, symbol_);
        __ERC20Permit_init(name_);
        __ERC20Votes_init();
    }

    /// @dev Anybody may: it is for measuring alone.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function nonces(address owner) public view override(ERC20PermitUpgradeable, NoncesUpgradeable) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(
        address from,
        address to,
        uint256 value
    ) internal override(ERC20Upgradeable, ERC20VotesUpgradeable) {
        super._update(from, to, value);
    }
}

/// @notice OpenZeppelin's governor of the modules that ModelGovernor has, with nothing of ours, as a clone.
contract PlainGovernor is
    GovernorUpgradeable,
    GovernorSettingsUpgradeable,
    GovernorCountingSimpleUpgradeable,
    GovernorVotesUpgradeable,
    GovernorVotesQuorumFractionUpgradeable,
    GovernorTimelockControlUpgradeable,
    GovernorPreventLateQuorumUpgradeable
{
    function initialize(
        string calldata name_,
        address shares,
        address timelock_,
        uint48 delay,
        uint32 period,
        uint256 threshold,
        uint256 quorumBps,
        uint48 extension
    ) external initializer {
        __Governor_init(name_);
        __GovernorSettings_init(delay, period, threshold);
        __GovernorCountingSimple_init();
        __GovernorVotes_init(IVotes(shares));
        __GovernorVotesQuorumFraction_init(quorumBps);
        __GovernorTimelockControl_init(TimelockControllerUpgradeable(payable(timelock_)));
        __GovernorPreventLateQuorum_init(extension);
    }

    function quorumDenominator() public pure override returns (uint256) {
        return 10_000;
    }

    function proposalThreshold()
        public
        view
        override(GovernorUpgradeable, GovernorSettingsUpgradeable)
        returns (uint256)
    {
        return super.proposalThreshold();
    }

    function state(
        uint256 proposalId
    ) public view override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (ProposalState) {
        return super.state(proposalId);
    }

    function proposalNeedsQueuing(
        uint256 proposalId
    ) public view override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (bool) {
        return super.proposalNeedsQueuing(proposalId);
    }

    function proposalDeadline(
        uint256 proposalId
    ) public view override(GovernorUpgradeable, GovernorPreventLateQuorumUpgradeable) returns (uint256) {
        return super.proposalDeadline(proposalId);
    }

    function _tallyUpdated(
        uint256 proposalId
    ) internal override(GovernorUpgradeable, GovernorPreventLateQuorumUpgradeable) {
        super._tallyUpdated(proposalId);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(GovernorUpgradeable, GovernorTimelockControlUpgradeable) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor()
        internal
        view
        override(GovernorUpgradeable, GovernorTimelockControlUpgradeable)
        returns (address)
    {
        return super._executor();
    }
}

/// @notice OpenZeppelin's timelock, as a clone.
contract PlainTimelock is TimelockControllerUpgradeable {}

/// @notice Makes the three of a model at once, as ModelRegistry does.
contract PlainModels {
    PlainShares private immutable SHARES = new PlainShares();
    PlainGovernor private immutable GOVERNOR;
    PlainTimelock private immutable TIMELOCK = new PlainTimelock();

    event Created(address shares, address governor, address timelock);

    constructor(PlainGovernor governor) {
        GOVERNOR = governor;
    }

    function create(
        bytes32 salt,
        string calldata name,
        uint48 delay,
        uint32 period,
        uint256 threshold,
        uint256 quorumBps,
        uint48 extension,
        uint256 timelockDelay
    ) external {
        address shares = Clones.cloneDeterministic(address(SHARES), salt);
        address governor = Clones.cloneDeterministic(address(GOVERNOR), salt);
        address timelock = Clones.cloneDeterministic(address(TIMELOCK), salt);
        PlainShares(shares).initialize(name, "PLN");
        address[] memory proposers = new address[](1);
        proposers[0] = governor;
        PlainTimelock(payable(timelock)).initialize(timelockDelay, proposers, new address[](1), address(0));
        PlainGovernor(payable(governor)).initialize(
            name,
            shares,
            timelock,
            delay,
            period,
            threshold,
            quorumBps,
            extension
        );
        emit Created(shares, governor, timelock);
    }
}
