/**
 * States that `--fresh` put aside, `<state>.<time>` beside the state, and the one that it left half made: where they are, and how
 * much they hold.
 */
import { type Dirent, existsSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import { errnoOf, UserError } from "../base/index.ts";
import { writeError } from "../base/node/index.ts";
import { clearBlobs, heirOf, isHeirDue, removeStateDirectory } from "../service/index.ts";

export interface PutAside {
  readonly path: string;
  /** When it was put aside, or begun, ISO 8601. */
  readonly since: string;
  readonly bytes: number;
}

const TIME = /^\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z(-\d+)?$/;

const gone = (error: unknown): undefined => {
  if (errnoOf(error) === "ENOENT") return undefined;
  throw error;
};

/** Bytes of all files below; what goes away meanwhile counts nothing, and links are not followed. */
async function sizeOf(directory: string): Promise<number> {
  const entries: Dirent[] = (await readdir(directory, { withFileTypes: true, recursive: true }).catch(gone)) ?? [];
  let bytes = 0;
  for (const entry of entries)
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name)).catch(gone))?.size ?? 0;
  return bytes;
}

/** States that were put aside from `state`, oldest first, and what was left half made. Only what carries the stamp of a state is one. */
export async function findPutAside(state: string): Promise<PutAside[]> {
  const root = resolve(state);
  const names = await readdir(dirname(root)).catch(() => []);
  const found: PutAside[] = [];
  for (const name of names.toSorted((a, b) => (a < b ? -1 : 1))) {
    if (!name.startsWith(`${basename(root)}.`)) continue;
    const time = TIME.exec(name.slice(basename(root).length));
    const path = join(dirname(root), name);
    if (!time || !existsSync(join(path, "VERSION"))) continue;
    const [, year, month, day, hours, minutes, seconds] = time;
    const since = `${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`;
    found.push({ path, since, bytes: await sizeOf(path) });
  }
  const half = await findHalfMade(root);
  return half ? [...found, half] : found;
}

/** The state that was to begin with the wallets of the one that stands still, or of none: not one that the next start takes up. */
async function findHalfMade(root: string): Promise<PutAside | undefined> {
  const path = heirOf(root);
  const stamp = await lstat(join(path, "VERSION")).catch(gone);
  if (!stamp || isHeirDue(root)) return undefined;
  return { path, since: stamp.mtime.toISOString(), bytes: await sizeOf(path) };
}

/** What was left half made may be what the next start takes up by now. @returns whether it is gone */
async function removeHalfMade(path: string, present: string): Promise<boolean> {
  try {
    return await removeStateDirectory(path, () => !isHeirDue(present));
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== "STATE_VERSION" || isHeirDue(present)) throw error;
    // No start of this version made it.
    await rm(path, { recursive: true, force: true });
    return true;
  }
}

/**
 * What it keeps elsewhere goes first, unless the present state keeps its blobs there too.
 * @returns whether it is gone; false where the next start takes it up
 * @throws UserError `PATH_UNWRITABLE`, `STATE_LOCKED`; RetryableError where that is away
 */
export async function remove({ path }: PutAside, present: string): Promise<boolean> {
  if (path === heirOf(present))
    return removeHalfMade(path, present).catch((error: unknown) => {
      throw writeError(path, error);
    });
  await clearBlobs(path, present);
  await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
    throw writeError(path, error);
  });
  return true;
}
