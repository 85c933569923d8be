/**
 * A model's next run. It is made of what the last one ended with: that one's last checkpoint, under a manifest of its own, since a
 * manifest names its run; the definition, which names those shards as the initial parameters; and the builds, whose programs and
 * conformance values are what they were.
 */
import type { RunConfig } from "@cotrain/sdk/actions";
import { boundsOf, paramsOf, registerRun, runOf } from "@cotrain/sdk/actions";
import {
  type Address,
  type Build,
  checkRunParams,
  type ContractAddresses,
  type Definition,
  type Digest,
  digestOfJson,
  type Hex,
  type ModelId,
  parametersChange,
  runIdOf,
  type RunId,
  type RunParams,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import type { ChainConnection, ChainReader, RunRecord } from "../chain/index.ts";
import { type BlobStore, checkBlobs, type DocumentStore, putDocument } from "../storage/index.ts";
import { blobSourceOf } from "./blobSource.ts";
import { readBuilds } from "./builds.ts";
import { requireFragmentsOf } from "./published.ts";
import {
  forgetful,
  readRunEnd,
  type RejectedRun,
  rejectedSubject,
  rejectedUpTo,
  requireOver,
  requirePaid,
  type RunEnd,
  writeZero,
} from "./runEnd.ts";

/** A run is registered with so many builds at the most. */
export const MAX_BUILDS = 16;

/** Whose run is over, and where its blobs lie. */
interface NextRunPlace {
  readonly connection: ChainConnection;
  readonly reader: ChainReader;
  readonly addresses: ContractAddresses;
  readonly fromBlock: number;
  readonly blobs: BlobStore;
  readonly modelId: ModelId;
  readonly runId: RunId;
}

/** A run that can be registered. */
interface NextRun {
  readonly runId: RunId;
  readonly call: ReturnType<typeof registerRun.call>;
  /** What it goes on from. */
  readonly end: RunEnd;
  /** What validators rejected of that, and of what that went on from. */
  readonly rejected: readonly RejectedRun[];
  /** How its parameters differ from the last ones; empty where they do not. */
  readonly change: string;
  readonly config: RunConfig;
  /** What the registry would say to the timelock. @throws ContractError where it would not register it */
  readonly rehearse: (timelock: Hex) => Promise<unknown>;
  /** Keeps the documents that it names beside the shards, which are there. */
  readonly keep: (store: DocumentStore) => Promise<void>;
}

/**
 * One run follows a run, so that its salt says of which one it is the next: who asks twice asks for the same run, in the announcement
 * and when it is carried out.
 */
export const saltAfter = (runId: RunId): Hex => digestOfJson({ after: runId });

/** The admitted builds of a run that can be had, for another definition of the same programs. */
export async function buildsAgain(place: Parameters<typeof readBuilds>[0], definition: Digest): Promise<Build[]> {
  return (await readBuilds(place)).flatMap(({ admitted, document }) =>
    admitted && document ? [{ ...document, definition }] : [],
  );
}

/** @throws UserError `NO_BUILD` */
async function buildsFor(place: NextRunPlace, definition: Digest): Promise<Build[]> {
  const builds = await buildsAgain({ ...place, blobs: blobSourceOf(place.blobs) }, definition);
  if (builds.length > 0) return builds.slice(0, MAX_BUILDS);
  throw new UserError(
    "NO_BUILD",
    `No build that run ${place.runId} admits can be had, and the next one would have none: nobody could train it.`,
  );
}

/** The parameters of the last run as it ended, but for what is to change, within its bounds. @throws ProtocolError `INVALID_PARAMS` */
async function governed({ connection, addresses, runId }: NextRunPlace, changes: Partial<RunParams>) {
  const { version, fragments } = await connection.call((client) => runOf(client, { addresses, runId }));
  const [before, bounds] = await Promise.all([
    connection.call((client) => paramsOf(client, { addresses, runId, version })),
    connection.call((client) => boundsOf(client, { addresses, runId })),
  ]);
  const params = { ...before, ...changes };
  checkRunParams(params, fragments, bounds);
  return { params, bounds, fragments, change: parametersChange(before, params) };
}

/** Reads and hashes what the next run would begin with. @throws UserError `CHECKPOINT_DAMAGED` */
async function requireShards(blobs: BlobStore, { runId, head }: RunEnd): Promise<void> {
  try {
    await checkBlobs(blobs, head.checkpointDigest);
  } catch (cause) {
    throw new UserError(
      "CHECKPOINT_DAMAGED",
      `Checkpoint ${head.checkpointDigest}, with which run ${runId} ended, is not whole here: put a copy back with "npx cotrain checkpoint import FILE", or do this in the directory whose coordinator serves the run.`,
      { cause },
    );
  }
}

interface NextRunOptions {
  readonly changes: Partial<RunParams>;
  /** What the last rounds earned is given up. */
  readonly leaveUnpaid: boolean;
  /** It goes on from checkpoints that validators rejected. */
  readonly keepRejected: boolean;
  /** Who posts it; by default who posts the last one. */
  readonly poster?: Address | undefined;
}

/** What was rejected stays in the model, and no verdict about the next run says so. @throws UserError `RUN_REJECTED` */
function requireSound(rejected: readonly RejectedRun[]): void {
  if (rejected.length === 0) return;
  throw new UserError(
    "RUN_REJECTED",
    `Validators rejected ${rejectedSubject(rejected)}, from which the next run would go on, so that whatever was put into the model there stays in it: go on all the same with --keep-rejected.`,
  );
}

/** A suspension is of one run's poster: named again, the same key would post the next one. @throws UserError `POSTER_SUSPENDED` */
async function posterOf({ reader }: NextRunPlace, { runId, poster }: RunRecord, named = poster): Promise<Address> {
  if (named.toLowerCase() !== poster.toLowerCase() || !(await reader.isSuspended(runId))) return named;
  throw new UserError(
    "POSTER_SUSPENDED",
    `The validators suspended ${poster}, who posts run ${runId}, and nothing would keep it from posting the next one: name another with --poster.`,
  );
}

/**
 * Makes the next run out of what the last one ended with; stores and sends nothing.
 * @throws UserError `RUN_GOES_ON`, `POSTER_SUSPENDED`, `RUN_REJECTED`, `DOCUMENT_FRAGMENTS`, `CHECKPOINT_DAMAGED`, `NO_BUILD`; RetryableError `RUN_UNPAID`; ProtocolError `INVALID_PARAMS`
 */
export async function nextRunOf(place: NextRunPlace, options: NextRunOptions): Promise<NextRun> {
  const { connection, reader, addresses, modelId, runId: last } = place;
  const record = await reader.run(last);
  requireOver(record);
  const published = { reader, blobs: blobSourceOf(place.blobs) };
  const poster = await posterOf(place, record, options.poster);
  if (!options.leaveUnpaid) await requirePaid(published, last, modelId);
  const rejected = await rejectedUpTo(published, last);
  if (!options.keepRejected) requireSound(rejected);
  const end = await readRunEnd(published, last);
  requireFragmentsOf(record, end.definition);
  await requireShards(place.blobs, end);
  const { params, bounds, fragments, change } = await governed(place, options.changes);

  const salt = saltAfter(last);
  const runId = runIdOf(BigInt(connection.chainId), addresses.runRegistry, modelId, salt);
  const definition: Definition = { ...end.definition, initialParameters: end.parameters };
  const builds = await buildsFor(place, digestOfJson(definition));
  const config: RunConfig = {
    definition: digestOfJson(definition),
    initialCheckpoint: (await writeZero(forgetful, end, runId)).digest,
    fragments,
    poster,
    builds: builds.map(digestOfJson),
    params,
    ...bounds,
  };
  const registration = { addresses, modelId, salt, config };
  return {
    runId,
    call: registerRun.call(registration),
    end,
    rejected,
    change,
    config,
    rehearse: (account) => connection.call((client) => registerRun.simulate(client, { ...registration, account })),
    keep: async (store) => {
      for (const document of [definition, ...builds]) await putDocument(store, document);
      await writeZero(store, end, runId);
    },
  };
}

/** Of a model's runs, oldest first, the newest that came after one. An RPC that lags, or shows others, shows none. */
export function newestAfter(runs: readonly RunId[], runId: RunId): RunId | undefined {
  const at = runs.indexOf(runId);
  return at < 0 ? undefined : runs.slice(at + 1).at(-1);
}

/** The newest run of the model that came after this directory's. */
export const registeredAfter = async ({
  reader,
  modelId,
  runId,
}: Pick<NextRunPlace, "modelId" | "runId"> & { readonly reader: Pick<ChainReader, "runsOf"> }) =>
  newestAfter(await reader.runsOf(modelId), runId);
