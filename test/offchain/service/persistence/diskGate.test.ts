import { join } from "node:path";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";

import { createRandom, RetryableError } from "../../../../offchain/src/base/index.ts";
import { createManualClock } from "../../manualClock.ts";
import { type Migration, openDatabase } from "../../../../offchain/src/service/persistence/database.ts";
import type { Database } from "../../../../offchain/src/service/persistence/databaseEngine.ts";
import { createDiskGate } from "../../../../offchain/src/service/persistence/diskGate.ts";
import {
  jobMigrations,
  type JobSchema,
  openJobTable,
  startJobRunner,
} from "../../../../offchain/src/service/persistence/index.ts";
import { createLogger } from "../../../../offchain/src/service/processes/logging.ts";
import { canRun } from "../../../needs.ts";
import { mountSmallDisk } from "../smallDisk.ts";
import { eventually, temporaryDirectory } from "../support.ts";

const full = new RetryableError("DISK_FULL", "It is full.");

interface Schema {
  notes: { text: string };
}
const notes: Migration = {
  name: "notes-1",
  up: (db) => db.schema.createTable("notes").addColumn("text", "text").execute(),
};

/** As many pages as the file has, and no more: SQLite then reports what it reports of a full disk. */
const allowNoPage = async (database: Database<never>): Promise<void> => {
  await sql`pragma max_page_count = 1`.execute(database.kysely);
};
const allowPages = async (database: Database<never>): Promise<void> => {
  await sql`pragma max_page_count = 1000000`.execute(database.kysely);
};
const large = "x".repeat(100_000);

/** What writes a large note. */
const writerOf =
  <Tables extends Schema>(database: Database<Tables>) =>
  (): Promise<void> =>
    (database as unknown as Database<Schema>).transaction(async (trx) => {
      await trx.insertInto("notes").values({ text: large }).execute();
    });

async function openNotes(logger = createLogger({ component: "test", level: "silent" })) {
  const clock = createManualClock();
  const database = await openDatabase<Schema & JobSchema>(
    join(await temporaryDirectory(), "d.sqlite"),
    [notes, ...jobMigrations],
    { clock, logger },
  );
  onTestFinished(() => database.close());
  const write = writerOf(database);
  return { clock, database, write };
}

// foundation 4
test("pauses grow to half a minute, with one line each, until a write succeeds", async () => {
  const clock = createManualClock();
  const lines: { what: string; retryInMs: number; msg: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) };
  const pauses = () =>
    lines.filter(({ msg }) => msg === "the disk is full: writing pauses").map((line) => line.retryInMs);
  let room = false;
  const gate = createDiskGate({
    what: "/data",
    clock,
    logger: createLogger({ component: "test", pretty: false, destination }),
    probe: () => {
      if (!room) throw full;
    },
  });
  expect(gate.full).toBeUndefined();
  gate.report(full);
  gate.report(full);
  expect(() => gate.check()).toThrow("/data cannot be written: the disk is full.");
  await clock.advance(120_000);
  expect(gate.failed).toBe(7);
  expect(pauses()).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => seconds * 1_000));
  room = true;
  const opened = gate.opened();
  await clock.advance(30_000);
  await opened;
  expect(gate.full).toBeUndefined();
  gate.report(full);
  expect(pauses().at(-1)).toBe(30_000);
  await clock.advance(30_000);
  gate.wrote();
  expect(gate.failed).toBe(0);
  gate.report(full);
  expect(pauses().at(-1)).toBe(1_000);
  const waiting = gate.opened(AbortSignal.timeout(1));
  await expect(waiting).rejects.toMatchObject({ name: "TimeoutError" });
  gate.close();
});

// foundation 4
test("a full disk is reported as such, not as the rollback that failed after it", async () => {
  const { database, write } = await openNotes();
  await allowNoPage(database as never);
  await expect(write()).rejects.toMatchObject({ code: "DISK_FULL", retryable: true });
});

// foundation 4
test("while the disk is full nothing is tried, reading goes on, and writing resumes by itself", async () => {
  const { clock, database, write } = await openNotes();
  await allowNoPage(database as never);
  await expect(write()).rejects.toMatchObject({ code: "DISK_FULL" });
  await allowPages(database as never);
  await expect(write()).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(database.disk.full).toContain("the disk is full");
  expect(await database.kysely.selectFrom("notes").selectAll().execute()).toEqual([]);
  await clock.advance(1_000);
  expect(database.disk.full).toBeUndefined();
  await write();
  expect(await database.kysely.selectFrom("notes").selectAll().execute()).toHaveLength(1);
});

test("the job runner waits for room, writes down what happened, and goes on", async () => {
  const { clock, database, write } = await openNotes();
  const table = await openJobTable(database, { clock, random: createRandom("disk") });
  let begun = 0;
  const runner = startJobRunner({
    table,
    clock,
    handlers: {
      post: async () => {
        begun += 1;
        await allowNoPage(database as never);
        await expect(write()).rejects.toMatchObject({ code: "DISK_FULL" });
        return "posted";
      },
    },
  });
  await table.add({ kind: "post", key: "1", payload: null });
  await eventually(() => begun === 1 && database.disk.full !== undefined, "a full disk within the work");
  expect(await table.get("post", "1")).toMatchObject({ state: "running" });
  await allowPages(database as never);
  await clock.advance(1_000);
  await eventually(async () => (await table.get("post", "1"))?.state === "done", "the result in the table");
  expect(begun).toBe(1);
  await runner.stop();
});

// Elsewhere the tests above have SQLite's own report of a full disk.
test.runIf(canRun("a real disk that is full", "mount"))("a real disk that is full pauses and resumes", async () => {
  const disk = await mountSmallDisk(2);
  onTestFinished(() => disk.unmount());
  const clock = createManualClock();
  const database = await openDatabase<Schema>(join(disk.path, "d.sqlite"), [notes], { clock });
  onTestFinished(() => database.close());
  const write = writerOf(database);
  await write();
  disk.fill();
  await expect(write()).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(database.disk.full).toContain("the disk is full");
  await clock.advance(10_000);
  expect(database.disk.full).toContain("the disk is full");
  disk.empty();
  await clock.advance(30_000);
  expect(database.disk.full).toBeUndefined();
  await write();
  expect(await database.kysely.selectFrom("notes").selectAll().execute()).toHaveLength(2);
});
