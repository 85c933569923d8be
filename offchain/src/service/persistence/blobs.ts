/**
 * Where a directory of state keeps its blobs: in itself, or where it was told to when it began, which `blobs.json` remembers for
 * every command that comes later.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { type Static, Type } from "typebox";

import { redactUrl, UserError } from "../../base/index.ts";
import { schemeOf } from "../../base/node/index.ts";
import type { BlobStore } from "../../storage/index.ts";
import { openBlobStore } from "../../storage/node/index.ts";
import { readStateFile, writeStateFile } from "./stateFile.ts";

const BlobsFile = Type.Object(
  {
    version: Type.Literal(1),
    location: Type.String({ minLength: 1, maxLength: 4_096 }),
    /** Of the state, in a store that others can name. */
    mark: Type.Optional(Type.String({ pattern: "^[0-9a-f]{64}$" })),
    /** Whether the store has that mark since a command before. */
    marked: Type.Optional(Type.Literal(true)),
  },
  { additionalProperties: false },
);
type BlobsFile = Static<typeof BlobsFile>;

const fileOf = (directory: string): string => join(directory, "blobs.json");
const inside = (directory: string): string => join(directory, "blobs");

const isUrl = (location: string): boolean => ![undefined, "file:"].includes(schemeOf(location));

/** One form for what is one place. */
function normalised(location: string): string {
  if (isUrl(location)) return location.replace(/\/+$/, "");
  return resolve(schemeOf(location) === undefined ? location : fileURLToPath(location));
}

const shown = (location: string): string => (isUrl(location) ? redactUrl(location) : location);

/** Whether a place that was asked for is the one that is in use: a URL may leave out the name of the store. */
const isSame = (wanted: string, used: string): boolean =>
  wanted === used || (isUrl(wanted) && used.startsWith(`${wanted}/`) && !used.slice(wanted.length + 1).includes("/"));

const isEmpty = (directory: string): boolean => !existsSync(directory) || readdirSync(directory).length === 0;

async function isUsed(place: string): Promise<boolean> {
  const store = await openBlobStore(place);
  for await (const _ of store.list()) return true;
  return (await store.claims?.isMade()) ?? false;
}

function inUse(place: string): UserError {
  const another = isUrl(place) ? "store with --blobs, or leave its name out" : "directory with --blobs";
  return new UserError(
    "SETTING_KEPT",
    `${shown(place)} is not empty, or another state's, and blobs are kept for one state alone: name an empty or a new ${another}.`,
  );
}

/** @throws UserError `SETTING_KEPT`, `LOCATION_INVALID`; RetryableError where what keeps the blobs does not answer */
async function requireUnused(place: string): Promise<void> {
  if (isUrl(place) ? await isUsed(place) : !isEmpty(place)) throw inUse(place);
}

const newMark = (): string => randomBytes(32).toString("hex");

/** Whether a store is for the state of this mark, who takes it where it is nobody's. */
async function isFor(place: string, mark: string): Promise<boolean> {
  const { claims } = await openBlobStore(place);
  return claims === undefined || claims.make(mark);
}

/** Whether anything says whose a store is; one that is away now is waited for by whoever needs a blob of it. */
async function isMarked(place: string): Promise<boolean> {
  try {
    return (await (await openBlobStore(place)).claims?.isMade()) ?? true;
  } catch {
    return true;
  }
}

/**
 * @throws UserError `SETTING_KEPT` where a store says that it is another state's; `BLOBS_AWAY` where it was this one's and has lost
 *   its mark, as a directory has whose disk is not mounted
 */
async function requireOwn(directory: string, file: BlobsFile): Promise<void> {
  const { location, mark, marked } = file;
  if (mark === undefined) return;
  if (marked && !(await isMarked(location)))
    throw new UserError(
      "BLOBS_AWAY",
      `${shown(location)} is not what this state keeps its blobs in, whose mark is missing there: mount the disk or start the node that has them, or name another directory with --state.`,
    );
  const own = await isFor(location, mark).catch(() => undefined);
  if (own === true && !marked) await writeStateFile(fileOf(directory), BlobsFile, { ...file, marked: true });
  if (own !== false) return;
  throw new UserError(
    "SETTING_KEPT",
    `${shown(location)} is another state's by now, and blobs are kept for one state alone: name another directory with --state.`,
  );
}

/** Remembers a place, once it is this state's alone. @throws UserError `SETTING_KEPT` where another was first */
async function take(directory: string, place: string, isNamed: boolean): Promise<void> {
  const mark = newMark();
  const file: BlobsFile = { version: 1, location: place, mark };
  await writeStateFile(fileOf(directory), BlobsFile, file);
  if (!isNamed) return;
  try {
    if (!(await isFor(place, mark))) throw inUse(place);
    await writeStateFile(fileOf(directory), BlobsFile, { ...file, marked: true });
  } catch (error) {
    await rm(fileOf(directory), { force: true });
    throw error;
  }
}

/**
 * Refuses a place that could not become the one of a directory of state that is about to begin.
 * @throws as {@link blobsLocation}
 */
export async function requirePlace(directory: string, wanted: string): Promise<void> {
  const place = normalised(wanted);
  if (isSame(place, inside(directory))) return;
  const own = ownPlace(place);
  // What names no store is not remembered, nor a password in it.
  if (isUrl(own)) await openBlobStore(own);
  // A name that was made up is nobody else's.
  if (own === place) await requireUnused(own);
}

/** A place for one directory of state alone: where a URL names no store, one is made up. */
export function ownPlace(wanted: string): string {
  const place = normalised(wanted);
  const bare = isUrl(place) && URL.canParse(place) && new URL(place).pathname.length <= 1;
  return bare ? `${place}/${randomBytes(8).toString("hex")}` : place;
}

/**
 * Where a directory of state keeps its blobs. The first that asks for a place of its own choice decides.
 * @param wanted a path or a URL
 * @throws UserError `SETTING_KEPT` for another place than the one in use, or one that something else uses; `BLOBS_AWAY` for
 *   one in use that is not there, but another in its place; `STATE_CORRUPTED`;
 *   RetryableError where a store that is named does not answer
 */
export async function blobsLocation(directory: string, wanted?: string): Promise<string> {
  const kept = await readStateFile(fileOf(directory), BlobsFile);
  const used = kept?.location ?? inside(directory);
  const place = wanted === undefined ? used : normalised(wanted);
  if (isSame(place, used)) {
    if (kept) await requireOwn(directory, kept);
    return used;
  }
  if (kept !== undefined || !isEmpty(used))
    throw new UserError(
      "SETTING_KEPT",
      `${directory} keeps its blobs in ${shown(used)}, not in ${shown(place)}: leave --blobs out (and unset COTRAIN_BLOBS), or name another directory with --state.`,
    );
  await requirePlace(directory, place);
  const own = ownPlace(place);
  await take(directory, own, own === place);
  return own;
}

/**
 * Removes the blobs that a directory of state keeps elsewhere, unless they are the present state's by now.
 * @throws UserError `BLOBS_AWAY` where they are not there, but something else in their place; RetryableError where what keeps them
 *   does not answer
 */
export async function clearBlobs(directory: string, present: string): Promise<void> {
  const [kept, now] = await Promise.all([directory, present].map((each) => readStateFile(fileOf(each), BlobsFile)));
  if (kept === undefined || kept.location === now?.location) return;
  const { marked, ...unmarked } = kept;
  if (marked) {
    if (!(await isMarked(kept.location)))
      throw new UserError(
        "BLOBS_AWAY",
        `${shown(kept.location)} is not what ${directory} keeps its blobs in, whose mark is missing there: mount the disk or start the node that has them, or remove ${directory} by hand, which leaves them where they are.`,
      );
    // The mark goes with the blobs: whoever is cut short in between does not miss it.
    await writeStateFile(fileOf(directory), BlobsFile, unmarked);
  }
  // One store may go by several names, and a directory may be gone, and another state's by now.
  if (!(await isFor(kept.location, kept.mark ?? newMark()))) return;
  await (await openBlobStore(kept.location, { scratch: inside(directory) })).clear();
}

/** The store of a directory of state. @throws as {@link blobsLocation} and {@link openBlobStore} */
export async function openBlobs(directory: string, wanted?: string): Promise<BlobStore> {
  return openBlobStore(await blobsLocation(directory, wanted), { scratch: inside(directory) });
}
