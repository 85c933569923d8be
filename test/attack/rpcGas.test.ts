/** An RPC that gives a wrong estimate of gas, or prices without end, before a real node: the account's postings go on. */
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { createRandom } from "../../offchain/src/base/index.ts";
import { openChain, openReader } from "../../offchain/src/chain/index.ts";
import {
  createLogger,
  jobMigrations,
  type JobSchema,
  openDatabase,
  openJobTable,
} from "../../offchain/src/service/index.ts";
import { createNode, type TestNode } from "../offchain/chain/node.ts";
import { createWorld, poster, type World } from "../offchain/chain/world.ts";
import { until } from "../offchain/coordinator/harness.ts";
import { createHostileRpc, type HostileRpc } from "./hostileRpc.ts";

/** A quantity whose decimals would fill the log. */
const endless = `0x${"f".repeat(10_000)}`;

let node: TestNode;
let rpc: HostileRpc;
let world: World;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
  rpc = await createHostileRpc(node.url);
});
afterEach(async () => {
  rpc.instead = () => undefined;
  for (const close of closing.splice(0)) await close();
});
afterAll(async () => {
  await rpc?.close();
  await node?.close();
});

async function open(name: string, log: string[] = []) {
  const database = await openDatabase<JobSchema>(join(node.directory, `${name}.sqlite`), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs"), backoffBase: 50 });
  const { chainId, contracts, fromBlock, runId } = world;
  const logger = createLogger({ component: "poster", destination: { write: (line) => log.push(line) } });
  const chain = await openChain(
    { chainId, contracts, fromBlock, rpcUrl: rpc.url, pollInterval: 30, watchInterval: 30, stuckAfter: 300, logger },
    { account: poster, jobs },
  );
  closing.push(async () => {
    await chain.close();
    await database.close();
  });
  const reader = await openReader({ ...world, rpcUrl: node.url });
  const fields = { ...(await world.publisher.round()).fields, parentHead: (await reader.head(runId)).head };
  return { chain, jobs, fields, newest: async () => (await reader.head(runId)).head };
}

it.each([
  ["none at all", "0x0"],
  ["less than any transaction takes", "0x2710"],
  ["less than this transaction takes", "0x5208"],
  ["more than any transaction may take", "0x1312d00"],
])("an estimate of %s, %s, once: the posting is made", async (_what, estimate) => {
  const { chain, fields, newest } = await open(estimate);
  let asked = 0;
  rpc.instead = (method) => (method === "eth_estimateGas" && asked++ === 0 ? { result: estimate } : undefined);
  const { head } = await chain.postHead(fields, estimate);
  expect(await newest()).toBe(head);
  expect(asked).toBeGreaterThan(1);
});

/** The newest block, as the node tells it. */
async function newestBlock(): Promise<object> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber", params: ["latest", false] });
  const reply = await fetch(node.url, { method: "POST", headers: { "content-type": "application/json" }, body });
  return ((await reply.json()) as { result: object }).result;
}

it.each([
  ["prices of 2^256 - 1 wei", "prices", ["eth_maxPriorityFeePerGas", "eth_gasPrice"], () => `0x${"f".repeat(64)}`],
  ["a base fee of 10,000 digits", "base", ["eth_getBlockByNumber"], (block) => ({ ...block, baseFeePerGas: endless })],
] as const satisfies [string, string, string[], (block: object) => unknown][])(
  "%s: the chain is away, in few words, until it asks for less",
  async (_what, name, methods, lie) => {
    const log: string[] = [];
    const { chain, jobs, fields, newest } = await open(name, log);
    const [before, block] = [await newest(), await newestBlock()];
    rpc.instead = (method) => (methods.some((each) => each === method) ? { result: lie(block) } : undefined);
    const posting = chain.postHead(fields, name);
    posting.catch(() => undefined);
    await until(async () => {
      const job = await jobs.get("chain.head", name);
      return job?.state === "ready" && job.nextAt > job.createdAt;
    }, "the posting that waits");
    expect(chain.feeWait()).toBeUndefined();
    expect(await newest()).toBe(before);
    rpc.instead = () => undefined;
    const { head } = await posting;
    expect(await newest()).toBe(head);
    expect(Math.max(...log.map((line) => line.length))).toBeLessThan(4_000);
  },
);
