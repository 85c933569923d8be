/**
 * The state directory (`.cotrain`): created private, stamped with a version, locked by whoever owns it, put aside whole.
 * `up` holds the tree's own lock; each coordinator, validator and worker has a sub-directory with a lock of its own.
 */
import { existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import Sqlite from "better-sqlite3";

import { type Clock, errnoOf, RetryableError, systemClock, UserError } from "../../base/index.ts";
import {
  freshCommand,
  makeDirectories,
  readFileBounded,
  startCommand,
  stateOf,
  writeError,
  writeFileDurable,
} from "../../base/node/index.ts";
import { type FileLock, holderOf, isHeld, tryLock } from "./lock.ts";

/** Version of everything under a state directory; state of any other version is refused, never reinterpreted. */
export const STATE_VERSION = 9;

const VERSION_FILE = "VERSION";
/** Its wallets are in no commit, wherever the directory lies: git passes over what a `.gitignore` of its own names. */
const IGNORE_FILE = ".gitignore";
const LOCK_FILE = "lock.sqlite";
const MAX_VERSION_BYTES = 64;

/** A directory of state that this process owns until {@link StateDirectory.close}. */
export interface StateDirectory {
  /** Absolute path. */
  readonly path: string;
  readonly version: number;
  /** Absolute path of something inside. */
  resolve(...parts: string[]): string;
  /** Gives the lock back; harmless when called again. */
  close(): void;
}

export interface StateOptions {
  /** Make the directory when it is missing; without it a missing one is an error. */
  readonly create?: boolean;
  readonly clock?: Clock;
  /** How long to wait for a lock that another process holds, in ms; default 0. */
  readonly lockWait?: number;
}

/**
 * Opens a state directory and locks it for the lifetime of this process.
 * @throws UserError `STATE_MISSING`, `STATE_LOCKED`, `STATE_VERSION`, `STATE_FOREIGN`, `PATH_UNWRITABLE`;
 *   RetryableError `DISK_FULL`
 */
export async function openStateDirectory(path: string, options: StateOptions = {}): Promise<StateDirectory> {
  const root = resolve(path);
  const fresh = await prepare(root, options.create ?? false);
  const lock = await waitForLock(root, options);
  try {
    // Only who holds the lock writes the stamp, and what was read before the lock may be out of date by now.
    if (fresh && (await readVersion(root)) === undefined) {
      await writeFileDurable(join(root, VERSION_FILE), `${STATE_VERSION}\n`);
    }
    // Whoever only looks, or makes room on a full disk, writes nothing.
    if (options.create) await hideFromGit(stateOf(root));
  } catch (error) {
    lock.release();
    throw error;
  }
  return {
    path: root,
    version: STATE_VERSION,
    resolve: (...parts) => join(root, ...parts),
    close: () => lock.release(),
  };
}

/**
 * Opens the sub-directory of one role (`coordinator`, `worker-1`, …) under the tree's root. The root's version is checked
 * and stamped but not locked, since `up` may hold it. Waits 5 s for the lock by default: a predecessor that was told to end,
 * or whose supervisor was killed, may still be ending.
 * @throws as {@link openStateDirectory}
 */
export async function openRoleDirectory(
  root: string,
  role: string,
  options: StateOptions = {},
): Promise<StateDirectory> {
  const tree = resolve(root);
  const fresh = await prepare(tree, options.create ?? false);
  if (fresh && (await readVersion(tree)) === undefined) {
    await writeFileDurable(join(tree, VERSION_FILE), `${STATE_VERSION}\n`);
  }
  return openStateDirectory(join(tree, role), { lockWait: 5_000, ...options });
}

/** Whatever there is of that name stays: somebody wrote it. */
async function hideFromGit(root: string): Promise<void> {
  const file = join(root, IGNORE_FILE);
  if (!existsSync(file)) await writeFileDurable(file, "*\n");
}

/** Whether there is state at `path` that {@link openStateDirectory} could open or would refuse by version. */
export function stateExists(path: string): boolean {
  return existsSync(join(path, VERSION_FILE));
}

/** Whether a process has the state at `path` to itself now. */
export const stateInUse = (path: string): boolean => isHeld(join(path, LOCK_FILE));

/**
 * Puts a state directory aside for `--fresh`: `<path>` becomes `<path>.<time>` (UTC, as 20261124T154100Z). State of every
 * version can be put aside; state in use cannot.
 * @param before what is to be done first, once nobody else can use it; where it fails, the state stays
 * @returns where it is now, or undefined when there was none
 * @throws UserError `STATE_LOCKED`, `STATE_FOREIGN`, `PATH_UNWRITABLE`; what `before` throws
 */
export async function archiveStateDirectory(
  path: string,
  clock: Clock = systemClock,
  before: () => Promise<void> = async () => undefined,
): Promise<string | undefined> {
  const root = resolve(path);
  const entries = await listOwn(root);
  // Somebody else put it aside since: what comes in its place meanwhile is not what was listed.
  if (entries === undefined || (entries.includes(LOCK_FILE) && !existsSync(join(root, LOCK_FILE)))) return undefined;
  const locks: FileLock[] = [];
  try {
    for (const directory of ["", ...entries]) {
      if (!existsSync(join(root, directory, LOCK_FILE))) continue;
      // Whoever holds the tree's own lock means to stay; a role may just be ending after its supervisor was killed.
      locks.push(await waitForLock(join(root, directory), { clock, lockWait: directory === "" ? 0 : 5_000 }));
    }
    await before();
    // Windows moves no directory with open files in it; elsewhere the locks are kept until it is out of the way.
    if (process.platform === "win32") for (const lock of locks) lock.release();
    const time = `${new Date(clock.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
    let target = `${root}.${time}`;
    for (let n = 2; existsSync(target); n++) target = `${root}.${time}-${n}`;
    await rename(root, target);
    return target;
  } catch (error) {
    throw writeError(root, error);
  } finally {
    for (const lock of locks) lock.release();
  }
}

const whole = { recursive: true, force: true } as const;

/**
 * Removes a state directory, where there is one. Its stamp goes last: what a process that ends midway leaves can be removed still.
 * @param isLeft asked once nobody else can use it: whether it is to go still
 * @returns whether it is gone
 * @throws as {@link openStateDirectory}
 */
export async function removeStateDirectory(path: string, isLeft: () => boolean = () => true): Promise<boolean> {
  if ((await list(resolve(path))) === undefined) return true;
  const directory = await openStateDirectory(path);
  try {
    if (!isLeft()) return false;
    for (const entry of (await list(directory.path)) ?? [])
      if (entry !== VERSION_FILE && !isOwn(entry)) await rm(directory.resolve(entry), whole);
    // Windows removes no file that is open; elsewhere nobody makes another in its place until it is gone.
    if (process.platform === "win32") directory.close();
    await rm(directory.path, whole);
    return true;
  } finally {
    directory.close();
  }
}

/** Makes or checks the directory. Returns whether it still lacks its stamp. */
async function prepare(root: string, create: boolean): Promise<boolean> {
  let entries = await list(root);
  if (entries === undefined) {
    if (!create) {
      throw new UserError(
        "STATE_MISSING",
        `There is no state at ${root}: run "${startCommand(root)}" first, or name the directory with --state.`,
      );
    }
    try {
      makeDirectories(root, 0o700);
    } catch (error) {
      throw writeError(root, error);
    }
    entries = [];
  }
  if (entries.includes(VERSION_FILE)) {
    await readVersion(root);
    return false;
  }
  if (!entries.every(isOwn)) throw foreign(root);
  return true;
}

/** What this file itself may have left in a directory that was never stamped, when it was killed between two steps. */
function isOwn(entry: string): boolean {
  return entry.startsWith(LOCK_FILE) || entry.startsWith(`.${VERSION_FILE}.`);
}

/** Names in a state of whatever version, or undefined when it does not exist. @throws UserError `STATE_FOREIGN` */
async function listOwn(root: string): Promise<string[] | undefined> {
  const entries = await list(root);
  if (entries && !entries.includes(VERSION_FILE) && !entries.every(isOwn)) throw foreign(root);
  return entries;
}

/** Names in the directory, or undefined when it does not exist. */
async function list(root: string): Promise<string[] | undefined> {
  try {
    return await readdir(root);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    if (errnoOf(error) === "ENOTDIR") {
      throw new UserError(
        "PATH_UNWRITABLE",
        `${root} cannot hold state: it, or something above it, is not a directory.`,
        {
          cause: error,
        },
      );
    }
    throw writeError(root, error);
  }
}

/** The stamped version, undefined when there is no stamp. @throws UserError when it is not the supported one */
async function readVersion(root: string): Promise<number | undefined> {
  const file = join(root, VERSION_FILE);
  if (!existsSync(file)) return undefined;
  const text = new TextDecoder().decode(await readFileBounded(file, MAX_VERSION_BYTES)).trim();
  const found = /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  if (found === STATE_VERSION) return found;
  // A worker's or validator's own state holds its wallet, and is none that "npm start" makes.
  const remedy = existsSync(join(stateOf(root), "run.json"))
    ? `put it aside and start anew with "${freshCommand(root)}"`
    : "move that directory away and begin again";
  throw new UserError(
    "STATE_VERSION",
    `${root} holds state of ${found === undefined ? "an unreadable version" : `version ${found}`}, but this Cotrain supports version ${STATE_VERSION}: ${remedy}.`,
    { details: { path: root, found: found ?? null, supported: STATE_VERSION } },
  );
}

async function waitForLock(root: string, options: StateOptions): Promise<FileLock> {
  const clock = options.clock ?? systemClock;
  const deadline = clock.monotonic() + (options.lockWait ?? 0);
  for (;;) {
    const lock = takeLock(root);
    if (lock) return lock;
    if (clock.monotonic() >= deadline) {
      const pid = holderOf(join(root, LOCK_FILE));
      throw new UserError(
        "STATE_LOCKED",
        `${root} is in use by another Cotrain process${pid === undefined ? "" : ` (pid ${pid})`}: stop that one first, or name another directory with --state.`,
        { details: { path: root } },
      );
    }
    await clock.sleep(50);
  }
}

function takeLock(root: string): FileLock | undefined {
  const file = join(root, LOCK_FILE);
  try {
    return tryLock(file);
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError)) throw error;
    switch (error.code) {
      case "SQLITE_NOTADB":
      case "SQLITE_CORRUPT":
        throw new UserError("STATE_CORRUPTED", `${file} is damaged: delete that one file and try again.`, {
          cause: error,
        });
      case "SQLITE_FULL":
        throw new RetryableError("DISK_FULL", `${file} cannot be written: the disk is full.`, { cause: error });
      default:
        throw new UserError("PATH_UNWRITABLE", `${root} cannot be written by this user.`, { cause: error });
    }
  }
}

function foreign(root: string): UserError {
  return new UserError(
    "STATE_FOREIGN",
    `${root} is not empty and holds no Cotrain state (there is no ${basename(VERSION_FILE)} file in it): name an empty or new directory under ${dirname(root)}.`,
    { details: { path: root } },
  );
}
