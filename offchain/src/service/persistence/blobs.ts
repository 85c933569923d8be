/**
 * Where a directory of state keeps its blobs: in itself, or where it was told to when it began, which `blobs.json` remembers for
 * every command that comes later.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { type Static, Type } from "typebox";

import { redactUrl, UserError } from "../../base/index.ts";
import { schemeOf } from "../../base/node/index.ts";
import type { BlobStore } from "../../storage/index.ts";
import { openBlobStore } from "../../storage/node/index.ts";
import { readStateFile, writeStateFile } from "./stateFile.ts";

const BlobsFile = Type.Object(
  { version: Type.Literal(1), location: Type.String({ minLength: 1, maxLength: 4_096 }) },
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

async function holdsBlobs(place: string): Promise<boolean> {
  for await (const _ of (await openBlobStore(place)).list()) return true;
  return false;
}

/** @throws UserError `SETTING_KEPT`, `LOCATION_INVALID`; RetryableError where what keeps the blobs does not answer */
async function requireUnused(place: string): Promise<void> {
  const another = isUrl(place) ? "store with --blobs, or leave its name out" : "directory with --blobs";
  if (isUrl(place) ? await holdsBlobs(place) : !isEmpty(place))
    throw new UserError(
      "SETTING_KEPT",
      `${shown(place)} is not empty, and blobs are kept for one state alone: name an empty or a new ${another}.`,
    );
}

/** A place for one directory of state alone: where a URL names no store, one is made up. */
export function ownPlace(wanted: string): string {
  const place = normalised(wanted);
  const bare = isUrl(place) && URL.canParse(place) && new URL(place).pathname.length <= 1;
  return bare ? `${place}/${randomBytes(8).toString("hex")}` : place;
}

/** The place other than the directory itself, undefined where there is none. @throws UserError `STATE_CORRUPTED` */
export async function blobsElsewhere(directory: string): Promise<string | undefined> {
  return (await readStateFile(fileOf(directory), BlobsFile))?.location;
}

/**
 * Where a directory of state keeps its blobs. The first that asks for a place of its own choice decides.
 * @param wanted a path or a URL
 * @throws UserError `SETTING_KEPT` for another place than the one in use, or one that something else uses; `STATE_CORRUPTED`;
 *   RetryableError where a store that is named does not answer
 */
export async function blobsLocation(directory: string, wanted?: string): Promise<string> {
  const elsewhere = await blobsElsewhere(directory);
  const used = elsewhere ?? inside(directory);
  const place = wanted === undefined ? used : normalised(wanted);
  if (isSame(place, used)) return used;
  if (elsewhere !== undefined || !isEmpty(used))
    throw new UserError(
      "SETTING_KEPT",
      `${directory} keeps its blobs in ${shown(used)}, not in ${shown(place)}: leave --blobs out (and unset COTRAIN_BLOBS), or name another directory with --state.`,
    );
  const own = ownPlace(place);
  // What names no store is not remembered, nor a password in it.
  if (isUrl(own)) await openBlobStore(own);
  // A name that was made up is nobody else's.
  if (own === place) await requireUnused(own);
  await writeStateFile(fileOf(directory), BlobsFile, { version: 1, location: own });
  return own;
}

/** The store of a directory of state. @throws as {@link blobsLocation} and {@link openBlobStore} */
export async function openBlobs(directory: string, wanted?: string): Promise<BlobStore> {
  return openBlobStore(await blobsLocation(directory, wanted), { scratch: inside(directory) });
}
