/** The embedded chain at rest: a holder with a client of his own proposes, votes, queues and executes through the door. */
import { join } from "node:path";

import {
  castVote,
  claim,
  currentParamsVersion,
  delegate,
  execute,
  governorOf,
  paramsOf,
  proposalEta,
  proposalIdOf,
  proposalOf,
  type ProposalState,
  proposalState,
  propose,
  queue,
  setParams,
  sharesOf,
} from "@cotrain/sdk/actions";
import { type Address, canonicalJson, rewardTree } from "@cotrain/sdk/protocol";
import { createPublicClient, createTestClient, createWalletClient, http } from "viem";
import { expect, onTestFinished, test } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { openChain } from "../../../offchain/src/chain/index.ts";
import { type EpochComputation, withEpochAccounts } from "../../../offchain/src/run/index.ts";
import { executedProposals } from "../../../offchain/src/cli/up/decisions.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import { createNode, type TestNode } from "./node.ts";
import { createWorld, params, poster, validators, workers, type World } from "./world.ts";
import { signaturesUnder } from "./attested.ts";
import { slowDoor } from "./slowDoor.ts";
import { dueEpoch } from "../run/dueEpoch.ts";

const lower = (address: string): Address => address.toLowerCase() as Address;

/** A round posted and its epoch's root active. @returns what it grants */
async function settle(node: TestNode, world: World): Promise<EpochComputation["rewards"]["leaves"]> {
  const { chainId, contracts, fromBlock, modelId, url: rpcUrl } = world;
  const database = await openDatabase<JobSchema>(join(node.directory, "journal.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const chain = withEpochAccounts(
    await openChain({ chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 }, { account: poster, jobs }),
  );
  const development = createTestClient({ mode: "anvil", transport: http(node.url) });
  const pass = async (seconds: number): Promise<void> => {
    await development.increaseTime({ seconds });
    await development.mine({ blocks: 1 });
  };
  const { head } = await chain.head(world.runId);
  const { fields } = await world.publisher.round();
  await chain.postHead({ ...fields, parentHead: head }, "head");
  await pass(16);
  const epoch = (await dueEpoch(chain, modelId))!;
  const result = await chain.computeEpoch({ modelId, epoch, verdicts: [] }, world.blobs);
  if (result.kind === "nothing") throw new Error(result.reason);
  const { attestation, inputs, verdicts, rewards, manifest } = result.computation;
  for (const document of [inputs, verdicts, rewards, manifest])
    await world.store.put(new TextEncoder().encode(canonicalJson(document)));
  const signatures = await signaturesUnder({ chainId, contracts }, attestation, validators);
  await chain.postRoot(attestation, signatures, "root");
  await pass(4);
  await chain.activateRoot(modelId, epoch, "activate");
  await chain.close();
  await database.close();
  return rewards.leaves;
}

// point 14
test("votes and timelocks pass while nobody but the holder asks for anything", async () => {
  const node = await createNode(0);
  onTestFinished(() => node.close());
  await node.start();
  const world = await createWorld(node.url, node.directory);
  const leaves = await settle(node, world);

  // At rest, as after the summary, and long enough for the chain to have slowed down.
  const { pace, door } = await slowDoor(node);

  const holder = workers[0]!;
  const account = lower(holder.address);
  const client = createWalletClient({ account: holder, transport: http(door.url), pollingInterval: 100 });
  const reader = createPublicClient({ transport: http(door.url), cacheTime: 0 });
  const { contracts: addresses, modelId, runId } = world;
  const index = 1;
  const tree = rewardTree(
    { modelId, index },
    leaves.map((leaf) => ({ account: leaf.account, amount: BigInt(leaf.amount) })),
  );
  await claim.sync(client, { addresses, modelId, beneficiary: account, index, ...tree.proofOf(account)! });
  const [shares, governor] = await Promise.all([
    sharesOf(client, { addresses, modelId }),
    governorOf(client, { addresses, modelId }),
  ]);
  const { receipt } = await delegate.sync(client, { shares, delegatee: account });
  // Votes count from the second after.
  while ((await reader.getBlock()).number < receipt.blockNumber + 2n)
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });

  const calls = [setParams.call({ addresses, runId, replaces: 1, params: { ...params, innerSteps: 12 } })];
  const proposal = proposalOf(calls, "12 inner steps", account);
  const proposalId = proposalIdOf(proposal);
  const becomes = async (wanted: ProposalState): Promise<void> => {
    while ((await proposalState(client, { governor, proposalId })) !== wanted)
      await new Promise((resolve) => {
        setTimeout(resolve, 200);
      });
  };
  await propose.sync(client, { governor, calls, description: "12 inner steps" });
  await becomes("active");
  await castVote.sync(client, { governor, proposalId, support: "for" });
  await becomes("succeeded");
  await queue.sync(client, { governor, proposal });
  const eta = await proposalEta(client, { governor, proposalId });
  while ((await reader.getBlock()).timestamp < eta)
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
  expect(await executedProposals(client, governor, world.fromBlock)).toEqual([]);
  const { receipt: executed } = await execute.sync(client, { governor, proposal });
  await becomes("executed");
  expect(await executedProposals(client, governor, world.fromBlock)).toEqual([
    { id: proposalId, title: "12 inner steps", transaction: executed.transactionHash },
  ]);
  expect(await currentParamsVersion(client, { addresses, runId })).toBe(2);
  expect((await paramsOf(client, { addresses, runId, version: 2 })).innerSteps).toBe(12);
  pace.stop();
});
