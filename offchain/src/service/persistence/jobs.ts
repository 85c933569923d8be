/**
 * The durable job table: work with effects outside (posting to a chain first; later replay draws, pinning, leases) that is
 * written down before it is begun, done once per key, tried again with growing pauses, and found again after kill -9.
 */
import type { Generated } from "kysely";

import type { Clock, Random } from "../../base/index.ts";
import type { Migration, Queryable } from "./database.ts";
import type { Database } from "./databaseEngine.ts";
import type { DiskGate } from "./diskGate.ts";

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
  const { openStoredJobs } = await import("./jobTable.ts");
  return openStoredJobs(database, options);
}
