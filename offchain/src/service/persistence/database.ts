/**
 * The door to databases: a path or a URL, whose scheme names the engine, is all that callers know of one; they query through
 * Kysely. Another engine is a row here and a file of its own.
 */
import type { Kysely, Transaction } from "kysely";

import { InternalError, UserError } from "../../base/index.ts";
import { engineOf, type EngineTable, freshCommand } from "../../base/node/index.ts";
import type { Database, DatabaseEngine, DatabaseOptions } from "./databaseEngine.ts";

const engines: EngineTable<DatabaseEngine> = {
  "file:": async (at, options) => (await import("./sqlite.ts")).openSqlite(at, options),
};

/** One step of a schema. Names are unique over all that share a database and never change once released. */
export interface Migration {
  /** `<concern>-<number>`, e.g. `events-1`. */
  readonly name: string;
  /** Runs inside a transaction together with the note that it ran. */
  readonly up: (db: Kysely<unknown>) => Promise<void>;
}

/** A Kysely or a transaction on it: what functions take that work in either. */
export type Queryable<Schema> = Kysely<Schema> | Transaction<Schema>;

/**
 * Opens a database, creates it when missing, and brings its schema up to date.
 * @param location a path, or a URL of an engine
 * @throws UserError `DATABASE_CORRUPTED`, `DATABASE_NEWER`, `PATH_UNWRITABLE`, `LOCATION_INVALID`; RetryableError `DISK_FULL`,
 *   `DATABASE_BUSY`
 */
export async function openDatabase<Schema>(
  location: string,
  migrations: readonly Migration[],
  options: DatabaseOptions = {},
): Promise<Database<Schema>> {
  const { engine, at } = engineOf("a database", engines, location);
  const database = await engine<Schema>(at, options);
  try {
    await migrate(database, migrations, options.remedy);
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

/** Applies what is missing, in order, each in a transaction of its own: SQLite's DDL is transactional. */
async function migrate<Schema>(
  database: Database<Schema>,
  migrations: readonly Migration[],
  remedy = `put the state aside with "${freshCommand(database.file)}"`,
): Promise<void> {
  const names = migrations.map((migration) => migration.name);
  if (new Set(names).size !== names.length) {
    throw new InternalError(
      "MIGRATION_NAMES",
      `Two migrations of ${database.file} have one name: ${names.join(", ")}.`,
    );
  }
  const { sql } = await import("kysely");
  await sql`create table if not exists schema_migrations (name text primary key, at text not null)`.execute(
    database.kysely,
  );
  const applied = new Set(
    (await sql<{ name: string }>`select name from schema_migrations`.execute(database.kysely)).rows.map(
      (row) => row.name,
    ),
  );
  const unknown = [...applied].filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new UserError(
      "DATABASE_NEWER",
      `${database.file} was written by another version of Cotrain (it has ${unknown.join(", ")}): update Cotrain, or ${remedy}.`,
    );
  }
  for (const migration of migrations) {
    if (applied.has(migration.name)) continue;
    await database.kysely.transaction().execute(async (trx) => {
      // Noted first: whoever else opens the database now waits for this, and finds that it is done.
      const noted =
        await sql`insert into schema_migrations (name, at) values (${migration.name}, ${new Date().toISOString()})
        on conflict (name) do nothing returning name`.execute(trx);
      if (noted.rows.length > 0) await migration.up(trx as unknown as Kysely<unknown>);
    });
  }
}
