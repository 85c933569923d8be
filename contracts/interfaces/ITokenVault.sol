// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title ITokenVault
/// @notice Holds what one contract keeps for one model, at an address of its own.
interface ITokenVault {
    /// @notice The caller is not the contract that made the vault.
    /// @param caller Who called.
    error TokenVaultOnlyKeeper(address caller);

    /// @notice Sends tokens; the keeper only.
    /// @dev Reverts with TokenVaultOnlyKeeper, and as the token does.
    /// @param token The token.
    /// @param to Who gets them.
    /// @param amount How many, in the token's smallest units.
    function pay(IERC20 token, address to, uint256 amount) external;

    /// @notice The contract that made the vault, and that it obeys.
    /// @return Its address.
    function keeper() external view returns (address);
}
