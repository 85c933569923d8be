/** Works through a job table: claims what is due, hands it to its handler, and writes down how it ended. */
import { type Clock, exitCodeOf, systemClock, UserError } from "../../base/index.ts";
import { isDiskFull } from "./diskGate.ts";
import type { Job, JobTable } from "./jobs.ts";
import type { Logger } from "../processes/logging.ts";

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
  return new Runner(options);
}

class Runner implements JobRunner {
  readonly done: Promise<void>;
  readonly #options: JobRunnerOptions;
  readonly #clock: Clock;
  readonly #concurrency: number;
  readonly #kinds: readonly string[];
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #faults: unknown[] = [];
  readonly #unsubscribe: () => void;
  // A change that arrives while the loop is busy must not be lost: it is remembered until the next wait.
  #stirred = false;
  #stir: (() => void) | undefined;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#concurrency = options.concurrency ?? 1;
    this.#kinds = Object.keys(options.handlers);
    this.#unsubscribe = options.table.onChange(() => this.#wake());
    this.done = this.#loop();
    // Whoever awaits neither `done` nor `stop()` still finds the failure in the log, not as an unhandled rejection.
    this.done.catch((error: unknown) =>
      options.logger?.error({ err: error, exitCode: exitCodeOf(error) }, "job runner broke"),
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new UserError("STOPPED", "The job runner was stopped."));
    this.#wake();
    await this.done;
  }

  #wake(): void {
    this.#stirred = true;
    this.#stir?.();
  }

  /** What happened must be written down; while the disk is full it waits. At the end a restart finds the job as it was. */
  async #record<T>(write: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        if (this.#stopping.signal.aborted) return undefined;
        await this.#options.table.disk.opened(this.#stopping.signal).catch(() => undefined);
      }
    }
  }

  async #work(job: Job): Promise<void> {
    const { table, handlers, logger } = this.#options;
    const handler = handlers[job.kind];
    if (!handler) return;
    try {
      const result = await handler(job, {
        signal: this.#stopping.signal,
        note: (progress) => table.note(job.id, progress),
        later: (ms) => new Deferral(ms),
      });
      if (result instanceof Deferral) await this.#record(() => table.defer(job.id, result.ms));
      else await this.#record(() => table.complete(job.id, result));
    } catch (error) {
      if (this.#stopping.signal.aborted) {
        await this.#record(() => table.defer(job.id, 0));
        return;
      }
      const failed = await this.#record(() => table.fail(job.id, error));
      if (!failed) return;
      const level = failed.state === "failed" ? "error" : "warn";
      logger?.[level](
        { kind: job.kind, job: job.key, attempts: failed.attempts, state: failed.state, err: error },
        failed.state === "failed" ? "job given up" : "job failed, will be tried again",
      );
    }
  }

  #start(job: Job): void {
    const task = this.#work(job)
      .catch((error: unknown) => {
        this.#faults.push(error);
      })
      .finally(() => {
        this.#running.delete(task);
        this.#wake();
      });
    this.#running.add(task);
  }

  /** Until something changes, the next job is due, or the runner stops. */
  async #rest(): Promise<void> {
    const due = this.#running.size < this.#concurrency ? await this.#options.table.dueIn(this.#kinds) : undefined;
    if (this.#stirred || this.#stopping.signal.aborted) return;
    const alarm = new AbortController();
    const waits: Promise<void>[] = [
      new Promise((resolve) => {
        this.#stir = resolve;
      }),
    ];
    // Node's timers hold 31 bits of milliseconds.
    if (due !== undefined) {
      const ms = Math.min(due, 2 ** 31 - 1);
      waits.push(this.#clock.sleep(ms, alarm.signal).catch(() => undefined));
    }
    await Promise.race(waits);
    alarm.abort();
  }

  async #loop(): Promise<void> {
    const { table } = this.#options;
    try {
      while (!this.#stopping.signal.aborted && this.#faults.length === 0) {
        this.#stirred = false;
        const claimed = await this.#record(() => table.claim(this.#kinds, this.#concurrency - this.#running.size));
        for (const job of claimed ?? []) this.#start(job);
        await this.#rest();
      }
    } catch (error) {
      this.#faults.push(error);
    } finally {
      this.#unsubscribe();
      this.#stopping.abort();
      await Promise.all(this.#running);
    }
    if (this.#faults.length > 0) throw this.#faults[0];
  }
}
