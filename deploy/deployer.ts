/**
 * What makes the contracts of a deployment: the deployer, found or created, and the transactions to it. Its addresses follow from the
 * account and from a salt, so that what is there already is found again.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Account,
  type Address,
  BaseError,
  type Chain,
  concatHex,
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
import type { Artifact } from "./artifacts.ts";

interface Clients {
  readonly publicClient: PublicClient;
  readonly walletClient: WalletClient<Transport, Chain | undefined, Account>;
}

/** Whether the contract is there. @throws CotrainError WRONG_CODE where something else is */
export async function holdsCode(client: PublicClient, address: Address, artifact: Artifact): Promise<boolean> {
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

export async function ensureDeployer(clients: Clients, artifact: Artifact) {
  const { publicClient, walletClient } = clients;
  const deployer = deployerAt(publicClient, await findDeployer(clients, artifact), artifact);
  return {
    ...deployer,
    /** Sends all at once, since no constructor calls another contract. */
    deployAll: (creations: readonly Creation[]) =>
      sendAll(
        { publicClient, walletClient },
        creations.map((creation) => ({
          creates: creation.address,
          to: deployer.address,
          data: encodeFunctionData({ abi: artifact.abi, functionName: "deploy", args: [creation.salt, creation.code] }),
        })),
      ),
  };
}

/** What a deployer says of its contracts. */
export function deployerAt(publicClient: PublicClient, address: Address, artifact: Artifact) {
  const read = (functionName: string, args: readonly unknown[]) =>
    publicClient.readContract({ address, abi: artifact.abi, functionName, args });
  return {
    address,
    addressOf: async (account: Address, creation: Hex) =>
      ((await read("addressOf", [account, creation])) as string).toLowerCase() as Address,
    blockOf: async (contract: Address) => Number(await read("blockOf", [contract])),
  };
}

/**
 * The deployer: the one at the address that is the same on every chain where the proxy is there or can be had, else one that
 * the deploying account creates itself, found again by its nonce.
 */
async function findDeployer(clients: Clients, artifact: Artifact): Promise<Address> {
  const { publicClient, walletClient } = clients;
  const found = await foundDeployer(publicClient, walletClient.account.address, artifact);
  if (found) return found;
  const common = commonDeployer(artifact);
  if (await ensureProxy(clients)) {
    await sendAll(clients, [{ creates: common, to: proxy.address, data: concatHex([salt, artifact.bytecode]) }]);
    if (await holdsCode(publicClient, common, artifact)) return common;
  } else {
    const hash = await walletClient.sendTransaction({ chain: null, data: artifact.bytecode });
    await publicClient.waitForTransactionReceipt({ hash });
    const made = await ownDeployer(publicClient, walletClient.account.address, artifact);
    if (made) return made;
  }
  throw new CotrainError("DEPLOYMENT_FAILED", `The deployer did not get its code: run the deployment again.`, {
    retryable: true,
  });
}

const commonDeployer = (artifact: Artifact): Address =>
  getCreate2Address({ from: proxy.address, salt, bytecode: artifact.bytecode }).toLowerCase() as Address;

/** The deployer that is there already, of all or of this account. */
export async function foundDeployer(
  publicClient: PublicClient,
  account: Address,
  artifact: Artifact,
): Promise<Address | undefined> {
  const common = commonDeployer(artifact);
  if (await holdsCode(publicClient, common, artifact)) return common;
  return ownDeployer(publicClient, account, artifact);
}

/** The deployer that this account created by a transaction of its own, where there is one. */
async function ownDeployer(publicClient: PublicClient, from: Address, artifact: Artifact) {
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
async function ensureProxy({ publicClient, walletClient }: Clients): Promise<boolean> {
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

/**
 * Sends transactions with consecutive nonces and waits for all. The caller looks at what is there afterwards. No more wait at once
 * than fit into half a block: where one does not fit and a later one does, Anvil takes that for one with a wrong nonce, for ever.
 */
async function sendAll({ publicClient, walletClient }: Clients, calls: readonly Call[]): Promise<void> {
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
  const room = (await publicClient.getBlock()).gasLimit / 2n;
  let nonce = await publicClient.getTransactionCount({ address: account.address, blockTag: "pending" });
  let waiting: Hex[] = [];
  let taken = 0n;
  const arrive = async (): Promise<void> => {
    for (const hash of waiting) await publicClient.waitForTransactionReceipt({ hash });
    [waiting, taken] = [[], 0n];
  };
  for (const [index, { to, data }] of calls.entries()) {
    const limit = gas[index];
    if (limit === undefined) continue;
    if (taken + limit > room) await arrive();
    waiting.push(await walletClient.sendTransaction({ chain: null, nonce, gas: limit, to, data }));
    nonce += 1;
    taken += limit;
  }
  await arrive();
}
