// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, ModelId} from "./Ids.sol";
import {Grant} from "./Statements.sol";

/// @notice A grant as it stands.
/// @param author Who is paid.
/// @param start From when on it is paid, in seconds since 1970.
/// @param vetoEnds Before this time nothing of it is due, in seconds since 1970.
/// @param amount What is paid in all, in wei of shares; of a revoked one what was due then.
/// @param claimed What was paid.
/// @param cliff Seconds after the start before which nothing is due.
/// @param duration Seconds after the start within which all becomes due.
/// @param setVersion Number of the maintainers' set that approved it; 0 where the holders did.
/// @param revoked Whether the holders ended it, alone or with all that its set approved.
struct GrantState {
    address author;
    uint48 start;
    uint48 vetoEnds;
    uint128 amount;
    uint128 claimed;
    uint32 cliff;
    uint32 duration;
    uint32 setVersion;
    bool revoked;
}

/// @notice What the maintainers may approve in one epoch, in wei of shares.
/// @param perAuthor For one author.
/// @param perEpoch For all authors together.
/// @param version How often the holders have set them.
struct GrantCaps {
    uint128 perAuthor;
    uint128 perEpoch;
    uint32 version;
}

/// @notice Who is paid of the founders' shares.
/// @param account Who is paid.
/// @param amount What is paid in all, in wei of shares.
struct Founder {
    address account;
    uint128 amount;
}

/// @notice What a model's founders are paid, all of it minted at the model's creation.
/// @param list Each of them, with one amount each; empty for a model whose founders get nothing.
/// @param cliff Seconds after the creation before which nothing is due: a quarter of a year at least.
/// @param duration Seconds after the creation within which all becomes due: a year at least.
struct FoundersConfig {
    Founder[] list;
    uint32 cliff;
    uint32 duration;
}

/// @title ICodeGrants
/// @notice Pays authors of code, over time. A quorum of a model's maintainers approves a grant within caps that the holders set, or
/// the holders approve it themselves. Its whole amount is minted then, from the code budgets that there are, and lies here until
/// it is due: it counts in the supply, and so in a quorum, but has no vote. Of what maintainers approve nothing is due before
/// the holders have had the time for a whole vote on revoking it, which is their veto; they may revoke later too, one grant or all
/// that one set of maintainers approved. What was not due then is burned.
/// Founders' shares lie here as grants too, which name no code: only a model's creation makes them, and the holders may revoke them
/// like others.
interface ICodeGrants {
    /// @notice A grant was approved and its amount minted.
    /// @param modelId The model.
    /// @param id Name of the grant.
    /// @param author Who is paid.
    /// @param grant All of it; its setVersion is 0 where the holders approved it, its commit too where it is a founder's.
    /// @param repository URL of the repository; empty where it is a founder's.
    /// @param vetoEnds Before this time nothing of it is due, in seconds since 1970.
    event GrantApproved(
        ModelId indexed modelId,
        bytes32 indexed id,
        address indexed author,
        Grant grant,
        string repository,
        uint48 vetoEnds
    );

    /// @notice An author was paid.
    /// @param modelId The model.
    /// @param id Name of the grant.
    /// @param author Who was paid.
    /// @param amount What was paid, in wei of shares.
    event GrantClaimed(ModelId indexed modelId, bytes32 indexed id, address indexed author, uint256 amount);

    /// @notice The holders ended a grant, or it was ended with its set and somebody has burned what was not due.
    /// @param modelId The model.
    /// @param id Name of the grant.
    /// @param author Who keeps what was due.
    /// @param due What was due, claimed or not, in wei of shares.
    /// @param burned What was not, in wei of shares.
    event GrantRevoked(
        ModelId indexed modelId,
        bytes32 indexed id,
        address indexed author,
        uint256 due,
        uint256 burned
    );

    /// @notice The holders ended all that a set of maintainers approved: nothing more of it becomes due, and it approves no more.
    /// @param modelId The model.
    /// @param setVersion Number of the set.
    event GrantSetVoided(ModelId indexed modelId, uint32 indexed setVersion);

    /// @notice The holders set what maintainers may approve.
    /// @param modelId The model.
    /// @param perAuthor For one author in one epoch, in wei of shares.
    /// @param perEpoch In one epoch, in wei of shares.
    event GrantCapsSet(ModelId indexed modelId, uint128 perAuthor, uint128 perEpoch);

    /// @notice The caps that were to be replaced are not in force: others came meanwhile.
    /// @param modelId The model.
    /// @param replaces Number of the caps that were named.
    /// @param latest Number of those in force.
    error CodeGrantsCapsReplaced(ModelId modelId, uint32 replaces, uint32 latest);
    /// @notice A term of the grant is outside its bounds.
    /// @param term Name of the field of Grant.
    /// @param value Its value; of a text, its bytes.
    /// @param minimum What it must at least be.
    /// @param maximum What it may at most be.
    error CodeGrantsTermOutOfBounds(bytes32 term, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice The URL is not that whose digest the grant names.
    /// @param digest sha256 of the URL.
    /// @param named What the grant names.
    error CodeGrantsOtherRepository(Digest digest, Digest named);
    /// @notice The grant was approved before.
    /// @param modelId The model.
    /// @param id Name of the grant.
    error CodeGrantsApproved(ModelId modelId, bytes32 id);
    /// @notice There is no such grant.
    /// @param modelId The model.
    /// @param id What was named as the grant.
    error CodeGrantsUnknown(ModelId modelId, bytes32 id);
    /// @notice The deadline is over.
    /// @param deadline In seconds since 1970.
    error CodeGrantsExpired(uint64 deadline);
    /// @notice The grant names another set of maintainers than the one in force.
    /// @param setVersion Number of the set that was named.
    /// @param current Number of the set in force; 0 for what the holders approve.
    error CodeGrantsStaleSet(uint32 setVersion, uint32 current);
    /// @notice The holders ended all that this set of maintainers approved, so that it approves no more.
    /// @param setVersion Number of the set.
    /// @param time When they did, in seconds since 1970.
    error CodeGrantsVoidedSet(uint32 setVersion, uint48 time);
    /// @notice More than the maintainers may still approve for this author in this epoch.
    /// @param author Who would be paid.
    /// @param amount The grant's, in wei of shares.
    /// @param left What they may, in wei of shares.
    error CodeGrantsAboveAuthorCap(address author, uint256 amount, uint256 left);
    /// @notice More than the maintainers may still approve in this epoch.
    /// @param amount The grant's, in wei of shares.
    /// @param left What they may, in wei of shares.
    error CodeGrantsAboveEpochCap(uint256 amount, uint256 left);

    /// @notice Records what a new model's founders are paid, whose shares Emission has minted; the registry only.
    /// @dev Reverts with ModelAuthorityUnauthorized, CodeGrantsTermOutOfBounds, and CodeGrantsApproved for the same founder and amount twice.
    /// @param modelId The new model.
    /// @param config Who is paid what, and when.
    function open(ModelId modelId, FoundersConfig calldata config) external;

    /// @notice Approves a grant that a quorum of the maintainers has signed; anyone may call. The epoch of the call counts for the
    /// caps, also of what is revoked later.
    /// @dev Reverts with CodeGrantsExpired, CodeGrantsStaleSet, CodeGrantsVoidedSet, CodeGrantsTermOutOfBounds,
    /// CodeGrantsOtherRepository, CodeGrantsApproved, CodeGrantsAboveAuthorCap, CodeGrantsAboveEpochCap, as
    /// IValidatorSet.requireMaintainers, and as IEmission.draw where the budgets are too small.
    /// @param grant The grant.
    /// @param repository URL of the repository, 1 to 256 bytes.
    /// @param signatures By ascending signer, 65 bytes each (r, s, v).
    /// @return id Name of the grant.
    function approve(
        Grant calldata grant,
        string calldata repository,
        bytes calldata signatures
    ) external returns (bytes32 id);

    /// @notice Approves a grant by a vote; the model's timelock only. No cap and no veto: the holders have decided.
    /// @dev Reverts with ModelAuthorityUnauthorized, CodeGrantsExpired, CodeGrantsStaleSet, CodeGrantsTermOutOfBounds,
    /// CodeGrantsOtherRepository, CodeGrantsApproved, and as IEmission.draw where the budgets are too small.
    /// @param grant The grant; its setVersion is 0.
    /// @param repository URL of the repository, 1 to 256 bytes.
    /// @return id Name of the grant.
    function approveByVote(Grant calldata grant, string calldata repository) external returns (bytes32 id);

    /// @notice Pays the author what is due and was not paid; anyone may call. Does nothing where that is nothing.
    /// @dev Reverts with CodeGrantsUnknown.
    /// @param modelId The model.
    /// @param id Name of the grant.
    /// @return amount What was paid, in wei of shares.
    function claim(ModelId modelId, bytes32 id) external returns (uint256 amount);

    /// @notice Ends a grant: what is due stays the author's, the rest is burned; the model's timelock only. Does nothing where all
    /// of it is due or it was revoked before.
    /// @dev Reverts with ModelAuthorityUnauthorized, CodeGrantsUnknown.
    /// @param modelId The model.
    /// @param id Name of the grant.
    function revoke(ModelId modelId, bytes32 id) external;

    /// @notice Ends all grants that a set of maintainers approved, however many: of each no more becomes due than was by now, before its
    /// veto is over nothing; the model's timelock only. The set approves no more, in force or not. Does nothing where that
    /// was done. What it approved is burned with `burnVoided`.
    /// @dev Reverts with ModelAuthorityUnauthorized, and as IValidatorSet.maintainersOf for a set that there is not: 0 as well,
    /// which stands for what the holders approved.
    /// @param modelId The model.
    /// @param setVersion Number of the set.
    function voidSet(ModelId modelId, uint32 setVersion) external;

    /// @notice Burns what will never be due of grants whose set was voided; anyone may call. Passes over those where that is nothing,
    /// and those of other sets.
    /// @dev Reverts with CodeGrantsUnknown.
    /// @param modelId The model.
    /// @param ids Names of the grants.
    /// @return burned What was burned, in wei of shares.
    function burnVoided(ModelId modelId, bytes32[] calldata ids) external returns (uint256 burned);

    /// @notice Sets what maintainers may approve from now on; the model's timelock only. Both are 0 at first. Of two decisions on
    /// the same caps the first that is executed holds, and an old one cannot undo what was decided after it.
    /// @dev Reverts with ModelAuthorityUnauthorized, CodeGrantsCapsReplaced.
    /// @param modelId The model.
    /// @param replaces Number of the caps in force, which this decision was made on; 0 for the first.
    /// @param perAuthor For one author in one epoch, in wei of shares.
    /// @param perEpoch In one epoch, in wei of shares.
    function setCaps(ModelId modelId, uint32 replaces, uint128 perAuthor, uint128 perEpoch) external;

    /// @notice A grant as it stands; all zero for one that was not approved. One whose set was voided stands as if what is not due
    /// was burned, also where nobody has done so yet.
    /// @param modelId The model.
    /// @param id Name of the grant.
    /// @return grant The grant.
    function grantOf(ModelId modelId, bytes32 id) external view returns (GrantState memory grant);

    /// @notice What of a grant is due at a time if nobody revokes it or voids its set, claimed or not.
    /// @dev Reverts with CodeGrantsUnknown.
    /// @param modelId The model.
    /// @param id Name of the grant.
    /// @param time In seconds since 1970.
    /// @return In wei of shares.
    function dueAt(ModelId modelId, bytes32 id, uint48 time) external view returns (uint256);

    /// @notice When the holders ended all that a set of maintainers approved.
    /// @param modelId The model.
    /// @param setVersion Number of the set.
    /// @return In seconds since 1970; 0 where they did not.
    function voidedAt(ModelId modelId, uint32 setVersion) external view returns (uint48);

    /// @notice What `burnVoided` would burn of a grant.
    /// @dev Reverts with CodeGrantsUnknown.
    /// @param modelId The model.
    /// @param id Name of the grant.
    /// @return In wei of shares.
    function unburned(ModelId modelId, bytes32 id) external view returns (uint256);

    /// @notice What maintainers may approve in one epoch.
    /// @param modelId The model.
    /// @return The caps; both 0 until the holders set them.
    function capsOf(ModelId modelId) external view returns (GrantCaps memory);

    /// @notice What maintainers have approved in an epoch.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param author An author.
    /// @return byAuthor For the author, in wei of shares.
    /// @return inAll For all authors together, in wei of shares.
    function approvedIn(
        ModelId modelId,
        uint64 epoch,
        address author
    ) external view returns (uint256 byAuthor, uint256 inAll);

    /// @notice Name of a grant: a hash of its terms, without setVersion and deadline.
    /// @param grant The grant.
    /// @return Its id.
    function grantIdOf(Grant calldata grant) external pure returns (bytes32);

    /// @notice What mints the amounts and burns what is revoked.
    /// @return Its address.
    function emission() external view returns (address);

    /// @notice Where the maintainers are kept.
    /// @return Its address.
    function validators() external view returns (address);

    /// @notice EIP-712 domain separator of Grant.
    /// @return The separator.
    function domainSeparator() external view returns (bytes32);
}
