/**
 * A directory whose run is over goes on with the model's next one when it is started again. What an RPC says of that is believed once
 * a later look says the same, and kept in `run.json` once the run has opened: an answer that lied at one start costs nothing after it.
 */
import { isDeepStrictEqual } from "node:util";

import { asDigest, type Digest, digestOfJson, MAX_BUILD_BYTES, type RunId, runStatus } from "@cotrain/sdk/protocol";

import { type Clock, systemClock, UserError } from "../base/index.ts";
import { commandFor } from "../base/node/index.ts";
import { type ChainReader, connect, createReader, DEVELOPMENT_CHAIN_ID } from "../chain/index.ts";
import { type RunFile, writeRunFile } from "../service/index.ts";
import { type BlobStore, parseBuild, readManifest } from "../storage/index.ts";
import { unlessAway } from "./away.ts";
import { blobSourceOf } from "./blobSource.ts";
import type { LocalRun } from "./local.ts";
import { newestAfter } from "./nextRun.ts";
import { readerOptions } from "./remote.ts";
import { rejectedSubject, type RunOrigin, runOriginOf } from "./runEnd.ts";

/** Where no blocks come so long stands for another block, ms. */
const NO_BLOCK_MS = 60_000;
/** How often it is looked for one, ms. */
const POLL_MS = 500;

/** What a start goes on with, and what there is to say of that. */
interface TakenUp {
  readonly run: LocalRun;
  readonly said: string | undefined;
  /** Has `run.json` name that run from now on: for when it has opened. */
  readonly keep: () => Promise<void>;
}

type RunsReader = Pick<ChainReader, "run" | "runsOf" | "runStatus">;
type Directory = Pick<LocalRun, "modelId" | "runId" | "earlier">;

/** What one look sees of the runs of a directory's model. */
interface Sight {
  /** The newest of the directory's runs that the registry knows: its own, if the RPC did not lie of it before. */
  readonly own: RunId;
  /** The newest that came after it. */
  readonly next?: RunId;
  /** The own one, and others before the next. */
  readonly before: readonly RunId[];
  /** One of these that has not ended. No contract registers a run after such a one. */
  readonly open?: RunId;
}

/** @throws UserError `RUN_UNKNOWN` where the registry knows none */
async function newestKnown(reader: Pick<ChainReader, "run">, { runId, earlier }: Directory): Promise<RunId> {
  let unknown: unknown;
  for (const each of [runId, ...earlier.toReversed()])
    try {
      return (await reader.run(each)).runId;
    } catch (error) {
      if (!(error instanceof UserError) || error.code !== "RUN_UNKNOWN") throw error;
      unknown ??= error;
    }
  throw unknown;
}

async function see(reader: RunsReader, directory: Directory): Promise<Sight> {
  const own = await newestKnown(reader, directory);
  const runs = await reader.runsOf(directory.modelId);
  const next = newestAfter(runs, own);
  if (next === undefined) return { own, before: [] };
  const before = runs.slice(runs.indexOf(own), runs.indexOf(next));
  for (const each of before)
    if ((await reader.runStatus(each)) !== runStatus.finished) return { own, next, before, open: each };
  return { own, next, before };
}

/** How patiently a later block is looked for. */
export interface Looking {
  readonly clock: Clock;
  /** How long a later block is waited for, ms. */
  readonly patience: number;
}

/** A development chain may make blocks for transactions alone, and nobody but its owner can lie of it. */
export const patienceOn = (chainId: number): number => (chainId === DEVELOPMENT_CHAIN_ID ? 0 : NO_BLOCK_MS);

/** @returns what says whether there is a later block than the newest now, or that patience is over */
export async function laterBlock(
  reader: Pick<ChainReader, "tip">,
  { clock, patience }: Looking,
): Promise<() => Promise<boolean>> {
  const [{ block }, end] = [await reader.tip(), clock.monotonic() + patience];
  return async () => clock.monotonic() >= end || (await reader.tip()).block > block;
}

/** Waits for a later block than the newest, within that patience. */
export async function untilLaterBlock(reader: Pick<ChainReader, "tip">, looking: Looking): Promise<void> {
  const isLater = await laterBlock(reader, looking);
  while (!(await isLater())) await looking.clock.sleep(POLL_MS);
}

/**
 * What two looks saw of which the second is of a later block, and by a reader that remembers nothing; undefined where they differ.
 * That all is as the directory has it needs one.
 */
export async function seenTwice(
  readerOf: () => RunsReader & Pick<ChainReader, "tip">,
  directory: Directory,
  looking: Looking,
): Promise<Sight | undefined> {
  const reader = readerOf();
  const first = await see(reader, directory);
  if (first.own === directory.runId && first.next === undefined) return first;
  await untilLaterBlock(reader, looking);
  const second = await see(readerOf(), directory);
  return isDeepStrictEqual(first, second) ? first : undefined;
}

/** For who goes on with what `run.json` names. */
const stays = async (): Promise<void> => undefined;

/** The build with the programs of the one that this directory knows as its run's, or the first of the run. */
async function buildAfter(
  { blobs, file }: LocalRun,
  reader: ChainReader,
  record: { readonly definition: Digest; readonly runId: RunId },
): Promise<Digest | undefined> {
  const ofRun = await reader.buildsOf(record.runId);
  const kept = file.settings?.["build"];
  if (typeof kept === "string") {
    const before = parseBuild(await blobs.get(asDigest(kept), MAX_BUILD_BYTES));
    const same = digestOfJson({ ...before, definition: record.definition });
    if (ofRun.includes(same)) return same;
  }
  return ofRun[0];
}

/** The directory with another of the model's runs as its own. */
async function withRun(run: LocalRun, reader: ChainReader, runId: RunId, earlier: readonly RunId[]): Promise<LocalRun> {
  const build = await buildAfter(run, reader, await reader.run(runId));
  const settings = { ...run.file.settings, ...(build !== undefined && { build }) };
  const file: RunFile = { ...run.file, runId, earlier: [...earlier], settings };
  return { ...run, file, runId, earlier };
}

/** The directory with the newest of its runs that the registry knows. */
async function goneBack(run: LocalRun, reader: ChainReader, own: RunId): Promise<LocalRun> {
  return own === run.runId ? run : withRun(run, reader, own, run.earlier.slice(0, run.earlier.indexOf(own)));
}

/** Whether a run's documents are here: its definition, and a checkpoint 0 that names it, as no other run's does. */
async function hasDocuments(blobs: BlobStore, runId: RunId, needed: readonly Digest[]): Promise<boolean> {
  const sizes = await Promise.all(needed.map((digest) => blobs.size(digest)));
  const [, zero] = needed;
  if (zero === undefined || !sizes.every((size) => size !== undefined)) return false;
  const manifest = await readManifest(blobs, zero).catch(unlessAway(undefined));
  return manifest?.runId === runId;
}

const takenText = ({ state }: LocalRun, before: RunId, next: RunId, origin: RunOrigin | undefined): string => {
  const from = origin?.continues
    ? `from its checkpoint ${origin.round}`
    : `with parameters other than those that it ended with`;
  const rejected = origin?.rejected ?? [];
  const told =
    rejected.length === 0 ? "" : ` Validators rejected ${rejectedSubject(rejected)}, which is in what it trains.`;
  return `Run ${before} is over: this directory goes on with run ${next}, ${from}.${told} What the old one earned can be claimed as before; "${commandFor(state, "verify", "--run", before)}" walks it.`;
};

/** The run that follows a directory's, or why it is not taken up. */
async function followed(run: LocalRun, reader: ChainReader, { next, before, open }: Sight): Promise<LocalRun | string> {
  const { state, blobs, runId } = run;
  if (next === undefined) return run;
  if (open !== undefined)
    return `The RPC shows run ${next} after run ${open}, which has not ended, so that nothing can have followed it: here run ${runId} is served on.`;
  const [record, last] = await Promise.all([reader.run(next), reader.run(runId)]);
  // Whoever has another's key cannot serve it, and would serve the old one no more.
  if (record.poster.toLowerCase() !== last.poster.toLowerCase())
    return `Run ${next} has followed run ${runId}, and ${record.poster} posts its heads, not ${last.poster}: it goes on where that key is (npx cotrain coordinator --run ${next}), and here only the old one is served.`;
  const [zero] = await reader.headsSince(next, 0);
  const needed = [record.definition, ...(zero ? [zero.checkpointDigest] : [])];
  if (!(await hasDocuments(blobs, next, needed)))
    return `Run ${next} has followed run ${runId}, and its documents are not in ${state}: it goes on where it was made, and here only the old one is served.`;
  // Those of this directory alone: whatever else the model had lies elsewhere.
  return withRun(run, reader, next, [...run.earlier, ...before]);
}

/**
 * Has a directory go on with the model's newest run, if that is another than its own and all before it are over; or with the newest of
 * its runs that there is, where the registry does not know its own. The documents must be here, as they are where the run was proposed
 * or announced. Nobody else may write `run.json` until what it goes on with is kept.
 */
export async function takeUpNextRun(run: LocalRun, rpcUrl: string, clock: Clock = systemClock): Promise<TakenUp> {
  const { state, runId, deployment } = run;
  const { chainId } = deployment;
  const connection = await connect({ rpcUrl, chainId });
  const { fromBlock, ...options } = readerOptions(rpcUrl, chainId, deployment);
  const readerOf = (): ChainReader => createReader(connection, { ...options, fromBlock });
  const sight = await seenTwice(readerOf, run, { clock, patience: patienceOn(chainId) });
  if (sight === undefined) {
    const said = `The RPC names now one run and now another as the model's newest: here run ${runId} is served on, and the next start looks again.`;
    return { run, said, keep: stays };
  }
  const reader = readerOf();
  const back = await goneBack(run, reader, sight.own);
  const found = await followed(back, reader, sight);
  const taken = typeof found === "string" ? back : found;
  const sentences: string[] = [];
  if (back !== run)
    sentences.push(`The registry knows no run ${runId}: this directory goes on with run ${back.runId}, its last one.`);
  if (typeof found === "string") sentences.push(found);
  else if (found !== back) {
    const record = await reader.run(taken.runId);
    const zero = (await reader.headsSince(taken.runId, 0))[0]?.checkpointDigest;
    const origin = await runOriginOf({ reader, blobs: blobSourceOf(run.blobs) }, { ...record, zero });
    sentences.push(takenText(run, back.runId, taken.runId, origin));
  }
  return {
    run: taken,
    said: sentences.length === 0 ? undefined : sentences.join(" "),
    keep: taken === run ? stays : () => writeRunFile(state, taken.file),
  };
}
