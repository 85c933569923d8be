// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {GovernorConfig} from "./IModelRegistry.sol";

/// @title IModelGovernor
/// @notice Governor of one model: OpenZeppelin's, with every setting bounded for ever: times and quorum by the registry's
/// limits, the length of a vote by the time in which a budget must be authorised, the proposal threshold by what holders can
/// muster. The quorum never falls below a fixed floor. A proposal expires that was accepted and not queued within the grace
/// period after its vote, or queued and not executed within the timelock's. Who proposes without `#proposer=` at the
/// description's end cannot cancel: whoever copies another's proposal and sends it first gains nothing. In the model's bootstrap a
/// proposal may do no more than Bootstrap lets pass, and is refused with its errors.
interface IModelGovernor {
    /// @notice Only the registry initialises.
    /// @param caller Who called.
    error ModelGovernorOnlyRegistry(address caller);
    /// @notice Only the rewards open disputes.
    /// @param caller Who called.
    error ModelGovernorOnlyRewards(address caller);
    /// @notice The timelock of a model is fixed, for its address is what commands the model.
    error ModelGovernorTimelockFixed();
    /// @notice A setting is outside the registry's limits.
    /// @param value The setting: seconds, basis points for the quorum, or wei of shares for the proposal threshold.
    /// @param minimum Its lower limit.
    /// @param maximum Its upper limit.
    error ModelGovernorSettingOutOfBounds(uint256 value, uint256 minimum, uint256 maximum);
    /// @notice Voting delay, voting period and late-quorum extension take longer together than a vote may.
    /// @param length What they take together, in seconds.
    /// @param maximum What they may take, in seconds.
    error ModelGovernorVoteTooLong(uint256 length, uint256 maximum);

    /// @notice Called once by the registry, in the transaction that makes the clone.
    /// @dev Reverts with ModelGovernorOnlyRegistry, ModelGovernorSettingOutOfBounds, ModelGovernorVoteTooLong.
    /// @param name_ The model's name.
    /// @param shares What votes are counted in.
    /// @param timelock_ What commands the model.
    /// @param config How the holders decide.
    /// @param thresholdCeiling The highest proposal threshold that holders may ever set, in wei of shares.
    /// @param longestVote What voting delay, voting period and late-quorum extension may ever take together, in seconds.
    function initialize(
        string calldata name_,
        address shares,
        address timelock_,
        GovernorConfig calldata config,
        uint96 thresholdCeiling,
        uint32 longestVote
    ) external;

    /// @notice Opens the vote on a disputed root; the rewards only, without any threshold. Its quorum is counted on the side that
    /// has more, For or Against, and abstaining counts on neither. Where it has one and the lead changes so late that less than the
    /// late-quorum extension is left, its end moves to that extension from then, twice at most. Else it is a vote like any other.
    /// @dev Reverts with ModelGovernorOnlyRewards.
    /// @param action What is called at the rewards once it is accepted.
    /// @param text What holders read; its end names the rewards as the proposer, so that nobody proposes the same first.
    /// @return The proposal.
    function openDispute(bytes calldata action, string calldata text) external returns (uint256);

    /// @notice Who opens disputes.
    /// @return Address of ComputeRewards.
    function rewards() external view returns (address);

    /// @notice What says what holders may decide while the model is young: with each proposal but disputes it is asked.
    /// @return Address of Bootstrap.
    function bootstrap() external view returns (address);

    /// @notice The highest proposal threshold that holders may set now: the least of a tenth of the shares that there are
    /// and of a tenth of a year's compute under the model's first budget. Who holds a tenth can always propose.
    /// @return Votes, in wei of shares.
    function maxProposalThreshold() external view returns (uint256);

    /// @notice What voting delay, voting period and late-quorum extension may take together: with a root's posting delay
    /// and window before them, an epoch's budget can still be authorised after the longest vote.
    /// @return Seconds.
    function maxVoteLength() external view returns (uint256);

    /// @notice Until when a proposal can be queued, if it is accepted, or executed, once it is queued; after that it has
    /// expired.
    /// @param proposalId The proposal.
    /// @return Seconds since 1970; 0 for a proposal that does not exist.
    function proposalExpiry(uint256 proposalId) external view returns (uint256);

    /// @notice The registry that made the clone.
    /// @return Its address.
    function registry() external view returns (address);

    /// @notice Votes that a quorum needs at the least, whatever the supply.
    /// @return Votes, in wei of shares.
    function quorumFloor() external view returns (uint256);
}
