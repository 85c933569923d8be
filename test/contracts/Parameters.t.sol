// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {RunId} from "../../contracts/interfaces/Ids.sol";
import {IRunRegistry, RunConfig} from "../../contracts/interfaces/IRunRegistry.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {RunParamsRules} from "../../contracts/libraries/RunParamsRules.sol";
import {Fixture} from "./support/Fixture.sol";
import {FIELDS, ParameterTable} from "./support/ParameterTable.sol";

/// @notice What the table of parameters says of new runs, held by the registry; and its rules against the vectors.
contract ParametersTest is Fixture {
    RunId private runId;
    uint256[FIELDS] private min;
    uint256[FIELDS] private first;
    uint256[FIELDS] private max;

    function setUp() public override {
        super.setUp();
        (min, first, max) = ParameterTable.range();
        RunConfig memory config = runConfig();
        (config.min, config.params, config.max) = (
            ParameterTable.toParams(min),
            ParameterTable.toParams(first),
            ParameterTable.toParams(max)
        );
        vm.prank(ORGANISER);
        runId = runs.registerRun(modelId, "run", config);
    }

    function test_bothEndsOfTheBoundsFitTogether() public {
        vm.startPrank(address(timelock));
        eq(runs.setParams(runId, 1, ParameterTable.toParams(min)), 2, "least");
        eq(runs.setParams(runId, 2, ParameterTable.toParams(max)), 3, "most");
        vm.stopPrank();
    }

    function test_noFieldLeavesItsBounds() public {
        uint256[FIELDS] memory widest = ParameterTable.widest();
        for (uint256 i = 0; i < FIELDS; ++i) {
            if (min[i] > 0) _refused(i, min[i] - 1);
            if (max[i] < widest[i]) _refused(i, max[i] + 1);
        }
    }

    function test_rulesAreThoseOfTheVectors() public view {
        string memory json = vm.readFile("test/vectors/protocol.json");
        uint256 refused = 0;
        uint256 i = 0;
        for (; vm.keyExistsJson(json, _rule(i, "valid")); ++i) {
            RunParams memory p = abi.decode(vm.parseJsonBytes(json, _rule(i, "encoded")), (RunParams));
            uint16 fragments = uint16(vm.parseJsonUint(json, _rule(i, "fragments")));
            bool valid = vm.parseJsonBool(json, _rule(i, "valid"));
            try this.requireFitting(p, fragments) {
                yes(valid, _rule(i, "valid"));
            } catch (bytes memory reason) {
                yes(!valid, _rule(i, "valid"));
                yes(bytes4(reason) == IRunRegistry.RunRegistryParamsInconsistent.selector, "reason");
                ++refused;
            }
        }
        yes(refused > 0 && refused < i, "some are taken, some refused");
    }

    /// @dev Bounds that allow everything leave only how the fields fit together.
    function requireFitting(RunParams memory p, uint16 fragments) external pure {
        uint256[FIELDS] memory zero;
        RunParamsRules.requireValid(
            p,
            ParameterTable.toParams(zero),
            ParameterTable.toParams(ParameterTable.widest()),
            fragments
        );
    }

    /// @dev One field of what a new run begins with is another.
    function _refused(uint256 field, uint256 value) private {
        uint256[FIELDS] memory words = first;
        words[field] = value;
        vm.expectRevert(
            abi.encodeWithSelector(
                IRunRegistry.RunRegistryParamOutOfBounds.selector,
                field,
                value,
                min[field],
                max[field]
            )
        );
        vm.prank(address(timelock));
        runs.setParams(runId, 1, ParameterTable.toParams(words));
    }

    function _rule(uint256 i, string memory field) private pure returns (string memory) {
        string memory tens = i < 10 ? "" : string(abi.encodePacked(bytes1(uint8(48 + i / 10))));
        return
            string.concat(
                ".runParams.rules[",
                tens,
                string(abi.encodePacked(bytes1(uint8(48 + (i % 10))))),
                "].",
                field
            );
    }
}
