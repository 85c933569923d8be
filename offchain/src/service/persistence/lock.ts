/**
 * A lock that lives exactly as long as its process: an open exclusive transaction on an SQLite file. The kernel drops it
 * with the process, kill -9 included, so there are no stale lock files and no guessing by pid.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";

import Sqlite from "better-sqlite3";

/** Who holds a lock, as it said when it took it; undefined where it could not say. */
export function holderOf(file: string): number | undefined {
  try {
    const text = readFileSync(`${file}.pid`, "utf8");
    return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** For people alone: what decides is the lock. */
function sayHolder(file: string, pid: number | undefined): void {
  try {
    if (pid === undefined) rmSync(`${file}.pid`, { force: true });
    else writeFileSync(`${file}.pid`, String(pid), { mode: 0o600 });
  } catch {
    // A full disk must not keep a lock from being taken, or given back.
  }
}

/** A lock that is held. */
export interface FileLock {
  readonly file: string;
  /** Lets go; harmless when called again. */
  release(): void;
}

/** Whether somebody holds a lock. It is looked at only where somebody said so: a look may be in the way of who takes it just then. */
export function isHeld(file: string): boolean {
  if (holderOf(file) === undefined) return false;
  let connection: Sqlite.Database | undefined;
  try {
    connection = new Sqlite(file, { timeout: 0, readonly: true, fileMustExist: true });
    connection.prepare("SELECT name FROM sqlite_schema").all();
    return false;
  } catch (error) {
    return error instanceof Sqlite.SqliteError && error.code.startsWith("SQLITE_BUSY");
  } finally {
    connection?.close();
  }
}

// A connection that is garbage-collected closes itself and would drop the lock with it.
const held = new Set<Sqlite.Database>();

/**
 * Takes the lock on `file` (created when missing), or returns undefined when another process, or this one, holds it.
 * Errors of the operating system come out as better-sqlite3's.
 */
export function tryLock(file: string): FileLock | undefined {
  const connection = new Sqlite(file, { timeout: 0 });
  try {
    connection.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    connection.close();
    if (error instanceof Sqlite.SqliteError && error.code.startsWith("SQLITE_BUSY")) return undefined;
    throw error;
  }
  held.add(connection);
  sayHolder(file, process.pid);
  return {
    file,
    release: () => {
      if (!held.delete(connection)) return;
      sayHolder(file, undefined);
      connection.close();
    },
  };
}
