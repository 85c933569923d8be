import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { sql } from "kysely";
import { expect, test } from "vitest";

import { type Migration, openDatabase } from "../../../../offchain/src/service/persistence/database.ts";
import { temporaryDirectory } from "../support.ts";

interface Schema {
  notes: { id: number; text: string };
}

const notes: Migration = {
  name: "notes-1",
  up: async (db) => {
    await db.schema
      .createTable("notes")
      .addColumn("id", "integer", (column) => column.primaryKey())
      .addColumn("text", "text", (column) => column.notNull())
      .execute();
  },
};

test("opens a path and its file: URL as one database, and refuses what no engine keeps", async () => {
  const file = join(await temporaryDirectory(), "d.sqlite");
  const first = await openDatabase<Schema>(pathToFileURL(file).href, [notes]);
  expect(first.file).toBe(file);
  await first.kysely.insertInto("notes").values({ id: 1, text: "kept" }).execute();
  await first.close();
  const second = await openDatabase<Schema>(file, [notes]);
  expect(await second.kysely.selectFrom("notes").selectAll().execute()).toEqual([{ id: 1, text: "kept" }]);
  await second.close();
  await expect(openDatabase<Schema>("oracle://127.0.0.1/d", [notes])).rejects.toMatchObject({
    code: "LOCATION_INVALID",
  });
});

test("commits are on the disk before they return", async () => {
  const database = await openDatabase<Schema>(join(await temporaryDirectory(), "d.sqlite"), [notes]);
  const pragma = async (name: string): Promise<unknown> =>
    Object.values((await sql.raw<Record<string, unknown>>(`pragma ${name}`).execute(database.kysely)).rows[0] ?? {})[0];
  expect(await pragma("journal_mode")).toBe("wal");
  expect(await pragma("synchronous")).toBe(2);
  await database.close();
  await database.close();
});

test("migrations run once, in order, and new ones later", async () => {
  const file = join(await temporaryDirectory(), "d.sqlite");
  const first = await openDatabase<Schema>(file, [notes]);
  await first.kysely.insertInto("notes").values({ id: 1, text: "kept" }).execute();
  await first.close();
  const second = await openDatabase<Schema & { tags: { id: number } }>(file, [
    notes,
    { name: "tags-1", up: (db) => db.schema.createTable("tags").addColumn("id", "integer").execute() },
  ]);
  expect(await second.kysely.selectFrom("notes").selectAll().execute()).toEqual([{ id: 1, text: "kept" }]);
  expect(await second.kysely.selectFrom("tags").selectAll().execute()).toEqual([]);
  await second.close();
  await expect(openDatabase<Schema>(file, [notes])).rejects.toMatchObject({
    code: "DATABASE_NEWER",
    message: expect.stringContaining("tags-1") as string,
  });
});

test("a migration that another process made since this one looked is not made again", async () => {
  const file = join(await temporaryDirectory(), "d.sqlite");
  const meanwhile: Migration = {
    name: "first-1",
    up: async (db) => {
      await notes.up(db);
      await sql`insert into schema_migrations (name, at) values (${notes.name}, ${"then"})`.execute(db);
    },
  };
  const database = await openDatabase<Schema>(file, [meanwhile, notes]);
  expect(await database.kysely.selectFrom("notes").selectAll().execute()).toEqual([]);
  await database.close();
});

test("a migration that fails leaves nothing half-made", async () => {
  const file = join(await temporaryDirectory(), "d.sqlite");
  const broken: Migration = {
    name: "notes-1",
    up: async (db) => {
      await notes.up(db);
      await sql`select nonsense from nowhere`.execute(db);
    },
  };
  await expect(openDatabase<Schema>(file, [broken])).rejects.toMatchObject({ code: "DATABASE_QUERY" });
  const database = await openDatabase<Schema>(file, [notes]);
  expect(await database.kysely.selectFrom("notes").selectAll().execute()).toEqual([]);
  await database.close();
});

test("a transaction is all or nothing, and others wait for it", async () => {
  const database = await openDatabase<Schema>(join(await temporaryDirectory(), "d.sqlite"), [notes]);
  const failing = database.transaction(async (trx) => {
    await trx.insertInto("notes").values({ id: 1, text: "lost" }).execute();
    await new Promise(setImmediate);
    throw new RangeError("no");
  });
  const meanwhile = database.kysely.selectFrom("notes").selectAll().execute();
  await expect(failing).rejects.toThrow(RangeError);
  expect(await meanwhile).toEqual([]);
  await database.close();
});

test("a write lock that another connection keeps is an error that trying again helps", async () => {
  const file = join(await temporaryDirectory(), "d.sqlite");
  const [a, b] = [
    await openDatabase<Schema>(file, [notes]),
    await openDatabase<Schema>(file, [notes], { busyTimeout: 20 }),
  ];
  await a.transaction(async (trx) => {
    await trx.insertInto("notes").values({ id: 1, text: "a" }).execute();
    await expect(
      b.transaction(async (other) => other.insertInto("notes").values({ id: 2, text: "b" }).execute()),
    ).rejects.toMatchObject({
      code: "DATABASE_BUSY",
      retryable: true,
    });
  });
  await Promise.all([a.close(), b.close()]);
});

test("a file that is no database, or a damaged one, is refused with its name and what to do", async () => {
  const directory = await temporaryDirectory();
  const file = join(directory, "d.sqlite");
  await writeFile(file, "this is not a database, it is a letter to a friend".repeat(100));
  await expect(openDatabase<Schema>(file, [notes])).rejects.toMatchObject({
    name: "UserError",
    code: "DATABASE_CORRUPTED",
    message: expect.stringMatching(/d\.sqlite is damaged .*npm start -- --fresh/) as string,
  });

  const other = join(directory, "e.sqlite");
  const database = await openDatabase<Schema>(other, [notes]);
  for (let id = 1; id <= 200; id++)
    await database.kysely
      .insertInto("notes")
      .values({ id, text: "x".repeat(500) })
      .execute();
  await database.close();
  const bytes = await readFile(other);
  bytes.fill(0xff, 3 * 4096, 8 * 4096);
  await writeFile(other, bytes);
  await expect(openDatabase<Schema>(other, [notes], { remedy: "copy it back from the backup" })).rejects.toMatchObject({
    code: "DATABASE_CORRUPTED",
    message: expect.stringContaining("copy it back from the backup") as string,
  });
});

test("a directory that is not there or a path that is no file is the user's to correct", async () => {
  const directory = await temporaryDirectory();
  await appendFile(join(directory, "x"), "");
  await expect(openDatabase<Schema>(join(directory, "none", "d.sqlite"), [])).rejects.toMatchObject({
    code: "PATH_UNWRITABLE",
  });
  await expect(openDatabase<Schema>(directory, [])).rejects.toMatchObject({ code: "PATH_UNWRITABLE" });
});
