/**
 * The durable job table: work with effects outside (posting to a chain first; later replay draws, pinning, leases) that is
 * written down before it is begun, done once per key, tried again with growing pauses, and found again after kill -9.
 */
import { type Generated, type Kysely, sql } from "kysely";

import { CotrainError } from "@cotrain/sdk/errors";
import { canonicalJson } from "@cotrain/sdk/protocol";
import { type Clock, exitCodeOf, InternalError, type Random, systemClock, UserError } from "../../base/index.ts";
import type { Migration, Queryable } from "./database.ts";
import type { Database } from "./databaseEngine.ts";
import { type DiskGate, isDiskFull } from "./diskGate.ts";
import type { Logger } from "../processes/logging.ts";

/** ready: to be claimed at `nextAt`; running: claimed; done; failed: given up until {@link JobTable.reopen}. */
export type JobState = "ready" | "running" | "done" | "failed";

export interface Job {
  readonly id: number;
  readonly kind: string;
  /** Unique within its kind: the same work has the same key. */
  readonly key: string;
  /** Jobs of one queue are done one at a time, in the order in which they were added. */
  readonly queue: string | null;
  readonly payload: unknown;
  /** Notes that the work left for its next attempt (a nonce, hashes of what was sent); null before the first. */
  readonly progress: unknown;
  readonly state: JobState;
  /** How often it was claimed, deferrals not counted. */
  readonly attempts: number;
  /** When it is due, in the table's time: ms since 1970 where nobody set the clock since the table was opened. */
  readonly nextAt: number;
  readonly lastError: { readonly code: string; readonly message: string } | null;
  readonly result: unknown;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface NewJob {
  readonly kind: string;
  readonly key: string;
  readonly payload: unknown;
  readonly queue?: string;
}

export interface JobRow {
  id: number;
  kind: string;
  key: string;
  queue: string | null;
  payload: string;
  progress: string | null;
  state: string;
  attempts: number;
  next_at: number;
  last_error: string | null;
  result: string | null;
  created_at: number;
  updated_at: number;
}

/** The part of a database's schema that the job table owns. */
export interface JobSchema {
  jobs: Omit<JobRow, "id"> & { id: Generated<number> };
}

export const jobMigrations: readonly Migration[] = [
  {
    name: "jobs-1",
    up: async (db) => {
      await db.schema
        .createTable("jobs")
        .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("key", "text", (column) => column.notNull())
        .addColumn("queue", "text")
        .addColumn("payload", "text", (column) => column.notNull())
        .addColumn("progress", "text")
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("attempts", "integer", (column) => column.notNull())
        .addColumn("next_at", "bigint", (column) => column.notNull())
        .addColumn("last_error", "text")
        .addColumn("result", "text")
        .addColumn("created_at", "bigint", (column) => column.notNull())
        .addColumn("updated_at", "bigint", (column) => column.notNull())
        .addUniqueConstraint("jobs_kind_key", ["kind", "key"])
        .execute();
      await db.schema.createIndex("jobs_due").on("jobs").columns(["state", "next_at"]).execute();
      await db.schema.createIndex("jobs_queue").on("jobs").columns(["queue", "id"]).execute();
    },
  },
];

export interface JobTableOptions {
  readonly clock?: Clock;
  /** For the jitter of pauses. */
  readonly random: Random;
  /** Greatest pause after the first failure, ms; doubles with each; default 1,000. */
  readonly backoffBase?: number;
  /** No pause is longer, ms; default 60,000. */
  readonly backoffCap?: number;
  /** Give up after so many attempts; default never. */
  readonly maxAttempts?: number;
}

export interface JobTable {
  /** Of the database: says when to come again after `DISK_FULL`. */
  readonly disk: DiskGate;
  /**
   * Adds a job, or returns the one that has this kind and key already, in whatever state.
   * @param within a transaction to take part in
   * @throws InternalError `JOB_KEY_REUSED` when that one has another payload
   */
  add(job: NewJob, within?: Queryable<JobSchema>): Promise<Job>;
  /** Takes due jobs of these kinds, oldest due first, and marks them running. */
  claim(kinds: readonly string[], limit: number): Promise<Job[]>;
  /** Notes progress that the next attempt will see; durable when it resolves. */
  note(id: number, progress: unknown): Promise<void>;
  complete(id: number, result?: unknown, within?: Queryable<JobSchema>): Promise<void>;
  /**
   * Records a failure: back to ready after a pause (full jitter: uniform in 0 … min(cap, base × 2^(attempts − 1))), or failed
   * when the error is one that trying again cannot help, or attempts are used up.
   */
  fail(id: number, error: unknown): Promise<Job>;
  /** Back to ready in `ms`: not a failure, nothing to do yet. Does not count as an attempt. */
  defer(id: number, ms: number): Promise<void>;
  /** Makes a done or failed job ready again, e.g. because the chain went back behind it; its progress stays. */
  reopen(kind: string, key: string): Promise<boolean>;
  /** Removes a job that is not running. */
  remove(kind: string, key: string): Promise<boolean>;
  get(kind: string, key: string): Promise<Job | undefined>;
  list(filter?: { readonly kind?: string; readonly state?: JobState }): Promise<Job[]>;
  /** In how many ms the next ready job of these kinds is due; queued jobs count by their own time. */
  dueIn(kinds: readonly string[]): Promise<number | undefined>;
  /** Forgets done jobs last touched before `time`. Returns how many. */
  prune(time: number): Promise<number>;
  /** Calls back whenever a job may have become due sooner than known before. Returns the way to unsubscribe. */
  onChange(listener: () => void): () => void;
}

/**
 * Makes the job table over a database opened with {@link jobMigrations}, and makes ready again what a killed process left
 * running. One process owns the table at a time (the state directory's lock sees to it).
 */
export async function openJobTable<Schema extends JobSchema>(
  database: Database<Schema>,
  options: JobTableOptions,
): Promise<JobTable> {
  const db = database.kysely as unknown as Kysely<JobSchema>;
  const clock = options.clock ?? systemClock;
  // What a pause lasts is measured by a clock that nobody sets, from the time of day at the opening.
  const opened = clock.now() - clock.monotonic();
  const time = (): number => Math.floor(opened + clock.monotonic());
  const base = options.backoffBase ?? 1_000;
  const cap = options.backoffCap ?? 60_000;
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };

  const byId = async (id: number, queryable: Queryable<JobSchema> = db): Promise<Job> => {
    const row = await queryable.selectFrom("jobs").selectAll().where("id", "=", id).executeTakeFirst();
    if (!row) throw new InternalError("JOB_UNKNOWN", `There is no job ${id} in ${database.file}.`);
    return toJob(row);
  };
  const update = async (id: number, values: Partial<JobRow>, queryable: Queryable<JobSchema> = db): Promise<void> => {
    const result = await queryable
      .updateTable("jobs")
      .set({ ...values, updated_at: clock.now() })
      .where("id", "=", id)
      .executeTakeFirst();
    if (result.numUpdatedRows !== 1n)
      throw new InternalError("JOB_UNKNOWN", `There is no job ${id} in ${database.file}.`);
  };
  const find = async (kind: string, key: string, queryable: Queryable<JobSchema> = db): Promise<Job | undefined> => {
    const row = await queryable
      .selectFrom("jobs")
      .selectAll()
      .where("kind", "=", kind)
      .where("key", "=", key)
      .executeTakeFirst();
    return row && toJob(row);
  };

  await db
    .updateTable("jobs")
    .set({ state: "ready", updated_at: clock.now() })
    .where("state", "=", "running")
    .execute();
  // Pauses that were written down while the clock was ahead, or by another process's time, end as soon as any would.
  await db
    .updateTable("jobs")
    .set({ next_at: time() + cap })
    .where("next_at", ">", time() + cap)
    .execute();

  return {
    disk: database.disk,
    add: async (job, within = db) => {
      const payload = canonicalJson(job.payload);
      const now = clock.now();
      await within
        .insertInto("jobs")
        .values({
          kind: job.kind,
          key: job.key,
          queue: job.queue ?? null,
          payload,
          progress: null,
          state: "ready",
          attempts: 0,
          next_at: time(),
          last_error: null,
          result: null,
          created_at: now,
          updated_at: now,
        })
        .onConflict((conflict) => conflict.columns(["kind", "key"]).doNothing())
        .execute();
      const found = await find(job.kind, job.key, within);
      if (!found || canonicalJson(found.payload) !== payload) {
        throw new InternalError("JOB_KEY_REUSED", `Job ${job.kind}/${job.key} exists with another payload.`);
      }
      // Within a transaction the row is not visible yet, but a listener only looks once the transaction lets it.
      changed();
      return found;
    },
    claim: async (kinds, limit) => {
      if (kinds.length === 0 || limit < 1) return [];
      return db.transaction().execute(async (trx) => {
        const now = clock.now();
        const due = await trx
          .selectFrom("jobs")
          .selectAll()
          .where("state", "=", "ready")
          .where("kind", "in", [...kinds])
          .where("next_at", "<=", time())
          .where(
            sql<boolean>`(queue is null or not exists (
              select 1 from jobs as earlier where earlier.queue = jobs.queue and earlier.id < jobs.id and earlier.state <> 'done'
            ))`,
          )
          .orderBy("next_at")
          .orderBy("id")
          .limit(limit)
          .execute();
        if (due.length === 0) return [];
        await trx
          .updateTable("jobs")
          .set((eb) => ({ state: "running", attempts: eb("attempts", "+", 1), updated_at: now }))
          .where(
            "id",
            "in",
            due.map((row) => row.id),
          )
          .execute();
        return due.map((row) => ({
          ...toJob(row),
          state: "running" as const,
          attempts: row.attempts + 1,
          updatedAt: now,
        }));
      });
    },
    note: (id, progress) => update(id, { progress: canonicalJson(progress) }),
    complete: async (id, result, within) => {
      await update(id, { state: "done", result: canonicalJson(result ?? null), last_error: null }, within);
      changed();
    },
    fail: async (id, error) => {
      const job = await byId(id);
      const exhausted = options.maxAttempts !== undefined && job.attempts >= options.maxAttempts;
      // Errors of unknown kind may be a passing fault of something outside; only what says that it is final is final.
      const final = error instanceof CotrainError && !error.retryable;
      const ceiling = Math.min(cap, base * 2 ** Math.min(job.attempts - 1, 40));
      await update(id, {
        state: exhausted || final ? "failed" : "ready",
        next_at: time() + Math.floor(options.random.float() * ceiling),
        last_error: JSON.stringify({
          code: error instanceof CotrainError ? error.code : "UNEXPECTED",
          message: error instanceof Error ? error.message : String(error),
        }),
      });
      changed();
      return byId(id);
    },
    defer: async (id, ms) => {
      const job = await byId(id);
      await update(id, { state: "ready", attempts: Math.max(0, job.attempts - 1), next_at: time() + ms });
      changed();
    },
    reopen: async (kind, key) => {
      const result = await db
        .updateTable("jobs")
        .set({ state: "ready", attempts: 0, next_at: time(), result: null, updated_at: clock.now() })
        .where("kind", "=", kind)
        .where("key", "=", key)
        .where("state", "in", ["done", "failed"])
        .executeTakeFirst();
      changed();
      return result.numUpdatedRows === 1n;
    },
    remove: async (kind, key) => {
      const result = await db
        .deleteFrom("jobs")
        .where("kind", "=", kind)
        .where("key", "=", key)
        .where("state", "<>", "running")
        .executeTakeFirst();
      changed();
      return result.numDeletedRows === 1n;
    },
    get: (kind, key) => find(kind, key),
    list: async (filter = {}) => {
      let query = db.selectFrom("jobs").selectAll();
      if (filter.kind !== undefined) query = query.where("kind", "=", filter.kind);
      if (filter.state !== undefined) query = query.where("state", "=", filter.state);
      return (await query.orderBy("id").execute()).map(toJob);
    },
    dueIn: async (kinds) => {
      if (kinds.length === 0) return undefined;
      const row = await db
        .selectFrom("jobs")
        .select((eb) => eb.fn.min("next_at").as("at"))
        .where("state", "=", "ready")
        .where("kind", "in", [...kinds])
        .where(
          sql<boolean>`(queue is null or not exists (
            select 1 from jobs as earlier where earlier.queue = jobs.queue and earlier.id < jobs.id and earlier.state <> 'done'
          ))`,
        )
        .executeTakeFirst();
      return row?.at == null ? undefined : Math.max(0, row.at - time());
    },
    prune: async (time) => {
      const result = await db
        .deleteFrom("jobs")
        .where("state", "=", "done")
        .where("updated_at", "<", time)
        .executeTakeFirst();
      return Number(result.numDeletedRows);
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function toJob(row: JobRow): Job {
  return {
    id: row.id,
    kind: row.kind,
    key: row.key,
    queue: row.queue,
    payload: JSON.parse(row.payload) as unknown,
    progress: row.progress === null ? null : (JSON.parse(row.progress) as unknown),
    state: row.state as JobState,
    attempts: row.attempts,
    nextAt: row.next_at,
    lastError: row.last_error === null ? null : (JSON.parse(row.last_error) as { code: string; message: string }),
    result: row.result === null ? null : (JSON.parse(row.result) as unknown),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** What a handler may do besides returning (done, with that result) and throwing (failed, see {@link JobTable.fail}). */
export interface JobContext {
  /** Aborted when the runner stops; a handler that then throws is tried again at the next start. */
  readonly signal: AbortSignal;
  /** See {@link JobTable.note}. */
  readonly note: (progress: unknown) => Promise<void>;
  /** What to return when there is nothing to do for `ms` yet. */
  readonly later: (ms: number) => Deferral;
}

/** Made by {@link JobContext.later}. */
export class Deferral {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

export type JobHandler = (job: Job, context: JobContext) => Promise<unknown>;

export interface JobRunnerOptions {
  readonly table: JobTable;
  /** By kind; kinds without a handler stay where they are. */
  readonly handlers: Readonly<Record<string, JobHandler>>;
  /** Jobs at the same time; default 1. */
  readonly concurrency?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface JobRunner {
  /** Claims no more, aborts the handlers' signal and waits for them. Rejects with what broke the loop, if anything did. */
  stop(): Promise<void>;
  /** Rejects when the loop itself breaks (the database failed); resolves after {@link stop}. */
  readonly done: Promise<void>;
}

/** Works through the job table until stopped. */
export function startJobRunner(options: JobRunnerOptions): JobRunner {
  const { table, handlers } = options;
  const clock = options.clock ?? systemClock;
  const concurrency = options.concurrency ?? 1;
  const kinds = Object.keys(handlers);
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const faults: unknown[] = [];
  // A change that arrives while the loop is busy must not be lost: it is remembered until the next wait.
  let stirred = false;
  let stir: (() => void) | undefined;
  const wake = (): void => {
    stirred = true;
    stir?.();
  };
  const unsubscribe = table.onChange(wake);

  /** What happened must be written down; while the disk is full it waits. At the end a restart finds the job as it was. */
  const record = async <T>(write: () => Promise<T>): Promise<T | undefined> => {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        if (stopping.signal.aborted) return undefined;
        await table.disk.opened(stopping.signal).catch(() => undefined);
      }
    }
  };

  const work = async (job: Job): Promise<void> => {
    const handler = handlers[job.kind];
    if (!handler) return;
    try {
      const result = await handler(job, {
        signal: stopping.signal,
        note: (progress) => table.note(job.id, progress),
        later: (ms) => new Deferral(ms),
      });
      if (result instanceof Deferral) await record(() => table.defer(job.id, result.ms));
      else await record(() => table.complete(job.id, result));
    } catch (error) {
      if (stopping.signal.aborted) {
        await record(() => table.defer(job.id, 0));
        return;
      }
      const failed = await record(() => table.fail(job.id, error));
      if (!failed) return;
      const level = failed.state === "failed" ? "error" : "warn";
      options.logger?.[level](
        { kind: job.kind, job: job.key, attempts: failed.attempts, state: failed.state, err: error },
        failed.state === "failed" ? "job given up" : "job failed, will be tried again",
      );
    }
  };

  const start = (job: Job): void => {
    const task = work(job)
      .catch((error: unknown) => {
        faults.push(error);
      })
      .finally(() => {
        running.delete(task);
        wake();
      });
    running.add(task);
  };

  /** Until something changes, the next job is due, or the runner stops. */
  const rest = async (): Promise<void> => {
    const due = running.size < concurrency ? await table.dueIn(kinds) : undefined;
    if (stirred || stopping.signal.aborted) return;
    const alarm = new AbortController();
    const waits: Promise<void>[] = [
      new Promise((resolve) => {
        stir = resolve;
      }),
    ];
    // Node's timers hold 31 bits of milliseconds.
    if (due !== undefined) {
      const ms = Math.min(due, 2 ** 31 - 1);
      waits.push(clock.sleep(ms, alarm.signal).catch(() => undefined));
    }
    await Promise.race(waits);
    alarm.abort();
  };

  const loop = async (): Promise<void> => {
    try {
      while (!stopping.signal.aborted && faults.length === 0) {
        stirred = false;
        const claimed = await record(() => table.claim(kinds, concurrency - running.size));
        for (const job of claimed ?? []) start(job);
        await rest();
      }
    } catch (error) {
      faults.push(error);
    } finally {
      unsubscribe();
      stopping.abort();
      await Promise.all(running);
    }
    if (faults.length > 0) throw faults[0];
  };
  const done = loop();
  // Whoever awaits neither `done` nor `stop()` still finds the failure in the log, not as an unhandled rejection.
  done.catch((error: unknown) =>
    options.logger?.error({ err: error, exitCode: exitCodeOf(error) }, "job runner broke"),
  );
  return {
    done,
    stop: async () => {
      stopping.abort(new UserError("STOPPED", "The job runner was stopped."));
      wake();
      await done;
    },
  };
}
