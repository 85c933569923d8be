/**
 * Durable writes: a reader sees the old file or the whole new one, and what was reported written survives a power cut.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { type FileHandle, link, lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { errnoOf, RetryableError, UserError } from "../errors.ts";
import type { ByteChunks } from "../readers.ts";

/** Undefined where the system flushes no directories (Windows). */
const openDirectory = async (path: string): Promise<FileHandle | undefined> =>
  process.platform === "win32" ? undefined : open(path, "r");

/** Flushes a directory, so that renames in it survive a power cut. A no-op where the system cannot. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await openDirectory(path);
  await directory?.sync();
}

/**
 * Makes a directory and those above it. Not mkdir's `recursive`: where the system refuses with ENOENT although the parent
 * exists, as /proc does, Node tries for ever.
 * @param mode permission bits of what is made (default 0o777 less umask)
 * @throws UserError `PATH_UNWRITABLE`, or the operating system's error
 */
export function makeDirectories(path: string, mode = 0o777): void {
  if (dirname(path) !== path && !existsSync(dirname(path))) makeDirectories(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    if (errnoOf(error) === "ENOENT") {
      throw new UserError("PATH_UNWRITABLE", `${path} cannot be made: ${dirname(path)} takes no directories.`, {
        cause: error,
      });
    }
    throw error;
  }
}

interface WriteOptions {
  /** Permission bits; default 0o666 less umask, and keys want 0o600. */
  readonly mode?: number;
}

/**
 * Writes a file through a temporary one beside it: write, fsync, rename, fsync of the directory. Missing directories
 * are made. On any failure the temporary file is gone and the target is as it was, unless the last fsync alone failed, as on a
 * disk that breaks: then it is new, and a power cut may bring the old one back.
 * @throws UserError `PATH_UNWRITABLE`; RetryableError `DISK_FULL`; errors of the stream `data` go through unchanged
 */
export async function writeFileDurable(
  path: string,
  data: Uint8Array | string | ByteChunks,
  options: WriteOptions = {},
): Promise<void> {
  await writeThrough(path, data, options, (temporary) => rename(temporary, path));
}

/**
 * Makes a file that is there whole or not at all, and never replaces one: of several that make it at once, one does. On a file
 * system without hard links a process that ends may leave it empty; that one is replaced.
 * @returns whether it was made; false where something is in its place
 * @throws as {@link writeFileDurable}
 */
export async function writeFileOnce(path: string, data: string, options: WriteOptions = {}): Promise<boolean> {
  return writeThrough(path, data, options, async (temporary) => {
    try {
      await link(temporary, path).catch(async (error: unknown) => {
        if (errnoOf(error) === "EEXIST") throw error;
        await placeOnce(temporary, path, options.mode);
      });
      return true;
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return false;
      throw error;
    }
  });
}

/** Nobody needs so long between taking a name and filling it, ms. */
const LEFT_EMPTY_MS = 10_000;

/** On a file system without hard links an empty file takes the name first. @throws EEXIST where the name is taken */
async function placeOnce(temporary: string, path: string, mode?: number): Promise<void> {
  try {
    await (await open(path, "wx", mode)).close();
  } catch (error) {
    if (errnoOf(error) !== "EEXIST" || !(await isLeftEmpty(path, temporary))) throw error;
    return replaceLeft(temporary, path, error);
  }
  await rename(temporary, path);
}

/**
 * Whether a file is left of a process that ended before it could fill it: empty, and older than the temporary file that was just
 * written, by the file system's own clock.
 */
async function isLeftEmpty(path: string, temporary: string): Promise<boolean> {
  const [there, own] = await Promise.all([lstat(path), lstat(temporary)]);
  return there.isFile() && there.size === 0 && own.mtimeMs - there.mtimeMs > LEFT_EMPTY_MS;
}

/** Of several that find such a file one replaces it, and nobody what that one has made: who has the lock looks once more. */
async function replaceLeft(temporary: string, path: string, taken: unknown): Promise<void> {
  const lock = `${path}.making`;
  await (await open(lock, "wx", 0o600)).close();
  try {
    if (!(await isLeftEmpty(path, temporary))) throw taken;
    await rename(temporary, path);
  } finally {
    await rm(lock, { force: true });
  }
}

/** @param place gives the temporary file, which is on the disk by then, its name */
async function writeThrough<T>(
  path: string,
  data: Uint8Array | string | ByteChunks,
  { mode = 0o666 }: WriteOptions,
  place: (temporary: string) => Promise<T>,
): Promise<T> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    makeDirectories(directory);
    {
      await using file = await open(temporary, "wx", mode);
      if (typeof data === "string" || data instanceof Uint8Array) {
        await file.writeFile(data);
      } else {
        for await (const chunk of data) await file.writeFile(chunk);
      }
      await file.sync();
    }
    // Opened before anything takes the place of what is there: who cannot flush it changes nothing.
    await using opened = await openDirectory(directory);
    const placed = await place(temporary);
    await opened?.sync();
    return placed;
  } catch (error) {
    throw writeError(path, error);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

/** The typed error for a failed write to `path`; anything that is not the operating system's is returned as it is. */
export function writeError(path: string, error: unknown): unknown {
  switch (errnoOf(error)) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new UserError("PATH_UNWRITABLE", `${path} cannot be written by this user.`, { cause: error });
    case "ENOENT":
      return new UserError(
        "PATH_UNWRITABLE",
        `${path} cannot be written: ${dirname(path)} is not there or takes no files.`,
        { cause: error },
      );
    case "ENAMETOOLONG":
    case "ELOOP":
    case "EINVAL":
      return new UserError("PATH_UNWRITABLE", `${path} cannot be written: the system takes no such path.`, {
        cause: error,
      });
    case "ENOTDIR":
    case "EEXIST":
    case "ENOTEMPTY":
    case "EISDIR":
      return new UserError("PATH_UNWRITABLE", `${path} cannot be written: something else is in its place.`, {
        cause: error,
      });
    case "ENOSPC":
    case "EDQUOT":
      return new RetryableError("DISK_FULL", `${path} cannot be written: the disk is full.`, { cause: error });
    default:
      return error;
  }
}
