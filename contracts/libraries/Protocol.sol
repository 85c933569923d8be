// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Protocol
/// @notice Constants that several contracts share.
library Protocol {
    /// @dev Name and version of every EIP-712 domain.
    string internal constant NAME = "Cotrain";
    string internal constant VERSION = "1";

    /// @dev Basis points of a whole.
    uint256 internal constant BPS = 10_000;

    /// @dev How long what was accepted may still be queued, and what is ready in a timelock be executed.
    uint256 internal constant GRACE_PERIOD = 21 days;

    /// @dev Age at which the budget of an epoch that is over can be authorised no longer.
    uint256 internal constant BUDGET_AGE = 30 days;

    /// @dev How long after its naming a distributor takes over: time for holders to leave, and for what is pending to end.
    uint256 internal constant SUCCESSION_DELAY = 14 days;
}
