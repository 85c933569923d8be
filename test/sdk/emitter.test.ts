/** A write's event is its contract's own: what others write in the same transaction is not read. */
import { depositCapital } from "@cotrain/sdk/actions";
import { capitalSaleAbi } from "@cotrain/sdk/abis";
import { type Address, createClient, custom, encodeAbiParameters, encodeEventTopics, type Hex } from "viem";
import { expect, it } from "vitest";

const sale: Address = `0x${"5a".repeat(20)}`;
const token: Address = `0x${"70".repeat(20)}`;
const account: Address = `0x${"ac".repeat(20)}`;
const modelId: Hex = `0x${"01".repeat(32)}`;
const hash: Hex = `0x${"02".repeat(32)}`;

/** Somebody's word that so much was deposited. */
const deposited = (address: Address, amount: bigint, logIndex: number) => ({
  address,
  topics: encodeEventTopics({ abi: capitalSaleAbi, eventName: "Deposited", args: { modelId, epoch: 1n, account } }),
  data: encodeAbiParameters([{ type: "address" }, { type: "uint256" }], [account, amount]),
  blockNumber: "0x1",
  blockHash: hash,
  transactionHash: hash,
  transactionIndex: "0x0",
  logIndex: `0x${logIndex.toString(16)}`,
  removed: false,
});

/** A chain that mines what is sent, and whose token claims that a million was deposited. */
const client = (sender: boolean) =>
  createClient({
    account,
    pollingInterval: 1,
    transport: custom({
      request: async ({ method }: { method: string }) => {
        if (method === "eth_sendTransaction") return hash;
        if (["eth_blockNumber", "eth_chainId", "eth_estimateGas"].includes(method)) return "0x1";
        if (method !== "eth_getTransactionReceipt") throw new TypeError(`${method} is not needed`);
        return {
          transactionHash: hash,
          blockHash: hash,
          blockNumber: "0x1",
          transactionIndex: "0x0",
          status: "0x1",
          type: "0x2",
          from: account,
          to: sale,
          gasUsed: "0x1",
          cumulativeGasUsed: "0x1",
          effectiveGasPrice: "0x1",
          contractAddress: null,
          logsBloom: "0x",
          logs: [...(sender ? [deposited(sale, 7n, 0)] : []), deposited(token, 1_000_000n, 1)],
        };
      },
    }),
  });

const deposit = { sale, modelId, epoch: 1n, beneficiary: account, amount: 7n };

it("reads what the contract says that was called", async () => {
  const { event } = await depositCapital.sync(client(true), deposit);
  expect(event.amount).toBe(7n);
});

it("finds no event where another contract alone says so", async () => {
  await expect(depositCapital.sync(client(false), deposit)).rejects.toMatchObject({ code: "EVENT_MISSING" });
});
