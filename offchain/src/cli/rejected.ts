/** What whoever looks at a run, or uses a checkpoint of it, is told of those that validators found not to hold. */
import type { RunId } from "@cotrain/sdk/protocol";

import { type ChainReader, type PostedHead } from "../chain/index.ts";
import { blobSourceOf, rejectedBefore, rejectedHeads, type RejectedRun, rejectedSubject } from "../run/index.ts";
import type { BlobReader } from "../storage/index.ts";

type Head = Pick<PostedHead, "round" | "checkpointDigest">;

/** Rounds of those that a checkpoint is or goes on from. @param checkpoint digest of the one that is used; all if not said */
function roundsIn(rejected: readonly Head[], heads: readonly Head[], checkpoint?: string): number[] {
  const used = heads.findLast(({ checkpointDigest }) => checkpointDigest === checkpoint)?.round ?? Infinity;
  return rejected.map(({ round }) => round).filter((round) => round <= used);
}

/** @param checkpoint digest of the one that is used; all if not said */
export function rejectedLines(rejected: readonly Head[], heads: readonly Head[], checkpoint?: string): string[] {
  const rounds = roundsIn(rejected, heads, checkpoint);
  if (rounds.length === 0) return [];
  const one = rounds.length === 1;
  return [
    `Validators found that ${one ? "checkpoint" : "checkpoints"} ${rounds.join(", ")} ${one ? "does" : "do"} not hold: what the model was then may be anybody's, and later checkpoints go on from there.`,
  ];
}

/** @param before what validators rejected of the runs that one goes on from */
export const inheritedLines = (before: readonly RejectedRun[]): string[] =>
  before.length === 0
    ? []
    : [
        `Validators rejected ${rejectedSubject(before)}, from which this run goes on: what was put into the model there is still in it.`,
      ];

/**
 * A run's heads that validators rejected, and the lines about them and about those of the runs that it goes on from.
 * @param checkpoint digest of the one that is used, which later ones do not concern; all if not said
 */
export async function rejectedOf(reader: ChainReader, blobs: BlobReader, runId: RunId, checkpoint?: string) {
  const source = blobSourceOf(blobs);
  const [rejected, heads, before] = await Promise.all([
    rejectedHeads(reader, source, runId),
    reader.headsSince(runId, 0),
    rejectedBefore({ reader, blobs: source }, runId),
  ]);
  const lines = [...inheritedLines(before), ...rejectedLines(rejected, heads, checkpoint)];
  return { found: { rejected: roundsIn(rejected, heads, checkpoint), inherited: before }, lines };
}
