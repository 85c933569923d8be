/** What whoever looks at a run, or uses a checkpoint of it, is told of those that validators found not to hold. */
import type { RunId } from "@cotrain/sdk/protocol";

import { type ChainReader, type PostedHead } from "../chain/index.ts";
import { rejectedHeads, blobSourceOf } from "../run/index.ts";
import type { BlobReader } from "../storage/index.ts";

type Head = Pick<PostedHead, "round" | "checkpointDigest">;

/** @param checkpoint digest of the one that is used; all if not said */
export function rejectedLines(rejected: readonly Head[], heads: readonly Head[], checkpoint?: string): string[] {
  const used = heads.findLast(({ checkpointDigest }) => checkpointDigest === checkpoint)?.round ?? Infinity;
  const rounds = rejected.map(({ round }) => round).filter((round) => round <= used);
  if (rounds.length === 0) return [];
  const one = rounds.length === 1;
  return [
    `Validators found that ${one ? "checkpoint" : "checkpoints"} ${rounds.join(", ")} ${one ? "does" : "do"} not hold: what the model was then may be anybody's, and later checkpoints go on from there.`,
  ];
}

/** A run's heads that validators rejected, and the lines about them. */
export async function rejectedOf(reader: ChainReader, blobs: BlobReader, runId: RunId, checkpoint?: string) {
  const [rejected, heads] = await Promise.all([
    rejectedHeads(reader, blobSourceOf(blobs), runId),
    reader.headsSince(runId, 0),
  ]);
  return { rounds: rejected.map(({ round }) => round), lines: rejectedLines(rejected, heads, checkpoint) };
}
