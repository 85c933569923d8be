/** Owners of a local run's wallets on a chain: what they hold has votes, whoever claimed it. */
import { delegateOf, votesOf } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import { claimAll, type LocalModel } from "../../../offchain/src/localnet/owners.ts";
import { claimLeaves, lacksVotes, takeUpVotes } from "../../../offchain/src/run/index.ts";
import { createManualClock } from "../manualClock.ts";
import { alice, bob, createWorld, organiser, share, stranger, type World } from "../../sdk/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
}, 60_000);
afterAll(() => world.close());

it("shares that a stranger claimed for an owner get their votes, and a choice of delegate stays", async () => {
  const { addresses, modelId, runId, client, clientOf, shares } = world;
  const tree = await world.reward([alice, bob].map(({ address }) => ({ account: address, amount: 3n * share })));
  const leafOf = (address: string) => ({ index: tree.index, ...tree.proofOf(asAddress(address))! });
  const told: string[] = [];
  const localModel = {
    addresses,
    modelId,
    runId,
    clock: createManualClock(),
    signal: new AbortController().signal,
    rewards: async () => ({ leavesOf: (account: string) => [leafOf(account)] }),
    owners: [alice, bob].map((account, i) => ({ name: `worker-${i + 1}`, client: clientOf(account) })),
    announce: (notice: string) => told.push(notice),
  } as unknown as LocalModel;
  const votes = (account: string) => votesOf(client, { shares, account: asAddress(account) });

  const account = asAddress(alice.address);
  await claimLeaves(clientOf(stranger), { addresses, modelId, account }, [leafOf(account)]);
  expect([await lacksVotes(client, { shares, account }), await votes(account)]).toEqual([true, 0n]);
  expect([...(await claimAll(localModel)).keys()]).toEqual(["worker-2"]);
  expect([await votes(alice.address), await votes(bob.address)]).toEqual([3n * share, 3n * share]);
  expect(told).toContain("worker-1 took up the votes of shares that others claimed");

  // Nothing is left to do, and nobody's choice is undone.
  told.length = 0;
  expect((await claimAll(localModel)).size).toBe(0);
  expect(told).toEqual([]);
  expect(await takeUpVotes(clientOf(alice), { shares, account })).toBe(false);
  expect(await takeUpVotes(clientOf(organiser), { shares, account: asAddress(organiser.address) })).toBe(false);
  expect(BigInt(await delegateOf(client, { shares, account: organiser.address }))).toBe(0n);
}, 60_000);
