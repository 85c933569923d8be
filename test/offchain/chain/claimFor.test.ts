/** Claims for others, on a real node: paid to whom they are due, and nothing twice. */
import { join } from "node:path";

import { balanceOf, claimMany, modelContractsOf } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import { createPublicClient, http } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { openChain, type Owed } from "../../../offchain/src/chain/index.ts";
import { rewardTreeOf } from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import { createNode, type TestNode } from "./node.ts";
import { settle } from "./settle.ts";
import { createWorld, poster, workers, type World } from "./world.ts";

let node: TestNode;
let world: World;
let owed: Owed[];
beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
  const leaves = await settle(node, world);
  const tree = rewardTreeOf({ version: 1, modelId: world.modelId, kind: 1, index: 1, leaves });
  owed = leaves.map(({ account, amount }) => ({
    account: asAddress(account),
    leaves: [{ index: 1, amount: BigInt(amount), proof: tree.proofOf(asAddress(account))!.proof }],
  }));
}, 60_000);
afterAll(() => node.close());

async function open() {
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  const database = await openDatabase<JobSchema>(join(node.directory, "claims.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const options = { chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 };
  const chain = await openChain(options, { account: poster, jobs });
  const close = async (): Promise<void> => {
    await chain.close();
    await database.close();
  };
  return { chain, close };
}

it("accounts are paid what they are owed, whoever pays the gas, and nothing twice", async () => {
  const { contracts: addresses, modelId, url } = world;
  const client = createPublicClient({ transport: http(url), pollingInterval: 20 });
  const { shares } = await modelContractsOf(client, { addresses, modelId });
  const balances = () => Promise.all(owed.map(({ account }) => balanceOf(client, { shares, account })));
  const { chain, close } = await open();
  const nonce = () => client.getTransactionCount({ address: poster.address });
  expect(owed.length).toBeGreaterThan(1);
  expect(await Promise.all(owed.map((each) => chain.unpaidOf(modelId, each)))).toEqual(
    owed.map(({ leaves }) => leaves),
  );
  // Somebody is quicker with the first of them.
  const [{ account: beneficiary, leaves }] = owed as [Owed];
  const claims = [{ modelId, beneficiary, leaves }];
  await claimMany.sync(client, { addresses, claims, account: workers[0]!, pollingInterval: 20 });
  expect(await chain.unpaidOf(modelId, owed[0]!)).toEqual([]);
  const before = await nonce();
  await chain.claimFor(modelId, owed, "claims");
  expect(await balances()).toEqual(owed.map(({ leaves: [leaf] }) => leaf!.amount));
  await chain.claimFor(modelId, owed, "claims");
  await chain.claimFor(modelId, owed, "claims again");
  expect((await nonce()) - before).toBe(1);
  await close();
});
