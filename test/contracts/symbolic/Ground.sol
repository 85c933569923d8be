// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ModelId} from "../../../contracts/interfaces/Ids.sol";
import {Schedule} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Vm} from "../support/Vm.sol";

ModelId constant MODEL = ModelId.wrap("model");

/// @notice A token of OpenZeppelin's that anyone mints.
contract Paper is ERC20("Paper", "P") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice What the contracts of a proof stand on: one model, whose registry the proof itself is. A proof is a function
/// `check_…`: halmos goes through it for all values of its parameters at once, and looks for those under which an `assert` fails.
/// What reverts shows nothing, so that a proof says what is so of all that succeeds.
abstract contract Ground {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    address internal constant TIMELOCK = address(0x7131);
    uint48 internal constant START = 1_800_000_000;
    uint32 internal constant EPOCH = 7 days;

    Paper internal paper = new Paper();

    function timelockOf(ModelId) external pure returns (address) {
        return TIMELOCK;
    }

    function sharesOf(ModelId) external view returns (address) {
        return address(paper);
    }

    function scheduleOf(ModelId) external pure returns (Schedule memory) {
        return Schedule({start: START, epochLength: EPOCH, postingDelay: 1 days, window: 2 days});
    }

    /// @dev Answers the epoch of a time, counted as docs/protocol.md counts.
    function epochAt(uint256 elapsed) internal pure returns (uint256) {
        return 1 + elapsed / EPOCH;
    }

    /// @dev Goes to a time so many seconds after the model's creation.
    function goTo(uint256 elapsed) internal {
        vm.warp(START + elapsed);
    }
}
