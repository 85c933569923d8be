/** The roots that were posted for a model: who reads what validators signed must know that none is left out. */
import type { EpochManifest, ModelId } from "@cotrain/sdk/protocol";

import { type Clock, RetryableError, systemClock } from "../base/index.ts";
import type { ChainReader, PostedRoot } from "../chain/index.ts";
import { unlessAway } from "./away.ts";
import { epochManifestOf } from "./epochDocuments.ts";
import type { BlobSource } from "./ports.ts";

export const leftOutSentence = (root: string): string =>
  `The chain's RPC leaves out the posting of the root ${root}, which there must be.`;

/** For so long a node may be behind the one beside it that told of a root. */
const LAG_MS = 3_000;

/**
 * All roots that were posted, oldest first. There must be those that the contract names, pending and active, and before each the
 * one that its manifest names, as far as manifests are to be had: all are read anew, after a pause, where one is not there. One
 * that was posted and never became active is named by nobody; what waits for confirmations is not there yet.
 * @returns `leftOut`: roots that are not there all the same, a pending one by the hash of its attestation
 * @throws as `ChainReader`; what `blobs` throws where it is away, since who is away for a manifest may hide what that names
 */
export async function postedRoots(
  reader: ChainReader,
  blobs: BlobSource,
  modelId: ModelId,
  clock: Clock = systemClock,
): Promise<{ readonly roots: readonly PostedRoot[]; readonly leftOut: readonly string[] }> {
  /** By epoch digest, the digest and the root before it. */
  const links = new Map<string, Pick<EpochManifest, "previous" | "previousRoot"> | undefined>();
  const before = async (posted: PostedRoot) => {
    if (!links.has(posted.epochDigest)) {
      const manifest = await epochManifestOf(blobs, posted.runId, posted.epochDigest).catch(unlessAway(undefined));
      links.set(posted.epochDigest, manifest && { previous: manifest.previous, previousRoot: manifest.previousRoot });
    }
    return links.get(posted.epochDigest);
  };
  /** The contract names it by the hash of what was signed: whoever leaves out the posting leaves out the rest. */
  const pending = async (leftOut: Set<string>) => {
    try {
      return await reader.pendingRoot(modelId);
    } catch (error) {
      const digest = error instanceof RetryableError ? error.details?.["digest"] : undefined;
      if (typeof digest !== "string") throw error;
      leftOut.add(digest);
      return undefined;
    }
  };
  const look = async () => {
    const leftOut = new Set<string>();
    const named = reader.confirmations > 0 ? [] : [await pending(leftOut), await reader.activeRoot(modelId)];
    const roots = await reader.rootsOf(modelId);
    const digests = new Set<string>(roots.map(({ epochDigest }) => epochDigest));
    for (const each of named)
      if (each && !roots.some(({ root, epoch }) => root === each.root && epoch === each.epoch)) leftOut.add(each.root);
    for (const posted of roots) {
      const link = await before(posted);
      if (link?.previous != null && !digests.has(link.previous)) leftOut.add(link.previousRoot);
    }
    return { roots, leftOut: [...leftOut] };
  };
  const first = await look();
  if (first.leftOut.length === 0) return first;
  await clock.sleep(LAG_MS);
  reader.forget(modelId);
  return look();
}
