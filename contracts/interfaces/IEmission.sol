// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";
import {KINDS} from "./Kinds.sol";

/// @notice A budget, in force from an epoch until the next one's begins.
/// @param fromEpoch The first epoch that it is in force in.
/// @param perEpoch What an epoch may mint, in wei of shares.
/// @param computeBps The part for compute, in basis points.
/// @param codeBps The part for code, in basis points.
/// @param capitalBps The part for capital, in basis points.
/// @param treasuryBps The part for the treasury, in basis points.
/// @param version Its number among the model's budgets, from 1, those included that were never in force.
struct Budget {
    uint32 fromEpoch;
    uint128 perEpoch;
    uint16 computeBps;
    uint16 codeBps;
    uint16 capitalBps;
    uint16 treasuryBps;
    uint32 version;
}

/// @title IEmission
/// @notice The only minter of every model's shares. Each epoch has a budget, split by kind: 1 compute, 2 code,
/// 3 capital, 4 treasury. What a kind's distributor does not authorise within 30 days after an epoch's end is never
/// minted. Compute is authorised by whole epochs, code in parts, of capital what an epoch has sold, and of the treasury's part what
/// the holders vote to draw: shares that lie idle in the treasury would only make every quorum larger.
interface IEmission {
    /// @notice A budget is in force from an epoch on.
    /// @param modelId The model.
    /// @param fromEpoch The first epoch that it is in force in.
    /// @param perEpoch What an epoch may mint, in wei of shares.
    /// @param bps Split among compute, code, capital and treasury, in basis points.
    event BudgetSet(ModelId indexed modelId, uint64 indexed fromEpoch, uint128 perEpoch, uint16[KINDS] bps);

    /// @notice Shares were minted at a model's creation, to be paid to its founders over years.
    /// @param modelId The model.
    /// @param grants Who pays them: CodeGrants.
    /// @param amount What was minted, in wei of shares.
    event FoundersMinted(ModelId indexed modelId, address indexed grants, uint256 amount);

    /// @notice Shares were minted to a kind's distributor, on account of the epochs `from` to `to`. What is drawn may leave a
    /// part of the last one to the next event.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param from The first epoch.
    /// @param to The last epoch.
    /// @param asOf The time at which the age of the epochs was judged, in seconds since 1970.
    /// @param amount What was minted, in wei of shares.
    event EmissionAuthorised(
        ModelId indexed modelId,
        uint8 indexed kind,
        uint64 from,
        uint64 to,
        uint48 asOf,
        uint256 amount
    );

    /// @notice The holders named who distributes a kind of their model from a time on.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param present Who does until then.
    /// @param successor Who does from then on; the present one where it stays.
    /// @param from That time, in seconds since 1970.
    event SuccessorNamed(
        ModelId indexed modelId,
        uint8 indexed kind,
        address indexed present,
        address successor,
        uint48 from
    );

    /// @notice There is no such model.
    /// @param modelId What was named as the model.
    error EmissionUnknownModel(ModelId modelId);
    /// @notice A successor must be a contract that names this registry as its own (IModelAuthority) and did not distribute this kind
    /// before. The treasury's part has none.
    /// @param kind Of Kinds.sol.
    /// @param successor Who was named.
    error EmissionBadSuccessor(uint8 kind, address successor);
    /// @notice The budget that was to be replaced is not the newest: another came meanwhile.
    /// @param modelId The model.
    /// @param replaces Number of the budget that was named.
    /// @param latest Number of the newest.
    error EmissionBudgetReplaced(ModelId modelId, uint32 replaces, uint32 latest);
    /// @notice The split must sum to 10,000 basis points.
    /// @param sum What the split sums to, in basis points.
    error EmissionSplit(uint256 sum);
    /// @notice The budget of a year's epochs is above the yearly cap, or above what the founders' shares leave of it in the first year.
    /// @param perYear The budget of a year's epochs, in wei of shares.
    /// @param yearlyCap The cap, in the first year without the founders' shares, in wei of shares.
    error EmissionAboveYearlyCap(uint256 perYear, uint256 yearlyCap);
    /// @notice The caller does not distribute this kind.
    /// @param kind Of Kinds.sol.
    /// @param caller Who called.
    error EmissionNotDistributor(uint8 kind, address caller);
    /// @notice The range is empty, begins at 0 or reaches beyond the current epoch.
    /// @param from The first epoch.
    /// @param to The last epoch.
    /// @param current The current epoch.
    error EmissionBadRange(uint64 from, uint64 to, uint64 current);
    /// @notice More than the epochs' budget that is left.
    /// @param amount What was to be minted, in wei of shares.
    /// @param authorisable What is left, in wei of shares.
    error EmissionOverBudget(uint256 amount, uint256 authorisable);

    /// @notice The epoch ends later than times can say here.
    /// @param epoch The epoch.
    /// @param end When it would be over, in seconds since 1970.
    error EmissionEpochTooFar(uint64 epoch, uint256 end);

    /// @notice Records a new model's cap and first budget, and mints the founders' shares to CodeGrants; the registry only.
    /// @dev Reverts with ModelAuthorityUnauthorized, EmissionSplit, EmissionAboveYearlyCap.
    /// @param modelId The new model.
    /// @param yearlyCap What the epochs of one year may mint at most, for ever, in wei of shares.
    /// @param founders What is minted for the founders, within the cap of the first year, in wei of shares.
    /// @param perEpoch What an epoch may mint at first, in wei of shares.
    /// @param bps Split among compute, code, capital and treasury, in basis points; sums to 10,000.
    function open(
        ModelId modelId,
        uint128 yearlyCap,
        uint128 founders,
        uint128 perEpoch,
        uint16[KINDS] calldata bps
    ) external;

    /// @notice Sets the budget from the next epoch on; the model's timelock only. Of two decisions on one budget the first that
    /// is executed holds, and an old one cannot undo what was decided after it.
    /// @dev Reverts with ModelAuthorityUnauthorized, EmissionBudgetReplaced, EmissionSplit, EmissionAboveYearlyCap.
    /// @param modelId The model.
    /// @param replaces Number of the newest budget, in force or not, which this decision was made on.
    /// @param perEpoch What an epoch may mint, in wei of shares.
    /// @param bps Split among compute, code, capital and treasury, in basis points; sums to 10,000.
    function setBudget(ModelId modelId, uint32 replaces, uint128 perEpoch, uint16[KINDS] calldata bps) external;

    /// @notice Mints to the kind's distributor, which alone may call. No epoch up to `to` can be authorised again for
    /// that kind. The treasury's part is drawn alone.
    /// @dev Reverts with EmissionNotDistributor (for the treasury's part and what is no kind, too), EmissionUnknownModel,
    /// EmissionBadRange, EmissionOverBudget.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param from The first epoch, 1 or later.
    /// @param to The last epoch, at most the current one.
    /// @param asOf The time at which the age of the epochs is judged, in seconds since 1970: an attestation's deadline,
    /// so that all signers see one budget and activation cannot fail for age. For a successor that is never before it took over.
    /// @param amount What is minted, in wei of shares.
    function authorise(ModelId modelId, uint8 kind, uint64 from, uint64 to, uint48 asOf, uint256 amount) external;

    /// @notice Mints to the kind's distributor, which alone may call, from all budgets that there are: of the current epoch and
    /// of those that ended within 30 days, the oldest first. What is left of them can be drawn later.
    /// @dev Reverts with EmissionNotDistributor (for what is no kind, too), EmissionUnknownModel, EmissionOverBudget.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param amount What is minted, in wei of shares.
    function draw(ModelId modelId, uint8 kind, uint256 amount) external;

    /// @notice Names who distributes a kind of a model 14 days from now; the model's timelock only. What is authorised by then stays
    /// so, and the cap is shared: the successor begins with what is left. What its predecessor has not authorised by then, such as a
    /// root that is pending, is void; what it owes stays its own to pay, for ever. Naming another before that time begins the 14 days
    /// anew; naming the present distributor takes it back.
    /// @dev Reverts with ModelAuthorityUnauthorized, EmissionBadSuccessor.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol, but for the treasury's.
    /// @param successor The contract that is named; `registry()` of it answers this contract's registry.
    function nameSuccessor(ModelId modelId, uint8 kind, address successor) external;

    /// @notice Burns shares that the kind's distributor, or one that it has succeeded, holds and which alone may call. No budget grows
    /// by it.
    /// @dev Reverts with EmissionNotDistributor (for what is no kind, too), ERC20InsufficientBalance.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param amount What is burned, in wei of shares.
    function burn(ModelId modelId, uint8 kind, uint256 amount) external;

    /// @notice What may still be authorised for a kind on account of the epochs `from` to `to`.
    /// @dev Reverts with EmissionUnknownModel, and panics on what is no kind.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param from The first epoch.
    /// @param to The last epoch; those that have not begun count for nothing.
    /// @param asOf The time at which the age of the epochs is judged, in seconds since 1970.
    /// @return The sum, in wei of shares.
    function authorisable(
        ModelId modelId,
        uint8 kind,
        uint64 from,
        uint64 to,
        uint48 asOf
    ) external view returns (uint256);

    /// @notice The same as one distributor sees it: nothing unless it distributes the kind at present.
    /// @dev Reverts with EmissionUnknownModel.
    /// @param distributor Who would authorise it.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @param from The first epoch.
    /// @param to The last epoch; those that have not begun count for nothing.
    /// @param asOf The time at which the age of the epochs is judged, in seconds since 1970.
    /// @return The sum, in wei of shares.
    function authorisableBy(
        address distributor,
        ModelId modelId,
        uint8 kind,
        uint64 from,
        uint64 to,
        uint48 asOf
    ) external view returns (uint256);

    /// @notice Who was named last to distribute a kind of a model.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return successor Its address; 0 where nobody was named.
    /// @return from From when on, in seconds since 1970; 0 where nobody was named.
    function successionOf(ModelId modelId, uint8 kind) external view returns (address successor, uint48 from);

    /// @notice The epoch of a time, counted from 1; 0 before the model's creation.
    /// @dev Reverts with EmissionUnknownModel.
    /// @param modelId The model.
    /// @param timestamp Seconds since 1970.
    /// @return The epoch.
    function epochOf(ModelId modelId, uint48 timestamp) external view returns (uint64);

    /// @notice The time at which an epoch is over.
    /// @dev Reverts with EmissionUnknownModel, EmissionEpochTooFar.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @return Seconds since 1970.
    function epochEnd(ModelId modelId, uint64 epoch) external view returns (uint48);

    /// @notice The budget in force in an epoch; all zero for epoch 0.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @return budget The budget.
    function budgetOf(ModelId modelId, uint64 epoch) external view returns (Budget memory budget);

    /// @notice The yearly cap, fixed at creation.
    /// @param modelId The model.
    /// @return What the epochs of one year may mint at most, in wei of shares.
    function yearlyCapOf(ModelId modelId) external view returns (uint128);

    /// @notice What was minted for the founders at the model's creation, what was burned since included.
    /// @param modelId The model.
    /// @return In wei of shares.
    function foundersOf(ModelId modelId) external view returns (uint128);

    /// @notice The last epoch whose whole budget of a kind is authorised, or past; of the next one a part may be drawn.
    /// @dev Panics on what is no kind.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return The epoch; 0 for none.
    function authorisedThrough(ModelId modelId, uint8 kind) external view returns (uint64);

    /// @notice All that was ever minted of a kind, what was burned since included.
    /// @dev Panics on what is no kind.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return In wei of shares.
    function mintedOf(ModelId modelId, uint8 kind) external view returns (uint128);

    /// @notice The contract that distributes a kind of every model from its creation on; 0 where there is none: the treasury's part is
    /// each model's own.
    /// @param kind Of Kinds.sol.
    /// @return Its address.
    function distributorOf(uint8 kind) external view returns (address);

    /// @notice Who has a model's part of a kind minted at present: of the treasury's the model's timelock, to itself.
    /// @param modelId The model.
    /// @param kind Of Kinds.sol.
    /// @return Its address; 0 for what is no kind, and for the treasury of a model that does not exist.
    function distributorFor(ModelId modelId, uint8 kind) external view returns (address);
}
