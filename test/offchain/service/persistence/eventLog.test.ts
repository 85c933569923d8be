import { createHash } from "node:crypto";
import { join } from "node:path";
import { sql } from "kysely";
import { expect, test } from "vitest";

import { canonicalJson } from "@cotrain/sdk/protocol";
import { openDatabase } from "../../../../offchain/src/service/persistence/database.ts";
import type { Database } from "../../../../offchain/src/service/persistence/databaseEngine.ts";
import { createEventLog, type EventLog } from "../../../../offchain/src/service/persistence/eventLog.ts";
import {
  eventLogMigrations,
  type EventLogSchema,
  type EventRow,
  GENESIS_HASH,
  type LoggedEvent,
} from "../../../../offchain/src/service/persistence/eventTables.ts";
import { runProgram, temporaryDirectory } from "../support.ts";

interface Ticked extends LoggedEvent {
  readonly type: "Ticked";
  readonly n?: number;
}

const tick = (n: number): Ticked => ({ type: "Ticked", at: 1_000 + n, n });

async function open(runId = "0xaa"): Promise<{ database: Database<EventLogSchema>; log: EventLog<Ticked> }> {
  const database = await openDatabase<EventLogSchema>(
    join(await temporaryDirectory(), "log.sqlite"),
    eventLogMigrations,
  );
  return { database, log: createEventLog<Ticked>(database, { runId, schemaVersion: 1, logicVersion: 3 }) };
}

const collect = async (rows: AsyncIterable<EventRow<Ticked>>): Promise<EventRow<Ticked>[]> => {
  const all: EventRow<Ticked>[] = [];
  for await (const row of rows) all.push(row);
  return all;
};

test("events come back in order, from any point, each bound to the one before", async () => {
  const { database, log } = await open();
  expect(await log.head()).toEqual({ seq: 0, hash: GENESIS_HASH });
  const appended = [...(await log.append(0, [tick(1), tick(2)])), ...(await log.append(2, [tick(3)]))];
  const rows = await collect(log.read());
  expect(rows).toEqual(appended);
  expect(rows.map((row) => row.seq)).toEqual([1, 2, 3]);
  expect(rows.map((row) => row.previousHash)).toEqual([GENESIS_HASH, rows[0]?.hash, rows[1]?.hash]);
  expect(await collect(log.read(2))).toEqual(rows.slice(2));
  expect(await log.verify()).toEqual({ seq: 3, hash: rows[2]?.hash });
  await database.close();
});

test("a row's hash is sha256 of its canonical JSON", async () => {
  const { database, log } = await open();
  const [row] = await log.append(0, [tick(1)]);
  const json = canonicalJson({
    runId: "0xaa",
    seq: 1,
    schemaVersion: 1,
    logicVersion: 3,
    type: "Ticked",
    at: 1_001,
    event: { n: 1, type: "Ticked", at: 1_001 },
    previousHash: GENESIS_HASH,
  });
  expect(row?.hash).toBe(`0x${createHash("sha256").update(json).digest("hex")}`);
  await database.close();
});

test("an append is given back as it will be read, bigints as decimal strings", async () => {
  const { database } = await open();
  const log = createEventLog<LoggedEvent & { stake: unknown }>(database, {
    runId: "0xbb",
    schemaVersion: 1,
    logicVersion: 1,
  });
  const [row] = await log.append(0, [{ type: "Staked", at: 1, stake: 2n ** 70n }]);
  expect(row?.event.stake).toBe((2n ** 70n).toString());
  await database.close();
});

test("who has not seen the newest event cannot append, and one of two who try at once fails", async () => {
  const { database, log } = await open();
  await log.append(0, [tick(1)]);
  await expect(log.append(0, [tick(2)])).rejects.toMatchObject({ code: "EVENT_LOG_MOVED", retryable: true });
  const results = await Promise.allSettled([log.append(1, [tick(2)]), log.append(1, [tick(2)])]);
  expect(results.map((result) => result.status).sort()).toEqual(["fulfilled", "rejected"]);
  expect((await log.verify()).seq).toBe(2);
  await database.close();
});

test("several events are appended together or not at all", async () => {
  const { database, log } = await open();
  await expect(log.append(0, [tick(1), { ...tick(2), n: Number.NaN }])).rejects.toMatchObject({ code: "NOT_JSON" });
  expect(await log.head()).toEqual({ seq: 0, hash: GENESIS_HASH });
  await expect(
    database.transaction(async (trx) => {
      await log.append(0, [tick(1)], trx);
      throw new RangeError("after");
    }),
  ).rejects.toThrow(RangeError);
  expect((await log.head()).seq).toBe(0);
  await log.append(
    0,
    Array.from({ length: 2_345 }, (_, n) => tick(n)),
  );
  expect((await collect(log.read())).map((row) => row.event.n)).toEqual(Array.from({ length: 2_345 }, (_, n) => n));
  await database.close();
});

test("runs in one database do not see each other", async () => {
  const { database, log } = await open();
  const other = createEventLog<Ticked>(database, { runId: "0xbb", schemaVersion: 1, logicVersion: 3 });
  await log.append(0, [tick(1)]);
  await other.append(0, [tick(9), tick(10)]);
  expect((await collect(log.read())).map((row) => row.event.n)).toEqual([1]);
  expect((await collect(other.read())).map((row) => row.event.n)).toEqual([9, 10]);
  await database.close();
});

test.each([
  ["a changed event", sql`update events set json = replace(json, '2', '5') where seq = 2`, 2],
  ["a changed time", sql`update events set at = at + 1 where seq = 2`, 2],
  ["a missing event", sql`delete from events where seq = 2`, 2],
  ["an event of another history", sql`update events set previous_hash = hash where seq = 3`, 3],
])("%s is found out", async (_what, tamper, seq) => {
  const { database, log } = await open();
  await log.append(0, [tick(1), tick(2), tick(3)]);
  await tamper.execute(database.kysely);
  await expect(log.verify()).rejects.toMatchObject({
    name: "UserError",
    code: "EVENT_LOG_CORRUPTED",
    details: { runId: "0xaa", seq },
    message: expect.stringContaining(database.file) as string,
  });
  await database.close();
});

// foundation 16: the previous hash in a row of the log
test("a row of another history, whose own hash is right, does not follow here", async () => {
  const { database, log } = await open();
  await log.append(0, [tick(1), tick(2), tick(3)]);
  const elsewhere = await open();
  await elsewhere.log.append(0, [tick(1), tick(5), tick(3)]);
  const row = await elsewhere.database.kysely
    .selectFrom("events")
    .selectAll()
    .where("seq", "=", 3)
    .executeTakeFirstOrThrow();
  await database.kysely.updateTable("events").set(row).where("seq", "=", 3).execute();
  await expect(log.verify()).rejects.toMatchObject({ code: "EVENT_LOG_CORRUPTED", details: { seq: 3 } });
  for (const opened of [database, elsewhere.database]) await opened.close();
});

test("the newest snapshot is found, by logic version too; old ones go", async () => {
  const { database, log } = await open();
  expect(await log.latestSnapshot()).toBeUndefined();
  await log.append(0, [tick(1), tick(2), tick(3), tick(4)]);
  for (const seq of [1, 2, 3]) await log.saveSnapshot(seq, 3, { total: BigInt(seq) });
  await log.saveSnapshot(4, 4, { sum: 4 });
  expect(await log.latestSnapshot()).toMatchObject({ seq: 4, logicVersion: 4, state: { sum: 4 } });
  expect(await log.latestSnapshot(3)).toMatchObject({ seq: 3, logicVersion: 3, state: { total: "3" } });
  const kept = await database.kysely.selectFrom("snapshots").select(["seq"]).orderBy("seq").execute();
  expect(kept.map((row) => row.seq)).toEqual([2, 3, 4]);
  await expect(log.saveSnapshot(9, 3, {})).rejects.toMatchObject({ code: "SNAPSHOT_WITHOUT_EVENT" });
  await database.close();
});

test.each([
  ["content", sql`update snapshots set json = '{"total":7}'`],
  ["history", sql`update snapshots set hash = 'x'`],
])("a snapshot with the wrong %s is not believed", async (_what, tamper) => {
  const { database, log } = await open();
  await log.append(0, [tick(1)]);
  await log.saveSnapshot(1, 3, { total: 1 });
  await tamper.execute(database.kysely);
  await expect(log.latestSnapshot()).rejects.toMatchObject({ code: "EVENT_LOG_CORRUPTED" });
  await database.close();
});

test("killed by -9 while appending, the log holds every batch that was reported and no part of another", async () => {
  const file = join(await temporaryDirectory(), "log.sqlite");
  for (let round = 0; round < 3; round++) {
    const program = runProgram("appendEvents", [file]);
    await program.says(/(\d+\n){20}/);
    program.child.kill("SIGKILL");
    await program.exited;
    const reported = Number(program.output().trim().split("\n").at(-1));
    const database = await openDatabase<EventLogSchema>(file, eventLogMigrations);
    const { seq } = await createEventLog(database, { runId: "0x01", schemaVersion: 1, logicVersion: 1 }).verify();
    expect(seq).toBeGreaterThanOrEqual(reported);
    expect(seq % 3).toBe(0);
    await database.close();
  }
});
