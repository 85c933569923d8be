/** What libraries do with the embedded chain through its door, a real node behind it. */
import { JsonRpcProvider, type Log } from "ethers";
import { createPublicClient, createWalletClient, type Hex, http, toHex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { BLOCK_GAS_LIMIT, type ChainDoor, openChainDoor, requestFunds } from "../../../offchain/src/chain/index.ts";
import { type Embedded, openEmbedded } from "../../attack/node.ts";
import { eventually } from "../service/support.ts";

const TOPIC = toHex(0xaan, { size: 32 });
/** Code that logs one topic, and deploys nothing. */
const LOGS: Hex = "0x60aa5f5fa1";
/** Jumps back to where it began. */
const ENDLESS: Hex = "0x5b600056";

let chain: Embedded;
let door: ChainDoor;
/** What came through the door. */
const asked = new Set<string>();
const account = privateKeyToAccount(generatePrivateKey());

beforeAll(async () => {
  chain = await openEmbedded();
  const { link } = chain;
  door = await openChainDoor({
    link: {
      request: (method, params) => {
        asked.add(method);
        return link.request(method, params);
      },
      close: () => undefined,
    },
    port: { port: 0, explicit: true },
    onTransaction: () => chain.pace.stirred(),
  });
  await requestFunds(door.url, account.address);
});
afterAll(async () => {
  await door?.close();
  await chain?.close();
});

const client = () => createPublicClient({ transport: http(door.url), pollingInterval: 50 });

const send = ({ data, gas }: { data: Hex; gas?: bigint }): Promise<Hex> =>
  createWalletClient({ account, transport: http(door.url) }).sendTransaction({
    chain: null,
    data,
    ...(gas !== undefined && { gas }),
  });

/** Sends what logs, and waits until it is mined. @returns the transaction's hash */
async function log(): Promise<Hex> {
  const hash = await send({ data: LOGS });
  await client().waitForTransactionReceipt({ hash });
  return hash;
}

/** Deploys what answers with the first word of its storage. */
const ANSWERS: Hex = "0x675f545f5260205ff35f5260086018f3";

test("a decision is rehearsed with a few words of storage that are not there", async () => {
  const hash = await send({ data: ANSWERS });
  const { contractAddress } = await client().waitForTransactionReceipt({ hash });
  const [to, slot, value] = [contractAddress!, toHex(0, { size: 32 }), toHex(7, { size: 32 })];
  const stateOverride = [{ address: to, stateDiff: [{ slot, value }] }];
  expect(await client().call({ to, stateOverride })).toEqual({ data: value });
  expect(await client().call({ to })).toEqual({ data: slot });
});

describe("an application hears of events", () => {
  test("with viem, by logs where there are no filters", { timeout: 60_000 }, async () => {
    asked.clear();
    const heard: (Hex | null)[] = [];
    const errors: Error[] = [];
    const unwatch = client().watchEvent({
      fromBlock: (await client().getBlockNumber()) + 1n,
      onLogs: (logs) => heard.push(...logs.map(({ transactionHash }) => transactionHash)),
      onError: (error) => errors.push(error),
    });
    onTestFinished(() => unwatch());
    const sent = await log();
    await eventually(() => heard.length > 0, "the log");
    expect([heard, errors]).toEqual([[sent], []]);
    expect(asked).toContain("eth_getLogs");
    expect(asked).not.toContain("eth_newFilter");
  });

  test("with ethers, by logs where there are no filters", { timeout: 60_000 }, async () => {
    asked.clear();
    const provider = new JsonRpcProvider(door.url, undefined, { cacheTimeout: -1 });
    provider.pollingInterval = 50;
    // Not destroyed: a look that is under way would fail with nobody to catch it.
    onTestFinished(() => void provider.removeAllListeners());
    const heard: string[] = [];
    await provider.on({ topics: [TOPIC] }, (found: Log) => void heard.push(found.transactionHash));
    // It hears what is mined after its first look, of which it does not tell.
    const sent: string[] = [];
    await eventually(async () => {
      sent.push(await log());
      return heard.length > 0;
    }, "a log");
    expect(sent).toContain(heard[0]);
    expect(asked).toContain("eth_getLogs");
    expect(asked).not.toContain("eth_newFilter");
  });
});

describe("a call", () => {
  test("has as much gas as a block has, and its estimate is one that a transaction does with", async () => {
    expect((await client().getBlock()).gasLimit).toBe(BLOCK_GAS_LIMIT);
    const gas = await client().estimateGas({ account, data: LOGS });
    expect(gas).toBeGreaterThan(21_000n);
    const hash = await send({ data: LOGS, gas });
    expect((await client().waitForTransactionReceipt({ hash })).status).toBe("success");
  });

  test.each(["eth_call", "eth_estimateGas"])(
    "that never ends is over when that is used, however much it is given: %s",
    { timeout: 20_000 },
    async (method) => {
      const request = client().request as (call: { method: string; params: unknown[] }) => Promise<unknown>;
      for (const gas of [undefined, "0x7fffffffffffffff"])
        await expect(request({ method, params: [{ data: ENDLESS, gas }, "latest"] })).rejects.toThrow(/gas/i);
    },
  );
});
