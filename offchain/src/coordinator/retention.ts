/**
 * Deletes what no row of retentionRules.ts keeps, so that the disk is bounded and what is served how long is announced. The runs
 * of a database share a store: what several of them have goes with the last that needs it.
 */
import { asDigest, type Digest } from "@cotrain/sdk/protocol";

import { readManifest } from "../storage/index.ts";
import { firstOpenRound } from "./openRound.ts";
import { payloadsFrom, releasedCheckpoints, type RetentionFacts, type StoredCheckpoint } from "./retentionRules.ts";
import type { Run } from "./run.ts";

async function factsOf(run: Run): Promise<RetentionFacts> {
  const { payloads } = run.retention;
  const settled = await run.projections.settledFor(payloads);
  const { state } = run.driver;
  return { open: firstOpenRound(state), settled, newest: state.checkpoint.round };
}

/** The first round whose payloads, and the checkpoints before and after it, are kept. */
export const keptFrom = async (run: Run): Promise<number> => payloadsFrom(await factsOf(run));

/** Deletes what is not needed any more. Safe to be interrupted at any point and to be run again. */
export async function release(run: Run): Promise<void> {
  const facts = await factsOf(run);
  await releasePayloads(run, payloadsFrom(facts));
  await releaseShards(run, facts);
}

/**
 * Deletes uploads that nothing names. The blobs go first: on a disk that is full they make the room in which to write that they
 * are gone.
 */
export async function releaseUnnamed({ projections, arriving, builds, modules: { blobs } }: Run): Promise<void> {
  const gone: Digest[] = [];
  for (const digest of await projections.unnamed()) {
    const named = await projections.isNamed(digest);
    // What is being sent again is looked at once that is over.
    if (arriving.has(digest)) continue;
    if (!named && !builds.needs(digest)) await arriving.remove(digest, () => blobs.delete(digest));
    gone.push(digest);
  }
  await projections.forgetUnnamed(gone);
}

async function releasePayloads(
  { projections, arriving, builds, modules: { blobs } }: Run,
  needed: number,
): Promise<void> {
  for (const digest of await projections.payloadsBefore(needed)) {
    if (builds.needs(digest)) continue;
    await arriving.remove(digest, () => blobs.delete(digest));
  }
  await projections.forgetPayloadsBefore(needed);
}

async function releaseShards(run: Run, facts: RetentionFacts): Promise<void> {
  const { blobs } = run.modules;
  const shardsOf = async (digest: Digest): Promise<StoredCheckpoint["shards"]> => {
    const { fragments } = await readManifest(blobs, digest);
    return fragments.map((fragment) => ({ digest: asDigest(fragment.digest), bytes: fragment.bytes }));
  };
  const stored: StoredCheckpoint[] = [];
  for (const { round, digest } of (await run.projections.unpruned()).toReversed())
    stored.push({ round, shards: await shardsOf(digest) });
  const { released, kept } = releasedCheckpoints(stored, facts, run.retention);
  if (released.length === 0) return;
  const ofOthers = new Set<Digest>();
  for (const digest of await run.projections.unprunedOfOthers())
    for (const shard of await shardsOf(digest)) ofOthers.add(shard.digest);
  for (const { shards } of released) {
    for (const { digest } of shards) {
      // As a payload of a round it goes with that.
      const needed = kept.has(digest) || ofOthers.has(digest) || (await run.projections.hasPayload(digest));
      if (!needed) await blobs.delete(digest);
    }
  }
  await run.projections.markPruned(released.map(({ round }) => round));
}
