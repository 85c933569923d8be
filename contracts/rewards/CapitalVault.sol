// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ICapitalVault} from "../interfaces/ICapitalVault.sol";

/// @title CapitalVault
/// @notice See ICapitalVault. An address for each model, because accounts alone do not keep money apart: a token that takes from
/// what an address holds, or bans the address, would do so to all models that share it.
contract CapitalVault is ICapitalVault {
    using SafeERC20 for IERC20;

    address private immutable SALE;

    /// @notice Obeys who makes it.
    constructor() {
        SALE = msg.sender;
    }

    /// @inheritdoc ICapitalVault
    function pay(IERC20 token, address to, uint256 amount) external {
        if (msg.sender != SALE) revert CapitalVaultOnlySale(msg.sender);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc ICapitalVault
    function sale() external view returns (address) {
        return SALE;
    }
}
