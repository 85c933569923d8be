/** Where something is kept, as a user names it: a path, or a URL whose scheme says which engine keeps it. */
import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { errnoOf, UserError } from "../errors.ts";
import { redactUrl } from "../redact.ts";

/** The scheme of a URL, with its colon; undefined for a path. One letter is a drive of Windows. */
export const schemeOf = (location: string): string | undefined =>
  /^[a-z][a-z0-9+.-]+:/i.exec(location)?.[0].toLowerCase();

/** Engines by scheme; `file:` has paths too. */
export type EngineTable<Engine> = { readonly "file:": Engine } & Readonly<Record<string, Engine>>;

/**
 * The engine of a location, and where it keeps: a path for `file:`, else the URL.
 * @param what is kept, for the error: `blobs`
 * @throws UserError `LOCATION_INVALID`
 */
export function engineOf<Engine>(
  what: string,
  engines: EngineTable<Engine>,
  location: string,
): { readonly engine: Engine; readonly at: string } {
  const scheme = schemeOf(location);
  if (scheme === undefined) return { engine: engines["file:"], at: location };
  const engine = Object.hasOwn(engines, scheme) ? engines[scheme] : undefined;
  if (engine === undefined || !URL.canParse(location)) {
    const known = Object.keys(engines).map((each) => (each === "file:" ? "file:///DIRECTORY" : `${each}//HOST:PORT`));
    throw new UserError(
      "LOCATION_INVALID",
      `Nothing keeps ${what} at ${redactUrl(location)}: name a path, or a URL such as ${known.join(" or ")}.`,
    );
  }
  if (scheme !== "file:") return { engine, at: location };
  try {
    return { engine, at: fileURLToPath(location) };
  } catch (error) {
    throw new UserError("LOCATION_INVALID", `${location} names no path of this machine.`, { cause: error });
  }
}

/** Where a path leads once links are followed; what is not there yet lies in its directory. Undefined for a link that leads nowhere. */
function realPlaceOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || lstatSync(path, { throwIfNoEntry: false }) !== undefined) return undefined;
    const parent = realPlaceOf(dirname(path));
    return parent === undefined ? undefined : join(parent, basename(path));
  }
}

const isWithin = (directory: string, path: string): boolean => {
  const from = relative(directory, path);
  return !isAbsolute(from) && from.split(sep)[0] !== "..";
};

/**
 * The path of what somebody else names as lying in a directory of ours.
 * @returns undefined where it leads out of that: an absolute path, one with `..` that leaves, or a link that does
 */
export function pathWithin(directory: string, name: string): string | undefined {
  const path = resolve(directory, name);
  if (isAbsolute(name) || !isWithin(resolve(directory), path)) return undefined;
  const [root, real] = [realPlaceOf(resolve(directory)), realPlaceOf(path)];
  return root !== undefined && real !== undefined && isWithin(root, real) ? path : undefined;
}
