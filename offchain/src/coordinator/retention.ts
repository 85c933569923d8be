/**
 * Bounded disk, and an announced schedule of what is served how long: payloads go some time after their epoch's root became
 * active, shards of old checkpoints when the newest ones, checkpoint 0 and all that is needed to recompute a round whose
 * payloads are there fill more than their share. Manifests and receipts stay: they are small, and `verify` walks them.
 * The runs of a database share a store: what several of them have goes with the last that needs it.
 */
import { asDigest, type Digest } from "@cotrain/sdk/protocol";

import { readManifest } from "../storage/index.ts";
import { firstOpenRound } from "./projections.ts";
import type { Run } from "./run.ts";

export interface RetentionOptions {
  /** How long payloads stay after the root that pays for them became active, ms. */
  readonly payloads: number;
  /** Bytes of shards kept beyond those that must stay. */
  readonly checkpointBytes: number;
  /** Newest checkpoints that always stay. */
  readonly checkpoints: number;
}

/** A root becomes active when its window to dispute it is over: so long payloads stay in any case. */
export const defaultRetention: RetentionOptions = { payloads: 0, checkpointBytes: 2 ** 31, checkpoints: 8 };

/** The first round whose payloads, and the checkpoints before and after it, are kept. */
export async function keptFrom(run: Run): Promise<number> {
  const { payloads } = run.retention;
  const settled = await run.projections.settledFor(payloads);
  return Math.min(settled, firstOpenRound(run.driver.state));
}

/** Deletes what is not needed any more. Safe to be interrupted at any point and to be run again. */
export async function release(run: Run): Promise<void> {
  const needed = await keptFrom(run);
  await releasePayloads(run, needed);
  await releaseShards(run, needed, run.retention);
}

async function releasePayloads(run: Run, needed: number): Promise<void> {
  for (const digest of await run.projections.payloadsBefore(needed)) await run.modules.blobs.delete(digest);
  await run.projections.forgetPayloadsBefore(needed);
}

async function releaseShards(run: Run, needed: number, options: RetentionOptions): Promise<void> {
  const { blobs } = run.modules;
  const rows = await run.projections.unpruned();
  const newest = run.driver.state.checkpoint.round;
  const sizes = new Map<Digest, number>();
  const shardsOf = async (digest: Digest): Promise<Digest[]> => {
    const manifest = await readManifest(blobs, digest);
    for (const fragment of manifest.fragments) sizes.set(asDigest(fragment.digest), fragment.bytes);
    return manifest.fragments.map((fragment) => asDigest(fragment.digest));
  };
  // Equal shards of different checkpoints are one blob: it goes with the last that holds it.
  const kept = new Set<Digest>();
  const removable: { round: number; shards: Digest[] }[] = [];
  let bytes = 0;
  for (const row of rows.toReversed()) {
    const shards = await shardsOf(row.digest);
    const must = row.round === 0 || row.round > newest - options.checkpoints || row.round >= needed;
    const fresh = shards
      .filter((digest) => !kept.has(digest))
      .reduce((sum, digest) => sum + (sizes.get(digest) ?? 0), 0);
    if (must || bytes + fresh <= options.checkpointBytes) {
      for (const digest of shards) kept.add(digest);
      if (!must) bytes += fresh;
    } else removable.push({ round: row.round, shards });
  }
  if (removable.length === 0) return;
  for (const digest of await run.projections.unprunedOfOthers())
    for (const shard of await shardsOf(digest)) kept.add(shard);
  for (const { shards } of removable) {
    for (const digest of shards) if (!kept.has(digest)) await blobs.delete(digest);
  }
  await run.projections.markPruned(removable.map(({ round }) => round));
}
