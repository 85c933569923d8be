/** Owners of a local run's wallets on a chain: what they hold has votes, whoever claimed it. */
import { delegateOf, totalSupply, votesOf } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import { claimAll, decide, type LocalModel, type ProposalProgress } from "../../../offchain/src/localnet/owners.ts";
import { claimLeaves, lacksVotes, takeUpVotes } from "../../../offchain/src/run/index.ts";
import { createManualClock } from "../manualClock.ts";
import { alice, bob, createWorld, organiser, params, share, stranger, type World } from "../../sdk/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
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
});

it("votes are a part of the supply when voting began, whatever is minted after", async () => {
  const { addresses, modelId, runId, client, clientOf, shares } = world;
  const before = await totalSupply(client, { shares });
  const seen: ProposalProgress[] = [];
  let minted = false;
  const clock = {
    ...createManualClock(),
    // While a vote lasts, time passes on the chain, and what was earned meanwhile is minted.
    sleep: async () => {
      await world.advanceTo((await world.now()) + 1);
      if (minted || seen.at(-1)?.state !== "queued") return;
      minted = true;
      await world.reward([{ account: asAddress(stranger.address), amount: 5n * share }]);
    },
  };
  const owners = [{ name: "worker-1", client: clientOf(alice) }];
  const model = { addresses, modelId, runId, clock, owners, announce: () => undefined } as unknown as LocalModel;
  const decision = { params: { ...params, innerSteps: 48 }, replaces: 1, title: "48 inner steps" };
  await decide(model, decision, (progress) => seen.push(progress));
  expect(await totalSupply(client, { shares })).toBe(before + 5n * share);
  expect(seen.at(-1)).toMatchObject({ state: "executed", votesFor: 3n * share, supply: before, paramsVersion: 2 });
});
