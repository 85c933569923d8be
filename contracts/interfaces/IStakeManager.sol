// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";
import {Attestation, Receipt, Ruling, Verdict} from "./Statements.sol";

/// @notice What an account stakes for.
enum Role {
    Worker,
    Validator
}

/// @notice What an account has staked for one role in one model, in wei of the chain's coin.
/// @param active What admits it.
/// @param leaving What it asked for and has not withdrawn: it admits nobody, and is slashed as the rest.
/// @param requestedAt When it asked last, in seconds since 1970.
/// @param rulings How many rulings against it are neither vetoed nor executed.
/// @param ruled What these take together, in wei.
/// @param payee Who alone is paid what leaves; 0 for whomever the account names then.
struct Stake {
    uint96 active;
    uint96 leaving;
    uint48 requestedAt;
    uint16 rulings;
    uint96 ruled;
    address payee;
}

/// @notice What each offence costs, in basis points of the offender's stake.
/// @param conflictBps Two signatures that contradict each other.
/// @param voidedBps A signature under a root that the holders voided, or under a ruling that they vetoed.
/// @param rulingBps Work that validators ruled on.
/// @param version Number of these terms; 0 until the holders set some.
struct SlashTerms {
    uint16 conflictBps;
    uint16 voidedBps;
    uint16 rulingBps;
    uint32 version;
}

/// @notice Why somebody was slashed.
enum Offence {
    Verdicts,
    Attestations,
    VoidedRoot,
    Work,
    VetoedRuling
}

/// @notice How far a ruling has come.
enum RulingState {
    None,
    Proposed,
    Vetoed,
    Executed
}

/// @notice A ruling on a worker's receipt.
/// @param reporter Who proposed it and gets the fee.
/// @param amount What it takes, in wei: a part of the stake that there was when it was proposed, less what the rulings that were open
/// then take.
/// @param vetoEnds Before this time it cannot be executed, in seconds since 1970.
/// @param state How far it has come.
/// @param hash ProtocolHashes.hashRuling of it.
struct ProposedRuling {
    address reporter;
    uint96 amount;
    uint48 vetoEnds;
    RulingState state;
    bytes32 hash;
}

/// @title IStakeManager
/// @notice What workers and validators put up in the chain's coin, and lose where they are proved to have lied. Each account has one
/// plain balance for each model and role, and one part of it that is leaving: no list, which a stranger could fill. Whoever leaves
/// waits until what was signed can be disputed no more. An offence is punished once, by a part of what the offender has then,
/// leaving or not, rounded up. A twentieth goes to who reported it; the rest stays here for ever and is owed to nobody.
interface IStakeManager {
    /// @notice An account has more at stake.
    /// @param modelId The model.
    /// @param role What for.
    /// @param account Whose stake it is.
    /// @param from Who paid.
    /// @param amount In wei.
    event StakeDeposited(
        ModelId indexed modelId,
        Role indexed role,
        address indexed account,
        address from,
        uint256 amount
    );

    /// @notice An account said who alone is paid its stake, for ever.
    /// @param modelId The model.
    /// @param role What for it stakes.
    /// @param account Whose stake it is.
    /// @param payee Who is paid.
    event PayeeSet(ModelId indexed modelId, Role indexed role, address indexed account, address payee);

    /// @notice An account wants some of its stake back; whatever is leaving waits from now on.
    /// @param modelId The model.
    /// @param role What for it was staked.
    /// @param account Whose stake it is.
    /// @param amount What was asked for now, in wei.
    /// @param leaving All that is leaving, in wei.
    event WithdrawalRequested(
        ModelId indexed modelId,
        Role indexed role,
        address indexed account,
        uint256 amount,
        uint256 leaving
    );

    /// @notice What was leaving has been paid.
    /// @param modelId The model.
    /// @param role What for it was staked.
    /// @param account Whose stake it was.
    /// @param to Who got it.
    /// @param amount In wei.
    event StakeWithdrawn(
        ModelId indexed modelId,
        Role indexed role,
        address indexed account,
        address to,
        uint256 amount
    );

    /// @notice An account was punished.
    /// @param modelId The model.
    /// @param role What for it had staked.
    /// @param account The offender.
    /// @param offence Why.
    /// @param subject What tells this offence from others of its kind: for two verdicts the hash of what both are about, for two
    /// attestations that of what both have in common, for a voided root keccak256 of kind, modelId, index, fromEpoch, toEpoch, root and
    /// total, 32 bytes each, else the hash of the receipt.
    /// @param amount What it lost, in wei.
    /// @param reporter Who gets the fee.
    /// @param fee A part of the amount, in wei.
    event StakeSlashed(
        ModelId indexed modelId,
        Role indexed role,
        address indexed account,
        Offence offence,
        bytes32 subject,
        uint256 amount,
        address reporter,
        uint256 fee
    );

    /// @notice Validators ruled against a worker; holders may veto it.
    /// @param modelId The model.
    /// @param worker Who is accused.
    /// @param receiptHash Of which work.
    /// @param ruling What the validators signed.
    /// @param amount What it takes, in wei.
    /// @param vetoEnds Before this time it cannot be executed, in seconds since 1970.
    /// @param reporter Who gets the fee.
    event RulingProposed(
        ModelId indexed modelId,
        address indexed worker,
        bytes32 indexed receiptHash,
        Ruling ruling,
        uint256 amount,
        uint48 vetoEnds,
        address reporter
    );

    /// @notice The holders refused a ruling, for ever.
    /// @param modelId The model.
    /// @param worker Who was accused.
    /// @param receiptHash Of which work.
    event RulingVetoed(ModelId indexed modelId, address indexed worker, bytes32 indexed receiptHash);

    /// @notice A reporter was paid.
    /// @param account Who.
    /// @param amount In wei.
    event FeesCollected(address indexed account, uint256 amount);

    /// @notice The holders set what offences cost.
    /// @param modelId The model.
    /// @param terms The terms.
    event SlashTermsSet(ModelId indexed modelId, SlashTerms terms);

    /// @notice There is no such model.
    /// @param modelId What was named as the model.
    error StakeManagerUnknownModel(ModelId modelId);
    /// @notice A value that must not be zero is.
    /// @param field Name of the value.
    error StakeManagerZero(bytes32 field);
    /// @notice More is asked for than is active.
    /// @param amount What was asked for, in wei.
    /// @param active What is active, in wei.
    error StakeManagerTooLittle(uint256 amount, uint256 active);
    /// @notice Nothing of this account's is leaving.
    /// @param modelId The model.
    /// @param role What it would have been staked for.
    /// @param account Whose.
    error StakeManagerNothingLeaving(ModelId modelId, Role role, address account);
    /// @notice The newest set of validators has the account: its time runs from when a set without it is in force.
    /// @param modelId The model.
    /// @param account The validator.
    error StakeManagerStillValidator(ModelId modelId, address account);
    /// @notice What is leaving must wait.
    /// @param leavesAt Until when, in seconds since 1970.
    error StakeManagerTooEarly(uint48 leavesAt);
    /// @notice Rulings against the account are neither vetoed nor executed.
    /// @param rulings How many.
    error StakeManagerRulingsOpen(uint16 rulings);
    /// @notice A root of the model is disputed.
    /// @param digest Struct hash of its attestation.
    error StakeManagerDisputed(bytes32 digest);
    /// @notice Holders voided a root of the model a short while ago.
    /// @param until Until when nothing is paid out, in seconds since 1970.
    error StakeManagerDisputedLately(uint48 until);
    /// @notice The account did not sign this.
    /// @param account Who should have.
    /// @param signer Who did.
    error StakeManagerNotSigned(address account, address signer);
    /// @notice The two statements do not contradict each other.
    error StakeManagerNoConflict();
    /// @notice The holders did not void the attestation: nobody did, or the organiser alone.
    /// @param digest ProtocolHashes.hashAttestation of it.
    error StakeManagerNotVoided(bytes32 digest);
    /// @notice The holders did not veto the ruling.
    /// @param hash ProtocolHashes.hashRuling of it.
    error StakeManagerNotVetoed(bytes32 hash);
    /// @notice While the model is in bootstrap nobody could veto a ruling.
    /// @param modelId The model.
    error StakeManagerInBootstrap(ModelId modelId);
    /// @notice The account has said who is paid.
    /// @param payee Whom it named.
    error StakeManagerPayeeSet(address payee);
    /// @notice Another is to be paid than the account has said for ever.
    /// @param payee Whom it named.
    error StakeManagerNotPayee(address payee);
    /// @notice The terms that were to be replaced are not the newest: others were set meanwhile.
    /// @param modelId The model.
    /// @param replaces Number of the terms that were named.
    /// @param latest Number of the newest.
    error StakeManagerTermsReplaced(ModelId modelId, uint32 replaces, uint32 latest);
    /// @notice This offence was punished before.
    /// @param account The offender.
    /// @param subject What tells it from others, as in StakeSlashed.
    error StakeManagerPunished(address account, bytes32 subject);
    /// @notice The account has nothing to lose, or the holders set that this offence costs nothing.
    /// @param modelId The model.
    /// @param role What it would have been staked for.
    /// @param account The account.
    error StakeManagerNothingToSlash(ModelId modelId, Role role, address account);
    /// @notice The ruling is not one against the receipt's worker on its work.
    /// @param field Name of the field of Ruling, or of Receipt, that is not as it must be.
    error StakeManagerBadRuling(bytes32 field);
    /// @notice The ruling's deadline has passed.
    /// @param deadline In seconds since 1970.
    error StakeManagerExpired(uint64 deadline);
    /// @notice Signed by another set than the one in force.
    /// @param setVersion The set that the ruling names.
    /// @param currentVersion The set in force.
    error StakeManagerStaleSet(uint32 setVersion, uint32 currentVersion);
    /// @notice There is no such ruling, or it is not open.
    /// @param worker Who is accused.
    /// @param receiptHash Of which work.
    /// @param state How far it has come.
    error StakeManagerRulingNotOpen(address worker, bytes32 receiptHash, RulingState state);
    /// @notice The holders may still veto the ruling.
    /// @param vetoEnds Until when, in seconds since 1970.
    error StakeManagerVetoOpen(uint48 vetoEnds);
    /// @notice A term is outside its bounds.
    /// @param term Name of the field of SlashTerms.
    /// @param value Its value, in basis points.
    /// @param minimum What it must at least be.
    /// @param maximum What it may at most be.
    error StakeManagerTermOutOfBounds(bytes32 term, uint256 value, uint256 minimum, uint256 maximum);

    /// @notice Adds what is sent to an account's stake; anyone may pay. The account alone can have it back, and where it has set a payee
    /// that alone: whoever pays for a key that lies on somebody's machine looks at `stakeOf` first.
    /// @dev Reverts with StakeManagerUnknownModel, StakeManagerZero, and SafeCast's error beyond 2^96 wei.
    /// @param modelId The model.
    /// @param role What for.
    /// @param account Whose stake it is.
    function deposit(ModelId modelId, Role role, address account) external payable;

    /// @notice Says who alone is paid the caller's stake, once and for ever, so that a key that is stolen later can pay nobody else.
    /// @dev Reverts with StakeManagerZero, StakeManagerPayeeSet.
    /// @param modelId The model.
    /// @param role What for it stakes, or is going to.
    /// @param payee Who is paid.
    function setPayee(ModelId modelId, Role role, address payee) external;

    /// @notice Asks for some of the caller's stake, which admits it no more from now on. All that is leaving waits from this
    /// request on: withdraw before where that is due.
    /// @dev Reverts with StakeManagerZero, StakeManagerTooLittle.
    /// @param modelId The model.
    /// @param role What for it was staked.
    /// @param amount In wei.
    function requestWithdrawal(ModelId modelId, Role role, uint96 amount) external;

    /// @notice Pays all that is leaving of the caller's stake, once it has waited and while nothing is open that could cost it: rulings
    /// against a worker, and for validators a dispute, or one that voided a root a window and a longest vote ago at most.
    /// @dev Reverts with StakeManagerZero, StakeManagerNothingLeaving, StakeManagerNotPayee, StakeManagerRulingsOpen, StakeManagerStillValidator,
    /// StakeManagerTooEarly, StakeManagerDisputed, StakeManagerDisputedLately, and OpenZeppelin's FailedCall where `to` refuses.
    /// @param modelId The model.
    /// @param role What for it was staked.
    /// @param to Who gets it.
    /// @return amount In wei.
    function withdraw(ModelId modelId, Role role, address payable to) external returns (uint256 amount);

    /// @notice Punishes a validator that signed two values for one thing: verdicts of one run, head, kind, worker and index, of kind 3 or
    /// 5, which say whether a checkpoint holds. Two measurements (of another kind) may differ. Anyone may call, and gets the fee.
    /// @dev Reverts with StakeManagerNoConflict, StakeManagerNotSigned, StakeManagerPunished, StakeManagerNothingToSlash,
    /// RunRegistryUnknownRun, and ECDSA's errors where a signature is malformed.
    /// @param a One verdict.
    /// @param signatureA Its validator's, 65 bytes (r, s, v).
    /// @param b The other.
    /// @param signatureB Its validator's.
    /// @return amount What the validator lost, in wei.
    function slashVerdicts(
        Verdict calldata a,
        bytes calldata signatureA,
        Verdict calldata b,
        bytes calldata signatureB
    ) external returns (uint256 amount);

    /// @notice Punishes whoever signed two attestations that pay differently (root or total) and are equal in all else but epochDigest.
    /// Anyone may call, and gets the fee. To sign again under another deadline, or on another head, is honest.
    /// @dev Reverts with StakeManagerNoConflict, StakeManagerNotSigned, StakeManagerPunished, StakeManagerNothingToSlash, and
    /// ECDSA's errors where a signature is malformed.
    /// @param a One attestation.
    /// @param signatureA 65 bytes (r, s, v).
    /// @param b The other.
    /// @param signatureB By the same key.
    /// @return amount What the signer lost, in wei.
    function slashAttestations(
        Attestation calldata a,
        bytes calldata signatureA,
        Attestation calldata b,
        bytes calldata signatureB
    ) external returns (uint256 amount);

    /// @notice Punishes a validator that signed an attestation which the holders' vote voided. Of one root it is punished once, on
    /// however many heads, blocks and deadlines it signed that. Anyone may call; who disputed the root gets the fee.
    /// @dev Reverts with StakeManagerNotVoided, StakeManagerPunished, StakeManagerNothingToSlash, and ECDSA's errors where the
    /// signature is malformed.
    /// @param attestation The attestation.
    /// @param signature The validator's, 65 bytes (r, s, v).
    /// @return amount What the signer lost, in wei.
    function slashVoided(Attestation calldata attestation, bytes calldata signature) external returns (uint256 amount);

    /// @notice Punishes a validator that signed a ruling which the holders vetoed. Anyone may call, and gets the fee.
    /// @dev Reverts with StakeManagerNotVetoed, StakeManagerPunished, StakeManagerNothingToSlash, and ECDSA's errors where the
    /// signature is malformed.
    /// @param ruling The ruling, as it was proposed.
    /// @param signature The validator's, 65 bytes (r, s, v).
    /// @return amount What the signer lost, in wei.
    function slashVetoed(Ruling calldata ruling, bytes calldata signature) external returns (uint256 amount);

    /// @notice Puts a ruling of the validators' quorum before the holders: that a worker lied in a receipt which it signed. Anyone may
    /// call, and gets the fee once it is executed. Of one receipt there is one ruling, ever, and none while the model is in bootstrap.
    /// @dev Reverts with StakeManagerBadRuling, StakeManagerInBootstrap, StakeManagerExpired, StakeManagerStaleSet, StakeManagerNotSigned,
    /// StakeManagerPunished, StakeManagerNothingToSlash, RunRegistryUnknownRun, as IValidatorSet.requireQuorum, and ECDSA's errors
    /// where the receipt's signature is malformed.
    /// @param ruling Of kind 3 and outcome 1, its subject the receipt's hash, its dispute 0.
    /// @param receipt What the worker signed.
    /// @param receiptSignature The worker's, 65 bytes (r, s, v).
    /// @param signatures The validators', by strictly ascending signers, 65 bytes each (r, s, v), one behind the other.
    /// @return vetoEnds From when on it can be executed, in seconds since 1970.
    function proposeRuling(
        Ruling calldata ruling,
        Receipt calldata receipt,
        bytes calldata receiptSignature,
        bytes calldata signatures
    ) external returns (uint48 vetoEnds);

    /// @notice Refuses a ruling for ever; the model's timelock only, until it is executed. One that is vetoed or executed, or that is not
    /// there, stays as it is, so that a vote on several does not fail for one.
    /// @dev Reverts with ModelAuthorityUnauthorized.
    /// @param modelId The model.
    /// @param worker Who is accused.
    /// @param receiptHash Of which work.
    function vetoRuling(ModelId modelId, address worker, bytes32 receiptHash) external;

    /// @notice Carries a ruling out that the holders let pass; anyone may call.
    /// @dev Reverts with StakeManagerRulingNotOpen, StakeManagerVetoOpen.
    /// @param modelId The model.
    /// @param worker Who is accused.
    /// @param receiptHash Of which work.
    /// @return amount What the worker lost, in wei.
    function executeRuling(ModelId modelId, address worker, bytes32 receiptHash) external returns (uint256 amount);

    /// @notice Pays an account the fees for what it reported; anyone may call. One that has none gets 0.
    /// @dev Reverts with OpenZeppelin's FailedCall where the account refuses.
    /// @param account Who is paid.
    /// @return amount In wei.
    function collectFees(address payable account) external returns (uint256 amount);

    /// @notice Sets what offences cost; the model's timelock only. Two conflicting signatures cost 10 to 100%, a voided root
    /// or a vetoed ruling 1 to 10%, a ruling 0 to 50%. At first: 50, 10 and 10%. They hold for what was signed before as well. Of two
    /// decisions on one version the first that is executed holds.
    /// @dev Reverts with ModelAuthorityUnauthorized, StakeManagerTermsReplaced, StakeManagerTermOutOfBounds.
    /// @param modelId The model.
    /// @param replaces Number of the terms in force (`termsOf`), which this decision was made on; 0 for the first.
    /// @param conflictBps Two signatures that contradict each other, in basis points.
    /// @param voidedBps A signature under a voided root or a vetoed ruling, in basis points.
    /// @param rulingBps Work that validators ruled on, in basis points.
    function setTerms(
        ModelId modelId,
        uint32 replaces,
        uint16 conflictBps,
        uint16 voidedBps,
        uint16 rulingBps
    ) external;

    /// @notice An account's stake; all zero where it has none.
    /// @param modelId The model.
    /// @param role What for.
    /// @param account Whose.
    /// @return The stake.
    function stakeOf(ModelId modelId, Role role, address account) external view returns (Stake memory);

    /// @notice What of an account's stake admits it: what is leaving does not.
    /// @param modelId The model.
    /// @param role What for.
    /// @param account Whose.
    /// @return In wei.
    function activeOf(ModelId modelId, Role role, address account) external view returns (uint256);

    /// @notice From when on what is leaving may be withdrawn by the settings in force, if no root is disputed and no ruling is open
    /// then.
    /// @param modelId The model.
    /// @param role What for it was staked.
    /// @param account Whose.
    /// @return In seconds since 1970; 0 where nothing is leaving, 2^48 - 1 where the newest set of validators has the account.
    function leavesAt(ModelId modelId, Role role, address account) external view returns (uint48);

    /// @notice How long what is leaving waits, by the settings in force: one window, the longest vote and two epochs. A validator
    /// waits for the timelock's delay as well, and from when a set without it is in force.
    /// @dev Reverts with StakeManagerUnknownModel.
    /// @param modelId The model.
    /// @param role What for it is staked.
    /// @return In seconds.
    function withdrawalDelay(ModelId modelId, Role role) external view returns (uint256);

    /// @notice What offences cost in a model.
    /// @param modelId The model.
    /// @return The terms.
    function termsOf(ModelId modelId) external view returns (SlashTerms memory);

    /// @notice The ruling on a receipt; all zero where there is none.
    /// @param modelId The model.
    /// @param worker Who is accused.
    /// @param receiptHash Of which work.
    /// @return The ruling.
    function rulingOf(
        ModelId modelId,
        address worker,
        bytes32 receiptHash
    ) external view returns (ProposedRuling memory);

    /// @notice Fees that an account has not collected.
    /// @param account Who reported.
    /// @return In wei.
    function feesOf(address account) external view returns (uint256);

    /// @notice Verifying contract of verdicts and receipts.
    /// @return Address of RunRegistry.
    function runs() external view returns (address);

    /// @notice Verifying contract of attestations.
    /// @return Address of ComputeRewards.
    function rewards() external view returns (address);

    /// @notice Knows who is a validator until when, and verifies rulings.
    /// @return Address of ValidatorSet.
    function validators() external view returns (address);

    /// @notice Knows which roots are disputed and which were voided.
    /// @return Address of ComputeRewards.
    function disputes() external view returns (address);
}
