/** Checkpoints that validators found not to hold. A run goes on from such a one all the same: whoever uses it must be told. */
import {
  aggregateRejected,
  asRunId,
  EpochManifest,
  fromWire,
  MAX_MANIFEST_BYTES,
  parseDocument,
  type RunId,
  VerdictsFile,
} from "@cotrain/sdk/protocol";

import { readJson } from "./evidence.ts";
import type { BlobSource, ChainReader, PostedHead, PostedRoot } from "./ports.ts";

/**
 * Heads that the verdicts under one posted root reject, of whichever runs.
 * @throws what `blobs` throws; ProtocolError
 */
export async function rejectedUnder(
  blobs: BlobSource,
  { runId, epochDigest }: Pick<PostedRoot, "runId" | "epochDigest">,
): Promise<string[]> {
  const run = asRunId(runId);
  const manifest = parseDocument(
    "The epoch manifest",
    EpochManifest,
    await readJson(blobs, run, epochDigest, "the epoch manifest", MAX_MANIFEST_BYTES),
  );
  const file = parseDocument(
    "The verdicts",
    VerdictsFile,
    await readJson(blobs, run, manifest.verdicts, "the verdicts"),
  );
  const verdicts = file.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  return [...new Set(verdicts.map(({ head }) => head))].filter((head) => aggregateRejected(head, verdicts));
}

/** A run's heads that verdicts under the posted roots reject, as far as these documents are to be had; oldest first. */
export async function rejectedHeads(reader: ChainReader, blobs: BlobSource, runId: RunId): Promise<PostedHead[]> {
  const { modelId } = await reader.run(runId);
  const [roots, heads] = await Promise.all([reader.rootsOf(modelId), reader.headsSince(runId, 0)]);
  const rejected = new Set<string>();
  for (const root of roots) for (const head of await rejectedUnder(blobs, root).catch(() => [])) rejected.add(head);
  return heads.filter(({ head }) => rejected.has(head));
}
