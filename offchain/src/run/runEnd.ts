/** What a run ended with, and what a run began with: whether one of a model's runs goes on from what the one before it trained. */
import {
  asDigest,
  type CheckpointManifest,
  type Definition,
  type Digest,
  digestOfJson,
  MAX_DEFINITION_BYTES,
  MAX_MANIFEST_BYTES,
  type ModelId,
  type RunId,
  runStatus,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { RetryableError, sha256Bytes, UserError } from "../base/index.ts";
import type { ChainReader, PostedHead, RunRecord } from "../chain/index.ts";
import { type DocumentStore, parseDefinition, parseManifest, writeManifest } from "../storage/index.ts";
import { unlessAway } from "./away.ts";
import { checkpointZero } from "./creation.ts";
import type { BlobSource } from "./ports.ts";
import { rejectedAmong, rejectedOfModel } from "./rejected.ts";
import { standingHeads } from "./standingHeads.ts";

interface RunEndPlace {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
}

/** The last checkpoint of a run that stands. */
export interface RunEnd {
  readonly runId: RunId;
  readonly head: PostedHead;
  readonly definition: Definition;
  readonly manifest: CheckpointManifest;
  /** What a definition names as initial parameters that begins with it: its shards, outer buffers among them. */
  readonly parameters: Digest;
}

/** @throws what chain and blobs throw; FormatError for documents that do not fit each other */
export async function readRunEnd({ reader, blobs }: RunEndPlace, runId: RunId): Promise<RunEnd> {
  const [record, heads] = await Promise.all([reader.run(runId), reader.headsSince(runId, 0)]);
  const head = standingHeads(heads).at(-1);
  if (!head) throw new RetryableError("CHAIN_MOVED", `The RPC shows no checkpoint of run ${runId}.`);
  const definition = parseDefinition(await blobs.blob(runId, record.definition, MAX_DEFINITION_BYTES));
  const bytes = await blobs.blob(runId, head.checkpointDigest, MAX_MANIFEST_BYTES);
  const manifest = parseManifest(bytes, definition.table);
  const parameters = digestOfJson(manifest.fragments.map(({ digest }) => asDigest(digest)));
  return { runId, head, definition, manifest, parameters };
}

/** Knows the digest of what it is given, and keeps nothing. */
export const forgetful: DocumentStore = {
  put: (document) => Promise.resolve({ digest: sha256Bytes(document), bytes: document.length }),
};

/** Checkpoint 0 of a run that goes on from what another ended with: one manifest, whoever makes it. */
export const writeZero = (store: DocumentStore, { definition, manifest }: RunEnd, next: RunId) =>
  writeManifest(store, definition.table, manifest.fragments, checkpointZero(next));

/** A run that is over makes room for the next. @throws UserError `RUN_GOES_ON` */
export function requireOver({ runId, status }: Pick<RunRecord, "runId" | "status">): void {
  if (status === runStatus.finished) return;
  throw new UserError(
    "RUN_GOES_ON",
    `Run ${runId} has not ended, and a model has one run at a time: end it first, with "npx cotrain run propose end".`,
  );
}

/**
 * Nobody takes verdicts about a run's last rounds once its coordinator is another's: what they earned is paid before.
 * @throws RetryableError `RUN_UNPAID` where no active root covers them
 */
export async function requirePaid({ reader }: RunEndPlace, runId: RunId, modelId: ModelId): Promise<void> {
  const heads = standingHeads(await reader.headsSince(runId, 0));
  const last = heads.findLast(({ receiptsRoot }) => receiptsRoot !== zeroHash);
  if (!last) return;
  const [epoch, active] = [await reader.epochOf(modelId, last.anchoredAt), await reader.activeRoot(modelId)];
  if ((active?.epoch ?? 0) >= epoch) return;
  throw new RetryableError(
    "RUN_UNPAID",
    `Run ${runId} is not paid to its end: no active root covers epoch ${epoch}, in which its checkpoint ${last.round} was anchored. Leave its coordinator and validators at work until one does ("npx cotrain rewards list"), or give up what it pays with --leave-unpaid.`,
  );
}

/** What a run begins with, of all that its model had trained before it. */
export interface RunOrigin {
  /** The model's run before it. */
  readonly after: RunId;
  /** The checkpoint that this one ended with, and whether the run begins with exactly its shards. */
  readonly round: number;
  readonly continues: boolean;
  /** What else its definition says otherwise, such as `data`. */
  readonly changed: readonly string[];
  /** What validators rejected of the runs that it goes on from, oldest first. */
  readonly rejected: readonly RejectedRun[];
}

/** Checkpoints of a run that validators found not to hold, and that it did not go back behind. */
export interface RejectedRun {
  readonly runId: RunId;
  readonly rounds: readonly number[];
}

/** The run of a model before a run, or before the one that is to be registered; undefined where there is none. */
export async function runBefore(
  { reader }: { readonly reader: Pick<ChainReader, "runsOf"> },
  modelId: ModelId,
  runId: RunId,
): Promise<RunId | undefined> {
  const runs = await reader.runsOf(modelId);
  const at = runs.indexOf(runId);
  return at < 0 ? runs.at(-1) : runs[at - 1];
}

/** What two runs may have otherwise without having other parameters. */
const besideParameters = [
  "model",
  "tokenizer",
  "data",
  "innerOptimizer",
  "schedule",
  "sequence",
  "screening",
] as const satisfies readonly (keyof Definition)[];

type Begun = Pick<RunRecord, "runId" | "modelId" | "definition"> & { readonly zero?: string | undefined };

/** What the run before a run ended with, and what this one begins with; undefined for a model's first. */
async function beginningOf(place: RunEndPlace, { runId, modelId, definition, zero }: Begun) {
  const after = await runBefore(place, modelId, runId);
  if (after === undefined) return undefined;
  const end = await readRunEnd(place, after);
  const begun = parseDefinition(await place.blobs.blob(after, definition, MAX_DEFINITION_BYTES));
  const continues =
    begun.initialParameters === end.parameters &&
    digestOfJson(begun.table) === digestOfJson(end.definition.table) &&
    (zero === undefined || zero === (await writeZero(forgetful, end, runId)).digest);
  return { after, end, begun, continues };
}

/** The run that a registered one goes on from: it does where the documents that would say otherwise cannot be had. */
async function goesOnFrom(place: RunEndPlace, record: RunRecord): Promise<RunId | undefined> {
  const before = await runBefore(place, record.modelId, record.runId);
  if (before === undefined) return undefined;
  const [zero] = await place.reader.headsSince(record.runId, 0);
  const begun = await beginningOf(place, { ...record, zero: zero?.checkpointDigest }).catch(unlessAway(undefined));
  return begun?.continues === false ? undefined : before;
}

/**
 * What validators rejected of a run and of those that it goes on from, oldest first: what such a checkpoint put into the model stays in
 * it, whatever run it is in.
 * @throws as {@link rejectedOfModel}
 */
export async function rejectedUpTo(place: RunEndPlace, runId: RunId): Promise<RejectedRun[]> {
  const { reader, blobs } = place;
  const last = await reader.run(runId);
  const rejected = await rejectedOfModel(reader, blobs, last.modelId);
  const found: RejectedRun[] = [];
  if (rejected.size === 0) return found;
  for (let record: RunRecord | undefined = last; record;) {
    const among = rejectedAmong(await reader.headsSince(record.runId, 0), rejected);
    if (among.length > 0) found.unshift({ runId: record.runId, rounds: among.map(({ round }) => round) });
    const before: RunId | undefined = await goesOnFrom(place, record);
    record = before && (await reader.run(before));
  }
  return found;
}

/** The same of those that a registered run goes on from alone. */
export async function rejectedBefore(place: RunEndPlace, runId: RunId): Promise<RejectedRun[]> {
  const before = await goesOnFrom(place, await place.reader.run(runId));
  return before === undefined ? [] : rejectedUpTo(place, before);
}

/**
 * Whether a run goes on from the checkpoint that the run before it ended with. No contract looks at that.
 * @param run as it is registered or is to be. Its definition is a word: what workers begin with is its checkpoint 0, which need not have
 *   what that names. Without it that is for whoever asks to see.
 * @returns undefined for a model's first run
 * @throws what chain and blobs throw
 */
export async function runOriginOf(place: RunEndPlace, run: Begun): Promise<RunOrigin | undefined> {
  const beginning = await beginningOf(place, run);
  if (!beginning) return undefined;
  const { after, end, begun, continues } = beginning;
  const changed = besideParameters.filter((name) => digestOfJson(begun[name]) !== digestOfJson(end.definition[name]));
  const rejected = continues ? await rejectedUpTo(place, after) : [];
  return { after, round: end.manifest.round, continues, changed, rejected };
}

/** Which checkpoints of which runs, as the subject of a sentence. */
export const rejectedSubject = (rejected: readonly RejectedRun[]): string =>
  rejected
    .map(
      ({ runId, rounds }) =>
        `${rounds.length === 1 ? "checkpoint" : "checkpoints"} ${rounds.join(", ")} of run ${runId}`,
    )
    .join(" and ");

/** What stands behind "It begins with": in words, for whoever decides and whoever verifies. */
export function runOriginText({ after, round, continues, changed, rejected }: RunOrigin): string {
  const begins = continues
    ? `exactly what run ${after} ended with, its checkpoint ${round}`
    : `PARAMETERS OTHER THAN THOSE THAT RUN ${after} ENDED WITH (its checkpoint ${round}): nothing that the model was trained to is in them`;
  const from =
    rejected.length === 0
      ? begins
      : `${begins}, AND GOES ON FROM ${rejectedSubject(rejected)}, WHICH VALIDATORS REJECTED`;
  return changed.length === 0 ? from : `${from}, and its definition has ANOTHER ${changed.join(", ANOTHER ")}`;
}
