/**
 * θ_r: the parameters that a round starts from. Only the parameters' byte range of each fragment's shard is fetched, and
 * nothing of it is used before it has the digest that the checkpoint's manifest gives.
 */
import {
  type Assignment,
  type CheckpointManifest,
  type Digest,
  MAX_MANIFEST_BYTES,
  type RunId,
} from "@cotrain/sdk/protocol";

import { float32Of, UserError } from "../base/index.ts";
import type { FragmentLayout } from "../diloco/index.ts";
import { parseManifest } from "../storage/index.ts";
import { sha256Chunked } from "./encode.ts";
import type { MemberClient } from "./session.ts";

/** The blobs of one run, asked for as a member asks; what is answered is verified here. */
export type RunBlobs = Pick<MemberClient, "blob" | "blobPart">;

/** Bytes that do not have the digest they were asked for by, or a document that does not fit the run. */
export class ArtefactError extends UserError {
  override readonly name = "ArtefactError";
}

/** θ_r by fragment. */
export interface BaseCheckpoint {
  readonly manifest: CheckpointManifest;
  /** Flat parameters by fragment index, in the fragment's element order. */
  readonly fragments: readonly Float32Array[];
}

export interface BaseOptions {
  readonly runId: RunId;
  readonly layouts: readonly FragmentLayout[];
  /** Digest of the definition's fragment table. */
  readonly table: Digest;
  readonly blobs: RunBlobs;
}

/** Fragments that are fetched at the same time: one is hashed while the next arrives. */
const CONCURRENT = 2;

/**
 * Fetches the base of an assignment.
 * @throws ArtefactError `BLOB_MISMATCH`, `CHECKPOINT_FOREIGN`; FormatError; what the source throws
 */
export async function fetchBase(
  assignment: Pick<Assignment, "round" | "base" | "globalStep">,
  options: BaseOptions,
): Promise<BaseCheckpoint> {
  const base = assignment.base as Digest;
  const bytes = await options.blobs.blob(base, MAX_MANIFEST_BYTES);
  if ((await sha256Chunked(bytes)) !== base) throw mismatch(base);
  const manifest = parseManifest(bytes);
  checkManifest(manifest, assignment, options);
  const fragments: Float32Array[] = [];
  let next = 0;
  const fetchSome = async (): Promise<void> => {
    for (let index = next++; index < manifest.fragments.length; index = next++) {
      fragments[index] = await fetchParameters(manifest.fragments[index]!, options.blobs);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, fetchSome));
  return { manifest, fragments };
}

type Fragment = CheckpointManifest["fragments"][number];

async function fetchParameters({ digest, parameters }: Fragment, source: RunBlobs): Promise<Float32Array> {
  const bytes = await source.blobPart(digest as Digest, parameters.offset, parameters.bytes);
  if (bytes.length !== parameters.bytes || (await sha256Chunked(bytes)) !== parameters.digest) {
    throw mismatch(parameters.digest);
  }
  return float32Of(bytes);
}

function checkManifest(
  manifest: CheckpointManifest,
  assignment: Pick<Assignment, "round" | "base" | "globalStep">,
  options: BaseOptions,
): void {
  const foreign = (what: string): ArtefactError =>
    new ArtefactError(
      "CHECKPOINT_FOREIGN",
      `Checkpoint ${assignment.base} ${what}; the assignment cannot be worked on.`,
    );
  if (manifest.runId !== options.runId) throw foreign(`belongs to run ${manifest.runId}`);
  if (manifest.round !== assignment.round) throw foreign(`is checkpoint ${manifest.round}, not ${assignment.round}`);
  // Where the schedule stands is the run's matter, not that of whoever deals out work.
  if (manifest.step !== assignment.globalStep)
    throw foreign(`is of inner step ${manifest.step}, not ${assignment.globalStep}`);
  if (manifest.table !== options.table) throw foreign("has another fragment table than the run's definition");
  if (manifest.fragments.length !== options.layouts.length) {
    throw foreign(`has ${manifest.fragments.length} fragments where ${options.layouts.length} are due`);
  }
  for (const [i, { index, parameters, bytes }] of manifest.fragments.entries()) {
    const due = (options.layouts[i]?.elements ?? 0) * 4;
    if (index !== i || parameters.bytes !== due || parameters.offset + due > bytes) {
      throw foreign(`describes fragment ${i} as ${parameters.bytes} bytes of parameters where ${due} are due`);
    }
  }
}

function mismatch(digest: string): ArtefactError {
  return new ArtefactError("BLOB_MISMATCH", `What was served as ${digest} does not have that digest: refused.`);
}
