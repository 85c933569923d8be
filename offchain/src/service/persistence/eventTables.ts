/** How events and snapshots lie in the database: their tables, and what the hash of a row covers. */
import type { Digest } from "@cotrain/sdk/protocol";
import { sha256Bytes } from "../../base/index.ts";
import type { Migration, Queryable } from "./database.ts";

/** `previousHash` of a run's first event. */
export const GENESIS_HASH = `0x${"0".repeat(64)}` as Digest;

/** What every event has: its type and when it happened, in ms since 1970. */
export interface LoggedEvent {
  readonly type: string;
  readonly at: number;
}

/** One row. `event` is what its canonical JSON parses to: bigints come back as decimal strings. */
export interface EventRow<E extends LoggedEvent> {
  readonly runId: string;
  /** 1 for a run's first event, then one more each. */
  readonly seq: number;
  readonly schemaVersion: number;
  readonly logicVersion: number;
  readonly event: E;
  readonly previousHash: Digest;
  /** sha256 of the canonical JSON `{at,event,logicVersion,previousHash,runId,schemaVersion,seq,type}`. */
  readonly hash: Digest;
}

export interface EventTable {
  run_id: string;
  seq: number;
  schema_version: number;
  logic_version: number;
  type: string;
  at: number;
  json: string;
  previous_hash: string;
  hash: string;
}

interface SnapshotTable {
  run_id: string;
  seq: number;
  logic_version: number;
  hash: string;
  json: string;
  digest: string;
}

/** The part of a database's schema that the event log owns. */
export interface EventLogSchema {
  events: EventTable;
  snapshots: SnapshotTable;
}

export const eventLogMigrations: readonly Migration[] = [
  {
    name: "events-1",
    up: async (db) => {
      await db.schema
        .createTable("events")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("seq", "integer", (column) => column.notNull())
        .addColumn("schema_version", "integer", (column) => column.notNull())
        .addColumn("logic_version", "integer", (column) => column.notNull())
        .addColumn("type", "text", (column) => column.notNull())
        .addColumn("at", "bigint", (column) => column.notNull())
        .addColumn("json", "text", (column) => column.notNull())
        .addColumn("previous_hash", "text", (column) => column.notNull())
        .addColumn("hash", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("events_pk", ["run_id", "seq"])
        .execute();
      await db.schema
        .createTable("snapshots")
        .addColumn("run_id", "text", (column) => column.notNull())
        .addColumn("seq", "integer", (column) => column.notNull())
        .addColumn("logic_version", "integer", (column) => column.notNull())
        .addColumn("hash", "text", (column) => column.notNull())
        .addColumn("json", "text", (column) => column.notNull())
        .addColumn("digest", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("snapshots_pk", ["run_id", "seq", "logic_version"])
        .execute();
    },
  },
];

/** Where a run has an event, its hash. */
export async function hashAt(db: Queryable<EventLogSchema>, runId: string, seq: number): Promise<Digest | undefined> {
  const row = await db
    .selectFrom("events")
    .select("hash")
    .where("run_id", "=", runId)
    .where("seq", "=", seq)
    .executeTakeFirst();
  return row?.hash as Digest | undefined;
}

/** `json` is canonical already and the keys stand in their order, so the concatenation is the canonical JSON of the row. */
export function hashRow(row: Omit<EventTable, "hash">): Digest {
  return sha256Bytes(
    Buffer.from(
      `{"at":${row.at},"event":${row.json},"logicVersion":${row.logic_version},"previousHash":"${row.previous_hash}",` +
        `"runId":${JSON.stringify(row.run_id)},"schemaVersion":${row.schema_version},"seq":${row.seq},"type":${JSON.stringify(row.type)}}`,
    ),
  );
}

export function toEventRow<E extends LoggedEvent>(row: EventTable): EventRow<E> {
  return {
    runId: row.run_id,
    seq: row.seq,
    schemaVersion: row.schema_version,
    logicVersion: row.logic_version,
    event: JSON.parse(row.json) as E,
    previousHash: row.previous_hash as Digest,
    hash: row.hash as Digest,
  };
}
