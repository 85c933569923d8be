// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @notice How a model sells shares, as it begins. Prices are in the smallest units of the capital token for a whole share
/// (10^18 wei), amounts in the smallest units of the capital token. All zero for a model that sells none.
/// @param token The capital token, an ERC-20, for ever; 0 for none.
/// @param priceFloor What a share costs at the least, for ever; 1 or more.
/// @param price What a share costs at the least at first; priceFloor or more.
/// @param minimum What an epoch must bring in at first, else it is paid back; enough to buy a wei of shares.
struct CapitalConfig {
    address token;
    uint96 priceFloor;
    uint96 price;
    uint128 minimum;
}

/// @notice What is fixed of a model's sale, and where its money is.
/// @param token The capital token; 0 for a model that sells none.
/// @param priceFloor What a share costs at the least, for ever.
/// @param vault Holds the model's deposits until they are settled or paid back, and nothing else.
/// @param held What lies in the vault for epochs that are neither settled nor paid back.
struct CapitalBook {
    address token;
    uint96 priceFloor;
    address vault;
    uint256 held;
}

/// @notice Terms of an epoch's sale.
/// @param fromEpoch The first epoch that they are in force in.
/// @param price What a share costs at the least.
/// @param minimum What the epoch must bring in, else it is paid back.
struct SaleTerms {
    uint32 fromEpoch;
    uint96 price;
    uint128 minimum;
}

/// @notice Where an epoch's sale stands.
/// @dev None: nobody has deposited. Open: the epoch lasts. Due: it can be settled. Settled: shares can be claimed. Failed:
/// deposits can be refunded.
enum SaleState {
    None,
    Open,
    Due,
    Settled,
    Failed
}

/// @notice The sale of one epoch.
/// @param state Where it stands.
/// @param price What a share costs in it at the least; 0 for an epoch that is over and had no deposit.
/// @param minimum What it must bring in; 0 for an epoch that is over and had no deposit.
/// @param total What it brought in.
/// @param sold What was minted for it, in wei of shares; 0 until it is settled.
struct Sale {
    SaleState state;
    uint96 price;
    uint128 minimum;
    uint128 total;
    uint128 sold;
}

/// @notice An allowance by signature (ERC-2612); its amount is the deposit's.
/// @param deadline Until when it can be used, in seconds since 1970.
/// @param v Of the signature.
/// @param r Of the signature.
/// @param s Of the signature.
struct Permit {
    uint256 deadline;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @title ICapitalSale
/// @notice Sells shares for a model's one capital token, an epoch at a time. Whoever deposits in an epoch gets shares of it as
/// `min(budget × deposit ÷ total, deposit ÷ price)`: together they get the epoch's capital budget at the most, and pay the
/// price at the least. What is not sold is never minted. An epoch that brings in less than the minimum that was in force
/// when it began is paid back, and so is one that nobody settles within 30 days; else its proceeds go to the model's timelock.
/// Deposits count by what arrived and lie in a vault of the model's own, so that a token that takes from one model's money, or
/// refuses it, touches no other's. A token that takes from what others hold takes from all deposits of its model alike: until somebody
/// makes that good nothing new is deposited and no epoch settled, and what is paid back is a part.
interface ICapitalSale {
    /// @notice A model can sell shares.
    /// @param modelId The model.
    /// @param token The capital token.
    /// @param vault Where its deposits lie.
    /// @param priceFloor What a share costs at the least, for ever.
    event SaleOpened(ModelId indexed modelId, address indexed token, address vault, uint96 priceFloor);

    /// @notice Terms are in force from an epoch on.
    /// @param modelId The model.
    /// @param fromEpoch The first epoch.
    /// @param price What a share costs at the least.
    /// @param minimum What an epoch must bring in.
    event SaleTermsSet(ModelId indexed modelId, uint64 indexed fromEpoch, uint96 price, uint128 minimum);

    /// @notice Somebody deposited.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param account Who gets the shares, or the money back.
    /// @param payer Who paid.
    /// @param amount What arrived.
    event Deposited(
        ModelId indexed modelId,
        uint64 indexed epoch,
        address indexed account,
        address payer,
        uint256 amount
    );

    /// @notice An epoch's shares were minted and its proceeds paid.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param total What it brought in.
    /// @param proceeds What the model's timelock was sent: all of it.
    /// @param sold What was minted, in wei of shares.
    event SaleSettled(ModelId indexed modelId, uint64 indexed epoch, uint256 total, uint256 proceeds, uint256 sold);

    /// @notice An epoch that had reached its minimum was too old to be settled.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param total What it brought in, and pays back.
    event SaleExpired(ModelId indexed modelId, uint64 indexed epoch, uint256 total);

    /// @notice An account got its shares.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param account Who got them.
    /// @param deposit What had been deposited for it.
    /// @param shares In wei.
    event SharesClaimed(
        ModelId indexed modelId,
        uint64 indexed epoch,
        address indexed account,
        uint256 deposit,
        uint256 shares
    );

    /// @notice An account got its money back.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param account Who got it.
    /// @param deposit What had been deposited for it.
    /// @param amount What it was sent: less only where the token has taken some.
    event Refunded(
        ModelId indexed modelId,
        uint64 indexed epoch,
        address indexed account,
        uint256 deposit,
        uint256 amount
    );

    /// @notice The model has no capital token, or does not exist.
    /// @param modelId What was named as the model.
    error CapitalSaleNone(ModelId modelId);
    /// @notice A sale without a token has no terms, and one with a token needs code at its address.
    /// @param token The address that was named.
    error CapitalSaleBadToken(address token);
    /// @notice The price is below the floor, or the floor is 0.
    /// @param price The price.
    /// @param floor What it must at least be.
    error CapitalSalePriceTooLow(uint96 price, uint96 floor);
    /// @notice The minimum would not buy a wei of shares.
    /// @param minimum The minimum.
    /// @param least What it must at least be.
    error CapitalSaleMinimumTooLow(uint128 minimum, uint256 least);
    /// @notice The terms that were to be replaced are not the newest: others came meanwhile.
    /// @param modelId The model.
    /// @param replaces Number of the terms that were named.
    /// @param latest Number of the newest.
    error CapitalSaleTermsReplaced(ModelId modelId, uint32 replaces, uint32 latest);
    /// @notice The epoch that was named is not the current one: it is over, and the next may have other terms.
    /// @param epoch The epoch.
    /// @param current The current epoch.
    error CapitalSaleOtherEpoch(uint64 epoch, uint64 current);
    /// @notice The epoch has no budget for capital.
    /// @param epoch The epoch.
    error CapitalSaleNothingForSale(uint64 epoch);
    /// @notice Nobody can get these shares: it is no account, the sale or the model's vault, which keep what they get, or the model's
    /// timelock, which would buy with what it is paid.
    /// @param account Who was to pay, or to get the shares.
    error CapitalSaleBadAccount(address account);
    /// @notice The transfer brought nothing.
    error CapitalSaleNothingArrived();
    /// @notice The token has taken from what the model's vault held: who came now would bear the losses of others, and shares would be
    /// minted for money that is not there. Whoever sends the rest to the vault makes it good.
    /// @param balance What lies in the vault.
    /// @param held What should.
    error CapitalSaleShort(uint256 balance, uint256 held);
    /// @notice The token has taken from what the model's vault held, so that the account would be paid back less than was deposited
    /// for it: it alone decides to take that.
    /// @param account Who would be paid.
    /// @param deposit What was deposited.
    /// @param amount What would be paid.
    error CapitalSaleLoss(address account, uint256 deposit, uint256 amount);
    /// @notice The account would be paid back less than who calls takes for it.
    /// @param account Who would be paid.
    /// @param amount What would be paid.
    /// @param atLeast What was asked for.
    error CapitalSaleTooLittle(address account, uint256 amount, uint256 atLeast);
    /// @notice The epoch was not settled.
    /// @param modelId The model.
    /// @param epoch The epoch.
    error CapitalSaleNotSettled(ModelId modelId, uint64 epoch);
    /// @notice The epoch is not paid back: it lasts, is settled or can be, or nobody has deposited in it.
    /// @param modelId The model.
    /// @param epoch The epoch.
    error CapitalSaleNotRefundable(ModelId modelId, uint64 epoch);

    /// @notice Records a new model's token and first terms, and makes its vault; the registry only. Nothing where it sells none.
    /// @dev Reverts with ModelAuthorityUnauthorized, CapitalSaleBadToken, CapitalSalePriceTooLow, CapitalSaleMinimumTooLow.
    /// @param modelId The new model.
    /// @param config What it begins with.
    function open(ModelId modelId, CapitalConfig calldata config) external;

    /// @notice Sets the terms from the next epoch on; the model's timelock only. Of two decisions on the same terms the first that
    /// is executed holds, and an old one cannot undo what was decided after it.
    /// @dev Reverts with ModelAuthorityUnauthorized, CapitalSaleNone, CapitalSaleTermsReplaced, CapitalSalePriceTooLow,
    /// CapitalSaleMinimumTooLow.
    /// @param modelId The model.
    /// @param replaces Number of the newest terms, in force or not, which this decision was made on.
    /// @param price What a share costs at the least; the floor or more.
    /// @param minimum What an epoch must bring in, else it is paid back.
    function setTerms(ModelId modelId, uint32 replaces, uint96 price, uint128 minimum) external;

    /// @notice Deposits the caller's tokens, of which this contract must have an allowance, in the current epoch. What is deposited
    /// stays until the epoch is over.
    /// @dev Reverts with CapitalSaleNone, CapitalSaleOtherEpoch, CapitalSaleNothingForSale, CapitalSaleBadAccount,
    /// CapitalSaleShort, CapitalSaleNothingArrived, and as the token does.
    /// @param modelId The model.
    /// @param epoch The current epoch: a deposit that comes later than meant is refused.
    /// @param account Who gets the shares, or the money back.
    /// @param amount What is sent, in the token's smallest units.
    /// @return arrived What arrived, which is what counts.
    function deposit(ModelId modelId, uint64 epoch, address account, uint256 amount) external returns (uint256 arrived);

    /// @notice Like `deposit`, with an allowance that the caller signed (ERC-2612). A permit that was used before is no error
    /// where the allowance is there.
    /// @dev Reverts like `deposit`.
    /// @param modelId The model.
    /// @param epoch The current epoch.
    /// @param account Who gets the shares, or the money back.
    /// @param amount What is allowed and sent, in the token's smallest units.
    /// @param permit The caller's signature.
    /// @return arrived What arrived, which is what counts.
    function depositWithPermit(
        ModelId modelId,
        uint64 epoch,
        address account,
        uint256 amount,
        Permit calldata permit
    ) external returns (uint256 arrived);

    /// @notice Settles the oldest epoch that has reached its minimum, is over and was not settled: mints its shares and pays its
    /// proceeds to the model's timelock, or says that it is too old. Anyone may call. Does nothing where there is none.
    /// @dev Reverts with CapitalSaleNone, CapitalSaleShort, and as the token does. What keeps an epoch from being settled does so for
    /// 30 days at the most: then it is too old, and paid back.
    /// @param modelId The model.
    /// @return epoch The epoch; 0 for none.
    function settle(ModelId modelId) external returns (uint64 epoch);

    /// @notice Sends an account its shares of a settled epoch; anyone may call. Does nothing where that was done.
    /// @dev Reverts with CapitalSaleNone, CapitalSaleNotSettled.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param account Who gets them.
    /// @return shares In wei.
    function claim(ModelId modelId, uint64 epoch, address account) external returns (uint256 shares);

    /// @notice Sends an account its deposits of an epoch that is paid back; anyone may call, but the account alone where it is less than
    /// was deposited. Does nothing where that was done.
    /// @dev Reverts with CapitalSaleNone, CapitalSaleNotRefundable, CapitalSaleLoss, CapitalSaleTooLittle, and as the token does.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param account Who gets them.
    /// @param atLeast What the account must be paid, in the token's smallest units; else nothing is done.
    /// @return amount What was sent, in the token's smallest units.
    function refund(ModelId modelId, uint64 epoch, address account, uint256 atLeast) external returns (uint256 amount);

    /// @notice What is fixed of a model's sale, and what is held for it.
    /// @param modelId The model.
    /// @return All zero for a model that sells none.
    function bookOf(ModelId modelId) external view returns (CapitalBook memory);

    /// @notice The newest terms: of the next epoch, if not of the current one already.
    /// @param modelId The model.
    /// @return terms All zero for a model that sells none.
    /// @return version Their number among the model's terms, from 1, those included that were never in force.
    function newestTerms(ModelId modelId) external view returns (SaleTerms memory terms, uint32 version);

    /// @notice The sale of an epoch as it stands.
    /// @dev Reverts with CapitalSaleNone.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @return The sale.
    function saleOf(ModelId modelId, uint64 epoch) external view returns (Sale memory);

    /// @notice What an account has deposited in an epoch and neither claimed nor got back.
    /// @param modelId The model.
    /// @param epoch The epoch.
    /// @param account The account.
    /// @return In the token's smallest units.
    function depositOf(ModelId modelId, uint64 epoch, address account) external view returns (uint256);

    /// @notice Epochs that have reached their minimum and were not settled, the current one included.
    /// @param modelId The model.
    /// @return oldest The one that `settle` settles next, once it is over; 0 for none.
    /// @return count How many there are.
    function unsettled(ModelId modelId) external view returns (uint64 oldest, uint256 count);

    /// @notice What mints the shares.
    /// @return Its address.
    function emission() external view returns (address);
}
