/** What an account claims of many roots, on a chain. */
import { computeRewardsAbi } from "@cotrain/sdk/abis";
import { balanceOf, type ClaimLeaf, revokeClaimTo } from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import { decodeFunctionData } from "viem";
import { getBlock, getTransaction } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";

import { claimLeaves, earningsOf } from "../../../offchain/src/run/index.ts";
import { alice, bob, createWorld, share, stranger, type World } from "../../sdk/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

it("what three roots granted is claimed in as many transactions as it needs, each leaf once", async () => {
  const { addresses, modelId, client, clientOf } = world;
  const account = asAddress(alice.address);
  const leaves: ClaimLeaf[] = [];
  for (const amount of [3n, 4n, 5n]) {
    const tree = await world.reward([
      { account: alice.address, amount: amount * share },
      { account: bob.address, amount: share },
    ]);
    leaves.push({ index: tree.index, ...tree.proofOf(alice.address)! });
  }
  const where = { addresses, modelId, account };
  const earnings = () => earningsOf(client, where, { leavesOf: () => leaves });
  expect(await earnings()).toEqual({ earned: 12n * share, claimed: 0n, claimable: 12n * share, leaves });
  // Somebody else claims the second of them for her.
  await claimLeaves(clientOf(stranger), where, leaves.slice(1, 2));
  expect(await earnings()).toMatchObject({ claimed: 4n * share, leaves: [leaves[0], leaves[2]] });
  const sent = () => client.request({ method: "eth_getTransactionCount", params: [alice.address, "latest"] });
  const before = Number(await sent());
  expect(await claimLeaves(clientOf(alice), where, leaves, 2 * (5 + 1) * 32)).toMatchObject({ amount: 8n * share });
  expect(Number(await sent()) - before).toBe(2);
  expect(await earnings()).toEqual({ earned: 12n * share, claimed: 12n * share, claimable: 0n, leaves: [] });
  expect(await claimLeaves(clientOf(alice), where, leaves)).toMatchObject({ amount: 0n });
  expect(await claimLeaves(clientOf(alice), where, [])).toEqual({ amount: 0n, transaction: null });
  // However short leaves are, a transaction has gas for so many: 200. What was paid is passed over.
  const sentBefore = Number(await sent());
  const many = Array.from({ length: 201 }, () => leaves[0]!);
  expect(await claimLeaves(clientOf(alice), where, many)).toMatchObject({ amount: 0n });
  expect(Number(await sent()) - sentBefore).toBe(2);
  expect(await earningsOf(client, where, undefined)).toMatchObject({ earned: 0n, leaves: [] });
});

it("what a key earned is paid to another account, which the key's signature names, and nobody else's does", async () => {
  const { addresses, modelId, client, clientOf, shares } = world;
  const [account, to] = [bob, stranger].map(({ address }) => asAddress(address)) as [Address, Address];
  const leaves: ClaimLeaf[] = [];
  for (const amount of [3n, 4n, 5n]) {
    const tree = await world.reward([{ account, amount: amount * share }]);
    leaves.push({ index: tree.index, ...tree.proofOf(account)! });
  }
  const where = { addresses, modelId, account };
  const held = async () => [
    await balanceOf(client, { shares, account }),
    await balanceOf(client, { shares, account: to }),
  ];
  const [own = 0n, others = 0n] = await held();
  await expect(claimLeaves(clientOf(stranger), { ...where, to }, leaves)).rejects.toMatchObject({
    code: "COMPUTE_REWARDS_ORDER_NOT_SIGNED",
  });
  // Orders that were taken back before are no hindrance.
  await revokeClaimTo.sync(clientOf(bob), { addresses });
  // One transaction each, with an order of its own.
  expect(await claimLeaves(clientOf(bob), { ...where, to }, leaves, 2 * 5 * 32)).toMatchObject({ amount: 12n * share });
  expect(await held()).toEqual([own, others + 12n * share]);
  expect(await claimLeaves(clientOf(bob), { ...where, to }, leaves)).toMatchObject({ amount: 0n });
});

it("an order to pay another serves for an hour of the chain's time from when it is signed", async () => {
  const { addresses, modelId, client, clientOf } = world;
  const [account, to] = [bob, stranger].map(({ address }) => asAddress(address)) as [Address, Address];
  const tree = await world.reward([{ account, amount: share }]);
  const leaves = [{ index: tree.index, ...tree.proofOf(account)! }];
  const { transaction } = await claimLeaves(clientOf(bob), { addresses, modelId, account, to }, leaves);
  const { input, blockNumber } = await getTransaction(client, { hash: transaction! });
  const call = decodeFunctionData({ abi: computeRewardsAbi, data: input });
  const { timestamp: signedAt } = await getBlock(client, { blockNumber: blockNumber - 1n });
  expect(call.functionName).toBe("claimTo");
  expect(call.args?.[0]).toMatchObject({ account: bob.address, to: stranger.address, deadline: signedAt + 3_600n });
});
