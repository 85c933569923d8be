/** An RPC that once gives a wrong estimate of gas, before a real node: the account's postings go on. */
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { createRandom } from "../../offchain/src/base/index.ts";
import { openChain, openReader } from "../../offchain/src/chain/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../offchain/src/service/index.ts";
import { createNode, type TestNode } from "../offchain/chain/node.ts";
import { createWorld, poster, type World } from "../offchain/chain/world.ts";
import { createHostileRpc, type HostileRpc } from "./hostileRpc.ts";

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
  for (const close of closing.splice(0)) await close();
});
afterAll(async () => {
  await rpc?.close();
  await node?.close();
});

it.each([
  ["none at all", "0x0"],
  ["less than any transaction takes", "0x2710"],
  ["less than this transaction takes", "0x5208"],
  ["more than any transaction may take", "0x1312d00"],
])("an estimate of %s, %s, once: the posting is made", async (_what, estimate) => {
  const database = await openDatabase<JobSchema>(join(node.directory, `${estimate}.sqlite`), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs"), backoffBase: 50 });
  const { chainId, contracts, fromBlock, runId } = world;
  const chain = await openChain(
    { chainId, contracts, fromBlock, rpcUrl: rpc.url, pollInterval: 30, watchInterval: 30, stuckAfter: 300 },
    { account: poster, jobs },
  );
  closing.push(async () => {
    await chain.close();
    await database.close();
  });
  const reader = await openReader({ ...world, rpcUrl: node.url });
  const parentHead = (await reader.head(runId)).head;
  let asked = 0;
  rpc.instead = (method) => (method === "eth_estimateGas" && asked++ === 0 ? { result: estimate } : undefined);
  const { head } = await chain.postHead({ ...(await world.publisher.round()).fields, parentHead }, estimate);
  expect((await reader.head(runId)).head).toBe(head);
  expect(asked).toBeGreaterThan(1);
});
