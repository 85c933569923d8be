/**
 * A chain in this process with Cotrain deployed by the public profile, for simulations of an economy: gas costs nothing, so that
 * balances are what bonds and stakes leave of them; time is what the simulation says, a second more with each transaction, so that
 * a seed gives the same numbers on every machine.
 */
import { network } from "hardhat";
import { decodeError } from "@cotrain/sdk/errors";
import {
  type Address,
  createClient,
  createPublicClient,
  createWalletClient,
  custom,
  type EIP1193RequestFn,
  encodeDeployData,
  formatTransactionReceipt,
  type Hex,
  keccak256,
  parseEther,
  type RpcTransactionReceipt,
  stringToHex,
  type TransactionReceipt,
} from "viem";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";

import { deploy, ensureBuilt } from "../../deploy/deployment.ts";
import { loadArtifact } from "../../deploy/artifacts.ts";

/** Coins that each account begins with: what nobody spends up. */
const PURSE = parseEther("1000000");
/** 1 January 2030. */
const FIRST_DAY = 1_893_456_000;
/** Below what Osaka allows one transaction. */
const GAS = "0xf00000";

export type SimulatedChain = Awaited<ReturnType<typeof openChain>>;

/** What a transaction says: any write's `call`. */
interface Sent {
  readonly to: Address;
  readonly data: Hex;
  readonly value?: bigint;
}

const hexOf = (value: number | bigint): Hex => `0x${value.toString(16)}`;

/** The account of a name, the same in every simulation. */
export const accountNamed = (name: string): PrivateKeyAccount => privateKeyToAccount(keccak256(stringToHex(name)));

export async function openChain() {
  await ensureBuilt();
  const connection = await network.create({ override: { initialBaseFeePerGas: 0 } });
  const request = ((call: { method: string; params?: unknown[] }) =>
    connection.provider.request(call)) as EIP1193RequestFn;
  const ask = <T>(method: string, ...params: unknown[]): Promise<T> =>
    request<{ Method: string; Parameters?: unknown; ReturnType: T }>({ method, params });
  const settings = { transport: custom({ request }, { retryCount: 0 }), pollingInterval: 1, cacheTime: 0 };
  const client = createClient(settings);
  const deployer = accountNamed("deployer");
  await ask("hardhat_setBalance", deployer.address, hexOf(PURSE));
  const { addresses, capitalSale, codeGrants, stakeManager, bootstrap } = await deploy({
    walletClient: createWalletClient({ ...settings, account: deployer }),
    publicClient: createPublicClient(settings),
    profile: "public",
  });

  const known = new Set<Address>();
  let now = FIRST_DAY;

  /** Moves time on; does nothing for a time that is past. */
  async function advanceTo(time: number | bigint): Promise<void> {
    if (Number(time) <= now) return;
    now = Number(time);
    await ask("evm_setNextBlockTimestamp", now);
    await ask("evm_mine");
  }

  async function admit(account: Address): Promise<void> {
    if (known.has(account)) return;
    known.add(account);
    await ask("hardhat_impersonateAccount", account);
    await ask("hardhat_setBalance", account, hexOf(PURSE));
  }

  /** Sends a call in a block of its own. @throws the contract's own error */
  async function send(from: { readonly address: Address }, call: Partial<Sent>): Promise<TransactionReceipt> {
    await admit(from.address);
    await ask("evm_setNextBlockTimestamp", ++now);
    const { to, data, value } = call;
    const transaction = { from: from.address, data, gas: GAS, gasPrice: "0x0" };
    const hash = await ask<Hex>("eth_sendTransaction", {
      ...transaction,
      ...(to && { to }),
      ...(value && { value: hexOf(value) }),
    }).catch((error: unknown) => {
      throw decodeError(error) ?? error;
    });
    return formatTransactionReceipt(await ask<RpcTransactionReceipt>("eth_getTransactionReceipt", hash));
  }

  await advanceTo(FIRST_DAY + 1);
  const { abi, bytecode } = await loadArtifact("TestDollar");
  const { contractAddress } = await send(deployer, { data: encodeDeployData({ abi, bytecode }) });
  if (!contractAddress) throw new TypeError("the test dollar was deployed");
  // No call of it: `Sent` wants a target elsewhere.
  const token: Address = contractAddress;

  return {
    client,
    addresses,
    sale: capitalSale,
    grants: codeGrants,
    stakes: stakeManager,
    bootstrap,
    token,
    now: (): number => now,
    advanceTo,
    send,
    admit,
    /** Coins of an account, in wei. */
    coinsOf: async (account: Address): Promise<bigint> =>
      known.has(account) ? BigInt(await ask<Hex>("eth_getBalance", account, "latest")) : PURSE,
    /** Runs some work and puts the chain back to where it was. */
    async isolated<T>(work: () => Promise<T>): Promise<T> {
      const [snapshot, time, accounts] = [await ask<Hex>("evm_snapshot"), now, [...known]];
      try {
        return await work();
      } finally {
        await ask("evm_revert", snapshot);
        now = time;
        known.clear();
        for (const account of accounts) known.add(account);
      }
    },
    close: () => connection.close(),
  };
}
