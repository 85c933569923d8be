// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";

/// @notice Invariants of a handler: the fuzzer calls its functions, and nothing else.
abstract contract Invariants is Fixture {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        (targets[0], ) = target();
    }

    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        (list[0].addr, list[0].selectors) = target();
    }

    /// @return handler what is called
    /// @return selectors its functions, the more often the more times they stand here
    function target() internal view virtual returns (address handler, bytes4[] memory selectors);
}
