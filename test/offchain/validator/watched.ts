/** Roots on a real node, and who watches them: what the tests of watching share. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  disputeOf,
  getAllLogs,
  headOf,
  postRoot,
  rollback,
  rootDisputed,
  setPoster,
  timelockOf,
} from "@cotrain/sdk/actions";
import {
  asAddress,
  type Hex,
  rewardKind,
  SORTITION_DELAY_BLOCKS,
  type SignedVerdict,
  structHash,
} from "@cotrain/sdk/protocol";
import { createTestClient, http, type LocalAccount, publicActions } from "viem";
import { afterAll, beforeAll, beforeEach, onTestFinished } from "vitest";

import { createRandom, RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { type Chain, type ChainReader, connect, openChain, openReader } from "../../../offchain/src/chain/index.ts";
import {
  type BlobSource,
  drawnBy,
  type EpochComputation,
  readHeadDocuments,
  revenueAccounts,
  withEpochAccounts,
} from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import {
  createHeadWatch,
  createJudge,
  createWatch,
  type Evidence,
  openWatchMemory,
  type Watch,
  type WhyUnnamed,
} from "../../../offchain/src/validator/index.ts";
import { payingFirst, publishEpoch, signaturesUnder, withLeaves } from "../chain/attested.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import { createWorld, fragments, poster, type RoundOptions, validators, workers, type World } from "../chain/world.ts";
import { createManualClock } from "../manualClock.ts";
import { dueEpoch } from "../run/dueEpoch.ts";

type Judge = ReturnType<typeof createJudge>;

export const ETHER = 10n ** 18n;
/** Whose bond it is, by default. */
export const watcher = workers[0]!;

let node: TestNode;
export let world: World;
export let directory: string;
/** With two rounds posted, whose epoch is over. */
export let settled: Hex;

export const client = () => createTestClient({ mode: "anvil", transport: http(node.url) }).extend(publicActions);
const options = () => {
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  return { chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 };
};
export const open = () => openReader(options());

/** A journal of an account; its file is in the directory of the test. */
async function openJournalOf(
  account = watcher,
  bondAtMost = ETHER,
): Promise<Chain & { readonly end: () => Promise<void> }> {
  const database = await openDatabase<JobSchema>(join(directory, `${account.address}.sqlite`), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const chain = await openChain({ ...options(), bondAtMost }, { account, jobs });
  let ended = false;
  const end = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    await chain.close();
    await database.close();
  };
  return { ...chain, end };
}
export async function journalOf(...given: Parameters<typeof openJournalOf>): ReturnType<typeof openJournalOf> {
  const journal = await openJournalOf(...given);
  onTestFinished(journal.end);
  return journal;
}

export async function post(
  count: number,
  round: RoundOptions = {},
  publisher = world.publisher,
  by = poster,
): Promise<void> {
  const chain = await openJournalOf(by);
  for (let i = 0; i < count; i++) {
    const { fields } = await publisher.round(round);
    const { head } = await chain.head(fields.runId);
    await chain.postHead({ ...fields, parentHead: head }, `head-${fields.runId}-${fields.round}`);
  }
  await chain.end();
}

/** Who watches the heads of the world's run, from its start on. */
export const watchingHeads = async (
  { head }: Pick<Judge, "head">,
  revenue: Parameters<typeof createHeadWatch>[0]["revenue"] = { paidFalsely: async () => [] },
  blobs: BlobSource = world.blobs,
  reader?: ChainReader,
  whyUnnamed?: WhyUnnamed,
) => {
  const modules = { reader: reader ?? (await open()), blobs, head, revenue, ...(whyUnnamed && { whyUnnamed }) };
  return createHeadWatch(modules, world.modelId, world.runId);
};

/** Has the holders name another poster of the run. */
export async function replacePoster(by: LocalAccount): Promise<void> {
  const { contracts: addresses, modelId, runId } = world;
  const account = await timelockOf(client(), { addresses, modelId });
  await client().setBalance({ address: account, value: ETHER });
  await client().impersonateAccount({ address: account });
  await setPoster.sync(client(), { addresses, runId, poster: by.address, account, pollingInterval: 20 });
}

/** Takes the run back to one of its rounds, as the holders would. */
export async function takeBack(to: number): Promise<void> {
  const { contracts: addresses, modelId, runId } = world;
  const account = await timelockOf(client(), { addresses, modelId });
  await client().setBalance({ address: account, value: ETHER });
  await client().impersonateAccount({ address: account });
  const { checkpointDigest } = (await (await open()).headsSince(runId, 0))[to]!;
  const { head: currentHead } = await headOf(client(), { addresses, runId });
  const args = { addresses, runId, currentHead, round: BigInt(to), checkpointDigest };
  await rollback.sync(client(), { ...args, account, pollingInterval: 20 });
}

export async function pass(seconds: number): Promise<void> {
  const { timestamp } = await client().getBlock();
  await client().setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) });
  await client().mine({ blocks: 1 });
}

/** Has a block decide who draws what of the newest head, such that the validators' fragments, in rising order of these, are as is asked. */
export async function drawing(isAsked: (drawn: readonly (number | undefined)[]) => boolean): Promise<void> {
  for (let tries = 1; tries < 1_000; tries++) {
    const before = await client().snapshot();
    // Another time makes another block of it.
    await pass(tries);
    await client().mine({ blocks: Number(SORTITION_DELAY_BLOCKS) });
    const reader = await open();
    const head = (await reader.headsSince(world.runId, 0)).at(-1)!;
    const drawn = validators.map(({ address }) => drawnBy(reader, head, asAddress(address.toLowerCase()), fragments));
    if (isAsked(await Promise.all(drawn))) return;
    await client().revert({ id: before });
  }
  throw new Error("No block decides so.");
}

export async function compute(verdicts: readonly SignedVerdict[] = []): Promise<EpochComputation> {
  const reader = withEpochAccounts(await open());
  const epoch = (await dueEpoch(reader, world.modelId))!;
  const result = await reader.computeEpoch({ modelId: world.modelId, epoch, verdicts }, world.blobs);
  if (result.kind === "nothing") throw new Error(result.reason);
  await publishEpoch(world, result.computation);
  return result.computation;
}

/** A root of which an account is paid less than it earned. */
export async function lessPaid(): Promise<EpochComputation> {
  const computation = withLeaves(await compute(), payingFirst(1n));
  await publishEpoch(world, computation);
  return computation;
}

/** Posts a root with all signatures. @returns the digest of what was signed */
export async function postSigned({ attestation }: Pick<EpochComputation, "attestation">): Promise<Hex> {
  const signatures = (await signaturesUnder(world, attestation, validators)).map(({ signature }) => signature);
  const { contracts: addresses } = world;
  await postRoot.sync(client(), { addresses, attestation, signatures, account: poster, pollingInterval: 20 });
  return structHash("Attestation", attestation);
}

interface Watching {
  readonly blobs?: BlobSource;
  readonly reader?: ChainReader;
  readonly second?: () => Promise<ChainReader>;
  readonly chain?: Pick<Chain, "disputeRoot" | "settleDispute"> | "none";
  readonly clock?: ReturnType<typeof createManualClock>;
  readonly absentPart?: number;
  /** Of which runs nothing need be to be had, by the word of a reader. */
  readonly naming?: (reader: ChainReader) => WhyUnnamed;
}

export async function watching(
  given: Watching = {},
): Promise<Watch & Pick<Judge, "head"> & { readonly written: Evidence[] }> {
  const written: Evidence[] = [];
  const chain = given.chain ?? (await journalOf());
  const reader = given.reader ?? (await open());
  const revenue = revenueAccounts({ reader, connection: await connect(options()), fromBlock: world.fromBlock });
  const blobs = given.blobs ?? world.blobs;
  const sound = new Set<string>();
  const looking = (by: ChainReader) => ({
    reader: by,
    revenue,
    ...(given.naming && { whyUnnamed: given.naming(by) }),
  });
  const watch = createWatch(
    { modelId: world.modelId, kind: rewardKind.compute, depth: 1, absentPart: given.absentPart ?? 1 / 2 },
    {
      ...looking(reader),
      openSecond: async () => looking(await (given.second ?? open)()),
      blobs,
      sound,
      memory: await openWatchMemory(join(directory, "watch.json")),
      clock: given.clock ?? createManualClock(),
      writeEvidence: async (evidence) => void written.push(evidence),
      spender: chain === "none" ? undefined : chain,
      why: "no wallet is named",
    },
  );
  const { head } = createJudge(looking(reader), blobs, sound);
  return { ...watch, head, written };
}

export const dispute = (digest: Hex) => disputeOf(world.client, { addresses: world.contracts, digest });
export const disputes = async () => {
  const { contracts: addresses, modelId } = world;
  return (await getAllLogs(world.client, rootDisputed({ addresses, modelId }), { from: 0n })).logs;
};

/** Blobs without some of them, by one answer or another. */
export function without(digests: ReadonlySet<string>, error: () => Error): BlobSource {
  return {
    blob: (runId, digest, limit) =>
      digests.has(digest) ? Promise.reject(error()) : world.blobs.blob(runId, digest, limit),
  };
}
export const missing = (): Error => new UserError("BLOB_NOT_FOUND", "It is not here.");
export const away = (): Error => new RetryableError("UNREACHABLE", "It does not answer.");
export const slow = (): Error => new RetryableError("SOURCE_SLOW", "It takes too long.");

/** Digests of the payload headers under checkpoint 2. */
export async function payloadsOf(): Promise<string[]> {
  const reader = await open();
  const heads = await reader.headsSince(world.runId, 0);
  const { file } = await readHeadDocuments(reader, world.blobs, heads[2]!, heads[1]);
  return file!.receipts.map(({ receipt }) => receipt.payloadDigest);
}

/** Stages a file's tests, each of which begins with two rounds whose epoch is over, and no root. */
export function stageWatch(): void {
  beforeAll(async () => {
    node = await createNode(0);
    await node.start();
    world = await createWorld(node.url, node.directory);
    // Time passes by blocks alone: no window runs out while this machine is busy with something else.
    await client().setBlockTimestampInterval({ interval: 1 });
    directory = mkdtempSync(join(tmpdir(), "cotrain-watch-"));
    await post(2);
    await pass(16);
    settled = await client().snapshot();
  }, 60_000);
  beforeEach(async () => {
    await client().revert({ id: settled });
    settled = await client().snapshot();
    world.publisher.back(2);
    directory = mkdtempSync(join(tmpdir(), "cotrain-watch-"));
    const made = directory;
    onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  });
  afterAll(() => node.close());
}
