/**
 * The embedded engine: SQLite in WAL mode, every commit on the disk before it returns. One connection: queries wait for each
 * other, and everything else waits for a transaction.
 */
import { existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

import Sqlite from "better-sqlite3";
import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement } from "kysely";

import { InternalError, RetryableError, UserError } from "../../base/index.ts";
import { freshCommand } from "../../base/node/index.ts";
import type { Database, DatabaseOptions } from "./databaseEngine.ts";
import { createDiskGate, type DiskGate } from "./diskGate.ts";

/** Above this size the check of the whole file at opening takes too long; damage then shows at the first damaged page read. */
const CHECK_BELOW_BYTES = 256 << 20;
/** After the disk was full writing begins again with so much room: a transaction of the usual size. */
const ROOM_TO_RESUME = 512 << 10;
const CACHED_STATEMENTS = 256;

/**
 * Opens a file, creates it when missing.
 * @throws UserError `DATABASE_CORRUPTED`, `PATH_UNWRITABLE`; RetryableError `DISK_FULL`, `DATABASE_BUSY`
 */
export function openSqlite<Schema>(file: string, options: DatabaseOptions): Database<Schema> {
  const typed = (error: unknown): unknown => databaseError(file, error, options.remedy);
  const existed = existsSync(file);
  let connection: Sqlite.Database | undefined;
  try {
    connection = new Sqlite(file, { timeout: options.busyTimeout ?? 5_000 });
    connection.pragma("journal_mode = WAL");
    connection.pragma("synchronous = FULL");
    connection.pragma("foreign_keys = ON");
    // The WAL file shrinks back after a large transaction instead of keeping its greatest size for ever.
    connection.pragma("journal_size_limit = 67108864");
    if (existed && statSync(file).size < CHECK_BELOW_BYTES) {
      const found = connection.pragma("quick_check(1)", { simple: true });
      if (found !== "ok") throw corrupted(file, options.remedy, String(found));
    }
  } catch (error) {
    connection?.close();
    throw typed(error);
  }
  const opened = connection;
  const disk = createDiskGate({
    what: file,
    clock: options.clock,
    logger: options.logger,
    probe: () => {
      const { bavail, bsize } = statfsSync(dirname(file));
      if (bavail * bsize < ROOM_TO_RESUME) throw new RetryableError("DISK_FULL", "There is no room yet.");
      // One page, as it was: where a quota refuses what the filesystem has.
      opened.exec("update schema_migrations set at = at where rowid = 1");
    },
  });
  const kysely = new Kysely<Schema>({ dialect: new SqliteDialect({ database: adapt(opened, disk, typed) }) });
  let closed = false;
  return {
    file,
    kysely,
    disk,
    device: statSync(file).dev,
    transaction: (work) => kysely.transaction().execute(work),
    close: async () => {
      if (closed) return;
      closed = true;
      disk.close();
      await kysely.destroy();
      opened.close();
    },
  };
}

/**
 * better-sqlite3 as Kysely sees it: statements prepared once, transactions that take the write lock at their beginning (a
 * deferred one can fail half-way when another process writes), errors with our types, and no write while the disk is full.
 */
function adapt(connection: Sqlite.Database, disk: DiskGate, typed: (error: unknown) => unknown): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>();
  const guarded = <T>(run: () => T): T => {
    try {
      return run();
    } catch (error) {
      const known = typed(error);
      disk.report(known);
      throw known;
    }
  };
  const prepare = (text: string): SqliteStatement => {
    const statement = guarded(() => connection.prepare(text === "begin" ? "begin immediate" : text));
    const ends = text === "commit" || text === "rollback";
    const writes = text === "begin" || (!ends && !statement.readonly);
    const perform = <T>(run: () => T): T => {
      // SQLite has rolled back by itself after some failures; a second rollback's error would hide the first.
      if (text === "rollback" && !connection.inTransaction) return { changes: 0, lastInsertRowid: 0 } as T;
      if (writes) disk.check();
      const result = guarded(run);
      if (text === "commit") disk.wrote();
      return result;
    };
    return {
      reader: statement.reader,
      all: (parameters) => perform(() => statement.all(...parameters)),
      run: (parameters) => perform(() => statement.run(...parameters)),
      iterate: (parameters) => perform(() => statement.iterate(...parameters)),
    };
  };
  return {
    close: () => undefined,
    prepare: (text) => {
      const cached = statements.get(text);
      if (cached) return cached;
      const wrapped = prepare(text);
      if (statements.size >= CACHED_STATEMENTS) {
        const [oldest] = statements.keys();
        if (oldest !== undefined) statements.delete(oldest);
      }
      statements.set(text, wrapped);
      return wrapped;
    },
  };
}

function corrupted(file: string, remedy: string | undefined, detail: string, cause?: unknown): UserError {
  return new UserError(
    "DATABASE_CORRUPTED",
    `${file} is damaged (${detail.split("\n")[0]}): ${remedy ?? `put the state aside and start anew with "${freshCommand(file)}"`}.`,
    cause === undefined ? {} : { cause },
  );
}

/** The typed error for what SQLite reported of `file`; anything else is returned as it is. */
function databaseError(file: string, error: unknown, remedy?: string): unknown {
  if (error instanceof TypeError && error.message.includes("directory does not exist")) {
    return new UserError("PATH_UNWRITABLE", `${file} cannot be opened: its directory does not exist.`, {
      cause: error,
    });
  }
  if (!(error instanceof Sqlite.SqliteError)) return error;
  const code = error.code;
  if (code.startsWith("SQLITE_NOTADB") || code.startsWith("SQLITE_CORRUPT")) {
    return corrupted(file, remedy, error.message, error);
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new RetryableError("DATABASE_BUSY", `${file} is being written by another process: try again.`, {
      cause: error,
    });
  }
  // The second: the index of the log of writes could not grow.
  if (code.startsWith("SQLITE_FULL") || code === "SQLITE_IOERR_SHMSIZE") {
    return new RetryableError("DISK_FULL", `${file} cannot be written: the disk is full.`, { cause: error });
  }
  if (code.startsWith("SQLITE_IOERR")) {
    return new RetryableError(
      "DATABASE_IO",
      `${file} could not be read or written (${code}): check the disk, then try again.`,
      {
        cause: error,
      },
    );
  }
  if (code.startsWith("SQLITE_READONLY") || code.startsWith("SQLITE_CANTOPEN") || code.startsWith("SQLITE_PERM")) {
    return new UserError("PATH_UNWRITABLE", `${file} cannot be opened for writing by this user.`, { cause: error });
  }
  return new InternalError("DATABASE_QUERY", `A query on ${file} failed: ${error.message} (${code}).`, {
    cause: error,
  });
}
