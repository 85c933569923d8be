/**
 * What is given up while the disk of the log is full. What a root that became active would free waits for an event that cannot be
 * written, and would wait for a hand: so the open round's uploads go that no receipt names. Their senders are told that they are
 * missing when they send the receipt, and send them once more. What is acknowledged stays.
 */
import type { Digest } from "@cotrain/sdk/protocol";

import { isCollecting } from "./machine/dealing.ts";
import { noteLost } from "./payloads.ts";
import type { Run } from "./run.ts";
import { namedBy, uploadsOf } from "./unnamed.ts";

/** Uploads of a round, while it is open, that no receipt names. */
function unacknowledged({ driver, lost }: Run, round: number): Set<Digest> {
  const { current } = driver.state;
  if (current?.round !== round || !isCollecting(current)) return new Set();
  const all = Object.values(current.work);
  const acknowledged = new Set(all.filter(({ receipt }) => receipt).flatMap(namedBy));
  return new Set(all.flatMap(uploadsOf).filter((digest) => !acknowledged.has(digest) && !lost.has(digest)));
}

/** Whether a blob is there as an upload of the open round, and as nothing else. */
async function isOpenAlone({ projections }: Run, digest: Digest, round: number): Promise<boolean> {
  if (!(await projections.hasPayload(digest)) || (await projections.hasEarlierPayload(digest, round))) return false;
  // Last: what is made meanwhile is noted first.
  return !(await projections.hasShard(digest));
}

/** Deletes them until there is room, but for what is on its way now. */
export async function giveUpUploads(run: Run): Promise<void> {
  const { round } = run.driver.state;
  const { database, blobs, logger } = run.modules;
  let given = 0;
  for (const digest of unacknowledged(run, round)) {
    const alone = await isOpenAlone(run, digest, round);
    // From here to the deletion in one turn: meanwhile there may be room, and receipts may have been acknowledged.
    if (database.disk.full === undefined) break;
    if (!alone || run.arriving.has(digest) || run.builds.needs(digest)) continue;
    if (!unacknowledged(run, round).has(digest)) continue;
    noteLost(run, digest);
    run.scans.forget(digest);
    await run.arriving.remove(digest, () => blobs.delete(digest));
    given += 1;
  }
  if (given > 0)
    logger.warn({ uploads: given }, "the disk is full: uploads without a receipt were given up to make room");
}
