/**
 * The one definition of a deployment: tests, the local chain and real networks all use it. Addresses follow from the
 * definition (code and limits) and from the account that deploys, so that a deployment which was cut short goes on where it
 * stopped, and one that is complete is found again.
 */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { deploymentWiring, escrowWiring, misWired, wireSentence } from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Account,
  type Address,
  type Chain,
  encodeAbiParameters,
  encodeDeployData,
  type Hex,
  keccak256,
  type PublicClient,
  size,
  stringToHex,
  type Transport,
  type WalletClient,
} from "viem";
import { type Artifact, type ContractName, loadArtifact } from "./artifacts.ts";
import { deployerAt, ensureDeployer, foundDeployer, holdsCode } from "./deployer.ts";
import { LOCAL_CHAIN_ID, type ProfileName, profileFor } from "./profiles.ts";

export { type ContractName, ensureBuilt } from "./artifacts.ts";
export * from "./profiles.ts";

/** Raised when the same code must get new addresses. */
const DEFINITION_VERSION = 1;

/** In the order of deployment; what each constructor takes, given all addresses. */
const plan = {
  modelShares: { contract: "ModelShares", args: (at) => [at.modelRegistry, at.emission] },
  modelGovernor: { contract: "ModelGovernor", args: (at) => [at.modelRegistry, at.computeRewards, at.bootstrap] },
  modelTimelock: { contract: "ModelTimelock", args: (at) => [at.modelRegistry] },
  modelRegistry: {
    contract: "ModelRegistry",
    args: (at, profile) => [
      at.modelShares,
      at.modelGovernor,
      at.modelTimelock,
      at.emission,
      at.validatorSet,
      at.capitalSale,
      at.stakeManager,
      at.computeRewards,
      at.bootstrap,
      at.computeBudget,
      profile.limits,
    ],
  },
  runRegistry: { contract: "RunRegistry", args: (at) => [at.modelRegistry, at.checkpointRegistry] },
  checkpointRegistry: { contract: "CheckpointRegistry", args: (at) => [at.runRegistry, at.validatorSet] },
  validatorSet: { contract: "ValidatorSet", args: (at) => [at.modelRegistry] },
  emission: {
    contract: "Emission",
    args: (at) => [at.modelRegistry, at.computeRewards, at.codeGrants, at.capitalSale],
  },
  computeRewards: {
    contract: "ComputeRewards",
    args: (at) => [at.modelRegistry, at.emission, at.validatorSet, at.bootstrap, at.revenueDeposits],
  },
  codeGrants: { contract: "CodeGrants", args: (at) => [at.modelRegistry, at.emission, at.validatorSet] },
  capitalSale: { contract: "CapitalSale", args: (at) => [at.modelRegistry, at.emission] },
  revenueDeposits: {
    contract: "RevenueDeposits",
    args: (at) => [at.modelRegistry, at.capitalSale, at.computeRewards],
  },
  stakeManager: {
    contract: "StakeManager",
    args: (at) => [at.modelRegistry, at.runRegistry, at.computeRewards, at.validatorSet, at.computeRewards],
  },
  bootstrap: {
    contract: "Bootstrap",
    args: (at) => [at.modelRegistry, at.emission, at.computeRewards, at.runRegistry],
  },
  computeBudget: { contract: "ComputeBudget", args: (at) => [at.modelRegistry] },
  computeEscrow: { contract: "ComputeEscrow", args: () => [] },
  testDollar: { contract: "TestDollar", args: () => [] },
} as const satisfies Record<string, Step>;

interface Step {
  readonly contract: ContractName;
  readonly args: (at: Record<string, Address>, profile: ReturnType<typeof profileFor>) => readonly unknown[];
}

type Key = keyof typeof plan;
const keys = Object.keys(plan) as Key[];
/** Play money to pay for shares with. */
type LocalKey = "testDollar";
/**
 * It knows none of the others, and none of them knows it: its address follows from its own code alone, so that a channel is found again
 * whatever else is deployed anew.
 */
type AloneKey = "computeEscrow";
const isAlone = (key: Key): key is AloneKey => key === "computeEscrow";
/** What a profile deploys: nothing that is worth nothing where money is real. */
const keysOf = ({ name }: ReturnType<typeof profileFor>): Key[] =>
  keys.filter((key) => key !== "testDollar" || name === "local");
const implementationKeys = ["modelShares", "modelGovernor", "modelTimelock"] as const;
type ImplementationKey = (typeof implementationKeys)[number];
/** No run's documents name them: whoever needs them asks Emission, ComputeRewards or ModelRegistry for them. */
const askedKeys = [
  "codeGrants",
  "capitalSale",
  "bootstrap",
  "stakeManager",
  "revenueDeposits",
  "computeBudget",
] as const;
type AskedKey = (typeof askedKeys)[number];
type SingletonKey = Exclude<Key, ImplementationKey | AskedKey | AloneKey | LocalKey>;

/** What a deployment leaves behind, and what its record holds. Addresses are in lower case. */
export interface DeploymentRecord {
  readonly chainId: number;
  readonly profile: ProfileName;
  readonly addresses: Readonly<Record<SingletonKey, Address>>;
  /** What every model's clones run. */
  readonly implementations: Readonly<Record<ImplementationKey, Address>>;
  /** What pays authors of code. */
  readonly codeGrants: Address;
  /** What sells shares. */
  readonly capitalSale: Address;
  /** Where workers and validators put up stake. */
  readonly stakeManager: Address;
  /** Where a model's revenue arrives. */
  readonly revenueDeposits: Address;
  /** What says whether a model is in bootstrap. */
  readonly bootstrap: Address;
  /** What lets others spend from treasuries. */
  readonly computeBudget: Address;
  /** What pays for rented machines from deposits. */
  readonly computeEscrow: Address;
  /** What shares are paid with on development chains. */
  readonly testDollar?: Address;
  /** The DeterministicDeployer that made them all. */
  readonly deployer: Address;
  /** In which block each contract came to be; logs are read from there on. */
  readonly blocks: Readonly<Record<Exclude<Key, LocalKey>, number> & Partial<Record<LocalKey, number>>>;
}

export interface DeployOptions {
  readonly walletClient: WalletClient<Transport, Chain | undefined, Account>;
  readonly publicClient: PublicClient;
  readonly profile: ProfileName;
  /** Where the record is written; without it the local chain keeps none, others `deploy/deployments/<chainId>.json`. */
  readonly recordPath?: string;
  /** Where compiled contracts come from; Hardhat's `artifacts/` if not said. */
  readonly artifacts?: (name: ContractName) => Promise<Artifact>;
}

/**
 * Deploys what is not there yet, checks what is, and records the result.
 * @throws CotrainError LOCAL_PROFILE_REFUSED, WRONG_CODE, WRONG_WIRING, DEPLOYMENT_FAILED, ARTIFACT_MISSING
 */
export async function deploy(options: DeployOptions): Promise<DeploymentRecord> {
  const { publicClient, walletClient, artifacts = loadArtifact } = options;
  const chainId = await publicClient.getChainId();
  const profile = profileFor(options.profile, chainId);
  const compiled = await compiledBy(artifacts);

  const deployer = await ensureDeployer(options, await artifacts("DeterministicDeployer"));
  const { at, saltOf, missing } = await findContracts(publicClient, walletClient.account.address, {
    deployer,
    compiled,
    profile,
  });
  const wanted = keysOf(profile);
  await deployer.deployAll(
    missing.map((key) => ({
      address: at[key],
      salt: saltOf(key),
      code: encodeDeployData({
        abi: compiled[key].abi,
        bytecode: compiled[key].bytecode,
        args: plan[key].args(at, profile),
      }),
    })),
  );

  const blocks: [Key, number][] = [];
  for (const key of wanted) {
    if (!(await holdsCode(publicClient, at[key], compiled[key])))
      throw new CotrainError(
        "DEPLOYMENT_FAILED",
        `${plan[key].contract} did not get its code at ${at[key]}: run the deployment again.`,
        { retryable: true },
      );
    blocks.push([key, await deployer.blockOf(at[key])]);
  }
  const pick = <K extends Key>(names: readonly K[]) =>
    Object.fromEntries(names.map((key) => [key, at[key]])) as Record<K, Address>;
  const apart = new Set<Key>([...implementationKeys, ...askedKeys, "computeEscrow", "testDollar"]);
  const singletons = keys.filter((key): key is SingletonKey => !apart.has(key));
  await requireWired(publicClient, pick(singletons), at);
  const deployment: DeploymentRecord = {
    chainId,
    profile: profile.name,
    addresses: pick(singletons),
    implementations: pick(implementationKeys),
    ...pick(askedKeys),
    computeEscrow: at.computeEscrow,
    ...(wanted.includes("testDollar") && { testDollar: at.testDollar }),
    deployer: deployer.address,
    blocks: Object.fromEntries(blocks) as Record<Key, number>,
  };
  const recordPath = options.recordPath ?? defaultRecordPath(chainId);
  if (recordPath !== undefined) await writeRecord(recordPath, deployment);
  return deployment;
}

/**
 * How much of a deployment, without its deployer, is not there yet; nothing is sent.
 * @param options.account who is to deploy
 * @returns bytes of code: of what is missing, and of the whole deployment
 * @throws CotrainError LOCAL_PROFILE_REFUSED, WRONG_CODE, ARTIFACT_MISSING
 */
export async function undeployedCode({
  publicClient,
  account,
  profile: name,
  artifacts = loadArtifact,
}: Pick<DeployOptions, "publicClient" | "profile" | "artifacts"> & { readonly account: Address }): Promise<{
  readonly missing: number;
  readonly whole: number;
}> {
  const profile = profileFor(name, await publicClient.getChainId());
  const compiled = await compiledBy(artifacts);
  const bytesOf = (several: readonly Key[]): number =>
    several.reduce((sum, key) => sum + size(compiled[key].deployedBytecode), 0);
  const whole = bytesOf(keysOf(profile));
  const artifact = await artifacts("DeterministicDeployer");
  const address = await foundDeployer(publicClient, account, artifact);
  if (!address) return { missing: whole, whole };
  const deployer = deployerAt(publicClient, address, artifact);
  const { missing } = await findContracts(publicClient, account, { deployer, compiled, profile });
  return { missing: bytesOf(missing), whole };
}

async function compiledBy(artifacts: NonNullable<DeployOptions["artifacts"]>): Promise<Record<Key, Artifact>> {
  const each = keys.map(async (key) => [key, await artifacts(plan[key].contract)] as const);
  return Object.fromEntries(await Promise.all(each)) as Record<Key, Artifact>;
}

interface Look {
  readonly deployer: ReturnType<typeof deployerAt>;
  readonly compiled: Readonly<Record<Key, Artifact>>;
  readonly profile: ReturnType<typeof profileFor>;
}

/** Where an account's contracts are or will be, and which of those that its profile wants are missing. @throws CotrainError WRONG_CODE */
async function findContracts(client: PublicClient, account: Address, { deployer, compiled, profile }: Look) {
  const definition = definitionDigest(
    compiled,
    keys.filter((key) => !isAlone(key)),
    profile.limits,
  );
  const saltOf = (key: Key): Hex => {
    const of = isAlone(key) ? definitionDigest(compiled, [key], {}) : definition;
    return keccak256(encodeAbiParameters([{ type: "bytes32" }, { type: "string" }], [of, key]));
  };
  const at = Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key, await deployer.addressOf(account, saltOf(key))] as const)),
  ) as Record<Key, Address>;
  const missing: Key[] = [];
  for (const key of keysOf(profile)) if (!(await holdsCode(client, at[key], compiled[key]))) missing.push(key);
  return { at, saltOf, missing };
}

/** Immutables are no part of the code that was compared. @throws CotrainError WRONG_WIRING */
async function requireWired(
  client: PublicClient,
  addresses: ContractAddresses,
  {
    modelShares: shares,
    modelGovernor: governor,
    modelTimelock: timelock,
    codeGrants,
    capitalSale,
    bootstrap,
    stakeManager,
    revenueDeposits,
    computeBudget,
    computeEscrow,
  }: Record<ImplementationKey | AskedKey | AloneKey, Address>,
): Promise<void> {
  const implementations = { shares, governor, timelock };
  const asked = { codeGrants, capitalSale, bootstrap, stakeManager, revenueDeposits, computeBudget };
  const [wrong] = misWired([
    ...(await deploymentWiring(client, { addresses, implementations, ...asked })),
    ...(await escrowWiring(client, { escrow: computeEscrow })),
  ]);
  if (wrong)
    throw new CotrainError("WRONG_WIRING", `The contracts obey others than they should: ${wireSentence(wrong)}`);
}

/** Where a chain's record lies if nobody says otherwise; a development chain's belongs to its state, not to the tree. */
export function defaultRecordPath(chainId: number): string | undefined {
  if (chainId === LOCAL_CHAIN_ID) return undefined;
  return join(dirname(fileURLToPath(import.meta.url)), `deployments/${chainId}.json`);
}

function definitionDigest(compiled: Record<Key, Artifact>, of: readonly Key[], limits: object): Hex {
  const parts = of.map((key) => `${key}:${keccak256(compiled[key].bytecode)}`);
  return keccak256(stringToHex(JSON.stringify([DEFINITION_VERSION, parts, limits])));
}

/** Whole or not at all. */
async function writeRecord(file: string, deployment: DeploymentRecord): Promise<void> {
  const target = resolve(file);
  await mkdir(dirname(target), { recursive: true });
  const draft = `${target}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(deployment, null, 2)}\n`);
  await rename(draft, target);
}
