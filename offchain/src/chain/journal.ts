/**
 * The posting journal: every transaction of one account is written down before it is sent, sent again until the chain
 * holds what it was to bring about, and never brought about twice. It is the account's only sender while it runs. What is
 * decided is in posting/machine.ts; here the job table's postings are handed to it, and what it asks for is carried out.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { type LocalAccount, parseTransaction } from "viem";

import { type Clock, formatAddress, InternalError, RetryableError, systemClock, UserError } from "../base/index.ts";
import {
  type Deferral,
  type Job,
  type JobContext,
  type JobHandler,
  type JobTable,
  type Logger,
  startJobRunner,
} from "../service/index.ts";
import type { ChainConnection } from "./connection.ts";
import type { FeeWait } from "./ports.ts";
import type { Ending, PostingProgress, Refused } from "./posting/asks.ts";
import { REVERTED, TOO_DEAR } from "./posting/asks.ts";
import { createCarryOut, faultOf, type PostingInWork } from "./posting/carryOut.ts";
import type { Notice, PostingEvent } from "./posting/events.ts";
import { type Account, feeWaitOf, openAccount, step } from "./posting/machine.ts";

/** One kind of posting. */
export interface PostingKind<P, R> {
  /** Unique name, the job's kind. */
  readonly kind: string;
  /**
   * Whether the effect is there, confirmed; its particulars if so, JSON.
   * @param anew block from which on all is read once more: the effect must be there, and an RPC may have left its event out
   */
  done(payload: P, anew?: number): Promise<R | undefined>;
  /**
   * Called before a transaction is made. `wait`: something must come first (the journal will have been told, see
   * {@link Journal.reopen}); `refuse`: it can never be, or not now.
   */
  prepare(payload: P): Promise<"send" | "wait" | CotrainError>;
  /** What to send. */
  call(payload: P): { readonly to: Address; readonly data: Hex };
  /** Coins that go along as things are now, wei; left out where none ever do. */
  coins?(payload: P): Promise<bigint>;
  /**
   * The part of it that is sent where all of it is refused, too dear, or more than the account can pay: enough for the effect. What
   * else it would bring about is for other postings.
   * @returns a payload of this kind; undefined where there is nothing less
   */
  less?(payload: P): unknown;
  /**
   * Nobody waits for it, and whoever wants it asks again: where it is too dear, or more than the account can pay or a transaction take, it
   * ends before anything of it is sent, so that what the account owes others does not stand behind it.
   */
  readonly yields?: true;
}

export interface JournalOptions {
  readonly connection: ChainConnection;
  readonly account: LocalAccount;
  readonly jobs: JobTable;
  readonly kinds: readonly PostingKind<never, unknown>[];
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Blocks above the one that holds an effect before it is seen; default 0. */
  readonly confirmations?: number;
  /** Ms between looks at the chain; default 250. */
  readonly pollInterval?: number;
  /** Ms after which a transaction that is not mined gets higher fees; default 30,000. */
  readonly stuckAfter?: number;
  /** Ms after which a nonce that others must fill first is given up; default 10,000. */
  readonly gapPatience?: number;
}

export interface Journal {
  readonly account: Address;
  /**
   * Brings an effect about, once for each (kind, key), and resolves with its particulars.
   * @throws UserError or RetryableError with the contract's sentence when it refuses; RetryableError `POSTING_INTERRUPTED`
   *   when the journal stops or the signal aborts before (the posting goes on at the next start)
   */
  submit<P, R>(kind: PostingKind<P, R>, key: string, payload: P, signal?: AbortSignal): Promise<R>;
  /** Postings of a kind that were done, oldest first. */
  finished<P, R>(kind: PostingKind<P, R>): Promise<{ readonly key: string; readonly payload: P; readonly result: R }[]>;
  /** All postings of a kind, in whatever state, oldest first. */
  all<P, R>(kind: PostingKind<P, R>): Promise<{ readonly key: string; readonly payload: P }[]>;
  /** Of a posting that was asked for before, in whatever state. */
  payloadOf<P, R>(kind: PostingKind<P, R>, key: string): Promise<P | undefined>;
  /** Whether a posting is due or being worked on. */
  isOpen(kind: string, key: string): Promise<boolean>;
  /** Makes a done posting due again: the chain lost its effect. It comes before all later ones. */
  reopen(kind: string, key: string): Promise<boolean>;
  /** What the account's postings wait for while the chain is too dear, or the account too poor. */
  feeWait(): FeeWait | undefined;
  stop(): Promise<void>;
  /** Rejects when the journal itself breaks. */
  readonly closed: Promise<void>;
}

const asProgress = (value: unknown): PostingProgress | null =>
  typeof value === "object" && value !== null && "nonce" in value && "sent" in value
    ? (value as PostingProgress)
    : null;

const interrupted = (): RetryableError =>
  new RetryableError("POSTING_INTERRUPTED", "Posting to the chain was interrupted; it goes on at the next start.");

/** Whether less of it may be taken. What was mined and is only not seen is refused by nobody. */
const isRefusal = (ending: Ending): ending is Refused => ending.kind === "refused" && ending.code !== "POSTING_UNSEEN";

function lessOf(kind: PostingKind<never, unknown>, payload: never): { readonly payload: never } | undefined {
  const less = kind.less?.(payload);
  return less === undefined ? undefined : { payload: less as never };
}

/** A notice in the log. @param newest transaction of the posting */
function notify(
  log: Logger | undefined,
  account: Address,
  job: Job,
  notice: Notice | { readonly what: "split" },
  error: unknown,
  newest: Hex | undefined,
): void {
  if (!log) return;
  const about = { kind: job.kind, posting: job.key };
  switch (notice.what) {
    case "sent":
      return log.info({ ...about, nonce: notice.nonce, transaction: newest }, "posting sent");
    case "replaced":
      return log.warn({ ...about, nonce: notice.nonce }, "posting was stuck, sent again with higher fees");
    case "nonceTaken":
      return log.warn({ ...about, nonce: notice.nonce }, "another transaction took this posting's nonce");
    case "nonceLost":
      return log.warn({ ...about, nonce: notice.nonce, next: notice.next }, "a nonce before this posting's was lost");
    case "away":
      return log.warn({ ...about, err: error }, "the chain is away, posting waits");
    case "split":
      return log.warn({ ...about, err: error }, "a posting of several was refused, the first of them is posted alone");
    case "dear":
      return log.warn(about, `the chain is too dear, posting waits. ${notice.sentence}`);
    case "poor":
      return log.warn(about, `${formatAddress(account)} lacks coins, posting waits. ${notice.sentence}`);
  }
}

/** What the caller of a posting gets that ended. @throws as {@link Journal.submit} */
function resultOf(ending: Ending): unknown {
  if (ending.kind === "done") return ending.result;
  const details = ending.revert === null ? {} : { details: { revert: ending.revert } };
  throw ending.retryable
    ? new RetryableError(ending.code, ending.message, details)
    : new UserError(ending.code, ending.message, details);
}

/** Whether what a posting's caller got says that a contract refuses it, for whatever reason. */
export const isRefused = (error: unknown): boolean =>
  error instanceof CotrainError && (typeof error.details?.["revert"] === "string" || error.code === REVERTED);

/** Whether what a posting's caller got says that it is too dear, or more than the account can pay, and that nothing of it was sent. */
export const isTooDear = (error: unknown): boolean => error instanceof CotrainError && error.code === TOO_DEAR;

/** Opens the journal of one account; what an earlier process left unfinished goes on at once. */
export function openJournal(options: JournalOptions): Journal {
  return new PostingJournal(options);
}

class PostingJournal implements Journal {
  readonly account: Address;
  readonly #jobs: JobTable;
  readonly #clock: Clock;
  readonly #poll: number;
  readonly #queue: string;
  readonly #log: Logger | undefined;
  readonly #carryOut: ReturnType<typeof createCarryOut>;
  readonly #runner: ReturnType<typeof startJobRunner>;
  readonly #closing = new AbortController();
  #state: Account;

  constructor(options: JournalOptions) {
    const { connection, account, jobs, logger: log } = options;
    const clock = options.clock ?? systemClock;
    this.account = account.address.toLowerCase() as Address;
    this.#jobs = jobs;
    this.#clock = clock;
    this.#poll = options.pollInterval ?? 250;
    this.#queue = `chain:${connection.chainId}:${this.account}`;
    this.#log = log;
    this.#carryOut = createCarryOut({ connection, account, clock, log });
    this.#state = openAccount({
      pollInterval: this.#poll,
      stuckAfter: options.stuckAfter ?? 30_000,
      gapPatience: options.gapPatience ?? 10_000,
      confirmations: options.confirmations ?? 0,
      maxFee: connection.maxFee,
    });
    const handlers: Record<string, JobHandler> = Object.fromEntries(
      options.kinds.map((kind) => [kind.kind, (job, context) => this.#work(kind, job, context)]),
    );
    this.#runner = startJobRunner({ table: jobs, handlers, clock, ...(log ? { logger: log } : {}) });
  }

  get closed(): Promise<void> {
    return this.#runner.done;
  }

  /** Works on one posting until its effect is there, it is refused, or something must come first. */
  async #work(kind: PostingKind<never, unknown>, job: Job, context: JobContext): Promise<Ending | Deferral> {
    let payload = this.#partOf(kind, job);
    const yields = kind.yields === true;
    const posting: PostingInWork = {
      context,
      target: async () => {
        const { to, data } = kind.call(payload);
        const value = (await kind.coins?.(payload)) ?? 0n;
        return { to, data, ...(value > 0n && { value }) };
      },
      done: (anew) => kind.done(payload, anew),
      prepare: () => kind.prepare(payload),
      yields,
    };
    let error: unknown;
    let event: PostingEvent = {
      type: "claimed",
      job: job.id,
      progress: asProgress(job.progress),
      yields,
      ...this.#time(),
    };
    for (;;) {
      const { state, effects } = step(this.#state, event);
      this.#state = state;
      for (const effect of effects) {
        if (effect.type === "end") {
          const { ending } = effect;
          const less = isRefusal(ending) ? lessOf(kind, payload) : undefined;
          if (!less || !isRefusal(ending)) return ending;
          // One that is refused keeps none of the others from being posted.
          notify(this.#log, this.account, job, { what: "split" }, ending.message, undefined);
          payload = less.payload;
          event = { type: "claimed", job: job.id, progress: null, yields, ...this.#time() };
          continue;
        }
        if (effect.type === "later") return context.later(effect.ms);
        if (effect.type === "fail") throw error;
        if (effect.type === "notify") {
          notify(this.#log, this.account, job, effect, error, state.work?.progress?.sent.at(-1)?.hash);
          continue;
        }
        try {
          context.signal.throwIfAborted();
          const answer = await this.#carryOut(effect, posting);
          event = { type: effect.name, ...answer, ...this.#time() } as PostingEvent;
        } catch (thrown) {
          // Told to stop: the posting goes on at the next start.
          if (context.signal.aborted) throw thrown;
          error = thrown;
          event = { type: "failed", fault: faultOf(thrown), ...this.#time() };
        }
      }
    }
  }

  /** What of a posting is sent: what was before; else all, or where that is too dear or too much as little as is enough. */
  #partOf(kind: PostingKind<never, unknown>, job: Job): never {
    const payload = job.payload as never;
    const less = lessOf(kind, payload);
    if (!less) return payload;
    const newest = asProgress(job.progress)?.sent.at(-1);
    const isLess = newest
      ? parseTransaction(newest.raw).data === kind.call(less.payload).data
      : (this.#state.waiting[job.id]?.dear ?? null) !== null;
    return isLess ? less.payload : payload;
  }

  #time(): { readonly at: number; readonly wall: number } {
    return { at: this.#clock.monotonic(), wall: this.#clock.now() };
  }

  /** Resolves at the next change of the job table, or after a moment. */
  async #nextChange(signal: AbortSignal): Promise<void> {
    const wake = new AbortController();
    const unsubscribe = this.#jobs.onChange(() => wake.abort());
    try {
      await this.#clock.sleep(this.#poll, AbortSignal.any([signal, wake.signal])).catch(() => undefined);
    } finally {
      unsubscribe();
    }
  }

  async submit<P, R>(kind: PostingKind<P, R>, key: string, payload: P, signal?: AbortSignal): Promise<R> {
    const jobs = this.#jobs;
    const aborted = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    const added = await jobs.add({ kind: kind.kind, key, payload, queue: this.#queue });
    const before = added.state === "done" ? (added.result as Ending) : undefined;
    // What was done once may have been lost since, before anybody noticed.
    const lost = before?.kind === "done" && (await kind.done(payload)) === undefined;
    if (added.state === "failed" || before?.kind === "refused" || lost) await jobs.reopen(kind.kind, key);
    for (;;) {
      const ending = await this.#endingOf(kind.kind, key);
      if (ending) return resultOf(ending) as R;
      if (aborted.aborted) throw interrupted();
      await this.#nextChange(aborted);
    }
  }

  /** Undefined while the posting is open. @throws InternalError `POSTING_LOST`, `POSTING_FAILED` */
  async #endingOf(kind: string, key: string): Promise<Ending | undefined> {
    const job = await this.#jobs.get(kind, key);
    if (!job) throw new InternalError("POSTING_LOST", `Posting ${kind}/${key} vanished from the journal.`);
    if (job.state === "failed")
      throw new InternalError("POSTING_FAILED", job.lastError?.message ?? `Posting ${kind}/${key} failed.`);
    return job.state === "done" ? (job.result as Ending) : undefined;
  }

  async finished<P, R>(kind: PostingKind<P, R>): Promise<{ key: string; payload: P; result: R }[]> {
    return (await this.#jobs.list({ kind: kind.kind, state: "done" })).flatMap(({ queue, key, payload, result }) => {
      const ending = result as Ending;
      if (queue !== this.#queue || ending.kind !== "done") return [];
      return [{ key, payload: payload as P, result: ending.result as R }];
    });
  }

  async all<P, R>(kind: PostingKind<P, R>): Promise<{ key: string; payload: P }[]> {
    return (await this.#jobs.list({ kind: kind.kind }))
      .filter((job) => job.queue === this.#queue)
      .map(({ key, payload }) => ({ key, payload: payload as P }));
  }

  async payloadOf<P, R>(kind: PostingKind<P, R>, key: string): Promise<P | undefined> {
    return (await this.#jobs.get(kind.kind, key))?.payload as P | undefined;
  }

  async isOpen(kind: string, key: string): Promise<boolean> {
    return ["ready", "running"].includes((await this.#jobs.get(kind, key))?.state ?? "");
  }

  reopen(kind: string, key: string): Promise<boolean> {
    return this.#jobs.reopen(kind, key);
  }

  feeWait(): FeeWait | undefined {
    return feeWaitOf(this.#state);
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#runner.stop();
  }
}
