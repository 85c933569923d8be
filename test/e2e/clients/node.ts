/** A development node that somebody else runs, unmodified: Cotrain deployed on it, accounts that its owner pays, and its clock. */
import {
  type Address,
  createPublicClient,
  createWalletClient,
  type Hex,
  http,
  keccak256,
  parseAbi,
  parseEther,
  type PublicClient,
  stringToHex,
} from "viem";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";

import { deploy, type DeploymentRecord } from "../../../deploy/deployment.ts";
import { until } from "../harness.ts";

const mintAbi = parseAbi(["function mint(address to, uint256 amount)"]);

export interface Holder extends PrivateKeyAccount {
  readonly key: Hex;
}

export interface ClientsNode {
  readonly url: string;
  readonly chainId: number;
  readonly client: PublicClient;
  readonly deployment: DeploymentRecord;
  /** An account that has coins. */
  readonly funded: (name: string) => Promise<Holder>;
  /** Makes somebody test dollars, in their smallest units. */
  readonly mint: (to: Address, amount: bigint) => Promise<void>;
  /** Resolves once the newest block is later than a time, seconds since 1970; the owner sends itself nothing until then. */
  readonly past: (time: number | bigint) => Promise<void>;
}

/** The account of a name. */
function holderOf(name: string): Holder {
  const key = keccak256(stringToHex(`clients: ${name}`));
  return { ...privateKeyToAccount(key), key };
}

/** @param url of a node that has an unlocked account of its own with coins */
export async function openClientsNode(url: string, recordPath: string): Promise<ClientsNode> {
  const transport = http(url, { retryCount: 0, timeout: 60_000 });
  const client = createPublicClient({ transport, pollingInterval: 100, cacheTime: 0 });
  const chainId = await client.getChainId();
  const [owner] = await client.request<{ Method: string; Parameters?: undefined; ReturnType: Address[] }>({
    method: "eth_accounts",
  });
  if (owner === undefined) throw new TypeError("a node in development mode has an account");
  // Lives go on side by side, but an account has one row of transactions.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
  const send = async (to: Address, value: bigint): Promise<void> => {
    const hash = await client.request<{ Method: string; Parameters: unknown[]; ReturnType: Hex }>({
      method: "eth_sendTransaction",
      params: [{ from: owner, to, value: `0x${value.toString(16)}` }],
    });
    await client.waitForTransactionReceipt({ hash, timeout: 60_000 });
  };
  const pay = (to: Address, value: bigint): Promise<void> => inTurn(() => send(to, value));
  const funded = async (name: string): Promise<Holder> => {
    const holder = holderOf(name);
    await pay(holder.address, parseEther("100"));
    return holder;
  };
  const walletClient = createWalletClient({ account: await funded("deployer"), transport });
  const deployment = await deploy({ walletClient, publicClient: client, profile: "local", recordPath });
  const mint = async (to: Address, amount: bigint): Promise<void> => {
    const { testDollar: address } = deployment;
    if (address === undefined) throw new TypeError("the local profile has test dollars");
    const call = { address, abi: mintAbi, functionName: "mint", args: [to, amount], chain: null } as const;
    await inTurn(async () => client.waitForTransactionReceipt({ hash: await walletClient.writeContract(call) }));
  };
  return {
    url,
    chainId,
    mint,
    client,
    deployment,
    funded,
    // A node in development mode makes blocks for transactions alone.
    past: (time) =>
      until(
        `a block after ${time}`,
        async () => {
          if ((await client.getBlock()).timestamp > BigInt(time)) return true;
          await pay(owner, 0n);
          return false;
        },
        { every: 250 },
      ).then(() => undefined),
  };
}
