/** A dispute that a session shows, on a real node: played to its end by real wallets, and what of it is refused or given up. */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { activeRoot, disputeOf, disputeOutcome, stakeManagerOf, stakeOf } from "@cotrain/sdk/actions";
import { asAddress, structHash } from "@cotrain/sdk/protocol";
import {
  createTestClient,
  createWalletClient,
  custom,
  type EIP1193RequestFn,
  type Hex,
  http,
  publicActions,
} from "viem";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { type Chain, connect, createReader, openChain, walletOn } from "../../../offchain/src/chain/index.ts";
import {
  type DisputeFollower,
  type DisputePlace,
  followDispute,
  SIGNERS_STAKE,
} from "../../../offchain/src/localnet/dispute.ts";
import { createForger, quorumOf, withTheft } from "../../../offchain/src/localnet/falseRoot.ts";
import { playersOf } from "../../../offchain/src/localnet/players.ts";
import { claimAll, type LocalModel } from "../../../offchain/src/localnet/owners.ts";
import {
  activeRewards,
  type EpochAccounts,
  type EpochComputation,
  pinsOf,
  withEpochAccounts,
} from "../../../offchain/src/run/index.ts";
import {
  jobMigrations,
  type JobSchema,
  openDatabase,
  openJobTable,
  openStateDirectory,
  silentLogger,
} from "../../../offchain/src/service/index.ts";
import { publishEpoch, signaturesUnder } from "../chain/attested.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import { settle } from "../chain/settle.ts";
import { accountOf, createWorld, poster, validators, workers, type World } from "../chain/world.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "../cli/support.ts";
import { createManualClock } from "../manualClock.ts";
import { dueEpoch } from "../run/dueEpoch.ts";

let node: TestNode;
let world: World;
let chain: Chain & EpochAccounts;
let place: DisputePlace;
let over: AbortController;
let said: string[];
const ends: (() => Promise<void>)[] = [];

const client = () => createTestClient({ mode: "anvil", transport: http(node.url) }).extend(publicActions);
const [thief, watcher] = [accountOf("thief"), accountOf("watcher")];

/** What a coordinator does when it looks: it posts what is due, by honest validators, and activates it after its window. */
async function coordinate(): Promise<void> {
  const { modelId, blobs } = world;
  const pending = await chain.pendingRoot(modelId);
  if (pending) {
    if (pending.activatableAt === undefined || (await chain.chainTime()) < pending.activatableAt) return;
    await chain.activateRoot(modelId, pending.epoch, `activate-${pending.epoch}`);
    return;
  }
  const epoch = await dueEpoch(chain, modelId);
  if (epoch === undefined) return;
  const result = await chain.computeEpoch({ modelId, epoch, verdicts: [] }, blobs);
  if (result.kind === "nothing") return;
  await publishEpoch(world, result.computation);
  const { attestation } = result.computation;
  await chain.postRoot(attestation, await signaturesUnder(world, attestation, validators), `root-${epoch}`);
}

/** A round whose epoch is over, so that a root is due. */
async function trained(): Promise<void> {
  const { head } = await chain.head(world.runId);
  const { fields } = await world.publisher.round();
  await chain.postHead({ ...fields, parentHead: head }, `head-${fields.round}`);
  await client().mine({ blocks: 16 });
}

/** @param step what happens at each look, a second of the chain later */
function localModel(step: () => Promise<void>): LocalModel {
  const { connection, addresses, modelId, runId, pins, reader } = place;
  const sleep = async (): Promise<void> => {
    over.signal.throwIfAborted();
    await client().mine({ blocks: 1 });
    await step();
  };
  return {
    connection,
    addresses,
    modelId,
    runId,
    pins,
    rewards: () => activeRewards(modelId, world.blobs, reader),
    owners: workers.map((account, index) => ({ name: `worker-${index + 1}`, client: walletOn(connection, account) })),
    clock: { ...createManualClock(), sleep },
    signal: over.signal,
    announce: (line) => said.push(line),
  };
}

async function played(follower: DisputeFollower): Promise<ReturnType<DisputeFollower["seen"]>> {
  follower.begin();
  follower.begin();
  follower.rest();
  await expect.poll(() => follower.why() ?? follower.seen().returned, { timeout: 60_000 }).toBeDefined();
  return follower.seen();
}

/** What makes a false root by a node that loses the answer to what is sent, having sent it or not. */
async function forgerLosing(isSent: boolean) {
  await trained();
  let hash: unknown;
  const request = (async (asked: { method: string }) => {
    const isSending = asked.method.startsWith("eth_sendRawTransaction");
    const answer = isSending && !isSent ? undefined : await client().request(asked as never);
    if (!isSending) return answer;
    hash = answer;
    throw new Error("the answer is lost");
  }) as EIP1193RequestFn;
  const wallet = createWalletClient({ account: thief, transport: custom({ request }, { retryCount: 0 }) });
  const forger = createForger(place, wallet, await quorumOf(place, place.players.validators));
  return { forger, sent: () => hash };
}

test("a theft takes a half of the largest part, leaves the total, and its documents are those of the root", () => {
  const [a, b, c] = ["a", "b", "c"].map((digit) => asAddress(`0x${digit.repeat(40)}`)) as [never, never, never];
  const rewards = {
    version: 1,
    modelId: `0x${"1".repeat(64)}`,
    kind: 0,
    index: 2,
    leaves: [
      { account: a, amount: "3" },
      { account: b, amount: "7" },
    ],
  };
  const honest = { rewards, manifest: { total: "10" }, attestation: { total: 10n } } as unknown as EpochComputation;
  const { victim, amount, computation } = withTheft(honest, c);
  expect([victim, amount]).toEqual([b, 3n]);
  expect(computation.rewards.leaves).toEqual([
    { account: a, amount: "3" },
    { account: b, amount: "4" },
    { account: c, amount: "3" },
  ]);
  expect([computation.attestation.total, computation.manifest.total]).toEqual([10n, "10"]);
  expect(computation.manifest.root).toBe(computation.attestation.root);
});

test.each([
  ["for less time than it takes", ["--for", "119s"], "--demo dispute takes two minutes at least"],
  ["on a chain of others", ["--rpc", "http://127.0.0.1:1"], "needs the chain that npm start embeds"],
])("a dispute is shown neither %s, nor is anything made", async (_, more, why) => {
  const state = join(temporaryDirectory(), "state");
  const ended = await cotrainHere(["up", "--demo", "dispute", "--exit", "--state", state, ...more]);
  expect(verdictOf(ended)).toEqual(refusal(1, why));
  expect(existsSync(state)).toBe(false);
});

describe("on a chain", () => {
  beforeEach(async () => {
    node = await createNode(0);
    await node.start();
    world = await createWorld(node.url, node.directory);
    await settle(node, world);
    // From here on time stands between blocks, however long a step takes.
    await client().setBlockTimestampInterval({ interval: 1 });
    over = new AbortController();
    said = [];
    for (const { address } of [thief, watcher]) await client().setBalance({ address, value: 10n ** 18n });
    const { chainId, contracts: addresses, fromBlock, modelId, runId, deployment, store: blobs } = world;
    const connection = await connect({ rpcUrl: node.url, chainId });
    const reader = createReader(connection, { contracts: addresses, fromBlock });
    const state = join(node.directory, "state");
    (await openStateDirectory(state, { create: true })).close();
    const at = {
      chainId,
      connection,
      addresses,
      fromBlock,
      modelId,
      runId,
      reader,
      blobs,
      state,
      pins: pinsOf(deployment),
    };
    const players = playersOf({ validators, players: { thief, watcher } } as Parameters<typeof playersOf>[0])!;
    place = { ...at, players };
    const database = await openDatabase<JobSchema>(join(node.directory, "coordinator.sqlite"), jobMigrations);
    const jobs = await openJobTable(database, { random: createRandom("jobs") });
    const options = { chainId, contracts: addresses, fromBlock, rpcUrl: node.url, pollInterval: 20 };
    chain = withEpochAccounts(await openChain(options, { account: poster, jobs }));
    ends.push(
      () => chain.close(),
      () => database.close(),
      () => node.close(),
    );
  }, 60_000);
  afterEach(async () => {
    over.abort();
    for (const end of ends.splice(0)) await end();
  });

  test("a false root is disputed, voted void and replaced; its signers lose stake, and every bond comes back", async () => {
    const { contracts: addresses, modelId } = world;
    // Of the coordinator nothing is seen until the false root has fallen: its root is the slower one.
    let posted = false;
    const model = localModel(async () => {
      posted ||= (await chain.pendingRoot(modelId)) !== undefined;
      if (posted) await coordinate();
    });
    await claimAll(model);
    await trained();
    const before = (await activeRoot(client(), { addresses, modelId }))!;
    const follower = followDispute(place, model, silentLogger(), (line) => said.push(line));
    const play = await played(follower);
    expect([follower.why(), follower.waitsFor()]).toEqual([undefined, []]);

    const { falseRoot, dispute, vote, end, slashed, fees, trueRoot, returned } = play;
    expect(falseRoot).toMatchObject({ thief: asAddress(thief.address), transaction: expect.stringMatching(/^0x/) });
    expect(falseRoot!.amount).toBeGreaterThan(0n);
    expect(dispute).toMatchObject({ disputer: asAddress(watcher.address), bond: 10n ** 16n });
    expect(dispute!.reason).toContain("differs from what was recomputed");
    expect(vote).toMatchObject({ voters: workers.length, for: 0n });
    expect(end).toMatchObject({ outcome: "void", won: 0n, burned: 0n });
    const digest = structHash("Attestation", falseRoot!.attestation);
    expect(await disputeOf(client(), { addresses, digest })).toMatchObject({
      outcome: disputeOutcome.void,
      voted: true,
    });

    // Two of three sign, and each loses the part of its stake that a voided root costs.
    const stakes = await stakeManagerOf(client(), { addresses });
    expect(slashed).toHaveLength(2);
    for (const { account, amount } of slashed!) {
      const { active } = await stakeOf(client(), { stakes, modelId, role: "validator", staker: account });
      expect(active).toBe(SIGNERS_STAKE - amount);
    }
    expect(fees!.amount).toBe(slashed!.reduce((sum, { fee }) => sum + fee, 0n));

    const active = (await activeRoot(client(), { addresses, modelId }))!;
    expect(active.index).toBe(before.index + 1);
    expect(active.root).not.toBe(falseRoot!.attestation.root);
    expect(trueRoot).toMatchObject({ poster: asAddress(poster.address), bond: 2n * 10n ** 16n, total: active.total });
    expect(returned!.map(({ account, amount }) => [account, amount])).toEqual([
      [dispute!.disputer, dispute!.bond],
      [trueRoot!.poster, trueRoot!.bond],
    ]);
    // Everybody is paid, and the thief is not.
    const rewards = (await activeRewards(modelId, world.blobs, place.reader))!;
    expect(rewards.accounts).not.toContain(falseRoot!.thief);
    expect([...(await claimAll(model)).keys()]).toHaveLength(workers.length);
    expect(said.filter((line) => /^played: .* signed a false root/.test(line))).toHaveLength(1);
  }, 90_000);

  test("where the coordinator is faster with the true root, nothing is falsified", async () => {
    const model = localModel(async () => undefined);
    await claimAll(model);
    await trained();
    await coordinate();
    const follower = followDispute(place, model, silentLogger(), () => undefined);
    const play = await played(follower);
    expect(play.falseRoot).toBeUndefined();
    expect(follower.why()).toMatch(/^the coordinator was faster with the true root/);
  }, 90_000);

  test("where nobody here can vote nothing is falsified", async () => {
    const follower = followDispute(
      place,
      localModel(async () => undefined),
      silentLogger(),
      () => undefined,
    );
    await trained();
    const play = await played(follower);
    expect([play.falseRoot, follower.why()]).toEqual([undefined, "nobody had claimed shares to vote with in time"]);
  }, 90_000);

  test("nothing is falsified while the run trains", async () => {
    let looks = 0;
    const model = localModel(async () => void (looks += 1));
    await claimAll(model);
    await trained();
    const training = followDispute(place, model, silentLogger(), () => undefined);
    training.begin();
    await expect.poll(() => looks, { timeout: 60_000 }).toBeGreaterThan(3);
    expect([training.seen().falseRoot, training.waitsFor().length]).toEqual([undefined, 1]);
    expect(await chain.pendingRoot(world.modelId)).toBeUndefined();
  }, 90_000);

  test("a false root that nobody disputes in time ends the dispute, and says that it pays", async () => {
    const { modelId } = world;
    const model = localModel(async () => {
      // More than a window goes by before anybody looks.
      const pending = await chain.pendingRoot(modelId);
      if (!pending) return;
      await client().mine({ blocks: 5 });
      await chain.activateRoot(modelId, pending.epoch, "late");
    });
    await claimAll(model);
    await trained();
    const follower = followDispute(place, model, silentLogger(), (line) => said.push(line));
    const play = await played(follower);
    expect(play.dispute).toBeUndefined();
    expect(follower.why()).toBe("nobody disputed the false root within its window, and it pays now");
    expect(follower.waitsFor()).toEqual([]);
    expect(said.at(-1)).toContain("the dispute ends here: nobody disputed");
  }, 90_000);

  test("without the keys of a quorum nothing is signed", async () => {
    const [one] = place.players.validators;
    await expect(quorumOf(place, [one!])).rejects.toMatchObject({ code: "DEMO_QUORUM" });
    expect(await quorumOf(place, place.players.validators)).toHaveLength(2);
  });

  test("a false root whose answer is lost when it was sent is found at the next try", async () => {
    const { forger, sent } = await forgerLosing(true);
    // A node may mine it later than it is looked for.
    await client().setAutomine(false);
    await expect(forger.post()).rejects.toThrow("the answer is lost");
    await client().mine({ blocks: 1 });
    const { blockNumber } = await client().getTransactionReceipt({ hash: sent() as Hex });
    const made = await forger.post();
    expect(made).toMatchObject({ transaction: sent(), block: blockNumber });
    expect(await chain.pendingRoot(world.modelId)).toMatchObject({ digest: made!.digest });
  }, 60_000);

  test("a false root that was not sent is told to have failed", async () => {
    const { forger } = await forgerLosing(false);
    await expect(forger.post()).rejects.toThrow("the answer is lost");
    expect(await chain.pendingRoot(world.modelId)).toBeUndefined();
  }, 60_000);
});
