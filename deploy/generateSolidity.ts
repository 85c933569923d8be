/**
 * Writes the Solidity of what stands in tables: from that of a run's parameters (sdk/src/protocol/parameters.ts) the struct
 * RunParams, the rules by which its fields fit together, and for the contracts' tests the bounds of a new run; from that of
 * codes (sdk/src/protocol/codes.ts) the kinds of work; from profiles.ts the minima that a ModelRegistry may hold models to.
 *
 *     node --conditions=cotrain-source deploy/generateSolidity.ts            writes it
 *     node --conditions=cotrain-source deploy/generateSolidity.ts --check    exits 1 when a committed file is not what its table says
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mintedKind, type Parameter, rewardKind, runParameterRules, runParameters } from "@cotrain/sdk/protocol";
import { format, resolveConfig } from "prettier";
import { compiler, recentCompilers } from "../hardhat.config.ts";
import { developmentChainIds, type ProfileName, profileFor } from "./profiles.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const parameterTable = "sdk/src/protocol/parameters.ts";
const codeTable = "sdk/src/protocol/codes.ts";
const limitTable = "deploy/profiles.ts";
const rows: readonly Parameter[] = runParameters;

const head = (table: string, versions: string): string => `// SPDX-License-Identifier: MIT
// Written by deploy/generateSolidity.ts from ${table}; do not edit.
pragma solidity ${versions};
`;

const each = (line: (row: Parameter, place: number) => string): string => rows.map(line).join("\n");
const sentence = (words: string): string => words.replace(/^[a-z]/, (letter) => letter.toUpperCase());
const number = (value: number | bigint): string => value.toLocaleString("en-US").replaceAll(",", "_");

/** Each rule reverts with the name of the parameter that breaks it: those of several fields first, as in `checkRunParams`. */
const conditions = [
  ...runParameterRules.map(({ of, solidity }) => [of, solidity]),
  ...rows.flatMap(({ name, limit }) => (limit === undefined ? [] : [[name, `params.${name} <= ${number(limit)}`]])),
];

const HOUR = 3_600;
const DAY = 24 * HOUR;

/** Times in the units of Solidity, whole hours at least; what is shorter, or no time, as the number that it is. */
function duration(value: number): string {
  if (value % DAY === 0) return `${value / DAY} days`;
  return value % HOUR === 0 ? `${value / HOUR} hours` : number(value);
}

const limitsOf = (name: ProfileName): string =>
  Object.entries(profileFor(name, developmentChainIds[0]).limits)
    .map(([setting, value]) => `${setting}: ${setting === "quorumBps" ? number(value) : duration(value)}`)
    .join(", ");

const files: Readonly<Record<string, string>> = {
  "contracts/interfaces/Kinds.sol": `${head(codeTable, recentCompilers)}
// Kinds of what is paid for: in budgets and Emission's calls, and in the leaves of a rewards tree. For revenue nothing is minted.

${Object.entries(rewardKind)
  .map(([kind, code]) => `uint8 constant ${kind.toUpperCase()} = ${code};`)
  .join("\n")}

/// @dev How many of them shares are minted for: the first.
uint8 constant KINDS = ${Object.keys(mintedKind).length};
`,
  "contracts/interfaces/RunParams.sol": `${head(parameterTable, recentCompilers)}
/// @notice What the holders may tune in a run. The definition holds the shape of a schedule, this its size.
${each(({ name, label, meaning, unit }) => `/// @param ${name} ${sentence(meaning ?? label)} (${unit}).`)}
struct RunParams {
${each(({ type, name }) => `${type} ${name};`)}
}
`,
  "contracts/libraries/RunParamsRules.sol": `${head(parameterTable, compiler)}
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
  "contracts/libraries/ModelLimits.sol": `${head(limitTable, compiler)}
import {Limits} from "../interfaces/IModelRegistry.sol";

/// @title ModelLimits
/// @notice How small the minima may be that a ModelRegistry holds its models to. Who deploys looks at the same table: that
/// this is checked on-chain again is for those who did not see the deployment.
library ModelLimits {
    /// @notice Whether a chain is one that nobody's money is on.
    /// @param chainId Its id.
    /// @return True for a development chain.
    function isDevelopment(uint256 chainId) internal pure returns (bool) {
        return ${developmentChainIds.map((id) => `chainId == ${number(id)}`).join(" || ")};
    }

    /// @notice What each minimum must at least be: a second, or a basis point, on development chains.
    /// @param chainId Id of the chain.
    /// @return The minima.
    function least(uint256 chainId) internal pure returns (Limits memory) {
        if (isDevelopment(chainId)) {
            return Limits({${limitsOf("local")}});
        }
        return Limits({${limitsOf("public")}});
    }
}
`,
  "test/contracts/support/ParameterTable.sol": `${head(parameterTable, recentCompilers)}
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
  process.stderr.write(`build:solidity: ${sentence}\n`);
  process.exit(1);
}

for (const [file, source] of Object.entries(files)) {
  const path = join(root, file);
  const text = await format(source, { ...(await resolveConfig(path)), filepath: path });
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== text)
    refuse(`${file} is stale; run \`npm run build:solidity\` and commit it.`);
}
