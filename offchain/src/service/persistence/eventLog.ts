/**
 * An append-only log of events per run, each row bound to the one before by hash, and snapshots of what was derived from
 * it. It knows nothing of what the events mean: the coordinator's state machine does.
 */
import { type Kysely, sql } from "kysely";

import { canonicalJson, type Digest } from "@cotrain/sdk/protocol";
import { InternalError, RetryableError, sha256Bytes, UserError } from "../../base/index.ts";
import { freshCommand } from "../../base/node/index.ts";
import type { Migration, Queryable } from "./database.ts";
import type { Database } from "./databaseEngine.ts";

/** `previousHash` of a run's first event. */
export const GENESIS_HASH = `0x${"0".repeat(64)}` as Digest;

const SNAPSHOTS_KEPT = 2;
const PAGE_ROWS = 1_000;
/** Rows of one INSERT; SQLite allows 32,766 parameters and a row has nine. */
const INSERT_ROWS = 500;

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

/** Where a log ends: seq 0 and {@link GENESIS_HASH} when it is empty. */
interface LogHead {
  readonly seq: number;
  readonly hash: Digest;
}

export interface Snapshot<S> {
  /** The last event that the state includes. */
  readonly seq: number;
  readonly logicVersion: number;
  /** Hash of that event. */
  readonly hash: Digest;
  readonly state: S;
  /** sha256 of the state's canonical JSON. */
  readonly digest: Digest;
}

interface EventTable {
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

export interface EventLog<E extends LoggedEvent> {
  readonly runId: string;
  /** The database that holds it. */
  readonly file: string;
  /** Where the log ends now. */
  head(): Promise<LogHead>;
  /**
   * Appends events, all or none, durable when it resolves.
   * @param expectedSeq seq of the last event that the caller has seen, 0 for none
   * @param within a transaction to take part in; without it the append is one of its own
   * @returns the rows as a later read would give them: feed the state machine from these, so that it sees when live what it
   *   will see when replaying
   * @throws RetryableError `EVENT_LOG_MOVED` when someone else appended since
   */
  append(expectedSeq: number, events: readonly E[], within?: Queryable<EventLogSchema>): Promise<EventRow<E>[]>;
  /**
   * Events after `seq` in order, in pages, every hash checked on the way.
   * @throws UserError `EVENT_LOG_CORRUPTED`
   */
  read(afterSeq?: number): AsyncGenerator<EventRow<E>, void, undefined>;
  /** Checks the whole chain. Returns its end. @throws UserError `EVENT_LOG_CORRUPTED` */
  verify(): Promise<LogHead>;
  /**
   * Keeps a state derived from the events up to `seq`; of a logic version's snapshots the newest two stay.
   * @throws InternalError `SNAPSHOT_WITHOUT_EVENT` when the log does not reach that far
   */
  saveSnapshot(seq: number, logicVersion: number, state: unknown, within?: Queryable<EventLogSchema>): Promise<void>;
  /**
   * The newest snapshot, of one logic version or of any. `state` is what its canonical JSON parses to.
   * @throws UserError `EVENT_LOG_CORRUPTED` when it does not match its digest or the log
   */
  latestSnapshot<S>(logicVersion?: number): Promise<Snapshot<S> | undefined>;
}

export interface EventLogOptions {
  readonly runId: string;
  /** Version of the events' form. */
  readonly schemaVersion: number;
  /** Version of the state machine that decided on them. */
  readonly logicVersion: number;
}

/** Runs that have events in this database. */
export async function listLoggedRuns<Schema extends EventLogSchema>(database: Database<Schema>): Promise<string[]> {
  const db = database.kysely as unknown as Kysely<EventLogSchema>;
  const rows = await db.selectFrom("events").select("run_id").distinct().orderBy("run_id").execute();
  return rows.map((row) => row.run_id);
}

/** Makes the log of one run over a database that was opened with {@link eventLogMigrations}. Does no I/O. */
export function createEventLog<E extends LoggedEvent, Schema extends EventLogSchema = EventLogSchema>(
  database: Database<Schema>,
  options: EventLogOptions,
): EventLog<E> {
  const { runId, schemaVersion, logicVersion } = options;
  // Kysely is invariant in its schema; this room touches its own two tables only.
  const db = database.kysely as unknown as Kysely<EventLogSchema>;

  const headIn = async (queryable: Queryable<EventLogSchema>): Promise<LogHead> => {
    const row = await queryable
      .selectFrom("events")
      .select(["seq", "hash"])
      .where("run_id", "=", runId)
      .orderBy("seq", "desc")
      .limit(1)
      .executeTakeFirst();
    return row ? { seq: row.seq, hash: row.hash as Digest } : { seq: 0, hash: GENESIS_HASH };
  };

  const corrupted = (seq: number, what: string): UserError =>
    new UserError(
      "EVENT_LOG_CORRUPTED",
      `${database.file} is damaged (event ${seq} of run ${runId}: ${what}): restore it from a copy, or put the state aside and start anew with "${freshCommand(database.file)}".`,
      { details: { runId, seq } },
    );

  const insert = async (queryable: Queryable<EventLogSchema>, expectedSeq: number, events: readonly E[]) => {
    const head = await headIn(queryable);
    if (head.seq !== expectedSeq) {
      throw new RetryableError(
        "EVENT_LOG_MOVED",
        `The log of run ${runId} is at event ${head.seq}, not ${expectedSeq}: another coordinator appended to it.`,
        { details: { runId, expected: expectedSeq, found: head.seq } },
      );
    }
    const rows: EventTable[] = [];
    let { seq, hash } = head;
    for (const event of events) {
      const unhashed = {
        run_id: runId,
        seq: seq + 1,
        schema_version: schemaVersion,
        logic_version: logicVersion,
        type: event.type,
        at: event.at,
        json: canonicalJson(event),
        previous_hash: hash,
      };
      hash = hashRow(unhashed);
      seq = unhashed.seq;
      rows.push({ ...unhashed, hash });
    }
    for (let start = 0; start < rows.length; start += INSERT_ROWS) {
      await queryable
        .insertInto("events")
        .values(rows.slice(start, start + INSERT_ROWS))
        .execute();
    }
    return rows.map((row) => toEventRow<E>(row));
  };

  const log: EventLog<E> = {
    runId,
    file: database.file,
    head: () => headIn(db),
    append: async (expectedSeq, events, within) => {
      if (events.length === 0) return [];
      if (within) return insert(within, expectedSeq, events);
      return db.transaction().execute((trx) => insert(trx, expectedSeq, events));
    },
    read: async function* read(afterSeq = 0) {
      let seq = afterSeq;
      let hash: Digest = GENESIS_HASH;
      if (afterSeq > 0) {
        const before = await db
          .selectFrom("events")
          .select("hash")
          .where("run_id", "=", runId)
          .where("seq", "=", afterSeq)
          .executeTakeFirst();
        if (!before) throw corrupted(afterSeq, "it is missing");
        hash = before.hash as Digest;
      }
      for (;;) {
        const rows = await db
          .selectFrom("events")
          .selectAll()
          .where("run_id", "=", runId)
          .where("seq", ">", seq)
          .orderBy("seq")
          .limit(PAGE_ROWS)
          .execute();
        for (const row of rows) {
          if (row.seq !== seq + 1) throw corrupted(seq + 1, "it is missing");
          if (row.previous_hash !== hash) throw corrupted(row.seq, "it does not follow the one before");
          if (hashRow(row) !== row.hash) throw corrupted(row.seq, "its content does not match its hash");
          seq = row.seq;
          hash = row.hash;
          yield toEventRow<E>(row);
        }
        if (rows.length < PAGE_ROWS) return;
      }
    },
    verify: async () => {
      let head: LogHead = { seq: 0, hash: GENESIS_HASH };
      for await (const row of log.read()) head = { seq: row.seq, hash: row.hash };
      return head;
    },
    saveSnapshot: async (seq, version, state, within) => {
      const write = async (queryable: Queryable<EventLogSchema>): Promise<void> => {
        const event = await queryable
          .selectFrom("events")
          .select("hash")
          .where("run_id", "=", runId)
          .where("seq", "=", seq)
          .executeTakeFirst();
        if (!event) {
          throw new InternalError(
            "SNAPSHOT_WITHOUT_EVENT",
            `Run ${runId} has no event ${seq} for a snapshot to stand on.`,
          );
        }
        const json = canonicalJson(state);
        const row = {
          run_id: runId,
          seq,
          logic_version: version,
          hash: event.hash,
          json,
          digest: sha256Bytes(Buffer.from(json)),
        };
        await queryable
          .insertInto("snapshots")
          .values(row)
          .onConflict((conflict) =>
            conflict
              .columns(["run_id", "seq", "logic_version"])
              .doUpdateSet({ hash: row.hash, json, digest: row.digest }),
          )
          .execute();
        await sql`delete from snapshots where run_id = ${runId} and logic_version = ${version} and seq not in (
          select seq from snapshots where run_id = ${runId} and logic_version = ${version} order by seq desc limit ${SNAPSHOTS_KEPT}
        )`.execute(queryable);
      };
      if (within) await write(within);
      else await db.transaction().execute(write);
    },
    latestSnapshot: async <S>(version?: number) => {
      let query = db.selectFrom("snapshots").selectAll().where("run_id", "=", runId);
      if (version !== undefined) query = query.where("logic_version", "=", version);
      const row = await query.orderBy("seq", "desc").orderBy("logic_version", "desc").limit(1).executeTakeFirst();
      if (!row) return undefined;
      const seq = row.seq;
      if (sha256Bytes(Buffer.from(row.json)) !== row.digest)
        throw corrupted(seq, "its snapshot does not match its digest");
      const event = await db
        .selectFrom("events")
        .select("hash")
        .where("run_id", "=", runId)
        .where("seq", "=", seq)
        .executeTakeFirst();
      if (event?.hash !== row.hash) throw corrupted(seq, "its snapshot belongs to another history");
      return {
        seq,
        logicVersion: row.logic_version,
        hash: row.hash as Digest,
        state: JSON.parse(row.json) as S,
        digest: row.digest,
      };
    },
  };
  return log;
}

/** `json` is canonical already and the keys stand in their order, so the concatenation is the canonical JSON of the row. */
function hashRow(row: Omit<EventTable, "hash">): Digest {
  return sha256Bytes(
    Buffer.from(
      `{"at":${row.at},"event":${row.json},"logicVersion":${row.logic_version},"previousHash":"${row.previous_hash}",` +
        `"runId":${JSON.stringify(row.run_id)},"schemaVersion":${row.schema_version},"seq":${row.seq},"type":${JSON.stringify(row.type)}}`,
    ),
  );
}

function toEventRow<E extends LoggedEvent>(row: EventTable): EventRow<E> {
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
