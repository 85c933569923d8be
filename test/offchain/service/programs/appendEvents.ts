/** Appends events one batch after another, says which are durable, and works until it is killed. */
import { createEventLog } from "../../../../offchain/src/service/persistence/eventLog.ts";
import { eventLogMigrations, type EventLogSchema } from "../../../../offchain/src/service/persistence/eventTables.ts";
import { openDatabase } from "../../../../offchain/src/service/persistence/database.ts";

const database = await openDatabase<EventLogSchema>(process.argv[2] ?? "", eventLogMigrations);
const log = createEventLog(database, { runId: "0x01", schemaVersion: 1, logicVersion: 1 });
for (let seq = (await log.head()).seq; ; seq += 3) {
  await log.append(
    seq,
    [1, 2, 3].map((n) => ({ type: "Ticked", at: seq + n })),
  );
  process.stdout.write(`${seq + 3}\n`);
}
