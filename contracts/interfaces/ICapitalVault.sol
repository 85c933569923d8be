// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title ICapitalVault
/// @notice Holds the deposits of one model's sale at an address of their own.
interface ICapitalVault {
    /// @notice The caller is not the sale that made the vault.
    /// @param caller Who called.
    error CapitalVaultOnlySale(address caller);

    /// @notice Sends tokens; the sale only.
    /// @dev Reverts with CapitalVaultOnlySale, and as the token does.
    /// @param token The token.
    /// @param to Who gets them.
    /// @param amount How many, in the token's smallest units.
    function pay(IERC20 token, address to, uint256 amount) external;

    /// @notice The sale that made the vault, and that it obeys.
    /// @return Its address.
    function sale() external view returns (address);
}
