/** Whether the disk, or the place for blobs, holds what a new run needs, and what is said when it is full all the same. */
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";

import { errnoOf, RetryableError, UserError, formatBytes } from "../base/index.ts";
import { parameterCount, presetOf } from "../engine/index.ts";
import { schemeOf } from "../base/node/index.ts";
import { ownPlace } from "../service/index.ts";
import { openBlobStore } from "../storage/node/index.ts";

/** Chain, logs, databases and data beside the checkpoints. */
const BESIDE_BYTES = 128 << 20;
/** Of a parameter in a checkpoint: it and its outer momentum, fp32. */
const CHECKPOINT_BYTES = 8;
/** Checkpoints that stay in any case, unless said otherwise, and those that are being made and read. */
const CHECKPOINTS = 8;
const UNDER_WAY = 4;

/**
 * Bytes without which a run of this preset does not come far. Who keeps more checkpoints than usual may stop before there are so
 * many: only fewer count.
 */
export const diskFor = (preset: string, keepCheckpoints = CHECKPOINTS): number =>
  BESIDE_BYTES +
  parameterCount(presetOf(preset).model) * CHECKPOINT_BYTES * (Math.min(keepCheckpoints, CHECKPOINTS) + UNDER_WAY);

/** Free bytes where a directory is, or will be; what has no blocks is no disk (/proc), and whether it takes files is said elsewhere. */
export async function freeUnder(path: string): Promise<number> {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  const { bavail, blocks, bsize } = await statfs(at);
  return blocks === 0 ? Infinity : bavail * bsize;
}

/** @throws UserError `DISK_SHORT` */
export async function requireDisk(
  place: string,
  needed: number,
  free = freeUnder,
  remedy = "name another directory with --state",
): Promise<void> {
  const there = await free(place);
  if (there >= needed) return;
  throw new UserError(
    "DISK_SHORT",
    `A new run needs about ${formatBytes(needed)} of disk under ${place} and ${formatBytes(there)} are free: make room, or ${remedy}.`,
    { details: { needed, available: there } },
  );
}

/** Bytes that a place for blobs has room for; nothing is made there. */
async function roomAt(place: string): Promise<number> {
  const own = ownPlace(place);
  return schemeOf(own) === undefined ? freeUnder(own) : (await openBlobStore(own)).free();
}

/**
 * @param blobs where the blobs of a new run are to be; undefined for the state itself
 * @throws UserError `DISK_SHORT`, `LOCATION_INVALID`; RetryableError where what keeps them does not answer
 */
export async function requireRoom(state: string, blobs: string | undefined, needed: number): Promise<void> {
  if (blobs === undefined) return requireDisk(state, needed);
  await requireDisk(state, BESIDE_BYTES);
  await requireDisk(blobs, needed - BESIDE_BYTES, roomAt, "name another place with --blobs");
}

/** What an error is whose cause is a full disk; any other as it is. */
export async function diskError(state: string, error: unknown, free = freeUnder): Promise<unknown> {
  let full = false;
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++)
    full ||= ["ENOSPC", "EDQUOT"].includes(errnoOf(at) ?? "") || ("code" in at && at.code === "DISK_FULL");
  if (!full) return error;
  const there = await free(state).catch(() => undefined);
  const room = there === undefined ? "" : ` (${formatBytes(there)} are free under ${state})`;
  return new RetryableError(
    "DISK_FULL",
    `The disk is full${room}: make room and start again; the run goes on where it was.`,
    { cause: error },
  );
}
