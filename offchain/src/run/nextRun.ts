/**
 * A model's next run. It is made of what the last one ended with: that one's last checkpoint, under a manifest of its own, since a
 * manifest names its run; the definition, which names those shards as the initial parameters; and the builds, whose programs and
 * conformance values are what they were. A directory whose run is over goes on with the next one when it is started again.
 */
import type { RunConfig } from "@cotrain/sdk/actions";
import { boundsOf, paramsOf, registerRun, runOf } from "@cotrain/sdk/actions";
import {
  asDigest,
  type Build,
  checkRunParams,
  type ContractAddresses,
  type Definition,
  type Digest,
  digestOfJson,
  type Hex,
  MAX_BUILD_BYTES,
  type ModelId,
  parametersChange,
  runIdOf,
  type RunId,
  type RunParams,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { commandFor } from "../base/node/index.ts";
import { type ChainConnection, type ChainReader, connect, createReader } from "../chain/index.ts";
import { type RunFile, writeRunFile } from "../service/index.ts";
import { type BlobStore, checkBlobs, type DocumentStore, parseBuild, putDocument } from "../storage/index.ts";
import { blobSourceOf } from "./blobSource.ts";
import { readBuilds } from "./builds.ts";
import type { LocalRun } from "./local.ts";
import { readerOptions } from "./remote.ts";
import { forgetful, runOriginOf, readRunEnd, requireOver, requirePaid, type RunEnd, writeZero } from "./runEnd.ts";

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
}

/**
 * Makes the next run out of what the last one ended with; stores and sends nothing.
 * @throws UserError `RUN_GOES_ON`, `CHECKPOINT_DAMAGED`, `NO_BUILD`; RetryableError `RUN_UNPAID`; ProtocolError `INVALID_PARAMS`
 */
export async function nextRunOf(place: NextRunPlace, { changes, leaveUnpaid }: NextRunOptions): Promise<NextRun> {
  const { connection, reader, addresses, modelId, runId: last } = place;
  const record = await reader.run(last);
  requireOver(record);
  const published = { reader, blobs: blobSourceOf(place.blobs) };
  if (!leaveUnpaid) await requirePaid(published, last, modelId);
  const end = await readRunEnd(published, last);
  await requireShards(place.blobs, end);
  const { params, bounds, fragments, change } = await governed(place, changes);

  const salt = saltAfter(last);
  const runId = runIdOf(BigInt(connection.chainId), addresses.runRegistry, modelId, salt);
  const definition: Definition = { ...end.definition, initialParameters: end.parameters };
  const builds = await buildsFor(place, digestOfJson(definition));
  const config: RunConfig = {
    definition: digestOfJson(definition),
    initialCheckpoint: (await writeZero(forgetful, end, runId)).digest,
    fragments,
    poster: record.poster,
    builds: builds.map(digestOfJson),
    params,
    ...bounds,
  };
  const registration = { addresses, modelId, salt, config };
  return {
    runId,
    call: registerRun.call(registration),
    end,
    change,
    config,
    rehearse: (account) => connection.call((client) => registerRun.simulate(client, { ...registration, account })),
    keep: async (store) => {
      for (const document of [definition, ...builds]) await putDocument(store, document);
      await writeZero(store, end, runId);
    },
  };
}

/** The newest run of the model that came after this directory's. An RPC that lags, or shows others, shows none. */
export async function registeredAfter({ reader, modelId, runId }: Pick<NextRunPlace, "reader" | "modelId" | "runId">) {
  const runs = await reader.runsOf(modelId);
  const at = runs.indexOf(runId);
  return at < 0 ? undefined : runs.slice(at + 1).at(-1);
}

/** The build with the programs of the one that this directory knows as its run's, or the first of the run. */
async function buildAfter(
  { blobs, reader }: NextRunPlace,
  kept: unknown,
  record: { readonly definition: Digest },
  next: RunId,
) {
  const ofRun = await reader.buildsOf(next);
  if (typeof kept === "string") {
    const before = parseBuild(await blobs.get(asDigest(kept), MAX_BUILD_BYTES));
    const same = digestOfJson({ ...before, definition: record.definition });
    if (ofRun.includes(same)) return same;
  }
  return ofRun[0];
}

/** What a start goes on with, and what there is to say of that. */
interface TakenUp {
  readonly run: LocalRun;
  readonly said: string | undefined;
}

/**
 * Has a directory go on with the model's newest run, if that is another than its own: the one before it is over then. Its documents
 * must be here, as they are where it was proposed or announced. Nobody else may write `run.json` meanwhile.
 */
export async function takeUpNextRun(run: LocalRun, rpcUrl: string): Promise<TakenUp> {
  const { state, file, blobs, modelId, runId, deployment } = run;
  const connection = await connect({ rpcUrl, chainId: deployment.chainId });
  const { fromBlock, ...options } = readerOptions(rpcUrl, deployment.chainId, deployment);
  const reader = createReader(connection, { ...options, fromBlock });
  const { addresses } = deployment;
  const place: NextRunPlace = { connection, reader, addresses, fromBlock, blobs, modelId, runId };
  const next = await registeredAfter(place);
  if (next === undefined) return { run, said: undefined };
  const [record, before] = await Promise.all([reader.run(next), reader.run(runId)]);
  // Whoever has another's key cannot serve it, and would serve the old one no more.
  if (record.poster.toLowerCase() !== before.poster.toLowerCase())
    return {
      run,
      said: `Run ${next} has followed run ${runId}, and ${record.poster} posts its heads, not ${before.poster}: it goes on where that key is (npx cotrain coordinator --run ${next}), and here only the old one is served.`,
    };
  const [zero] = await reader.headsSince(next, 0);
  const needed = [record.definition, ...(zero ? [zero.checkpointDigest] : [])];
  const here =
    zero && (await Promise.all(needed.map((digest) => blobs.size(digest)))).every((size) => size !== undefined);
  if (!here)
    return {
      run,
      said: `Run ${next} has followed run ${runId}, and its documents are not in ${state}: it goes on where it was made, and here only the old one is served.`,
    };
  const origin = await runOriginOf({ reader, blobs: blobSourceOf(blobs) }, { ...record, zero: zero.checkpointDigest });
  const build = await buildAfter(place, file.settings?.["build"], record, next);
  const runs = await reader.runsOf(modelId);
  // Those of this directory alone: whatever else the model had lies elsewhere.
  const earlier = [...run.earlier, ...runs.slice(runs.indexOf(runId), runs.indexOf(next))];
  const taken: RunFile = {
    ...file,
    runId: next,
    earlier,
    settings: { ...file.settings, ...(build !== undefined && { build }) },
  };
  await writeRunFile(state, taken);
  const from = origin?.continues
    ? `from its checkpoint ${origin.round}`
    : `with parameters other than those that it ended with`;
  return {
    run: { ...run, file: taken, runId: next, earlier },
    said: `Run ${runId} is over: this directory goes on with run ${next}, ${from}. What the old one earned can be claimed as before; "${commandFor(state, "verify", "--run", runId)}" walks it.`,
  };
}
