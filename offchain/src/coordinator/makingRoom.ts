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

/** Whether a blob is there as an upload of the open round, and as nothing else. */
async function isOpenAlone({ projections }: Run, digest: Digest, round: number): Promise<boolean> {
  if (!(await projections.hasPayload(digest)) || (await projections.hasShard(digest))) return false;
  return !(await projections.hasEarlierPayload(digest, round));
}

/** Deletes them, but for what is on its way now. */
export async function giveUpUploads(run: Run): Promise<void> {
  const { current } = run.driver.state;
  if (!current || !isCollecting(current)) return;
  const all = Object.values(current.work);
  const acknowledged = new Set(all.filter(({ receipt }) => receipt).flatMap(namedBy));
  const uploads = new Set(
    all.flatMap(uploadsOf).filter((digest) => !acknowledged.has(digest) && !run.lost.has(digest)),
  );
  let given = 0;
  for (const digest of uploads) {
    if (!(await isOpenAlone(run, digest, current.round)) || run.arriving.has(digest)) continue;
    noteLost(run, digest);
    run.scans.forget(digest);
    await run.modules.blobs.delete(digest);
    given += 1;
  }
  if (given > 0)
    run.modules.logger.warn(
      { uploads: given },
      "the disk is full: uploads without a receipt were given up to make room",
    );
}
