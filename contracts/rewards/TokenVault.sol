// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ITokenVault} from "../interfaces/ITokenVault.sol";

/// @title TokenVault
/// @notice See ITokenVault. An address for each model, because accounts alone do not keep money apart: a token that takes from
/// what an address holds, or bans the address, would do so to all models that share it.
contract TokenVault is ITokenVault {
    using SafeERC20 for IERC20;

    address private immutable KEEPER;

    /// @notice Obeys who makes it.
    constructor() {
        KEEPER = msg.sender;
    }

    /// @inheritdoc ITokenVault
    function pay(IERC20 token, address to, uint256 amount) external {
        if (msg.sender != KEEPER) revert TokenVaultOnlyKeeper(msg.sender);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc ITokenVault
    function keeper() external view returns (address) {
        return KEEPER;
    }
}
