/** Checkpoints that validators found not to hold. A run goes on from such a one all the same: whoever uses it must be told. */
import { aggregateRejected, fromWire, type RunId } from "@cotrain/sdk/protocol";

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
 * A run's heads that verdicts under the posted roots reject, as far as these documents are to be had, and that were not rolled back;
 * oldest first.
 * @throws RetryableError `CHAIN_RPC` where the RPC leaves out a root that there must be; what `blobs` throws where it is away
 */
export async function rejectedHeads(
  reader: ChainReader,
  blobs: BlobSource,
  runId: RunId,
  clock: Clock = systemClock,
): Promise<PostedHead[]> {
  const { modelId } = await reader.run(runId);
  const [{ roots, leftOut }, heads] = await Promise.all([
    postedRoots(reader, blobs, modelId, clock),
    reader.headsSince(runId, 0),
  ]);
  for (const root of leftOut) throw new RetryableError("CHAIN_RPC", leftOutSentence(root));
  const rejected = new Set<string>();
  for (const root of roots)
    for (const head of await rejectedUnder(blobs, root).catch(unlessAway([]))) rejected.add(head);
  const rolledBack = rolledBackHeads(heads);
  return heads.filter((head) => rejected.has(head.head) && !rolledBack.has(head));
}
