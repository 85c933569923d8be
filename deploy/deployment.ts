/**
 * The one definition of a deployment: tests, the local chain and real networks all use it. Addresses follow from the
 * definition (code and limits) and from the account that deploys, so that a deployment which was cut short goes on where it
 * stopped, and one that is complete is found again.
 */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { deploymentWiring, misWired, wireSentence } from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Account,
  type Address,
  BaseError,
  type Chain,
  concatHex,
  encodeAbiParameters,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  getCreate2Address,
  type Hex,
  keccak256,
  type PublicClient,
  stringToHex,
  type Transport,
  type WalletClient,
} from "viem";
import { type Artifact, type ContractName, loadArtifact } from "./artifacts.ts";
import { LOCAL_CHAIN_ID, type ProfileName, profileFor } from "./profiles.ts";

export { type ContractName, ensureBuilt } from "./artifacts.ts";
export * from "./profiles.ts";

/** Raised when the same code must get new addresses. */
const DEFINITION_VERSION = 1;

/** In the order of deployment; what each constructor takes, given all addresses. */
const plan = {
  modelShares: { contract: "ModelShares", args: (at) => [at.modelRegistry, at.emission] },
  modelGovernor: { contract: "ModelGovernor", args: (at) => [at.modelRegistry] },
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
  computeRewards: { contract: "ComputeRewards", args: (at) => [at.modelRegistry, at.emission, at.validatorSet] },
  codeGrants: { contract: "CodeGrants", args: (at) => [at.modelRegistry, at.emission, at.validatorSet] },
  capitalSale: { contract: "CapitalSale", args: (at) => [at.modelRegistry, at.emission] },
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
/** What a profile deploys: nothing that is worth nothing where money is real. */
const keysOf = ({ name }: ReturnType<typeof profileFor>): Key[] =>
  keys.filter((key) => key !== "testDollar" || name === "local");
const implementationKeys = ["modelShares", "modelGovernor", "modelTimelock"] as const;
type ImplementationKey = (typeof implementationKeys)[number];
/** No run needs them, and whoever else does asks Emission for them. */
const distributorKeys = ["codeGrants", "capitalSale"] as const;
type DistributorKey = (typeof distributorKeys)[number];
type SingletonKey = Exclude<Key, ImplementationKey | DistributorKey | LocalKey>;

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
  /** What they are paid with on development chains. */
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
  const compiled = Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key, await artifacts(plan[key].contract)] as const)),
  ) as Record<Key, Artifact>;

  const deployer = await ensureDeployer(options, await artifacts("DeterministicDeployer"));
  const definition = definitionDigest(compiled, profile.limits);
  const saltOf = (key: Key): Hex =>
    keccak256(encodeAbiParameters([{ type: "bytes32" }, { type: "string" }], [definition, key]));
  const at = Object.fromEntries(
    await Promise.all(
      keys.map(async (key) => [key, await deployer.addressOf(walletClient.account.address, saltOf(key))] as const),
    ),
  ) as Record<Key, Address>;

  const wanted = keysOf(profile);
  const missing: Key[] = [];
  for (const key of wanted) if (!(await holdsCode(publicClient, at[key], compiled[key]))) missing.push(key);
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
  const apart = new Set<Key>([...implementationKeys, ...distributorKeys, "testDollar"]);
  const singletons = keys.filter((key): key is SingletonKey => !apart.has(key));
  await requireWired(publicClient, pick(singletons), at);
  const deployment: DeploymentRecord = {
    chainId,
    profile: profile.name,
    addresses: pick(singletons),
    implementations: pick(implementationKeys),
    ...pick(distributorKeys),
    ...(wanted.includes("testDollar") && { testDollar: at.testDollar }),
    deployer: deployer.address,
    blocks: Object.fromEntries(blocks) as Record<Key, number>,
  };
  const recordPath = options.recordPath ?? defaultRecordPath(chainId);
  if (recordPath !== undefined) await writeRecord(recordPath, deployment);
  return deployment;
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
  }: Record<ImplementationKey | DistributorKey, Address>,
): Promise<void> {
  const implementations = { shares, governor, timelock };
  const [wrong] = misWired(await deploymentWiring(client, { addresses, implementations, codeGrants, capitalSale }));
  if (wrong)
    throw new CotrainError("WRONG_WIRING", `The contracts obey others than they should: ${wireSentence(wrong)}`);
}

/** Where a chain's record lies if nobody says otherwise; a development chain's belongs to its state, not to the tree. */
export function defaultRecordPath(chainId: number): string | undefined {
  if (chainId === LOCAL_CHAIN_ID) return undefined;
  return join(dirname(fileURLToPath(import.meta.url)), `deployments/${chainId}.json`);
}

function definitionDigest(compiled: Record<Key, Artifact>, limits: object): Hex {
  const parts = keys.map((key) => `${key}:${keccak256(compiled[key].bytecode)}`);
  return keccak256(stringToHex(JSON.stringify([DEFINITION_VERSION, parts, limits])));
}

/** Whether the contract is there. @throws CotrainError WRONG_CODE where something else is */
async function holdsCode(client: PublicClient, address: Address, artifact: Artifact): Promise<boolean> {
  const code = await client.getCode({ address });
  if (code === undefined || code === "0x") return false;
  if (withoutImmutables(code, artifact) !== withoutImmutables(artifact.deployedBytecode, artifact))
    throw new CotrainError(
      "WRONG_CODE",
      `The code at ${address} is not that of ${artifact.contractName}: it was deployed from other sources.`,
    );
  return true;
}

function withoutImmutables(code: Hex, artifact: Artifact): string {
  const bytes = Buffer.from(code.slice(2), "hex");
  for (const { start, length } of Object.values(artifact.immutableReferences).flat()) {
    if (start + length <= bytes.length) bytes.fill(0, start, start + length);
  }
  return bytes.toString("hex");
}

// --- transactions ---------------------------------------------------------------------------------------------------

/** CREATE2 for everyone (https://github.com/Arachnid/deterministic-deployment-proxy), there on nearly every chain. */
const proxy = {
  address: "0x4e59b44847b379578588920ca78fbf26c0b4956c",
  /** The one account and transaction that can create it: signed without a chain id, its key unknown to anybody. */
  creator: "0x3fab184622dc19b6109349b94811493bf2a45362",
  cost: 10n ** 16n,
  transaction:
    "0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba02222222222222222222222222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222",
} as const;

const salt = keccak256(stringToHex("cotrain"));

interface Creation {
  readonly address: Address;
  readonly salt: Hex;
  readonly code: Hex;
}

/** Nonces of the deploying account that are looked through for a deployer of its own. */
const OWN_DEPLOYER_NONCES = 256;

async function ensureDeployer(options: DeployOptions, artifact: Artifact) {
  const { publicClient, walletClient } = options;
  const address = await findDeployer(options, artifact);
  const read = (functionName: string, args: readonly unknown[]) =>
    publicClient.readContract({ address, abi: artifact.abi, functionName, args });
  return {
    address,
    addressOf: async (account: Address, creation: Hex) =>
      ((await read("addressOf", [account, creation])) as string).toLowerCase() as Address,
    blockOf: async (contract: Address) => Number(await read("blockOf", [contract])),
    /** Sends all at once, since no constructor calls another contract. */
    deployAll: (creations: readonly Creation[]) =>
      sendAll(
        { publicClient, walletClient },
        creations.map((creation) => ({
          creates: creation.address,
          to: address,
          data: encodeFunctionData({ abi: artifact.abi, functionName: "deploy", args: [creation.salt, creation.code] }),
        })),
      ),
  };
}

/**
 * The deployer: the one at the address that is the same on every chain where the proxy is there or can be had, else one that
 * the deploying account creates itself, found again by its nonce.
 */
async function findDeployer(options: DeployOptions, artifact: Artifact): Promise<Address> {
  const { publicClient, walletClient } = options;
  const common = getCreate2Address({ from: proxy.address, salt, bytecode: artifact.bytecode }).toLowerCase() as Address;
  if (await holdsCode(publicClient, common, artifact)) return common;
  const own = await ownDeployer(options, artifact);
  if (own) return own;
  if (await ensureProxy(options)) {
    await sendAll(options, [{ creates: common, to: proxy.address, data: concatHex([salt, artifact.bytecode]) }]);
    if (await holdsCode(publicClient, common, artifact)) return common;
  } else {
    const hash = await walletClient.sendTransaction({ chain: null, data: artifact.bytecode });
    await publicClient.waitForTransactionReceipt({ hash });
    const made = await ownDeployer(options, artifact);
    if (made) return made;
  }
  throw new CotrainError("DEPLOYMENT_FAILED", `The deployer did not get its code: run the deployment again.`, {
    retryable: true,
  });
}

/** The deployer that this account created by a transaction of its own, where there is one. */
async function ownDeployer({ publicClient, walletClient }: DeployOptions, artifact: Artifact) {
  const from = walletClient.account.address;
  const used = Math.min(await publicClient.getTransactionCount({ address: from }), OWN_DEPLOYER_NONCES);
  const expected = withoutImmutables(artifact.deployedBytecode, artifact);
  for (let nonce = 0; nonce < used; nonce++) {
    const address = getContractAddress({ from, nonce: BigInt(nonce) }).toLowerCase() as Address;
    const code = (await publicClient.getCode({ address })) ?? "0x";
    if (code !== "0x" && withoutImmutables(code, artifact) === expected) return address;
  }
  return undefined;
}

/**
 * Sees to it that the proxy is there. Its creation is signed without a chain id, which some nodes refuse (geth since 1.10,
 * EIP-155): then nothing is spent, and the deployment does without.
 * @returns whether it is there
 */
async function ensureProxy({ publicClient, walletClient }: DeployOptions): Promise<boolean> {
  const present = async (): Promise<boolean> =>
    ((await publicClient.getCode({ address: proxy.address })) ?? "0x") !== "0x";
  if (await present()) return true;
  const create = async (): Promise<boolean> => {
    const hash = await publicClient.sendRawTransaction({ serializedTransaction: proxy.transaction });
    await publicClient.waitForTransactionReceipt({ hash });
    return present();
  };
  try {
    const missing = proxy.cost - (await publicClient.getBalance({ address: proxy.creator }));
    if (missing <= 0n) return await create();
    // Asked before its creator is given coins: a node that takes no such transaction must cost nothing.
    const refused = await create().then(
      () => undefined,
      (error: unknown) => (error instanceof BaseError ? error.message : String(error)),
    );
    if (refused === undefined) return await present();
    if (!/insufficient funds|lack of funds|not enough|enough funds/i.test(refused)) return false;
    const funding = await walletClient.sendTransaction({ chain: null, to: proxy.creator, value: missing });
    await publicClient.waitForTransactionReceipt({ hash: funding });
    return await create();
  } catch {
    return present();
  }
}

interface Call {
  readonly creates: Address;
  readonly to: Address;
  readonly data: Hex;
}

/** Sends transactions with consecutive nonces and waits for all. The caller looks at what is there afterwards. */
async function sendAll(
  { publicClient, walletClient }: Pick<DeployOptions, "publicClient" | "walletClient">,
  calls: readonly Call[],
): Promise<void> {
  const { account } = walletClient;
  const estimate = async ({ creates, ...call }: Call): Promise<bigint | undefined> => {
    try {
      return await publicClient.estimateGas({ account, ...call });
    } catch (cause) {
      // The copy that an earlier run had sent may have arrived meanwhile.
      if (((await publicClient.getCode({ address: creates })) ?? "0x") !== "0x") return undefined;
      const reason = cause instanceof BaseError ? [cause.shortMessage, cause.details].join(" ").trim() : String(cause);
      throw new CotrainError("DEPLOYMENT_FAILED", `The chain refuses the deployment by ${account.address}: ${reason}`, {
        cause,
      });
    }
  };
  const gas = await Promise.all(calls.map(estimate));
  const first = await publicClient.getTransactionCount({ address: account.address, blockTag: "pending" });
  const sent: Hex[] = [];
  for (const [index, { to, data }] of calls.entries()) {
    const limit = gas[index];
    if (limit === undefined) continue;
    sent.push(await walletClient.sendTransaction({ chain: null, nonce: first + sent.length, gas: limit, to, data }));
  }
  for (const hash of sent) await publicClient.waitForTransactionReceipt({ hash });
}

// --- record ---------------------------------------------------------------------------------------------------------

/** Whole or not at all. */
async function writeRecord(file: string, deployment: DeploymentRecord): Promise<void> {
  const target = resolve(file);
  await mkdir(dirname(target), { recursive: true });
  const draft = `${target}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(deployment, null, 2)}\n`);
  await rename(draft, target);
}
