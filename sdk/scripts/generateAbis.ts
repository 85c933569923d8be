/**
 * Writes src/abis/generated.ts from Hardhat's artifacts (`npx hardhat build` first):
 *
 *     node sdk/scripts/generateAbis.ts            writes it
 *     node sdk/scripts/generateAbis.ts --check    exits 1 when the committed file is not what the contracts say
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Abi, type AbiParameter, formatAbiItem } from "abitype";
import { type Hex, keccak256 } from "viem";

const root = fileURLToPath(new URL("../../", import.meta.url));
const target = join(root, "sdk/src/abis/generated.ts");

/** Contract and the folder under contracts/ that holds it. */
const contracts: Readonly<Record<string, string>> = {
  ModelRegistry: "models",
  ModelShares: "models",
  RunRegistry: "training",
  CheckpointRegistry: "training",
  ValidatorSet: "attestation",
  Emission: "emission",
  ComputeRewards: "rewards",
  CodeGrants: "rewards",
  CapitalSale: "rewards",
  TokenVault: "rewards",
  RevenueDeposits: "rewards",
  StakeManager: "staking",
  Bootstrap: "governance",
  ComputeBudget: "treasury",
  ComputeEscrow: "market",
  ModelGovernor: "governance",
  ModelTimelock: "governance",
};

function refuse(sentence: string): never {
  process.stderr.write(`build:abis: ${sentence}\n`);
  process.exit(1);
}

/** Types and names are all that encoders read; the compiler's own type names are left out. */
const parameters = (list: readonly AbiParameter[]): AbiParameter[] =>
  list.map((parameter) => {
    const rest = { ...parameter };
    delete rest.internalType;
    return "components" in rest ? { ...rest, components: parameters(rest.components) } : rest;
  });

function artifactOf(name: string): { readonly abi: Abi; readonly bytecode: Hex } {
  const path = join(root, "artifacts/contracts", contracts[name] ?? "", `${name}.sol`, `${name}.json`);
  if (!existsSync(path)) refuse(`${path} is missing; run \`npx hardhat build\` first.`);
  return JSON.parse(readFileSync(path, "utf8")) as { abi: Abi; bytecode: Hex };
}

function abiOf(name: string): Abi {
  return artifactOf(name).abi.map((item) => ({
    ...item,
    ...("inputs" in item && item.inputs ? { inputs: parameters(item.inputs) } : {}),
    ...("outputs" in item ? { outputs: parameters(item.outputs) } : {}),
  })) as Abi;
}

/** One item a line, so that a change of a contract reads as such in a diff. */
function constant(name: string, abi: Abi): string {
  return `export const ${name}Abi = [\n${abi.map((item) => `  ${JSON.stringify(item)},\n`).join("")}] as const;\n`;
}

function generate(): string {
  const abis = Object.keys(contracts).map((name) => [name, abiOf(name)] as const);
  const errors = new Map(
    abis.flatMap(([, abi]) =>
      abi.filter((item) => item.type === "error").map((item) => [formatAbiItem(item), item] as const),
    ),
  );
  const sorted = [...errors].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
  return [
    "// Written by scripts/generateAbis.ts from the compiled contracts; do not edit.\n",
    ...abis.map(([name, abi]) => constant(name.charAt(0).toLowerCase() + name.slice(1), abi)),
    "/** The custom errors of all contracts, so that a revert deep inside a proposal decodes too. */",
    constant("errors", sorted),
    "/** keccak256 of the creation code of TokenVault: where a vault is follows from it (CREATE2). */",
    `export const tokenVaultCodeHash = "${keccak256(artifactOf("TokenVault").bytecode)}";\n`,
  ].join("\n");
}

const generated = generate();
if (!process.argv.includes("--check")) writeFileSync(target, generated);
else if (!existsSync(target) || readFileSync(target, "utf8") !== generated)
  refuse("sdk/src/abis/generated.ts is stale; run `npm run build:abis` and commit it.");
