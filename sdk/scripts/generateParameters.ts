/**
 * Writes the Solidity of RunParams from the table of parameters (src/protocol/parameters.ts): the struct, the rules by which
 * its fields fit together, and for the contracts' tests the bounds of a new run.
 *
 *     node sdk/scripts/generateParameters.ts            writes them
 *     node sdk/scripts/generateParameters.ts --check    exits 1 when a committed file is not what the table says
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { type Parameter, runParameterRules, runParameters } from "../src/protocol/parameters.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const rows: readonly Parameter[] = runParameters;

const head = (compiler: string): string => `// SPDX-License-Identifier: MIT
// Written by sdk/scripts/generateParameters.ts from sdk/src/protocol/parameters.ts; do not edit.
pragma solidity ${compiler};
`;

/** Interfaces and tests are for any recent compiler, what is deployed for the one of hardhat.config.ts. */
const recent = head("^0.8.30");
const deployed = head("0.8.37");

const each = (line: (row: Parameter, place: number) => string): string => rows.map(line).join("\n");
const sentence = (words: string): string => words.replace(/^[a-z]/, (letter) => letter.toUpperCase());
const number = (value: number | bigint): string => value.toLocaleString("en-US").replaceAll(",", "_");

/** Each rule reverts with the name of the parameter that breaks it: those of several fields first, as in `checkRunParams`. */
const conditions = [
  ...runParameterRules.map(({ of, solidity }) => [of, solidity]),
  ...rows.flatMap(({ name, limit }) => (limit === undefined ? [] : [[name, `params.${name} <= ${number(limit)}`]])),
];

const files: Readonly<Record<string, string>> = {
  "contracts/interfaces/RunParams.sol": `${recent}
/// @notice What the holders may tune in a run. The definition holds the shape of a schedule, this its size.
${each(({ name, label, meaning, unit }) => `/// @param ${name} ${sentence(meaning ?? label)} (${unit}).`)}
struct RunParams {
${each(({ type, name }) => `${type} ${name};`)}
}
`,
  "contracts/libraries/RunParamsRules.sol": `${deployed}
import {IRunRegistry} from "../interfaces/IRunRegistry.sol";
import {RunParams} from "../interfaces/RunParams.sol";

/// @title RunParamsRules
/// @notice What parameters of a run must satisfy, whoever sets them.
library RunParamsRules {
    uint256 private constant FIELDS = ${rows.length};

    /// @notice Reverts unless every field lies within its bounds and the fields fit together.
    /// @dev Reverts with RunRegistryParamOutOfBounds, RunRegistryParamsInconsistent.
    /// @param params The parameters.
    /// @param min Lower bound of each.
    /// @param max Upper bound of each.
    /// @param fragments Into how many parts the run divides its parameters.
    function requireValid(
        RunParams memory params,
        RunParams memory min,
        RunParams memory max,
        uint16 fragments
    ) internal pure {
        _requireWithin(params, min, max);
        _requireConsistent(params, fragments);
    }

    function _requireWithin(RunParams memory params, RunParams memory min, RunParams memory max) private pure {
        uint256[FIELDS] memory value = abi.decode(abi.encode(params), (uint256[${rows.length}]));
        uint256[FIELDS] memory low = abi.decode(abi.encode(min), (uint256[${rows.length}]));
        uint256[FIELDS] memory high = abi.decode(abi.encode(max), (uint256[${rows.length}]));
        for (uint256 i = 0; i < FIELDS; ++i) {
            if (value[i] < low[i] || value[i] > high[i]) {
                revert IRunRegistry.RunRegistryParamOutOfBounds(i, value[i], low[i], high[i]);
            }
        }
    }

    function _requireConsistent(RunParams memory params, uint16 fragments) private pure {
${conditions.map(([name, condition]) => `_require(${condition}, "${name}");`).join("\n")}
    }

    function _require(bool fits, bytes32 rule) private pure {
        if (!fits) revert IRunRegistry.RunRegistryParamsInconsistent(rule);
    }
}
`,
  "test/contracts/support/ParameterTable.sol": `${recent}
import {RunParams} from "../../../contracts/interfaces/RunParams.sol";

uint256 constant FIELDS = ${rows.length};

/// @notice The table of parameters by its columns, a word for each parameter.
library ParameterTable {
    /// @notice Bounds of a new run, and what it begins with.
    function range()
        internal
        pure
        returns (uint256[FIELDS] memory min, uint256[FIELDS] memory first, uint256[FIELDS] memory max)
    {
${each((row, place) => `(min[${place}], first[${place}], max[${place}]) = (${[row.min, row.default, row.max].map(number).join(", ")});`)}
    }

    /// @notice The largest value of each field's type.
    function widest() internal pure returns (uint256[FIELDS] memory column) {
${each(({ type }, place) => `column[${place}] = type(${type}).max;`)}
    }

    function toWords(RunParams memory params) internal pure returns (uint256[FIELDS] memory) {
        return abi.decode(abi.encode(params), (uint256[${rows.length}]));
    }

    function toParams(uint256[FIELDS] memory words) internal pure returns (RunParams memory) {
        return abi.decode(abi.encode(words), (RunParams));
    }
}
`,
};

function refuse(sentence: string): never {
  process.stderr.write(`build:parameters: ${sentence}\n`);
  process.exit(1);
}

for (const [file, source] of Object.entries(files)) {
  const path = join(root, file);
  const text = await format(source, { ...(await resolveConfig(path)), filepath: path });
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== text)
    refuse(`${file} is stale; run \`npm run build:parameters\` and commit it.`);
}
