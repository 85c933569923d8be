/** A world in which one wallet buys and another is paid for code, as a session on a development chain sees it. */
import { capitalDeposited, depositCapital, allowCapital, epochEnd, epochOf, getAllLogs } from "@cotrain/sdk/actions";
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { type Account, encodeFunctionData, erc20Abi, parseAbi, publicActions } from "viem";
import { sendTransaction, waitForTransactionReceipt } from "viem/actions";

import type { Owner } from "../../../offchain/src/localnet/owners.ts";
import type { BuyingPlace, GrantsPlace } from "../../../offchain/src/run/index.ts";
import { createWorld } from "../../sdk/world.ts";

const mintAbi = parseAbi(["function mint(address to, uint256 amount)"]);

/** @param young whether its model is in bootstrap */
export async function openContributing(young = false) {
  const world = await createWorld({}, young);
  const { addresses, modelId, client, clientOf, testDollar, sale, request } = world;
  const reader = client.extend(publicActions);
  const place = {
    connection: { chainId: 31_337, call: (work: (client: never) => Promise<unknown>) => work(reader as never) },
    addresses,
    modelId,
    fromBlock: 0,
  } as unknown as BuyingPlace & GrantsPlace;
  const ownerOf = (name: string, account: Account): Owner => ({ name, client: clientOf(account) });
  const epoch = async () => epochOf(client, { addresses, modelId, timestamp: await world.now() });
  const deposits = async () =>
    (await getAllLogs(client, capitalDeposited({ sale, modelId }), { from: 0n })).logs.length;

  /** Sends what a contract or anybody else would send. */
  async function as(from: Hex, to: Hex, data: Hex): Promise<void> {
    await request({ method: "hardhat_setBalance", params: [from, "0xde0b6b3a7640000"] });
    await request({ method: "hardhat_impersonateAccount", params: [from] });
    const hash = await request({ method: "eth_sendTransaction", params: [{ from, to, data, gas: "0x4c4b40" }] });
    const { status } = await waitForTransactionReceipt(client, { hash: hash as Hex });
    if (status !== "success") throw new Error("it reverted");
  }
  /** Test dollars, in their smallest units. */
  const dollarsOf = (account: Hex) =>
    reader.readContract({ address: testDollar, abi: erc20Abi, functionName: "balanceOf", args: [account] });
  const move = (from: Hex, to: Hex, amount: bigint) =>
    as(from, testDollar, encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [to, amount] }));

  /** Somebody deposits in the present epoch, for himself if not said. */
  async function deposit(account: Account, amount: bigint, beneficiary = account.address): Promise<bigint> {
    const from = clientOf(account);
    const data = encodeFunctionData({ abi: mintAbi, functionName: "mint", args: [account.address, amount] });
    await sendTransaction(from, { chain: null, to: testDollar, data });
    await allowCapital.sync(from, { token: testDollar, sale, amount });
    const present = await epoch();
    await depositCapital.sync(from, { sale, modelId, epoch: present, beneficiary: asAddress(beneficiary), amount });
    return present;
  }
  const overBy = async (over: bigint): Promise<void> =>
    world.advanceTo(await epochEnd(client, { addresses, modelId, epoch: over }));

  return { ...world, place, ownerOf, epoch, deposits, as, dollarsOf, move, deposit, overBy };
}
export type Contributing = Awaited<ReturnType<typeof openContributing>>;
