// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, ModelId} from "./Ids.sol";

/// @notice How a dispute ended: not yet, for the root, by a vote against it, or without such a vote, which refuses it too.
enum Outcome {
    Open,
    Stands,
    Void,
    Undecided
}

/// @notice A dispute about a pending root. Of one attestation there is one, ever: what it ended about is never accepted again.
/// @param disputer Who put up the bond; 0 for no dispute.
/// @param bond What was put up, in wei of the chain's coin.
/// @param proposalId The vote, in the model's governor.
/// @param openedAt In seconds since 1970.
/// @param rulableUntil Until when the organiser may rule, in seconds since 1970; 0 where it was opened after bootstrap.
/// @param endedAt In seconds since 1970; 0 while it is open.
/// @param activatableAt From when on the root may be activated if it stands, in seconds since 1970.
/// @param outcome How it ended. It is void by a vote alone.
/// @param voted Whether a quorum of holders decided that: neither the organiser, nor the lack of a quorum.
struct Dispute {
    address disputer;
    uint96 bond;
    uint256 proposalId;
    uint48 openedAt;
    uint48 rulableUntil;
    uint48 endedAt;
    uint48 activatableAt;
    Outcome outcome;
    bool voted;
}

/// @notice The bond under a root that was posted after one that failed.
/// @param backer Who posted it, and put up the bond; 0 for none.
/// @param amount In wei of the chain's coin.
struct Backing {
    address backer;
    uint96 amount;
}

/// @notice The bond of a model's disputes before any doubling.
/// @param base In wei of the chain's coin.
/// @param setAt When holders set it last, in seconds since 1970; 0 where they never did.
/// @param version Its number, from 1, which the next decision replaces.
struct BondTerms {
    uint96 base;
    uint48 setAt;
    uint32 version;
}

/// @title IDisputes
/// @notice The holders are the court of what validators sign. Inside a root's window anyone may put up a bond: the root is frozen,
/// and a vote opens by itself in the model's governor. A majority of a quorum for the root lets it stand; a majority of a quorum
/// against it voids it; without a quorum on either side it is refused as well, and no attestation that was refused is accepted
/// again. Until the model's bootstrap is over its organiser may let a root stand that no quorum spoke about, once its window is
/// over, or refuse it at once; that voids nothing. After a root that failed the next one bears a bond as high as the next dispute's,
/// put up by whoever posts it. The bond doubles with each dispute, 2^10-fold at most, and halves with an activation that was not
/// disputed, once within a window and a vote at most. Who loses a dispute loses the bond: half goes to the winner, the other half
/// to nobody, for ever; where nothing was decided both lose a fifth. A dispute delays, and nothing else: active roots pay
/// meanwhile, and the budget of the epochs does not age. What comes beyond a bond is credited to who sent it. Coins are paid by
/// `withdraw` alone.
interface IDisputes {
    /// @notice A pending root is disputed.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of the attestation.
    /// @param index The root's number.
    /// @param disputer Who put up the bond.
    /// @param bond In wei of the chain's coin.
    /// @param evidence sha256 of what the disputer found, in the form that docs/protocol.md describes.
    /// @param proposalId The vote, in the model's governor.
    /// @param rulableUntil Until when the organiser may rule, in seconds since 1970; 0 for not at all.
    event RootDisputed(
        ModelId indexed modelId,
        uint8 indexed kind,
        bytes32 indexed digest,
        uint64 index,
        address disputer,
        uint256 bond,
        Digest evidence,
        uint256 proposalId,
        uint48 rulableUntil
    );

    /// @notice A dispute has ended.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of the attestation.
    /// @param outcome How.
    /// @param voted Whether a quorum of holders decided that.
    /// @param won What the winner got of the loser's bond, in wei of the chain's coin.
    /// @param burned What nobody gets, in wei of the chain's coin.
    event DisputeSettled(
        ModelId indexed modelId,
        uint8 indexed kind,
        bytes32 indexed digest,
        Outcome outcome,
        bool voted,
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
    /// @param version Its number, from 1.
    /// @param base In wei of the chain's coin.
    event BondSet(ModelId indexed modelId, uint32 indexed version, uint96 base);

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
    /// @param digest Struct hash of its attestation.
    error DisputesOpen(bytes32 digest);
    /// @notice Too little came for the bond that is due.
    /// @param value What came, in wei of the chain's coin.
    /// @param due What is due.
    error DisputesBondTooLow(uint256 value, uint256 due);
    /// @notice A dispute about this attestation has ended: another one needs other signatures, under another deadline or block.
    /// @param digest Its struct hash.
    error DisputesRuledBefore(bytes32 digest);
    /// @notice No dispute of this model and kind is about this attestation.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of what was named.
    error DisputesUnknown(ModelId modelId, uint8 kind, bytes32 digest);
    /// @notice The vote on the dispute is not over.
    /// @param until When it is, in seconds since 1970.
    error DisputesNotDecided(uint256 until);
    /// @notice Only the model's organiser rules.
    /// @param caller Who called.
    error DisputesNotCourt(address caller);
    /// @notice The organiser rules only while the dispute is open, and until a time that was fixed as it was opened.
    /// @param digest Struct hash of the attestation.
    /// @param until The time, in seconds since 1970; 0 where the organiser may not rule.
    error DisputesNotRulable(bytes32 digest, uint48 until);
    /// @notice The organiser lets no root stand before everybody had its window to speak up.
    /// @param from From when on it may, in seconds since 1970.
    error DisputesRuledTooEarly(uint256 from);
    /// @notice The organiser lets no root stand that a quorum of holders has voted on.
    /// @param proposalId The vote, in the model's governor.
    error DisputesHoldersDecide(uint256 proposalId);
    /// @notice A bond becomes a sixteenth of the one before at least and sixteen times that at most, and never more than 2^80.
    /// @param base What was to be the bond, in wei of the chain's coin.
    /// @param minimum What it must at least be.
    /// @param maximum What it may at most be.
    error DisputesBondOutOfBounds(uint96 base, uint256 minimum, uint256 maximum);
    /// @notice The decision was made on another bond than the one in force.
    /// @param modelId The model.
    /// @param replaces Number of the bond that was named.
    /// @param latest Number of the bond in force.
    error DisputesBondReplaced(ModelId modelId, uint32 replaces, uint32 latest);
    /// @notice Holders set the bond once in 30 days at most.
    /// @param from From when on they may again, in seconds since 1970.
    error DisputesBondTooSoon(uint256 from);

    /// @notice Records a new model's bond; the registry only.
    /// @dev Reverts with ModelAuthorityUnauthorized.
    /// @param modelId The new model.
    /// @param bond What a dispute costs at first, in wei of the chain's coin.
    function open(ModelId modelId, uint96 bond) external;

    /// @notice Freezes the pending root and opens the vote on it; anyone may, inside the root's window, with `bondOf` as value. What
    /// comes along beyond that is credited to the sender, so that a bond which falls meanwhile refuses nobody. Ends the model's
    /// bootstrap first, where that is due.
    /// @dev Reverts with DisputesNothingPending, DisputesOtherAttestation, DisputesOpen, DisputesWindowOver,
    /// DisputesRuledBefore, DisputesBondTooLow.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of the attestation that is disputed.
    /// @param evidence sha256 of what was found.
    /// @return proposalId The vote, in the model's governor.
    function dispute(
        ModelId modelId,
        uint8 kind,
        bytes32 digest,
        Digest evidence
    ) external payable returns (uint256 proposalId);

    /// @notice Ends a dispute as its vote did; anyone may, once the vote is over. Does nothing where it has ended, so that a
    /// proposal of the governor that says so can always be executed.
    /// @dev Reverts with DisputesUnknown, DisputesNotDecided.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of the attestation that is disputed.
    function settleDispute(ModelId modelId, uint8 kind, bytes32 digest) external;

    /// @notice Ends a dispute that was opened in the model's bootstrap; the organiser only. A root that it does not let stand is
    /// refused as if nobody had voted. It lets one stand only once the root's window would have been over, in the vote's last quarter
    /// where that is earlier, and only while no quorum of holders has voted on it, for or against.
    /// @dev Reverts with DisputesNotCourt, DisputesNotRulable, DisputesRuledTooEarly, DisputesHoldersDecide.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param digest Struct hash of the attestation that is disputed.
    /// @param stands Whether the root stands.
    function rule(ModelId modelId, uint8 kind, bytes32 digest, bool stands) external;

    /// @notice Pays an account what bonds brought it; anyone may call.
    /// @dev Reverts where the account takes no coins.
    /// @param account The account.
    /// @return amount What was paid, in wei of the chain's coin.
    function withdraw(address account) external returns (uint256 amount);

    /// @notice Sets the bond of the disputes to come; the model's timelock only, once in 30 days at most.
    /// @dev Reverts with ModelAuthorityUnauthorized, DisputesBondReplaced, DisputesBondTooSoon, DisputesBondOutOfBounds.
    /// @param modelId The model.
    /// @param replaces Number of the bond in force, which this decision was made on.
    /// @param base The bond before any doubling, in wei of the chain's coin.
    function setBond(ModelId modelId, uint32 replaces, uint96 base) external;

    /// @notice The dispute about an attestation.
    /// @param digest Struct hash of the attestation.
    /// @return All zero for one that was never disputed.
    function disputeOf(bytes32 digest) external view returns (Dispute memory);

    /// @notice What is disputed now, and when holders voided a root last.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return digest Struct hash of the attestation whose dispute is open; 0 for none.
    /// @return voidedAt When a vote voided a root last, in seconds since 1970; 0 for never.
    function disputedOf(ModelId modelId, uint8 kind) external view returns (bytes32 digest, uint48 voidedAt);

    /// @notice The bond before any doubling.
    /// @param modelId The model.
    /// @return All zero for a model that does not exist.
    function bondTermsOf(ModelId modelId) external view returns (BondTerms memory);

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
