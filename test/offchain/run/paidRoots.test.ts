/** Active roots on a real node, held against what was due: which are called false, of whom, and which are not. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { activateRoot, postRoot, rollback, timelockOf } from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type Attestation,
  digestOfJson,
  type Hex,
  type SignedVerdict,
} from "@cotrain/sdk/protocol";
import { createTestClient, http, publicActions } from "viem";
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from "vitest";

import { createRandom, UserError } from "../../../offchain/src/base/index.ts";
import { type ChainReader, openChain, openReader } from "../../../offchain/src/chain/index.ts";
import {
  type BlobSource,
  computeEpoch,
  createHeadDocumentsCache,
  type EpochComputation,
  type HeadDocumentsCache,
  paidRoots,
  verifyRun,
  type VerifySummary,
} from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import { payingFirst, publishEpoch, signaturesUnder, withLeaves } from "../chain/attested.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import { createWorld, poster, validators, type World } from "../chain/world.ts";
import { dueEpoch } from "./dueEpoch.ts";

let node: TestNode;
let world: World;
let directory: string;
/** With two rounds posted, whose epoch is over. */
let begun: Hex;

const client = () => createTestClient({ mode: "anvil", transport: http(node.url) }).extend(publicActions);
const options = () => {
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  return { chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 };
};

async function post(count: number): Promise<void> {
  const database = await openDatabase<JobSchema>(join(directory, `${journalName()}.sqlite`), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const chain = await openChain(options(), { account: poster, jobs });
  for (let i = 0; i < count; i++) {
    const { head } = await chain.head(world.runId);
    const { fields } = await world.publisher.round();
    await chain.postHead({ ...fields, parentHead: head }, `head-${fields.round}`);
  }
  await chain.close();
  await database.close();
}
let names = 0;
const journalName = (): string => `journal-${(names += 1)}`;

async function pass(seconds: number): Promise<void> {
  const { timestamp } = await client().getBlock();
  await client().setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) });
  await client().mine({ blocks: 1 });
}

/** How documents of heads are read. */
type Reading = (reader: ChainReader) => HeadDocumentsCache;

async function compute(verdicts: readonly SignedVerdict[] = [], read: Reading = createHeadDocumentsCache) {
  const reader = await openReader(options());
  const epoch = (await dueEpoch(reader, world.modelId))!;
  const modules = { reader, blobs: world.blobs, documents: read(reader) };
  const result = await computeEpoch(modules, { modelId: world.modelId, epoch, verdicts });
  if (result.kind === "nothing") throw new Error(result.reason);
  return result.computation;
}

type Forge = (computation: EpochComputation) => EpochComputation;
const honest: Forge = (computation) => computation;
/** Of which the first account is paid next to nothing. */
const withTheft: Forge = (computation) => withLeaves(computation, payingFirst(1n));
const saying =
  (said: Partial<Attestation>, forge = honest): Forge =>
  (computation) => {
    const made = forge(computation);
    return { ...made, attestation: { ...made.attestation, ...said } };
  };

/** The root that is due, or one in its place, posted with all signatures and active. @returns what was due */
async function settle(forge = honest, read?: Reading): Promise<EpochComputation> {
  await pass(16);
  const due = await compute([], read);
  const made = forge(due);
  await publishEpoch(world, made);
  const { attestation } = made;
  const signatures = (await signaturesUnder(world, attestation, validators)).map(({ signature }) => signature);
  const sent = { addresses: world.contracts, attestation, account: poster, pollingInterval: 20 };
  await postRoot.sync(client(), { ...sent, signatures });
  await pass(4);
  await activateRoot.sync(client(), sent);
  return due;
}

/** The holders take the run back to so many rounds. */
async function goBack(round: number): Promise<void> {
  const { contracts: addresses, modelId, runId } = world;
  const heads = await (await openReader(options())).headsSince(runId, 0);
  const timelock = await timelockOf(client(), { addresses, modelId });
  await client().setBalance({ address: timelock, value: 10n ** 18n });
  await client().impersonateAccount({ address: timelock });
  const { checkpointDigest } = heads.find((head) => head.round === round)!;
  const call = rollback.call({
    addresses,
    runId,
    currentHead: heads.at(-1)!.head,
    round: BigInt(round),
    checkpointDigest,
  });
  const hash = await client().sendUnsignedTransaction({
    from: timelock,
    to: call.to,
    data: call.data,
    gas: 1_000_000n,
  });
  await client().mine({ blocks: 1 });
  expect(await client().getTransactionReceipt({ hash })).toMatchObject({ status: "success" });
  world.publisher.back(round);
}

const look = async (blobs: BlobSource = world.blobs) =>
  paidRoots({ reader: await openReader(options()), blobs }, world.modelId);

async function verified(blobs: BlobSource = world.blobs): Promise<VerifySummary> {
  const walking = verifyRun({ reader: await openReader(options()), blobs }, world.runId);
  for (;;) {
    const next = await walking.next();
    if (next.done) return next.value;
  }
}

beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
  // Time passes by blocks alone: no deadline runs out while this machine is busy with something else.
  await client().setBlockTimestampInterval({ interval: 1 });
  directory = mkdtempSync(join(tmpdir(), "cotrain-paid-"));
  await post(2);
  begun = await client().snapshot();
}, 120_000);
beforeEach(async () => {
  await client().revert({ id: begun });
  begun = await client().snapshot();
  world.publisher.back(2);
  directory = mkdtempSync(join(tmpdir(), "cotrain-paid-"));
  const made = directory;
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
});
afterAll(() => node.close());

it("roots that pay what was due hold, one after the other", async () => {
  expect(await look()).toEqual({ false: [], unseen: [] });
  await settle();
  await post(1);
  await settle();
  expect(await look()).toEqual({ false: [], unseen: [] });
  expect(await verified()).toMatchObject({ problems: [], falseRoots: [], away: null });
});

it("a false one is told with whom it pays what, and who signed it, though another took its place", async () => {
  const { attestation, rewards } = await settle(withTheft);
  await post(1);
  await settle();
  const [first] = rewards.leaves;
  const due = BigInt(first!.amount);
  const wrong = {
    kind: "compute",
    index: 1,
    fromEpoch: 1,
    toEpoch: Number(attestation.toEpoch),
    due: attestation.total,
    total: attestation.total - due + 1n,
    reason: "",
    accounts: [{ account: first!.account, granted: 1n, due }],
    signers: validators.map(({ address }) => asAddress(address)).toSorted(),
  };
  expect(await look()).toMatchObject({ false: [wrong], unseen: [] });
  expect((await verified()).falseRoots).toMatchObject([wrong]);
});

it.each([
  ["before the heads that it pays", 0n],
  ["that is not there yet", 10n ** 9n],
])("a false one hides behind no block %s, and a true one that names it is none", async (_, blockNumber) => {
  await settle(saying({ blockNumber }, withTheft));
  await post(1);
  await settle(saying({ blockNumber }));
  expect(await look()).toMatchObject({ false: [{ index: 1, accounts: [{ granted: 1n }] }], unseen: [] });
});

it("one whose documents are none is false, and of one whose are lost nothing is said but that", async () => {
  const lost = digestOfJson("lost");
  await settle(saying({ epochDigest: lost }));
  const missing: BlobSource = {
    blob: async (runId, digest, limit) => {
      if (digest === lost) throw new UserError("BLOB_NOT_FOUND", "It is not here.");
      return world.blobs.blob(runId, digest, limit);
    },
  };
  expect(await look(missing)).toMatchObject({ false: [], unseen: [{ root: { index: 1 }, reason: "It is not here." }] });
  expect(await verified(missing)).toMatchObject({ falseRoots: [], problems: ["It is not here."] });
  const junk: BlobSource = {
    blob: async (runId, digest, limit) =>
      digest === lost ? new TextEncoder().encode("{}") : world.blobs.blob(runId, digest, limit),
  };
  const found = await look(junk);
  expect(found).toMatchObject({ false: [{ index: 1, due: null, accounts: null }], unseen: [] });
  expect(found.false[0]!.reason).toContain("The epoch manifest");
});

it("one of which every account is paid what was due is not called false for what else its signers wrote", async () => {
  await settle(({ manifest, attestation, ...rest }) => {
    const made = { ...manifest, inputs: digestOfJson("others") };
    return { ...rest, manifest: made, attestation: { ...attestation, epochDigest: digestOfJson(made) } };
  });
  expect(await look()).toEqual({ false: [], unseen: [] });
});

it("who is no member of its set is named by nobody's word as one who signed a false one", async () => {
  await settle(withTheft);
  const reader = await openReader(options());
  const stranger = asAddress(`0x${"5a".repeat(20)}`);
  const members = validators.map(({ address }) => asAddress(address)).toSorted();
  /** Who posts through a contract of his own puts signatures of others beside those of the set. */
  const told = async (signers: readonly Address[]) => {
    const signersOf: typeof reader.signersOf = async () => [...signers];
    return (await paidRoots({ reader: { ...reader, signersOf }, blobs: world.blobs }, world.modelId)).false[0]?.signers;
  };
  expect(await told([stranger, ...members])).toEqual(members);
  const { threshold } = await reader.validators(world.modelId);
  expect(await told([stranger, ...members.slice(0, threshold)])).toEqual(members.slice(0, threshold));
  expect(await told([stranger, ...members.slice(0, threshold - 1)])).toBeNull();
});

it("of the newest alone no older one is looked at, and of none of them too few", async () => {
  await settle(withTheft);
  await post(1);
  await settle();
  const reader = await openReader(options());
  const falseOf = async (newest: number) =>
    (await paidRoots({ reader, blobs: world.blobs }, world.modelId, { newest })).false.map(({ index }) => index);
  expect(await falseOf(1)).toEqual([]);
  expect(await falseOf(2)).toEqual([1]);
});

it("what one answer alone says of a root makes none false: it is looked at again", async () => {
  await settle();
  const reader = await openReader(options());
  const lie = (lies: number) => {
    let left = lies;
    const epochBudget: typeof reader.epochBudget = async (...given) => (left-- > 0 ? 1n : reader.epochBudget(...given));
    return paidRoots({ reader: { ...reader, epochBudget }, blobs: world.blobs }, world.modelId);
  };
  await expect(lie(1)).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
  await expect(lie(2)).resolves.toMatchObject({ false: [{ index: 1 }] });
  await expect(lie(0)).resolves.toEqual({ false: [], unseen: [] });
});

it("an active root whose posting the chain's RPC does not show is not passed over", async () => {
  await settle();
  const reader = await openReader(options());
  const silent = { ...reader, rootsOf: async () => [] };
  await expect(paidRoots({ reader: silent, blobs: world.blobs }, world.modelId)).rejects.toMatchObject({
    code: "CHAIN_RPC",
    message: expect.stringContaining("shows no posting of root 1, which is active"),
  });
});

// Last: what is trained after a rollback takes the place of the rounds that the others begin with.
it("one that was right stays so once the run went back behind what it paid", async () => {
  await settle();
  await goBack(0);
  await post(1);
  await settle();
  expect(await look()).toEqual({ false: [], unseen: [] });
});

it("one that was right stays so where the run goes back while it is in its window", async () => {
  await pass(16);
  const computation = await compute();
  await publishEpoch(world, computation);
  const { attestation } = computation;
  const signatures = (await signaturesUnder(world, attestation, validators)).map(({ signature }) => signature);
  const sent = { addresses: world.contracts, attestation, account: poster, pollingInterval: 20 };
  await postRoot.sync(client(), { ...sent, signatures });
  await goBack(0);
  await pass(4);
  await activateRoot.sync(client(), sent);
  expect(await look()).toEqual({ false: [], unseen: [] });
});

/** Posts a head whose receipts do not have the root that it names. @returns it, and the root that they have */
async function postBad() {
  const database = await openDatabase<JobSchema>(join(directory, `${journalName()}.sqlite`), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const chain = await openChain(options(), { account: poster, jobs });
  const { head: parentHead } = await chain.head(world.runId);
  const { fields } = await world.publisher.round();
  const posted = { ...fields, receiptsRoot: digestOfJson("invented"), parentHead };
  const { head } = await chain.postHead(posted, `head-${fields.round}`);
  await chain.close();
  await database.close();
  return { head, receiptsRoot: fields.receiptsRoot };
}

it("one that pays for a head whose documents do not hold is false, and hides no other", async () => {
  await settle(withTheft);
  await post(1);
  const bad = await postBad();
  await settle(withTheft, (reader) => {
    const cache = createHeadDocumentsCache(reader);
    return {
      read: (blobs, head, parent) => cache.read(blobs, head.head === bad.head ? { ...head, ...bad } : head, parent),
    };
  });
  const found = {
    false: [{ index: 1 }, { index: 2, due: null, reason: expect.stringContaining("do not have the root") }],
  };
  expect(await look()).toMatchObject(found);
  expect((await verified()).falseRoots.map(({ index }) => index)).toEqual([1, 2]);
});
