// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, ModelId} from "./Ids.sol";

/// @notice How a dispute ended: not yet, for the root, against it, or without a decision, which is against it too.
enum Outcome {
    Open,
    Stands,
    Void,
    Undecided
}

/// @notice A dispute about a pending root.
/// @param disputer Who put up the bond.
/// @param bond What was put up, in wei of the chain's coin.
/// @param proposalId The vote, in the model's governor.
/// @param digest Struct hash of the attestation that is disputed.
/// @param openedAt In seconds since 1970.
/// @param rulableUntil Until when the organiser may rule, in seconds since 1970; 0 where it was opened after bootstrap.
/// @param endedAt In seconds since 1970; 0 while it is open.
/// @param activatableAt From when on the root may be activated if it stands, in seconds since 1970.
/// @param number Of the disputes of this model and kind, from 1; 0 for none.
/// @param outcome How it ended.
struct Dispute {
    address disputer;
    uint96 bond;
    uint256 proposalId;
    bytes32 digest;
    uint48 openedAt;
    uint48 rulableUntil;
    uint48 endedAt;
    uint48 activatableAt;
    uint32 number;
    Outcome outcome;
}

/// @notice What became of an attestation that was disputed. It is never accepted again.
/// @param endedAt When, in seconds since 1970; 0 for one that no dispute has ended about.
/// @param outcome How the dispute ended.
/// @param disputer Who disputed it.
/// @param voted Whether the holders' vote ended it, and not the organiser's word.
struct Ruled {
    uint48 endedAt;
    Outcome outcome;
    address disputer;
    bool voted;
}

/// @notice The bond under a root that was posted after one that failed.
/// @param backer Who posted it, and put up the bond; 0 for none.
/// @param amount In wei of the chain's coin.
struct Backing {
    address backer;
    uint96 amount;
}

/// @title IDisputes
/// @notice The holders are the court of what validators sign. Inside a root's window anyone may put up a bond: the root is frozen,
/// and a vote opens by itself in the model's governor. A majority of a quorum for the root lets it stand; a majority of a quorum
/// against it voids it; without a quorum on either side it is void too, and no attestation that was void is accepted again. Until
/// the model's bootstrap is over its organiser may rule instead. After a root that failed the next one bears a bond as high as the
/// disputer's, put up by whoever posts it. The bond doubles with each dispute, 2^10-fold at most, and halves with each activation
/// that was not disputed. Who loses a dispute loses the bond: half goes to the winner, the other half to nobody, for ever; where
/// nothing was decided both lose a fifth. A dispute delays, and nothing else: active roots pay meanwhile, and the budget of the
/// epochs does not age. Coins are paid by `withdraw` alone.
interface IDisputes {
    /// @notice A pending root is disputed.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param index The root's number.
    /// @param number The dispute's, from 1.
    /// @param disputer Who put up the bond.
    /// @param bond In wei of the chain's coin.
    /// @param digest Struct hash of the attestation.
    /// @param evidence sha256 of what the disputer found, in the form that docs/protocol.md describes.
    /// @param proposalId The vote, in the model's governor.
    /// @param rulableUntil Until when the organiser may rule, in seconds since 1970; 0 for not at all.
    event RootDisputed(
        ModelId indexed modelId,
        uint8 indexed kind,
        uint64 indexed index,
        uint32 number,
        address disputer,
        uint256 bond,
        bytes32 digest,
        Digest evidence,
        uint256 proposalId,
        uint48 rulableUntil
    );

    /// @notice A dispute has ended.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param number The dispute's.
    /// @param digest Struct hash of the attestation.
    /// @param outcome How.
    /// @param won What the winner got of the loser's bond, in wei of the chain's coin.
    /// @param burned What nobody gets, in wei of the chain's coin.
    event DisputeSettled(
        ModelId indexed modelId,
        uint8 indexed kind,
        uint32 indexed number,
        bytes32 digest,
        Outcome outcome,
        uint256 won,
        uint256 burned
    );

    /// @notice A root was posted with a bond, because the one before it failed.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of the attestation.
    /// @param backer Who posted it.
    /// @param amount In wei of the chain's coin.
    event RootBacked(
        ModelId indexed modelId,
        uint8 indexed kind,
        bytes32 indexed digest,
        address backer,
        uint256 amount
    );

    /// @notice The bond of a model's disputes before any doubling.
    /// @param modelId The model.
    /// @param base In wei of the chain's coin.
    event BondSet(ModelId indexed modelId, uint96 base);

    /// @notice An account has coins to withdraw.
    /// @param account The account.
    /// @param amount What came to it, in wei of the chain's coin.
    event Credited(address indexed account, uint256 amount);

    /// @notice An account was paid what bonds brought it.
    /// @param account The account.
    /// @param amount In wei of the chain's coin.
    event Withdrawn(address indexed account, uint256 amount);

    /// @notice No root is pending that could be disputed.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    error DisputesNothingPending(ModelId modelId, uint8 kind);
    /// @notice Another attestation is pending than the one that is named.
    /// @param digest Struct hash of the one that is named.
    /// @param pending Struct hash of the pending one.
    error DisputesOtherAttestation(bytes32 digest, bytes32 pending);
    /// @notice The window of the pending root is over.
    /// @param activatableAt When it was over, in seconds since 1970.
    error DisputesWindowOver(uint48 activatableAt);
    /// @notice The pending root is disputed.
    /// @param number The dispute's.
    error DisputesOpen(uint32 number);
    /// @notice A bond must be exactly what is due: for a dispute and for a root after one that failed the bond, for other roots nothing.
    /// @param value What came, in wei of the chain's coin.
    /// @param due What is due.
    error DisputesWrongBond(uint256 value, uint256 due);
    /// @notice A dispute about this attestation has ended: another one needs other signatures, under another deadline or block.
    /// @param digest Its struct hash.
    error DisputesRuledBefore(bytes32 digest);
    /// @notice There is no such dispute.
    /// @param number Its number.
    /// @param newest Number of the newest.
    error DisputesUnknown(uint32 number, uint32 newest);
    /// @notice The vote on the dispute is not over.
    /// @param until When it is, in seconds since 1970.
    error DisputesNotDecided(uint256 until);
    /// @notice Only the model's organiser rules.
    /// @param caller Who called.
    error DisputesNotCourt(address caller);
    /// @notice The organiser rules only on the newest dispute, while it is open, and until a time that was fixed as it was opened.
    /// @param number The dispute's number.
    /// @param until The time, in seconds since 1970; 0 where the organiser may not rule.
    error DisputesNotRulable(uint32 number, uint48 until);
    /// @notice A bond stays between a sixteenth and sixteen times the first one.
    /// @param base What was to be the bond, in wei of the chain's coin.
    /// @param minimum What it must at least be.
    /// @param maximum What it may at most be.
    error DisputesBondOutOfBounds(uint96 base, uint256 minimum, uint256 maximum);

    /// @notice Records a new model's bond; the registry only.
    /// @dev Reverts with ModelAuthorityUnauthorized.
    /// @param modelId The new model.
    /// @param bond What a dispute costs at first, in wei of the chain's coin.
    function open(ModelId modelId, uint96 bond) external;

    /// @notice Freezes the pending root and opens the vote on it; anyone may, inside the root's window, with `bondOf` as value.
    /// @dev Reverts with DisputesNothingPending, DisputesOtherAttestation, DisputesOpen, DisputesWindowOver,
    /// DisputesRuledBefore, DisputesWrongBond.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of the attestation that is disputed.
    /// @param evidence sha256 of what was found.
    /// @return number The dispute's.
    function dispute(
        ModelId modelId,
        uint8 kind,
        bytes32 digest,
        Digest evidence
    ) external payable returns (uint32 number);

    /// @notice Ends a dispute as its vote did; anyone may, once the vote is over. Does nothing where it has ended, so that a
    /// proposal of the governor that says so can always be executed.
    /// @dev Reverts with DisputesUnknown, DisputesNotDecided.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param number The dispute's.
    function settleDispute(ModelId modelId, uint8 kind, uint32 number) external;

    /// @notice Ends a dispute that was opened in the model's bootstrap; the organiser only.
    /// @dev Reverts with DisputesNotCourt, DisputesNotRulable.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param number The dispute's.
    /// @param stands Whether the root stands.
    function rule(ModelId modelId, uint8 kind, uint32 number, bool stands) external;

    /// @notice Pays an account what bonds brought it; anyone may call.
    /// @dev Reverts where the account takes no coins.
    /// @param account The account.
    /// @return amount What was paid, in wei of the chain's coin.
    function withdraw(address account) external returns (uint256 amount);

    /// @notice Sets the bond of the disputes to come; the model's timelock only.
    /// @dev Reverts with ModelAuthorityUnauthorized, DisputesBondOutOfBounds.
    /// @param modelId The model.
    /// @param base The bond before any doubling, in wei of the chain's coin.
    function setBond(ModelId modelId, uint96 base) external;

    /// @notice The newest dispute.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return All zero before the first.
    function disputeOf(ModelId modelId, uint8 kind) external view returns (Dispute memory);

    /// @notice What the next dispute costs, and after a root that failed the next posting.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return bond In wei of the chain's coin.
    /// @return level How often it is doubled.
    /// @return isDue Whether the next posting needs it.
    function bondOf(ModelId modelId, uint8 kind) external view returns (uint256 bond, uint8 level, bool isDue);

    /// @notice The bond under the pending root.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return All zero where none was due.
    function backingOf(ModelId modelId, uint8 kind) external view returns (Backing memory);

    /// @notice What became of an attestation that was disputed.
    /// @param digest Its struct hash.
    /// @return All zero for one that no dispute has ended about.
    function ruledOf(bytes32 digest) external view returns (Ruled memory);

    /// @notice What `withdraw` would pay.
    /// @param account The account.
    /// @return In wei of the chain's coin.
    function credit(address account) external view returns (uint256);

    /// @notice When the age of the epochs is judged for the next posting, so that no dispute burns a budget.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return In seconds since 1970; 0 for the posting's own deadline. A deadline before it counts instead.
    function ageJudgedAt(ModelId modelId, uint8 kind) external view returns (uint48);

    /// @notice Says whether the organiser is still the court.
    /// @return Address of Bootstrap.
    function bootstrap() external view returns (address);
}
