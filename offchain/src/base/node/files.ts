/**
 * Durable writes: a reader sees the old file or the whole new one, and what was reported written survives a power cut.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { errnoOf, RetryableError, UserError } from "../errors.ts";
import type { ByteChunks } from "../readers.ts";

/** Flushes a directory, so that renames in it survive a power cut. A no-op where the system cannot (Windows). */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  await using directory = await open(path, "r");
  await directory.sync();
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

/**
 * Writes a file through a temporary one beside it: write, fsync, rename, fsync of the directory. Missing directories
 * are made. On any failure the target is as it was and the temporary file is gone.
 * @param options.mode permission bits (default 0o666 less umask; keys want 0o600)
 * @throws UserError `PATH_UNWRITABLE`; RetryableError `DISK_FULL`; errors of the stream `data` go through unchanged
 */
export async function writeFileDurable(
  path: string,
  data: Uint8Array | string | ByteChunks,
  options: { mode?: number } = {},
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    makeDirectories(directory);
    {
      await using file = await open(temporary, "wx", options.mode ?? 0o666);
      if (typeof data === "string" || data instanceof Uint8Array) {
        await file.writeFile(data);
      } else {
        for await (const chunk of data) await file.writeFile(chunk);
      }
      await file.sync();
    }
    await rename(temporary, path);
    await syncDirectory(directory);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, error);
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
