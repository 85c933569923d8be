/** Held-out loss of a checkpoint, measured in a process of the lowest priority, so that training is not slowed. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

import type { Digest, RunId } from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../base/index.ts";

export interface LossRequest {
  readonly runId: RunId;
  readonly definition: Digest;
  readonly realisation: Digest;
  /** Digest of the checkpoint's manifest. */
  readonly checkpoint: Digest;
  /** Held-out sequences at most; all of them if there are fewer. */
  readonly sequences: number;
}

export interface LossResult {
  /** Nats per token. */
  readonly loss: number;
  readonly microBitsPerByte: number;
  /** Sequences measured: a whole number of the program's batches, evenly spaced over the held-out split. */
  readonly sequences: number;
}

/** Measures; one request at a time. */
export interface LossMeter {
  /** @throws RetryableError when something is not to be had or the process ended; UserError for what cannot be measured */
  measure(request: LossRequest, signal: AbortSignal): Promise<LossResult>;
  close(): void;
}

/** What the process is told once, then per request; what it answers. */
export interface LossSettings {
  readonly coordinator: string;
  /** Where programs and held-out shards are kept. */
  readonly cache: string;
}
export interface LossMessage {
  readonly id: number;
  readonly settings: LossSettings;
  readonly request: LossRequest;
}
export type LossAnswer =
  | { readonly id: number; readonly result: LossResult }
  | {
      readonly id: number;
      readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean };
    };

const isAnswer = (value: unknown): value is LossAnswer =>
  typeof value === "object" && value !== null && "id" in value && ("result" in value || "error" in value);

/** The process starts with the first request and again after its death. */
export function createLossProcess(settings: LossSettings): LossMeter {
  let child: ChildProcess | undefined;
  let next = 0;
  const start = (): ChildProcess => {
    if (child?.connected) return child;
    const typescript = import.meta.url.endsWith(".ts");
    child = fork(fileURLToPath(new URL(`./lossProcess${typescript ? ".ts" : ".js"}`, import.meta.url)), {
      execArgv: typescript ? ["--conditions=cotrain-source"] : [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    return child;
  };
  return {
    measure: (request, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const process = start();
        const id = next++;
        const done = (): void => {
          process.off("message", onMessage);
          process.off("exit", onExit);
          signal.removeEventListener("abort", onAbort);
        };
        const onMessage = (answer: unknown): void => {
          if (!isAnswer(answer) || answer.id !== id) return;
          done();
          if ("result" in answer) resolve(answer.result);
          else {
            const { code, message, retryable } = answer.error;
            reject(retryable ? new RetryableError(code, message) : new UserError(code, message));
          }
        };
        const onExit = (): void => {
          done();
          reject(
            new RetryableError(
              "LOSS_PROCESS_ENDED",
              "The process that measures held-out loss ended; it is started again.",
            ),
          );
        };
        const onAbort = (): void => {
          done();
          reject(signal.reason);
        };
        process.on("message", onMessage);
        process.once("exit", onExit);
        signal.addEventListener("abort", onAbort, { once: true });
        process.send({ id, settings, request } satisfies LossMessage, (error) => error && onExit());
      }),
    close: () => {
      child?.kill("SIGKILL");
      child = undefined;
    },
  };
}

/**
 * Which held-out sequences are measured: evenly spaced, fixed by the split alone, as many as asked for rounded down to whole
 * batches, one at least; a split smaller than a batch is repeated.
 */
export function sampleOf(available: number, wanted: number, batch: number): number[] {
  const count = Math.max(1, Math.floor(Math.min(available, wanted) / batch)) * batch;
  return Array.from({ length: count }, (_, i) =>
    available >= count ? Math.floor((i * available) / count) : i % available,
  );
}
