/**
 * The posting journal: every transaction of one account is written down before it is sent, sent again until the chain
 * holds what it was to bring about, and never brought about twice. It is the account's only sender while it runs.
 *
 * A posting ends when its effect is seen on-chain, whoever caused it; the transaction is only the means. So whatever
 * happens in between — kill -9 after the send, a node that forgets its last second, a stuck or replaced transaction, a front
 * runner — the next look at the chain tells what is left to do. The contracts make each effect possible once.
 */
import { type ContractError, CotrainError } from "@cotrain/sdk/errors";
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { BaseError, keccak256, type LocalAccount, type TransactionReceipt } from "viem";

import { type Clock, InternalError, RetryableError, systemClock, UserError } from "../base/index.ts";
import {
  Deferral,
  type Job,
  type JobContext,
  type JobHandler,
  type JobTable,
  type Logger,
  startJobRunner,
} from "../service/index.ts";
import { type ChainConnection, isAway, isRevert } from "./connection.ts";
import { requireFee, tooDear } from "./fees.ts";
import type { FeeWait } from "./ports.ts";

/** One kind of posting. */
export interface PostingKind<P, R> {
  /** Unique name, the job's kind. */
  readonly kind: string;
  /**
   * Whether the effect is there, confirmed; its particulars if so, JSON.
   * @param anew all is read from the beginning: the effect must be there, and an RPC may have left its event out
   */
  done(payload: P, anew?: boolean): Promise<R | undefined>;
  /**
   * Called before a transaction is made. `wait`: something must come first (the journal will have been told, see
   * {@link Journal.reopen}); `refuse`: it can never be, or not now.
   */
  prepare(payload: P): Promise<"send" | "wait" | CotrainError>;
  /** What to send. */
  call(payload: P): { readonly to: Address; readonly data: Hex };
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

/** What was sent for a posting; the last one is the newest. All have the same nonce, so at most one is ever mined. */
interface Progress {
  readonly nonce: number;
  readonly sent: readonly Sent[];
}
interface Sent {
  readonly hash: Hex;
  readonly raw: Hex;
  readonly gas: string;
  readonly maxFeePerGas: string;
  readonly tip: string;
}

/** How a job ended: with its effect, or with the contract's refusal, which must not hold up the account's other postings. */
type Ending =
  | { readonly kind: "done"; readonly result: unknown }
  | {
      readonly kind: "refused";
      readonly code: string;
      readonly message: string;
      readonly retryable: boolean;
      readonly revert: string | null;
    };

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
  /** Whether a posting is due or being worked on. */
  isOpen(kind: string, key: string): Promise<boolean>;
  /** Makes a done posting due again: the chain lost its effect. It comes before all later ones. */
  reopen(kind: string, key: string): Promise<boolean>;
  /** What the account's postings wait for while the chain is too dear. */
  feeWait(): FeeWait | undefined;
  stop(): Promise<void>;
  /** Rejects when the journal itself breaks. */
  readonly closed: Promise<void>;
}

const asProgress = (value: unknown): Progress | undefined =>
  typeof value === "object" && value !== null && "nonce" in value && "sent" in value ? (value as Progress) : undefined;

const refused = (error: CotrainError): Ending => ({
  kind: "refused",
  code: error.code,
  message: error.message,
  retryable: error.retryable,
  revert: isRevert(error) ? error.errorName : null,
});

const interrupted = (): RetryableError =>
  new RetryableError("POSTING_INTERRUPTED", "Posting to the chain was interrupted; it goes on at the next start.");

/** Nodes take a replacement only for a tenth more of both fees. */
const raised = (old: string, now: bigint): bigint => {
  const least = (BigInt(old) * 9n) / 8n + 1n;
  return now > least ? now : least;
};

/** How often it is logged that the chain is still too dear. */
const TELL_DEAR_EVERY_MS = 60_000;

/** Opens the journal of one account; what an earlier process left unfinished goes on at once. */
export function openJournal(options: JournalOptions): Journal {
  const { connection, account, jobs } = options;
  const { call } = connection;
  const clock = options.clock ?? systemClock;
  const poll = options.pollInterval ?? 250;
  const stuckAfter = options.stuckAfter ?? 30_000;
  const gapPatience = options.gapPatience ?? 10_000;
  const confirmations = options.confirmations ?? 0;
  const from = account.address;
  const queue = `chain:${connection.chainId}:${from.toLowerCase()}`;
  const log = options.logger;
  const closing = new AbortController();

  const receiptOf = (hash: Hex): Promise<TransactionReceipt | undefined> =>
    call(async (chain) => {
      try {
        return await chain.getTransactionReceipt({ hash });
      } catch (error) {
        if (error instanceof BaseError && error.name === "TransactionReceiptNotFoundError") return undefined;
        throw error;
      }
    });
  const isKnown = (hash: Hex): Promise<boolean> =>
    call(async (chain) => {
      try {
        return (await chain.getTransaction({ hash })) !== null;
      } catch (error) {
        if (error instanceof BaseError && error.name === "TransactionNotFoundError") return false;
        throw error;
      }
    });
  const isConfirmed = async ({ blockNumber }: TransactionReceipt): Promise<boolean> =>
    confirmations === 0 || blockNumber + BigInt(confirmations) <= (await call((chain) => chain.getBlockNumber()));
  const nonceAt = (blockTag: "latest" | "pending") =>
    call((chain) => chain.getTransactionCount({ address: from, blockTag }));

  /** Hands a signed transaction to the node; that it knows it already, or its nonce is used, shows at the next look. */
  const broadcast = async (raw: Hex): Promise<void> => {
    await connection.sameChain();
    try {
      await call((chain) => chain.sendRawTransaction({ serializedTransaction: raw }));
    } catch (error) {
      if (!(error instanceof CotrainError) || (error.code !== "CHAIN_RPC" && !isRevert(error))) throw error;
      log?.debug({ err: error }, "the node did not take the transaction");
    }
  };

  /** Signs, notes, then sends: in this order, so that nothing is ever sent that is not written down. */
  const send = async (
    target: { readonly to: Address; readonly data: Hex },
    before: Progress | undefined,
    context: JobContext,
  ): Promise<Progress> => {
    const last = before?.sent.at(-1);
    const [nonce, gas, fees] = await Promise.all([
      before ? before.nonce : nonceAt("pending"),
      // Nodes estimate on the pending state, in which a transaction that waits to be replaced has done its work already.
      last
        ? BigInt(last.gas)
        : call(async (chain) => ((await chain.estimateGas({ account: from, ...target })) * 5n) / 4n),
      call((chain) => chain.estimateFeesPerGas()),
    ]);
    const maxPriorityFeePerGas = last ? raised(last.tip, fees.maxPriorityFeePerGas) : fees.maxPriorityFeePerGas;
    const suggested = last ? raised(last.maxFeePerGas, fees.maxFeePerGas) : fees.maxFeePerGas;
    const maxFeePerGas = suggested > maxPriorityFeePerGas ? suggested : maxPriorityFeePerGas;
    requireFee({ gas, price: maxFeePerGas, tip: maxPriorityFeePerGas }, connection.maxFee);
    const raw = await account.signTransaction({
      type: "eip1559",
      chainId: connection.chainId,
      nonce,
      gas,
      maxFeePerGas,
      maxPriorityFeePerGas,
      ...target,
    });
    const entry = {
      hash: keccak256(raw),
      raw,
      gas: gas.toString(),
      maxFeePerGas: maxFeePerGas.toString(),
      tip: maxPriorityFeePerGas.toString(),
    };
    const progress: Progress = { nonce, sent: [...(before?.sent ?? []), entry] };
    await context.note(progress);
    await broadcast(raw);
    return progress;
  };

  /** Why a mined transaction reverted; the same call now fails the same way unless the chain moved on meanwhile. */
  const reasonOf = async (target: { readonly to: Address; readonly data: Hex }): Promise<ContractError | undefined> => {
    try {
      await call((chain) => chain.call({ account: from, ...target }));
      return undefined;
    } catch (error) {
      if (isRevert(error)) return error;
      if (error instanceof CotrainError && error.code === "CHAIN_RPC") return undefined;
      throw error;
    }
  };

  /** Since when postings wait for nonces before theirs, by job; they give way to others meanwhile. */
  const gaps = new Map<number, number>();
  const waitedForGap = (id: number): number => {
    const since = gaps.get(id) ?? clock.monotonic();
    gaps.set(id, since);
    return clock.monotonic() - since;
  };

  /** Postings that wait for lower fees, by job, in the order in which they began to. */
  const dear = new Map<number, FeeWait>();
  let warnedDearAt = -Infinity;

  /** Works on one posting until its effect is there, it is refused, or something must come first. */
  const work = async (kind: PostingKind<unknown, unknown>, job: Job, context: JobContext): Promise<unknown> => {
    const { payload } = job;
    let progress = asProgress(job.progress);
    let sentAt = clock.monotonic();
    let reverts = 0;
    let unseen = 0;
    const look = async (anew: boolean): Promise<Ending | undefined> => {
      const result = await kind.done(payload, anew);
      return result === undefined ? undefined : { kind: "done", result };
    };
    // Contracts refuse, too, what is there already.
    const unlessThere = async (refusal: CotrainError): Promise<Ending> => (await look(true)) ?? refused(refusal);
    for (;;) {
      context.signal.throwIfAborted();
      const seen = await look(false);
      if (seen) return seen;
      if (!progress) {
        const ready = await kind.prepare(payload);
        if (ready === "wait") return context.later(poll);
        if (ready !== "send") return refused(ready);
        try {
          progress = await send(kind.call(payload), undefined, context);
        } catch (error) {
          if (isRevert(error)) return unlessThere(error);
          throw error;
        }
        sentAt = clock.monotonic();
        dear.delete(job.id);
        log?.info(
          { kind: kind.kind, posting: job.key, nonce: progress.nonce, transaction: progress.sent.at(-1)?.hash },
          "posting sent",
        );
        continue;
      }
      const receipts = await Promise.all(progress.sent.map(({ hash }) => receiptOf(hash)));
      const mined = receipts.find((receipt) => receipt !== undefined);
      if (mined?.status === "reverted") {
        // A front runner may have done the same a moment before: look again before it is called a refusal.
        if ((await kind.done(payload)) !== undefined) continue;
        const reason = await reasonOf(kind.call(payload));
        if (reason) return unlessThere(reason);
        if (++reverts >= 3)
          return unlessThere(
            new RetryableError("POSTING_REVERTED", `Transaction ${mined.transactionHash} reverted without a reason.`),
          );
        progress = undefined;
        continue;
      }
      if (mined && (await isConfirmed(mined))) {
        const there = (await look(false)) ?? (await look(true));
        if (there) return there;
        // Whoever wants it asks again; the account's other postings go on meanwhile.
        if (++unseen >= 3)
          return refused(
            new RetryableError(
              "POSTING_UNSEEN",
              `Transaction ${mined.transactionHash} was mined, but the chain's RPC leaves its event out: it is looked for again.`,
            ),
          );
      }
      if (!mined) {
        const next = await nonceAt("latest");
        const newest = progress.sent.at(-1);
        if (next > progress.nonce) {
          // Some transaction took the nonce. If it is none of ours, another process uses this account.
          if (
            (await Promise.all(progress.sent.map(({ hash }) => receiptOf(hash)))).every(
              (receipt) => receipt === undefined,
            )
          ) {
            log?.warn(
              { kind: kind.kind, posting: job.key, nonce: progress.nonce },
              "another transaction took this posting's nonce",
            );
            progress = undefined;
          }
          continue;
        }
        const waited = clock.monotonic() - sentAt;
        if (next < progress.nonce && waitedForGap(job.id) > gapPatience) {
          // The chain moved backwards and lost transactions before this one that nobody sends again.
          log?.warn(
            { kind: kind.kind, posting: job.key, nonce: progress.nonce, next },
            "a nonce before this posting's was lost",
          );
          // The next nonce is waited for as long.
          gaps.delete(job.id);
          progress = undefined;
          continue;
        }
        if (newest && !(await isKnown(newest.hash))) await broadcast(newest.raw);
        if (next < progress.nonce) {
          // What the chain lost stands before this in the queue, once it is due again: it must not wait for this posting.
          await kind.prepare(payload);
          return context.later(poll);
        }
        gaps.delete(job.id);
        if (next === progress.nonce && waited > stuckAfter) {
          const ready = await kind.prepare(payload);
          if (ready === "wait") return context.later(poll);
          try {
            progress = await send(kind.call(payload), progress, context);
          } catch (error) {
            if (isRevert(error)) return unlessThere(error);
            throw error;
          }
          sentAt = clock.monotonic();
          dear.delete(job.id);
          log?.warn(
            { kind: kind.kind, posting: job.key, nonce: progress.nonce },
            "posting was stuck, sent again with higher fees",
          );
        }
      }
      await clock.sleep(poll, context.signal);
    }
  };

  const handlers: Record<string, JobHandler> = Object.fromEntries(
    options.kinds.map((kind) => [
      kind.kind,
      async (job: Job, context: JobContext) => {
        try {
          const ending = await work(kind, job, context);
          if (!(ending instanceof Deferral)) {
            gaps.delete(job.id);
            dear.delete(job.id);
          }
          return ending;
        } catch (error) {
          // Told to stop: the posting goes on at the next start.
          if (context.signal.aborted) throw error;
          // A chain that is away is waited for; how long is the caller's patience, not the journal's.
          if (isAway(error)) {
            log?.warn({ kind: kind.kind, posting: job.key, err: error }, "the chain is away, posting waits");
            return context.later(1_000);
          }
          // So are lower fees; what was sent before is looked for meanwhile.
          const fees = tooDear(error);
          if (fees) {
            const now = clock.monotonic();
            const known = dear.get(job.id);
            dear.set(job.id, { ...fees, since: known?.since ?? clock.now() });
            // It may last for days, and is tried every second.
            if (!known || now - warnedDearAt >= TELL_DEAR_EVERY_MS) {
              warnedDearAt = now;
              const sentence = (error as Error).message;
              log?.warn({ kind: kind.kind, posting: job.key }, `the chain is too dear, posting waits. ${sentence}`);
            }
            return context.later(1_000);
          }
          dear.delete(job.id);
          // What trying again cannot help ends this posting, and must not hold up the account's others.
          if (error instanceof CotrainError && !error.retryable) return refused(error);
          throw error;
        }
      },
    ]),
  );
  const runner = startJobRunner({ table: jobs, handlers, clock, ...(log ? { logger: log } : {}) });

  /** Resolves at the next change of the job table, or after a moment. */
  const nextChange = async (signal: AbortSignal): Promise<void> => {
    const wake = new AbortController();
    const unsubscribe = jobs.onChange(() => wake.abort());
    try {
      await clock.sleep(poll, AbortSignal.any([signal, wake.signal])).catch(() => undefined);
    } finally {
      unsubscribe();
    }
  };

  return {
    account: from.toLowerCase() as Address,
    submit: async (kind, key, payload, signal) => {
      const aborted = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal;
      const added = await jobs.add({ kind: kind.kind, key, payload, queue });
      const before = added.state === "done" ? (added.result as Ending) : undefined;
      // What was done once may have been lost since, before anybody noticed.
      const lost = before?.kind === "done" && (await kind.done(payload)) === undefined;
      if (added.state === "failed" || before?.kind === "refused" || lost) await jobs.reopen(kind.kind, key);
      for (;;) {
        const job = await jobs.get(kind.kind, key);
        if (!job) throw new InternalError("POSTING_LOST", `Posting ${kind.kind}/${key} vanished from the journal.`);
        if (job.state === "failed")
          throw new InternalError("POSTING_FAILED", job.lastError?.message ?? `Posting ${kind.kind}/${key} failed.`);
        if (job.state === "done") {
          const ending = job.result as Ending;
          if (ending.kind === "done") return ending.result as never;
          const details = ending.revert === null ? {} : { details: { revert: ending.revert } };
          throw ending.retryable
            ? new RetryableError(ending.code, ending.message, details)
            : new UserError(ending.code, ending.message, details);
        }
        if (aborted.aborted) throw interrupted();
        await nextChange(aborted);
      }
    },
    finished: async (kind) =>
      (await jobs.list({ kind: kind.kind, state: "done" }))
        .filter((job) => job.queue === queue && (job.result as Ending).kind === "done")
        .map((job) => ({
          key: job.key,
          payload: job.payload as never,
          result: (job.result as { readonly result: unknown }).result as never,
        })),
    all: async (kind) =>
      (await jobs.list({ kind: kind.kind }))
        .filter((job) => job.queue === queue)
        .map((job) => ({ key: job.key, payload: job.payload as never })),
    isOpen: async (kind, key) => ["ready", "running"].includes((await jobs.get(kind, key))?.state ?? ""),
    reopen: (kind, key) => jobs.reopen(kind, key),
    feeWait: () => [...dear.values()][0],
    stop: async () => {
      closing.abort();
      await runner.stop();
    },
    closed: runner.done,
  };
}
