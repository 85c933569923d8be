/** Who watches roots of revenue on a real node: they are computed from the chain alone, and disputed where they are false. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { bondOf, disputeOf, getAllLogs, pendingRoot, postRoot, rootDisputed } from "@cotrain/sdk/actions";
import { asAddress, type Attestation, digestOfJson, type Hex, rewardKind, structHash } from "@cotrain/sdk/protocol";
import { beforeEach, expect, onTestFinished, test } from "vitest";

import { createRandom, RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { type Chain, type ChainConnection, connect, openChain } from "../../../offchain/src/chain/index.ts";
import { revenueAccounts, type RevenueStatement, rewardTreeOf } from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import {
  createWatch,
  type Evidence,
  lookingThrough,
  openWatchMemory,
  type Watch,
} from "../../../offchain/src/validator/index.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { poster, validators, workers } from "../chain/world.ts";
import { capitalStage } from "../cli/capitalStage.ts";
import { staged, told } from "../cli/staged.ts";
import { createManualClock } from "../manualClock.ts";

const kind = rewardKind.revenue;
const ETHER = 10n ** 18n;
/** Whose bond it is. */
const watcher = workers[0]!;
const stage = staged(["stranger"]);
const { nextEpoch, overBy } = capitalStage(stage);

let directory: string;
let connection: ChainConnection;

const options = () => {
  const { chainId, contracts, fromBlock } = stage.world;
  return { chainId, contracts, fromBlock, rpcUrl: stage.node.url, pollInterval: 20 };
};
const looking = () => lookingThrough(connection, options());

beforeEach(async () => {
  // Time passes by blocks alone: no window runs out while this machine is busy with something else.
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  connection = await connect(options());
  const made = mkdtempSync(join(tmpdir(), "cotrain-watch-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  directory = made;
});

/** A customer pays in an epoch that is over then. */
async function earn(amount: string): Promise<void> {
  await nextEpoch();
  const signing = ["--state", stage.state, ...stage.by("stranger"), "--yes"];
  const paid = await told<{ epoch: number }>("revenue", "deposit", amount, ...signing);
  await overBy(BigInt(paid.epoch));
}

/** The root that is due, of all that is there. */
async function due(): Promise<RevenueStatement> {
  const { reader } = looking();
  const accounts = revenueAccounts({ reader, connection, fromBlock: stage.world.fromBlock });
  return (await accounts.next(stage.world.modelId, 1))!;
}

/** Posts a root with all signatures; nobody publishes anything of it. @returns the digest of what was signed */
async function postSigned(attestation: Attestation): Promise<Hex> {
  const signatures = (await signaturesUnder(stage.world, attestation, validators)).map(({ signature }) => signature);
  const { contracts: addresses, modelId } = stage.world;
  const { bond, isDue } = await bondOf(stage.client, { addresses, modelId, kind });
  const post = { addresses, attestation, signatures, ...(isDue && { bond }) };
  await postRoot.sync(stage.client, { ...post, account: poster, pollingInterval: 20 });
  return structHash("Attestation", attestation);
}

/** What would be signed if all of it, or all but so much, were the watcher's. */
function lied({ struct, computation }: RevenueStatement, less: bigint): Attestation {
  const leaves = [{ account: asAddress(watcher.address), amount: (struct.total - less).toString() }];
  const { root, total } = rewardTreeOf({ ...computation.rewards, leaves });
  return { ...struct, root, total };
}

async function journal(bondAtMost = ETHER): Promise<Chain> {
  const database = await openDatabase<JobSchema>(join(directory, "journal.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const chain = await openChain({ ...options(), bondAtMost }, { account: watcher, jobs });
  onTestFinished(async () => {
    await chain.close();
    await database.close();
  });
  return chain;
}

interface Watching {
  readonly first?: ReturnType<typeof looking>;
  readonly second?: ReturnType<typeof looking>;
  readonly chain?: Chain;
  readonly of?: number;
}
async function watching(given: Watching = {}): Promise<Watch & { readonly written: Evidence[] }> {
  const written: Evidence[] = [];
  const watch = createWatch(
    { modelId: stage.world.modelId, kind: given.of ?? kind, depth: 1, absentPart: 1 / 2 },
    {
      ...(given.first ?? looking()),
      openSecond: async () => given.second ?? looking(),
      // Nothing of it is published, and nobody asks for it.
      blobs: { blob: () => Promise.reject(new UserError("BLOB_NOT_FOUND", "It is not here.")) },
      memory: await openWatchMemory(join(directory, "watch.json")),
      clock: createManualClock(),
      writeEvidence: async (evidence) => void written.push(evidence),
      spender: given.chain,
      why: "no wallet is named",
    },
  );
  return { ...watch, written };
}

const dispute = (digest: Hex) => disputeOf(stage.client, { addresses: stage.world.contracts, digest });
const pending = () => {
  const { contracts: addresses, modelId } = stage.world;
  return pendingRoot(stage.client, { addresses, modelId, kind });
};

test("a root that is what arrived is disputed by nobody, though more arrives, and is computed twice", async () => {
  const chain = await journal();
  const counted = looking();
  let computed = 0;
  const first: Watching["first"] = {
    ...counted,
    revenue: { recompute: (...posted) => (computed++, counted.revenue.recompute(...posted)) },
  };
  const watch = await watching({ chain, first });
  expect(await watch.look()).toEqual({ state: "idle" });
  await earn("1.5");
  const { struct } = await due();
  const digest = await postSigned(struct);
  await earn("2");
  expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
  await stage.client.mine({ blocks: 1 });
  expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
  await stage.client.mine({ blocks: 1 });
  expect(await watch.look()).toMatchObject({ state: "holds" });
  expect(computed).toBe(1);
  expect(await dispute(digest)).toBeUndefined();
  // Who watches roots of compute alone does not see it.
  expect(await (await watching({ of: rewardKind.compute })).look()).toEqual({ state: "idle" });

  // It becomes active, and the one after it is computed behind it.
  await chain.activateRoot(stage.world.modelId, Number(struct.toEpoch), "activate", kind);
  expect(await watch.look()).toEqual({ state: "idle" });
  const second = await due();
  expect(second.struct).toMatchObject({ index: 2n, total: 2_000_000n });
  const next = await postSigned(second.struct);
  expect(await watch.look()).toEqual({ state: "holds", digest: next, index: 2 });
});

test.each([
  ["pays others than those who held shares", 0n],
  ["sets less aside than arrived", 1n],
])("a root that %s is disputed when it was found twice, and its dispute is ended", async (_, less) => {
  await earn("1.5");
  const honest = await due();
  const digest = await postSigned(lied(honest, less));
  const chain = await journal();
  const watch = await watching({ chain });
  const reason = expect.stringMatching(/^It differs from what was recomputed: .*root 0x/);
  expect(await watch.look()).toMatchObject({ state: "suspect", digest, reason });
  // Not in the same block.
  expect(await watch.look()).toMatchObject({ state: "suspect" });
  expect(await dispute(digest)).toBeUndefined();
  await stage.client.mine({ blocks: 1 });
  expect(await watch.look()).toMatchObject({ state: "disputed", digest, index: 1, reason });
  const evidence = watch.written[0]!;
  expect(evidence).toMatchObject({ found: "false", digest, recomputed: { root: honest.struct.root } });
  expect(await dispute(digest)).toMatchObject({ disputer: watcher.address });
  const { contracts: addresses, modelId } = stage.world;
  const { logs } = await getAllLogs(stage.client, rootDisputed({ addresses, modelId }), { from: 0n });
  expect(logs).toMatchObject([{ args: { digest, kind, evidence: digestOfJson(evidence) } }]);

  // Whoever begins anew disputes nothing again, and ends the dispute when its vote is over.
  const again = await watching({ chain });
  const open = (await again.look()) as { state: "open"; settles: number };
  expect(open).toMatchObject({ state: "open", digest });
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(open.settles + 1) });
  await stage.client.mine({ blocks: 1 });
  expect(await again.look()).toEqual({ state: "settled", digest, ruling: "undecided" });
  expect(await pending()).toBeUndefined();
  expect(await again.look()).toEqual({ state: "idle" });

  // The next one's bond is doubled; roots of compute have a row of their own.
  const { bond } = (await dispute(digest))!;
  const next = await postSigned(lied(await due(), less));
  expect(await again.look()).toMatchObject({ state: "suspect", digest: next });
  await stage.client.mine({ blocks: 1 });
  expect(await again.look()).toMatchObject({ state: "disputed", digest: next });
  expect(await dispute(next)).toMatchObject({ bond: 2n * bond });
});

test("a false root is reported where nothing may be spent, and where a bond is dearer than allowed", async () => {
  await earn("1.5");
  const digest = await postSigned(lied(await due(), 0n));
  const watch = await watching();
  await watch.look();
  await stage.client.mine({ blocks: 1 });
  expect(await watch.look()).toMatchObject({ state: "reported", digest, why: "no wallet is named" });
  const dear = await watching({ chain: await journal(1n) });
  const why = expect.stringContaining("A dispute costs a bond of");
  expect(await dear.look()).toMatchObject({ state: "reported", digest, why });
  expect(await dispute(digest)).toBeUndefined();
});

test("an honest root is disputed by nobody where one RPC lies, or is away, or slow", async () => {
  await earn("1.5");
  const honest = await due();
  const digest = await postSigned(honest.struct);
  const chain = await journal();
  const liar = { ...looking(), revenue: { recompute: async () => undefined } };
  const lying = await watching({ chain, first: liar });
  const nothing = "There is no revenue that it could set aside.";
  expect(await lying.look()).toMatchObject({ state: "suspect", digest, reason: nothing });
  await stage.client.mine({ blocks: 1 });
  expect(await lying.look()).toMatchObject({
    state: "inconsistent",
    reason: expect.stringContaining("A second one: the root holds."),
  });
  for (const error of [
    new RetryableError("CHAIN_UNREACHABLE", "The chain is away."),
    new RetryableError("SOURCE_SLOW", "It takes too long."),
    new UserError("BLOB_NOT_FOUND", "It is not here."),
  ]) {
    const away = { ...looking(), revenue: { recompute: () => Promise.reject(error) } };
    const watch = await watching({ chain, first: away });
    for (let looks = 0; looks < 10; looks++)
      expect(await watch.look()).toMatchObject({ state: "unread", reason: error.message });
  }
  expect(await dispute(digest)).toBeUndefined();
});

test("a root that becomes active while it is computed, or that a node has not seen yet, is not taken for one of nothing", async () => {
  await earn("1.5");
  const { struct } = await due();
  const digest = await postSigned(struct);
  const { modelId } = stage.world;
  const { revenue, reader } = looking();
  const posted = (await reader.rootsOfKind(kind).pendingRoot(modelId))!;
  // A node that lags has seen nothing of what arrived.
  const lagging = { ...reader, confirmations: posted.activatableAt! };
  const { fromBlock } = stage.world;
  await expect(
    revenueAccounts({ reader: lagging, connection, fromBlock }).recompute(modelId, posted),
  ).rejects.toMatchObject({ code: "EPOCH_NOT_OVER" });
  await stage.client.mine({ blocks: 5 });
  await (await journal()).activateRoot(modelId, Number(struct.toEpoch), "activate", kind);
  const moved = { code: "CHAIN_MOVED", message: expect.stringContaining(digest) };
  await expect(revenue.recompute(modelId, posted)).rejects.toMatchObject(moved);

  // At first it seems to be there still.
  let looks = 0;
  const roots = reader.rootsOfKind(kind);
  const stale = {
    ...reader,
    rootsOfKind: () => ({ ...roots, pendingRoot: async () => (looks++ === 0 ? posted : roots.pendingRoot(modelId)) }),
  };
  const accounts = revenueAccounts({ reader: stale, connection, fromBlock });
  await expect(accounts.recompute(modelId, posted)).rejects.toMatchObject(moved);
  expect(looks).toBe(2);
});

test.each([
  ["never was", { blockHash: digestOfJson("no block") }],
  ["is still to come", { blockNumber: 2n ** 40n }],
  ["was long before its epochs", { blockNumber: 0n }],
])("a root that pays rightly holds whatever block it names, one that %s too", async (_, named) => {
  await earn("1.5");
  const { struct } = await due();
  const digest = await postSigned({ ...struct, ...named });
  const chain = await journal();
  const watch = await watching({ chain });
  for (let looks = 0; looks < 3; looks++) {
    expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
    await stage.client.mine({ blocks: 1 });
  }
  await stage.client.mine({ blocks: 5 });
  await chain.activateRoot(stage.world.modelId, Number(struct.toEpoch), "activate", kind);
  expect(await dispute(digest)).toBeUndefined();
});
