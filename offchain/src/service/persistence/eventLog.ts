/**
 * An append-only log of events per run, each row bound to the one before by hash, and snapshots of what was derived from
 * it. It knows nothing of what the events mean: the coordinator's state machine does.
 */
import type { Kysely } from "kysely";

import { canonicalJson, type Digest } from "@cotrain/sdk/protocol";
import { RetryableError, UserError } from "../../base/index.ts";
import { freshCommand } from "../../base/node/index.ts";
import type { Queryable } from "./database.ts";
import type { Database } from "./databaseEngine.ts";
import {
  type EventLogSchema,
  type EventRow,
  type EventTable,
  GENESIS_HASH,
  hashAt,
  hashRow,
  type LoggedEvent,
  toEventRow,
} from "./eventTables.ts";
import { readLatestSnapshot, type Snapshot, writeSnapshot } from "./snapshots.ts";

const PAGE_ROWS = 1_000;
/** Rows of one INSERT; SQLite allows 32,766 parameters and a row has nine. */
const INSERT_ROWS = 500;

/** Where a log ends: seq 0 and {@link GENESIS_HASH} when it is empty. */
interface LogHead {
  readonly seq: number;
  readonly hash: Digest;
}

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

/** Makes the log of one run over a database that was opened with {@link eventLogMigrations}. Does no I/O. */
export function createEventLog<E extends LoggedEvent, Schema extends EventLogSchema = EventLogSchema>(
  database: Database<Schema>,
  options: EventLogOptions,
): EventLog<E> {
  const { runId } = options;
  const { file } = database;
  // Kysely is invariant in its schema; this room touches its own two tables only.
  const db = database.kysely as unknown as Kysely<EventLogSchema>;
  const corrupted = (seq: number, what: string): UserError => corruptedLog(file, runId, seq, what);
  const log: EventLog<E> = {
    runId,
    file,
    head: () => headOf(db, runId),
    append: async (expectedSeq, events, within) => {
      if (events.length === 0) return [];
      if (within) return insert(within, options, expectedSeq, events);
      return db.transaction().execute((trx) => insert(trx, options, expectedSeq, events));
    },
    read: (afterSeq = 0) => readEvents<E>(db, runId, afterSeq, corrupted),
    verify: async () => {
      let head: LogHead = { seq: 0, hash: GENESIS_HASH };
      for await (const row of log.read()) head = { seq: row.seq, hash: row.hash };
      return head;
    },
    saveSnapshot: async (seq, logicVersion, state, within) => {
      const snapshot = { seq, logicVersion, state };
      if (within) await writeSnapshot(within, runId, snapshot);
      else await db.transaction().execute((trx) => writeSnapshot(trx, runId, snapshot));
    },
    latestSnapshot: (logicVersion) => readLatestSnapshot(db, runId, corrupted, logicVersion),
  };
  return log;
}

async function headOf(queryable: Queryable<EventLogSchema>, runId: string): Promise<LogHead> {
  const row = await queryable
    .selectFrom("events")
    .select(["seq", "hash"])
    .where("run_id", "=", runId)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return row ? { seq: row.seq, hash: row.hash as Digest } : { seq: 0, hash: GENESIS_HASH };
}

async function insert<E extends LoggedEvent>(
  queryable: Queryable<EventLogSchema>,
  { runId, schemaVersion, logicVersion }: EventLogOptions,
  expectedSeq: number,
  events: readonly E[],
): Promise<EventRow<E>[]> {
  const head = await headOf(queryable, runId);
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
}

/** Page by page, so that a long log does not have to fit into memory. */
async function* readEvents<E extends LoggedEvent>(
  db: Kysely<EventLogSchema>,
  runId: string,
  afterSeq: number,
  corrupted: (seq: number, what: string) => Error,
): AsyncGenerator<EventRow<E>, void, undefined> {
  let seq = afterSeq;
  let hash: string | undefined = afterSeq > 0 ? await hashAt(db, runId, afterSeq) : GENESIS_HASH;
  if (hash === undefined) throw corrupted(afterSeq, "it is missing");
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
}

function corruptedLog(file: string, runId: string, seq: number, what: string): UserError {
  return new UserError(
    "EVENT_LOG_CORRUPTED",
    `${file} is damaged (event ${seq} of run ${runId}: ${what}): restore it from a copy, or put the state aside and start anew with "${freshCommand(file)}".`,
    { details: { runId, seq } },
  );
}
