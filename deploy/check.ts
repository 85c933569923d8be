/**
 * `npm run check`: formatting, lint, the arrows between rooms, what nothing or only a test uses, copies, types, the package of the
 * SDK, whether the committed ABIs match the contracts, the tables of docs/protocol.md the sources, and the results of the thorough
 * tests the sources that they were got from.
 */
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const solidity = ["contracts/**/*.sol", "test/contracts/**/*.sol"];

const checks: readonly (readonly [what: string, command: string, args: readonly string[]])[] = [
  ["format of TypeScript", "oxfmt", ["--check"]],
  ["format of Solidity", "prettier", ["--check", "--log-level=warn", ...solidity]],
  ["lint of TypeScript", "oxlint", ["--quiet"]],
  [
    "arrows between rooms",
    "depcruise",
    ["--config", ".dependency-cruiser.mjs", "--output-type", "err", "sdk/src", "offchain/src", "deploy"],
  ],
  ["what nothing uses", "knip", ["--no-progress", "--no-config-hints"]],
  [
    "what only tests use",
    "knip",
    ["--config", "knip.product.jsonc", "--production", "--no-progress", "--no-config-hints"],
  ],
  [
    "copies in the sources",
    "jscpd",
    ["--config", ".jscpd.json", "--exitCode", "1", "sdk/src", "offchain/src", "deploy"],
  ],
  ["lint of Solidity", "solhint", ["--quiet", "--max-warnings=0", "--noPoster", "contracts/**/*.sol"]],
  ["types", "tsc", ["-p", "tsconfig.json"]],
  ["build of the SDK", "tsc", ["-p", "sdk/tsconfig.build.json"]],
  ["package of the SDK", "publint", ["--strict", "--pack", "false", "sdk"]],
  ["types of the SDK's package", "attw", ["--pack", "sdk", "--profile", "esm-only", "--quiet"]],
  ["contracts", "hardhat", ["build"]],
  ["freshness of generated Solidity", "node", ["--conditions=cotrain-source", "deploy/generateSolidity.ts", "--check"]],
  ["freshness of the ABIs", "node", ["sdk/scripts/generateAbis.ts", "--check"]],
  ["results of the thorough tests", "node", ["--conditions=cotrain-source", "test/thorough/run.ts", "--check"]],
  ["tables of docs/protocol.md", "node", ["--conditions=cotrain-source", "deploy/protocolTables.ts", "--check"]],
];

/** What is shown of a check that passed, too: how much of it was tried. */
const told = "results of the thorough tests";

let failed = 0;
for (const [what, command, args] of checks) {
  const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin", command), args, {
    cwd: root,
    encoding: "utf8",
  });
  process.stdout.write(`${status === 0 ? "ok  " : "FAIL"} ${what}\n`);
  if (what === told && status === 0) process.stdout.write(`     ${stdout.trim()}\n`);
  if (status === 0) continue;
  failed += 1;
  process.stdout.write(`${stdout}${stderr}\n`);
}
process.exitCode = failed === 0 ? 0 : 1;
