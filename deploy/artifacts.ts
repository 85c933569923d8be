/** Compiled contracts, as Hardhat leaves them under `artifacts/`. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CotrainError } from "@cotrain/sdk/errors";
import type { Abi, Hex } from "viem";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const sources = join(root, "contracts");
const stamp = join(root, "cache/cotrain-build.sha256");

/** Every contract that is deployed, and the folder of `contracts/` it lives in. */
export const contractFolders = {
  DeterministicDeployer: "deployment",
  ModelShares: "models",
  ModelGovernor: "governance",
  ModelTimelock: "governance",
  ModelRegistry: "models",
  RunRegistry: "training",
  CheckpointRegistry: "training",
  ValidatorSet: "attestation",
  Emission: "emission",
  Bootstrap: "governance",
  ComputeBudget: "treasury",
  ComputeRewards: "rewards",
  CodeGrants: "rewards",
  CapitalSale: "rewards",
  RevenueDeposits: "rewards",
  StakeManager: "staking",
  ComputeEscrow: "market",
  TestDollar: "local",
} as const;

export type ContractName = keyof typeof contractFolders;

export interface Artifact {
  readonly contractName: string;
  readonly abi: Abi;
  readonly bytecode: Hex;
  readonly deployedBytecode: Hex;
  /** Where the constructor writes values into the deployed code. */
  readonly immutableReferences: Readonly<
    Record<string, readonly { readonly start: number; readonly length: number }[]>
  >;
}

/** Reads one contract's artifact. @throws CotrainError ARTIFACT_MISSING */
export async function loadArtifact(name: ContractName): Promise<Artifact> {
  const file = artifactFile(name);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new CotrainError(
      "ARTIFACT_MISSING",
      `The compiled ${name} is missing at ${file}: run \`npx hardhat build\`.`,
      {
        cause,
      },
    );
  }
  return JSON.parse(text) as Artifact;
}

const artifactFile = (name: ContractName): string =>
  join(root, `artifacts/contracts/${contractFolders[name]}/${name}.sol/${name}.json`);

let building: Promise<void> | undefined;

/**
 * Runs Hardhat's build where artifacts are missing, or they or the sources are not those of the last build by this function.
 * @param signal ends the compiler; of the first of those that wait for one build
 */
export function ensureBuilt(signal?: AbortSignal): Promise<void> {
  building ??= build(signal).finally(() => {
    building = undefined;
  });
  return building;
}

/** Whether artifacts and sources are those of the last build by {@link ensureBuilt}. */
async function isBuilt(): Promise<boolean> {
  const current = await buildDigest();
  return current !== undefined && existsSync(stamp) && (await readFile(stamp, "utf8")) === current;
}

async function build(signal: AbortSignal | undefined): Promise<void> {
  if (await isBuilt()) return;
  await hardhatBuild(signal);
  await mkdir(dirname(stamp), { recursive: true });
  await writeFile(stamp, (await buildDigest()) ?? "");
}

/** Of sources and artifacts together: a coverage run, say, leaves other artifacts of the same sources. Undefined where one is missing. */
async function buildDigest(): Promise<string | undefined> {
  const hash = createHash("sha256").update(await sourcesDigest());
  try {
    for (const name of Object.keys(contractFolders)) hash.update(await readFile(artifactFile(name as ContractName)));
  } catch {
    return undefined;
  }
  return hash.digest("hex");
}

async function sourcesDigest(): Promise<string> {
  const entries = await readdir(sources, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".sol"))
    .map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const file of [...files.sort(), join(root, "hardhat.config.ts")]) {
    hash
      .update(`${relative(root, file)}\0`)
      .update(await readFile(file))
      .update("\0");
  }
  return hash.digest("hex");
}

function hardhatBuild(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done, fail) => {
    const command = [join(root, "node_modules/hardhat/dist/src/cli.js"), "build", "--no-tests"];
    const child = spawn(process.execPath, command, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      ...(signal && { signal }),
    });
    let output = "";
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", fail);
    child.on("close", (code) => {
      if (code === 0) done();
      else
        fail(
          new CotrainError(
            "BUILD_FAILED",
            `The contracts do not compile (\`npx hardhat build\` shows more): ${output.trim()}`,
          ),
        );
    });
  });
}
