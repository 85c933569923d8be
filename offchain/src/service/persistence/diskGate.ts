/**
 * What happens when a disk is full: writing pauses, is tried again after growing pauses with one line in the log for each,
 * and goes on by itself once there is room. Whoever writes to the same disk shares one gate.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Backoff, backoffBound, type Clock, RetryableError, systemClock } from "../../base/index.ts";
import type { Logger } from "../processes/logging.ts";

const PAUSES: Backoff = { base: 1_000, maximum: 30_000 };

export interface DiskGate {
  /** One sentence while writing pauses, else undefined. */
  readonly full: string | undefined;
  /** Pauses in a row after which still nothing could be written. */
  readonly failed: number;
  /** @throws RetryableError `DISK_FULL` while writing pauses */
  check(): void;
  /** Told of every error of a write: one that says "full" begins a pause. */
  report(error: unknown): void;
  /** Told of a write that succeeded: the next pause is a short one again. */
  wrote(): void;
  /** Resolves when writing may be tried. @throws the signal's reason */
  opened(signal?: AbortSignal): Promise<void>;
  /** Ends the pause's timer; waiters stay until their signals say otherwise. */
  close(): void;
}

export interface DiskGateOptions {
  /** What is written, for the sentence: a file or a directory. */
  readonly what: string;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  /** Tries to write a little; throws while the disk is full. Default: the next writer finds out. */
  readonly probe?: () => void;
}

/** Whether an error of ours says that a disk is full. */
export const isDiskFull = (error: unknown): boolean => error instanceof CotrainError && error.code === "DISK_FULL";

const newGate = (): PromiseWithResolvers<void> => Promise.withResolvers();

export function createDiskGate({ what, clock = systemClock, logger, probe }: DiskGateOptions): DiskGate {
  const sentence = `${what} cannot be written: the disk is full.`;
  const ending = new AbortController();
  let waiting: PromiseWithResolvers<void> | undefined;
  let pauses = 0;

  const stillFull = (): boolean => {
    try {
      probe?.();
      return false;
    } catch {
      // Whatever it is, the next pause is longer.
      return true;
    }
  };

  async function pause(gate: PromiseWithResolvers<void>): Promise<void> {
    do {
      const ms = backoffBound(pauses, PAUSES);
      pauses += 1;
      logger?.error({ what, retryInMs: ms }, "the disk is full: writing pauses");
      try {
        await clock.sleep(ms, ending.signal);
      } catch {
        return;
      }
    } while (stillFull());
    logger?.info({ what }, "writing is tried again");
    waiting = undefined;
    gate.resolve();
  }

  return {
    get full() {
      return waiting && sentence;
    },
    get failed() {
      return Math.max(0, pauses - 1);
    },
    check: () => {
      if (waiting) throw new RetryableError("DISK_FULL", sentence);
    },
    report: (error) => {
      if (waiting || ending.signal.aborted || !isDiskFull(error)) return;
      waiting = newGate();
      void pause(waiting);
    },
    wrote: () => {
      pauses = 0;
    },
    opened: async (signal) => {
      signal?.throwIfAborted();
      const gate = waiting;
      if (!gate) return;
      const gone = Promise.withResolvers<never>();
      const leave = (): void => gone.reject(signal?.reason);
      signal?.addEventListener("abort", leave, { once: true });
      try {
        await Promise.race([gate.promise, gone.promise]);
      } finally {
        signal?.removeEventListener("abort", leave);
      }
    },
    close: () => ending.abort(),
  };
}
