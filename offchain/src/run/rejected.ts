/** Checkpoints that validators found not to hold. A run goes on from such a one all the same: whoever uses it must be told. */
import { aggregateRejected, fromWire, type ModelId, type RunId } from "@cotrain/sdk/protocol";

import { type Clock, RetryableError, systemClock } from "../base/index.ts";
import type { ChainReader, PostedHead, PostedRoot } from "../chain/index.ts";
import { unlessAway } from "./away.ts";
import { epochManifestOf, epochVerdictsOf } from "./epochDocuments.ts";
import type { BlobSource } from "./ports.ts";
import { leftOutSentence, postedRoots } from "./roots.ts";
import { rolledBackHeads } from "./standingHeads.ts";

/**
 * Heads that the verdicts under one posted root reject, of whichever runs.
 * @throws what `blobs` throws; ProtocolError
 */
export async function rejectedUnder(
  blobs: BlobSource,
  posted: Pick<PostedRoot, "runId" | "epochDigest">,
): Promise<string[]> {
  const { runId, epochDigest } = posted;
  const file = await epochVerdictsOf(blobs, runId, await epochManifestOf(blobs, runId, epochDigest));
  const verdicts = file.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  return [...new Set(verdicts.map(({ head }) => head))].filter((head) => aggregateRejected(head, verdicts));
}

/**
 * Heads that verdicts under a model's posted roots reject, of all its runs, as far as these documents are to be had.
 * @throws RetryableError `CHAIN_RPC` where the RPC leaves out a root that there must be; what `blobs` throws where it is away
 */
export async function rejectedOfModel(
  reader: ChainReader,
  blobs: BlobSource,
  modelId: ModelId,
  clock: Clock = systemClock,
): Promise<ReadonlySet<string>> {
  const { roots, leftOut } = await postedRoots(reader, blobs, modelId, clock);
  for (const root of leftOut) throw new RetryableError("CHAIN_RPC", leftOutSentence(root));
  const rejected = new Set<string>();
  for (const root of roots)
    for (const head of await rejectedUnder(blobs, root).catch(unlessAway([]))) rejected.add(head);
  return rejected;
}

/** Those of a run's heads that are among the rejected and were not rolled back, oldest first. */
export function rejectedAmong(heads: readonly PostedHead[], rejected: ReadonlySet<string>): PostedHead[] {
  const rolledBack = rolledBackHeads(heads);
  return heads.filter((head) => rejected.has(head.head) && !rolledBack.has(head));
}

/**
 * A run's heads that verdicts reject, and that were not rolled back; oldest first.
 * @throws as {@link rejectedOfModel}
 */
export async function rejectedHeads(
  reader: ChainReader,
  blobs: BlobSource,
  runId: RunId,
  clock: Clock = systemClock,
): Promise<PostedHead[]> {
  const { modelId } = await reader.run(runId);
  const [rejected, heads] = await Promise.all([
    rejectedOfModel(reader, blobs, modelId, clock),
    reader.headsSince(runId, 0),
  ]);
  return rejectedAmong(heads, rejected);
}
