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

import { RetryableError, UserError } from "../base/index.ts";
import type { ChainReader, PostedHead, RunRecord } from "../chain/index.ts";
import { parseDefinition, parseManifest } from "../storage/index.ts";
import type { BlobSource } from "./ports.ts";
import { standingHeads } from "./standingHeads.ts";

interface RunEndPlace {
  readonly reader: Pick<ChainReader, "run" | "runsOf" | "headsSince" | "epochOf" | "activeRoot">;
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
}

/** The run of a model before a run, or before the one that is to be registered; undefined where there is none. */
async function runBefore({ reader }: RunEndPlace, modelId: ModelId, runId: RunId): Promise<RunId | undefined> {
  const runs = await reader.runsOf(modelId);
  const at = runs.indexOf(runId);
  return at < 0 ? runs.at(-1) : runs[at - 1];
}

/**
 * Whether a run goes on from the checkpoint that the run before it ended with. No contract looks at that.
 * @param definition of the run, as it is registered or is to be
 * @returns undefined for a model's first run
 * @throws what chain and blobs throw
 */
export async function runOriginOf(
  place: RunEndPlace,
  { runId, modelId, definition }: Pick<RunRecord, "runId" | "modelId" | "definition">,
): Promise<RunOrigin | undefined> {
  const after = await runBefore(place, modelId, runId);
  if (after === undefined) return undefined;
  const end = await readRunEnd(place, after);
  const { initialParameters, table } = parseDefinition(await place.blobs.blob(after, definition, MAX_DEFINITION_BYTES));
  const continues = initialParameters === end.parameters && digestOfJson(table) === digestOfJson(end.definition.table);
  return { after, round: end.manifest.round, continues };
}

/** What stands behind "It begins with": in words, for whoever decides and whoever verifies. */
export const runOriginText = ({ after, round, continues }: RunOrigin): string =>
  continues
    ? `exactly what run ${after} ended with, its checkpoint ${round}`
    : `PARAMETERS OTHER THAN THOSE THAT RUN ${after} ENDED WITH (its checkpoint ${round}): nothing that the model was trained to is in them`;
