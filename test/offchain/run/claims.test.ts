/** What an account claims of many roots, on a chain. */
import type { ClaimLeaf } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
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
  expect(await earningsOf(client, where, undefined)).toMatchObject({ earned: 0n, leaves: [] });
});
