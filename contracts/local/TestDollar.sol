// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ModelLimits} from "../libraries/ModelLimits.sol";

/// @title TestDollar
/// @notice The capital token of local chains: play money that anybody makes as much of as they like. It cannot be deployed where
/// money is real.
contract TestDollar is ERC20, ERC20Permit {
    /// @notice The chain is not one for development.
    /// @param chainId Its id.
    error TestDollarForDevelopment(uint256 chainId);

    /// @notice Reverts with TestDollarForDevelopment where money is real.
    constructor() ERC20("Test dollar, worth nothing", "TESTUSD") ERC20Permit("Test dollar, worth nothing") {
        if (!ModelLimits.isDevelopment(block.chainid)) revert TestDollarForDevelopment(block.chainid);
    }

    /// @notice Makes some; anyone may call.
    /// @param to Who gets them.
    /// @param amount How many, in millionths of a dollar.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice As the dollars have that people pay with.
    /// @return How many.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
