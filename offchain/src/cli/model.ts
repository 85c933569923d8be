/**
 * A model that came by `cotrain checkpoint import` into a directory that holds no run: its blobs, and `model.json`, which names
 * its bundle. Where a directory holds a run, the run's own checkpoints count.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { resolve } from "node:path";

import { asDigest, asRunId, Hash32 } from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";

import { UserError } from "../base/index.ts";
import { commandFor } from "../base/node/index.ts";
import {
  openBlobs,
  openStateDirectory,
  readRunFile,
  readStateFile,
  stateExists,
  writeStateFile,
} from "../service/index.ts";
import type { RunRecord } from "../chain/index.ts";
import { BlobError, type BlobStore, type Model, readModel } from "../storage/index.ts";
import { layout, problemOfFragments } from "../run/index.ts";

const ModelFile = Type.Object({ bundle: Hash32 });
type ModelFile = Static<typeof ModelFile>;

export interface ImportedModel {
  readonly state: string;
  readonly blobs: BlobStore;
  readonly model: Model;
}

/** What is wrong with a model's definition by what the chain has of its run. */
export const problemsOfDefinition = (record: RunRecord, { bundle, definition }: Model): string[] =>
  record.definition === bundle.definition.digest
    ? [problemOfFragments(record, definition)].filter((problem) => problem !== "")
    : ["Its definition is not the one of the run."];

/** Whether a directory holds a run of its own. */
export async function holdsRun(directory: string): Promise<boolean> {
  const state = resolve(directory);
  return stateExists(state) && (await readRunFile(state))?.runId !== undefined;
}

/**
 * The imported model of a directory, undefined where it holds a run of its own or nothing.
 * @throws UserError `STATE_CORRUPTED`; BlobError, FormatError
 */
export async function openImportedModel(directory: string, wanted?: string): Promise<ImportedModel | undefined> {
  const state = resolve(directory);
  if (!stateExists(state) || (await holdsRun(state))) return undefined;
  const remedy = `import the model again with "${commandFor(state, "checkpoint", "import", "FILE")}"`;
  const file: ModelFile | undefined = await readStateFile(layout(state).model, ModelFile, remedy);
  if (!file) return undefined;
  const blobs = await openBlobs(state, wanted);
  return { state, blobs, model: await readModel(blobs, asDigest(file.bundle)) };
}

/**
 * Makes a directory of state for a model, or takes the one that is there, and runs `work` on its blobs; the model that it
 * answers is the directory's from then on.
 * @param wanted where blobs are to be, default in the directory
 * @throws UserError as {@link openStateDirectory}
 */
export async function keepModel(
  directory: string,
  wanted: string | undefined,
  work: (blobs: BlobStore) => Promise<Model>,
): Promise<Model> {
  const fresh = !existsSync(directory);
  const state = await openStateDirectory(directory, { create: true });
  try {
    const model = await work(await openBlobs(state.path, wanted));
    await writeStateFile(layout(state.path).model, ModelFile, { bundle: model.digest });
    return model;
  } catch (error) {
    if (fresh) await rm(state.path, { recursive: true, force: true });
    throw error;
  } finally {
    state.close();
  }
}

/** The error for a checkpoint that was named and of which a blob is not here; any other error as it is. */
export function notKept(directory: string, named: string, error: unknown): unknown {
  if (!(error instanceof BlobError) || error.code !== "BLOB_MISSING") return error;
  const state = resolve(directory);
  return new UserError(
    "CHECKPOINT_UNKNOWN",
    `${state} has no checkpoint ${named}, or not all of it any more: "${commandFor(state, "checkpoint", "list")}" tells which there are, the newest are kept.`,
    { cause: error },
  );
}

/** @throws UserError `CHECKPOINT_UNKNOWN` when another checkpoint is asked for than the one that is there */
export function requireCheckpoint({ state, model }: ImportedModel, named: string | undefined): void {
  const { checkpoint } = model.bundle;
  if (named === undefined || asDigest(named) === checkpoint.digest) return;
  throw new UserError(
    "CHECKPOINT_UNKNOWN",
    `${state} holds an imported model of checkpoint ${checkpoint.digest}, not ${named}: leave --checkpoint out.`,
  );
}

/** @throws UserError `RUN_UNKNOWN` when the model is not of the run that is named */
export function requireModelRun({ state, model }: ImportedModel, named: string | undefined): void {
  const { runId } = model.bundle;
  if (named === undefined || asRunId(named) === runId) return;
  throw new UserError(
    "RUN_UNKNOWN",
    `${state} holds an imported model of run ${runId}, not ${named}: name that run with --run, or another directory with --state.`,
  );
}
