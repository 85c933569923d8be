/** The job table in a database: see {@link JobTable}. */
import { type Kysely, sql } from "kysely";

import { CotrainError } from "@cotrain/sdk/errors";
import { canonicalJson } from "@cotrain/sdk/protocol";
import { backoffBound, type Clock, InternalError, systemClock } from "../../base/index.ts";
import type { Queryable } from "./database.ts";
import type { Database } from "./databaseEngine.ts";
import type { DiskGate } from "./diskGate.ts";
import type { Job, JobRow, JobSchema, JobState, JobTable, JobTableOptions, NewJob } from "./jobs.ts";

/** See {@link openJobTable}, the way in. */
export async function openStoredJobs<Schema extends JobSchema>(
  database: Database<Schema>,
  options: JobTableOptions,
): Promise<JobTable> {
  const table = new StoredJobs(database as unknown as Database<JobSchema>, options);
  await table.recover();
  return table;
}

/** Of one queue the first that is not done goes before all others. */
const isNext = () => sql<boolean>`(queue is null or not exists (
  select 1 from jobs as earlier where earlier.queue = jobs.queue and earlier.id < jobs.id and earlier.state <> 'done'
))`;

class StoredJobs implements JobTable {
  readonly #database: Database<JobSchema>;
  readonly #db: Kysely<JobSchema>;
  readonly #options: JobTableOptions;
  readonly #clock: Clock;
  readonly #opened: number;
  readonly #cap: number;
  readonly #listeners = new Set<() => void>();

  constructor(database: Database<JobSchema>, options: JobTableOptions) {
    this.#database = database;
    this.#db = database.kysely;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    // What a pause lasts is measured by a clock that nobody sets, from the time of day at the opening.
    this.#opened = this.#clock.now() - this.#clock.monotonic();
    this.#cap = options.backoffCap ?? 60_000;
  }

  get disk(): DiskGate {
    return this.#database.disk;
  }

  /** What another process left. */
  async recover(): Promise<void> {
    await this.#db
      .updateTable("jobs")
      .set({ state: "ready", updated_at: this.#clock.now() })
      .where("state", "=", "running")
      .execute();
    // Pauses that were written down while the clock was ahead, or by another process's time, end as soon as any would.
    const latest = this.#time() + this.#cap;
    await this.#db.updateTable("jobs").set({ next_at: latest }).where("next_at", ">", latest).execute();
  }

  async add(job: NewJob, within: Queryable<JobSchema> = this.#db): Promise<Job> {
    const payload = canonicalJson(job.payload);
    const now = this.#clock.now();
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
        next_at: this.#time(),
        last_error: null,
        result: null,
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) => conflict.columns(["kind", "key"]).doNothing())
      .execute();
    const found = await this.get(job.kind, job.key, within);
    if (!found || canonicalJson(found.payload) !== payload) {
      throw new InternalError("JOB_KEY_REUSED", `Job ${job.kind}/${job.key} exists with another payload.`);
    }
    // Within a transaction the row is not visible yet, but a listener only looks once the transaction lets it.
    this.#changed();
    return found;
  }

  async claim(kinds: readonly string[], limit: number): Promise<Job[]> {
    if (kinds.length === 0 || limit < 1) return [];
    return this.#db.transaction().execute(async (trx) => {
      const now = this.#clock.now();
      const due = await trx
        .selectFrom("jobs")
        .selectAll()
        .where("state", "=", "ready")
        .where("kind", "in", [...kinds])
        .where("next_at", "<=", this.#time())
        .where(isNext())
        .orderBy("next_at")
        .orderBy("id")
        .limit(limit)
        .execute();
      if (due.length === 0) return [];
      const ids = due.map((row) => row.id);
      await trx
        .updateTable("jobs")
        .set((eb) => ({ state: "running", attempts: eb("attempts", "+", 1), updated_at: now }))
        .where("id", "in", ids)
        .execute();
      return due.map((row) => ({
        ...toJob(row),
        state: "running" as const,
        attempts: row.attempts + 1,
        updatedAt: now,
      }));
    });
  }

  note(id: number, progress: unknown): Promise<void> {
    return this.#update(id, { progress: canonicalJson(progress) });
  }

  async complete(id: number, result?: unknown, within?: Queryable<JobSchema>): Promise<void> {
    await this.#update(id, { state: "done", result: canonicalJson(result ?? null), last_error: null }, within);
    this.#changed();
  }

  async fail(id: number, error: unknown): Promise<Job> {
    const { backoffBase = 1_000, maxAttempts, random } = this.#options;
    const job = await this.#byId(id);
    const exhausted = maxAttempts !== undefined && job.attempts >= maxAttempts;
    // Errors of unknown kind may be a passing fault of something outside; only what says that it is final is final.
    const final = error instanceof CotrainError && !error.retryable;
    const ceiling = backoffBound(job.attempts - 1, { base: backoffBase, maximum: this.#cap });
    await this.#update(id, {
      state: exhausted || final ? "failed" : "ready",
      next_at: this.#time() + Math.floor(random.float() * ceiling),
      last_error: JSON.stringify({
        code: error instanceof CotrainError ? error.code : "UNEXPECTED",
        message: error instanceof Error ? error.message : String(error),
      }),
    });
    this.#changed();
    return this.#byId(id);
  }

  async defer(id: number, ms: number): Promise<void> {
    const { attempts } = await this.#byId(id);
    await this.#update(id, { state: "ready", attempts: Math.max(0, attempts - 1), next_at: this.#time() + ms });
    this.#changed();
  }

  async reopen(kind: string, key: string): Promise<boolean> {
    const result = await this.#db
      .updateTable("jobs")
      .set({ state: "ready", attempts: 0, next_at: this.#time(), result: null, updated_at: this.#clock.now() })
      .where("kind", "=", kind)
      .where("key", "=", key)
      .where("state", "in", ["done", "failed"])
      .executeTakeFirst();
    this.#changed();
    return result.numUpdatedRows === 1n;
  }

  async remove(kind: string, key: string): Promise<boolean> {
    const result = await this.#db
      .deleteFrom("jobs")
      .where("kind", "=", kind)
      .where("key", "=", key)
      .where("state", "<>", "running")
      .executeTakeFirst();
    this.#changed();
    return result.numDeletedRows === 1n;
  }

  async get(kind: string, key: string, queryable: Queryable<JobSchema> = this.#db): Promise<Job | undefined> {
    const row = await queryable
      .selectFrom("jobs")
      .selectAll()
      .where("kind", "=", kind)
      .where("key", "=", key)
      .executeTakeFirst();
    return row && toJob(row);
  }

  async list(filter: { readonly kind?: string; readonly state?: JobState } = {}): Promise<Job[]> {
    let query = this.#db.selectFrom("jobs").selectAll();
    if (filter.kind !== undefined) query = query.where("kind", "=", filter.kind);
    if (filter.state !== undefined) query = query.where("state", "=", filter.state);
    return (await query.orderBy("id").execute()).map(toJob);
  }

  async dueIn(kinds: readonly string[]): Promise<number | undefined> {
    if (kinds.length === 0) return undefined;
    const row = await this.#db
      .selectFrom("jobs")
      .select((eb) => eb.fn.min("next_at").as("at"))
      .where("state", "=", "ready")
      .where("kind", "in", [...kinds])
      .where(isNext())
      .executeTakeFirst();
    return row?.at == null ? undefined : Math.max(0, row.at - this.#time());
  }

  async prune(time: number): Promise<number> {
    const result = await this.#db
      .deleteFrom("jobs")
      .where("state", "=", "done")
      .where("updated_at", "<", time)
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #time(): number {
    return Math.floor(this.#opened + this.#clock.monotonic());
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  async #byId(id: number): Promise<Job> {
    const row = await this.#db.selectFrom("jobs").selectAll().where("id", "=", id).executeTakeFirst();
    if (!row) throw this.#unknown(id);
    return toJob(row);
  }

  async #update(id: number, values: Partial<JobRow>, queryable: Queryable<JobSchema> = this.#db): Promise<void> {
    const result = await queryable
      .updateTable("jobs")
      .set({ ...values, updated_at: this.#clock.now() })
      .where("id", "=", id)
      .executeTakeFirst();
    if (result.numUpdatedRows !== 1n) throw this.#unknown(id);
  }

  #unknown(id: number): InternalError {
    return new InternalError("JOB_UNKNOWN", `There is no job ${id} in ${this.#database.file}.`);
  }
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
