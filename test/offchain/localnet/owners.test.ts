/** Owners of a local run's wallets on a chain: what they hold has votes, whoever claimed it. */
import {
  approveGrantByVote,
  castVote,
  codeGrantsOf,
  currentParamsVersion,
  delegateOf,
  execute,
  getAllLogs,
  grantOf,
  paramsOf,
  proposalEta,
  proposalExecuted,
  proposalIdOf,
  type Proposal,
  proposalOf,
  type ProposalState,
  proposalState,
  queue,
  setParams,
  settleSale,
  totalSupply,
  votesOf,
} from "@cotrain/sdk/actions";
import { asAddress, grantIdOf } from "@cotrain/sdk/protocol";
import { type Hex, sha256, stringToHex } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";

import {
  claimAll,
  decide,
  executedMeanwhile,
  type LocalModel,
  type ProposalProgress,
} from "../../../offchain/src/localnet/owners.ts";
import { claimLeaves, lacksVotes, type Pins, pinsOf, takeUpVotes } from "../../../offchain/src/run/index.ts";
import { createManualClock } from "../manualClock.ts";
import { openContributing } from "./contributing.ts";
import { alice, bob, createWorld, organiser, params, share, stranger, type World } from "../../sdk/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

/** Where a world's contracts are, as who pins its deployment finds them. */
const placeOf = ({ client, addresses, modelId, ...pins }: Pick<World, "client" | "addresses" | "modelId"> & Pins) => ({
  connection: { call: (work: (on: never) => Promise<unknown>) => work(client as never) },
  addresses,
  modelId,
  pins: pinsOf(pins),
});

it("shares that a stranger claimed for an owner get their votes, and a choice of delegate stays", async () => {
  const { addresses, modelId, runId, client, clientOf, shares } = world;
  const tree = await world.reward([alice, bob].map(({ address }) => ({ account: address, amount: 3n * share })));
  const leafOf = (address: string) => ({ index: tree.index, ...tree.proofOf(asAddress(address))! });
  const told: string[] = [];
  const localModel = {
    ...placeOf(world),
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
  expect(told).toContain("worker-1 took up the votes of shares that nobody voted with");

  // Nothing is left to do, and nobody's choice is undone.
  told.length = 0;
  expect((await claimAll(localModel)).size).toBe(0);
  expect(told).toEqual([]);
  expect(await takeUpVotes(clientOf(alice), { shares, account })).toBe(false);
  expect(await takeUpVotes(clientOf(organiser), { shares, account: asAddress(organiser.address) })).toBe(false);
  expect(BigInt(await delegateOf(client, { shares, account: organiser.address }))).toBe(0n);
});

it("votes are a part of the supply when voting began, whatever is minted after", async () => {
  const { runId, client, clientOf, shares } = world;
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
  const place = placeOf(world);
  const model = { ...place, runId, clock, owners, announce: () => undefined } as unknown as LocalModel;
  const decision = { params: { ...params, innerSteps: 48 }, replaces: 1, more: [], title: "48 inner steps" };
  await decide(model, decision, (progress) => seen.push(progress));
  expect(await totalSupply(client, { shares })).toBe(before + 5n * share);
  expect(seen.at(-1)).toMatchObject({ state: "executed", votesFor: 3n * share, supply: before, paramsVersion: 2 });
});

/** A decision of Alice's on the newest parameters; `meanwhile` comes to pass whenever it waits. */
async function decideWhile(
  innerSteps: number,
  meanwhile: (
    state: ProposalState,
    proposal: { governor: Hex; proposalId: bigint; proposal: Proposal },
  ) => Promise<void>,
  beforeSending: typeof meanwhile = async () => undefined,
) {
  const { addresses, runId, client, clientOf, governor } = world;
  const replaces = await currentParamsVersion(client, { addresses, runId });
  const decision = { params: { ...params, innerSteps }, replaces, more: [], title: `${innerSteps} inner steps` };
  const calls = [setParams.call({ addresses, runId, replaces, params: decision.params })];
  const proposal = proposalOf(calls, decision.title, alice.address);
  const proposalId = proposalIdOf(proposal);
  const seen: ProposalProgress[] = [];
  let time = 0;
  const clock = {
    ...createManualClock(),
    monotonic: () => time,
    sleep: async () => {
      time += 10_000;
      await meanwhile(await proposalState(client, { governor, proposalId }), { governor, proposalId, proposal });
    },
  };
  const own = clientOf(alice);
  const request = async (asked: { method: string }): Promise<unknown> => {
    const isSending = asked.method === "eth_sendRawTransaction" && seen.length > 0;
    if (isSending)
      await beforeSending(await proposalState(client, { governor, proposalId }), { governor, proposalId, proposal });
    return own.request(asked as never);
  };
  const owners = [{ name: "worker-1", client: { ...own, request } }];
  const model = { ...placeOf(world), runId, clock, owners, announce: () => undefined } as unknown as LocalModel;
  await decide(model, decision, (progress) => seen.push(progress));
  expect(await executedMeanwhile(model, { ...seen.at(-1)!, state: "queued", executed: undefined })).toEqual(
    seen.at(-1),
  );
  const { logs } = await getAllLogs(client, proposalExecuted({ governor }), { from: 0n });
  const executed = logs.find(({ args }) => args.proposalId === proposalId)?.transactionHash;
  return {
    last: seen.at(-1),
    executed,
    version: await currentParamsVersion(client, { addresses, runId }),
    replaces,
  };
}

const pass = async (): Promise<void> => world.advanceTo((await world.now()) + 1);

it("a decision that a stranger queues, in the block in which the vote has passed, goes on", async () => {
  const { last, executed, version, replaces } = await decideWhile(64, async (_, { proposal, governor, proposalId }) => {
    await pass();
    const { client, clientOf } = world;
    if ((await proposalState(client, { governor, proposalId })) === "succeeded")
      await queue.sync(clientOf(stranger), { governor, proposal });
  });
  expect(version).toBe(replaces + 1);
  expect(last).toMatchObject({ state: "executed", executed, paramsVersion: version });
});

it("a decision that a stranger executes is one that went through, by the stranger's transaction", async () => {
  const { last, executed, version, replaces } = await decideWhile(
    96,
    async (state, { proposal, governor, proposalId }) => {
      await pass();
      const { client, clientOf } = world;
      const due =
        state === "queued" && BigInt(await world.now()) >= (await proposalEta(client, { governor, proposalId }));
      if (due) await execute.sync(clientOf(stranger), { governor, proposal });
    },
  );
  expect(version).toBe(replaces + 1);
  expect(executed).toMatch(/^0x/);
  expect(last).toMatchObject({ state: "executed", executed });
});

it("a decision goes on whose vote came first, by a ballot that somebody sent or a command beside the session", async () => {
  const { last, executed, version, replaces } = await decideWhile(72, async (state, { governor, proposalId }) => {
    await pass();
    const { client, clientOf } = world;
    if ((await proposalState(client, { governor, proposalId })) === "active" && state !== "active")
      await castVote.sync(clientOf(alice), { governor, proposalId, support: "for" });
  });
  expect(version).toBe(replaces + 1);
  expect(last).toMatchObject({ state: "executed", executed, votesFor: 3n * share });
});

it("a decision goes on of which each step is taken by somebody else while it is being sent", async () => {
  const taken: ProposalState[] = [];
  const { last, executed, version, replaces } = await decideWhile(
    80,
    () => pass(),
    async (state, { proposal, governor, proposalId }) => {
      taken.push(state);
      const { clientOf } = world;
      if (state === "active") await castVote.sync(clientOf(alice), { governor, proposalId, support: "for" });
      if (state === "succeeded") await queue.sync(clientOf(stranger), { governor, proposal });
      if (state === "queued") await execute.sync(clientOf(stranger), { governor, proposal });
    },
  );
  expect(taken).toEqual(["active", "succeeded", "queued"]);
  expect(version).toBe(replaces + 1);
  expect(last).toMatchObject({ state: "executed", executed });
});

it("a chain that stands still holds a decision up for so long and no longer", async () => {
  await expect(decideWhile(128, async () => undefined)).rejects.toMatchObject({ code: "PROPOSAL_LATE" });
});

it("one proposal decides parameters and a grant, and what lies in contracts is nobody's holding", async () => {
  const stage = await openContributing();
  try {
    const { addresses, modelId, runId, client, clientOf, sale } = stage;
    const tree = await stage.reward([
      { account: asAddress(alice.address), amount: 30n * share },
      { account: asAddress(bob.address), amount: 3n * share },
    ]);
    const leafOf = (address: string) => ({ index: tree.index, ...tree.proofOf(asAddress(address))! });
    const told: string[] = [];
    const model = {
      ...placeOf(stage),
      runId,
      clock: {
        ...createManualClock(),
        sleep: async () => stage.advanceTo((await stage.now()) + 1),
      },
      rewards: async () => ({ leavesOf: (account: string) => [leafOf(account)] }),
      owners: [{ name: "worker-1", client: clientOf(alice) }],
      announce: (notice: string) => told.push(notice),
    } as unknown as LocalModel;
    // A hundred shares wait for who bought them, and three for bob.
    await stage.overBy(await stage.deposit(stranger, 2_000_000n));
    await settleSale.sync(clientOf(stranger), { sale, modelId });
    await claimAll(model);
    expect(told).toContain("newest claim: 30.00 shares by 1 wallet; all holders have 30.00");

    const grants = await codeGrantsOf(client, { addresses });
    const now = BigInt(await stage.now());
    const grant = {
      modelId,
      author: asAddress(bob.address),
      repository: sha256(stringToHex("a clone")),
      commit: `0x${"1".repeat(40)}${"0".repeat(24)}`,
      description: sha256(stringToHex("Cotrain")),
      amount: 50n * share,
      start: now,
      cliff: 0,
      duration: 60,
      setVersion: 0,
      deadline: now + 3_600n,
    } as const;
    const more = [approveGrantByVote.call({ grants, grant, repository: "a clone" })];
    const decision = {
      params: { ...params, innerSteps: 48 },
      replaces: 1,
      more,
      title: "48 inner steps, and 50 shares",
    };
    const seen: ProposalProgress[] = [];
    await decide(model, decision, (progress) => seen.push(progress));
    expect(seen.at(-1)).toMatchObject({ state: "executed", title: decision.title });
    expect(new Set(seen.map(({ proposalId }) => proposalId)).size).toBe(1);
    expect(await paramsOf(client, { addresses, runId, version: 2 })).toMatchObject({ innerSteps: 48 });
    expect(await grantOf(client, { grants, modelId, id: grantIdOf(grant) })).toMatchObject({ amount: 50n * share });

    // Of 183 shares thirty are held: the others lie in three contracts.
    const again = await stage.reward([{ account: asAddress(alice.address), amount: share }]);
    const leaf = { index: again.index, ...again.proofOf(asAddress(alice.address))! };
    await claimAll({ ...model, rewards: async () => ({ leavesOf: () => [leaf] }) });
    expect(told.at(-1)).toBe("newest claim: 1.00 shares by 1 wallet; all holders have 31.00");
    expect(await totalSupply(client, { shares: stage.shares })).toBe(184n * share);
  } finally {
    await stage.close();
  }
});
