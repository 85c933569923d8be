/** The embedded chain at rest: a holder with a client of his own proposes, votes, queues and executes through the door. */
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
import { type Address, rewardTree } from "@cotrain/sdk/protocol";
import { createPublicClient, createWalletClient, http } from "viem";
import { expect, onTestFinished, test } from "vitest";

import { timeText } from "../../../offchain/src/base/index.ts";
import { acceptedProposals, executedProposals } from "../../../offchain/src/cli/up/decisions.ts";
import { createNode } from "./node.ts";
import { createWorld, params, workers } from "./world.ts";
import { settle } from "./settle.ts";
import { slowDoor } from "./slowDoor.ts";

const lower = (address: string): Address => address.toLowerCase() as Address;

// foundation 14
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
  /** What the summary of a session says of what nobody has carried out. */
  const accepted = () => acceptedProposals(client, { governor, fromBlock: world.fromBlock, state: "kept" });
  await propose.sync(client, { governor, calls, description: "12 inner steps" });
  await becomes("active");
  await castVote.sync(client, { governor, proposalId, support: "for" });
  expect(await accepted()).toEqual([]);
  await becomes("succeeded");
  const by = `"npx cotrain proposals execute ${String(proposalId).slice(0, 10)} --state kept"`;
  expect(await accepted()).toMatchObject([
    { what: expect.stringMatching(/^"12 inner steps", .* nobody has queued/), due: null },
  ]);
  expect((await accepted())[0]!.what).toContain(by);
  await queue.sync(client, { governor, proposal });
  const eta = await proposalEta(client, { governor, proposalId });
  expect(await accepted()).toMatchObject([
    { what: expect.stringMatching(/ may be executed /), due: timeText(Number(eta)) },
  ]);
  while ((await reader.getBlock()).timestamp < eta)
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
  expect(await executedProposals(client, governor, world.fromBlock)).toEqual({ last: [], before: 0 });
  const { receipt: executed } = await execute.sync(client, { governor, proposal });
  await becomes("executed");
  expect(await accepted()).toEqual([]);
  expect(await executedProposals(client, governor, world.fromBlock)).toEqual({
    last: [{ id: proposalId, title: "12 inner steps", transaction: executed.transactionHash }],
    before: 0,
  });
  // A summary has no room for all: how many more there were is told.
  expect(await executedProposals(client, governor, world.fromBlock, 0)).toMatchObject({ before: 1 });
  expect(await currentParamsVersion(client, { addresses, runId })).toBe(2);
  expect((await paramsOf(client, { addresses, runId, version: 2 })).innerSteps).toBe(12);
  pace.stop();
});
