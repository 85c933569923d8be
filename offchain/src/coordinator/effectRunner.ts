/** Carries out what is pending: begins it when its time has come, aborts it when nothing waits for it, hands in how it ended. */
import { CotrainError } from "@cotrain/sdk/errors";

import { type Clock, InternalError } from "../base/index.ts";
import { type DiskGate, isDiskFull, type Logger } from "../service/index.ts";
import { RefusedError, stopping } from "./errors.ts";
import type { EventWriter } from "./eventWriter.ts";
import { type Effect, effectKinds, type PendingEffect } from "./machine/effects.ts";
import type { Unstamped } from "./machine/events.ts";
import type { RunState } from "./machine/state.ts";
import type { RunClock } from "./runClock.ts";

export interface EffectContext {
  /** The state when the effect begins. */
  readonly state: RunState;
  /** Aborted when nothing waits for the effect any more. */
  readonly signal: AbortSignal;
}

/** Does an effect; the event it returns ends it, an error becomes an EffectFailed. */
export type EffectHandler = (effect: Effect, context: EffectContext) => Promise<Unstamped>;

interface RunnerOptions {
  readonly writer: Pick<EventWriter, "state" | "stopped" | "submit">;
  readonly clock: Clock;
  readonly runClock: RunClock;
  readonly blobDisk: DiskGate;
  /** The log's. */
  readonly logDisk: DiskGate;
  readonly logger: Logger;
}

interface Running {
  readonly pending: PendingEffect;
  readonly controller: AbortController;
  /** Its time has not come yet. */
  waiting: boolean;
}

/** Whether what runs is still what is asked for: a step of the clock changes only when. */
const isSameTry = (asked: PendingEffect | undefined, { effect, attempt }: PendingEffect): boolean =>
  asked?.effect === effect && asked.attempt === attempt;

export class EffectRunner {
  readonly #options: RunnerOptions;
  readonly #running = new Map<string, Running>();
  #handler: EffectHandler | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  start(handler: EffectHandler): void {
    this.#handler = handler;
    this.reconcile();
  }

  stop(): void {
    for (const { controller } of this.#running.values()) controller.abort(stopping());
    this.#running.clear();
  }

  /** What waits for a time of the chain's is nearer or further now. */
  waitAnew(): void {
    for (const [key, { waiting, controller }] of this.#running) {
      if (!waiting) continue;
      this.#running.delete(key);
      controller.abort(new InternalError("CLOCK_STEPPED", `The clock was set while ${key} waited.`));
    }
  }

  /** Begins what is pending and does not run, aborts what runs and is not pending any more. */
  reconcile(): void {
    const { writer } = this.#options;
    if (!this.#handler || writer.stopped) return;
    const { pending: asked } = writer.state;
    for (const [key, { pending, controller }] of this.#running) {
      if (isSameTry(asked[key], pending)) continue;
      this.#running.delete(key);
      controller.abort(new InternalError("EFFECT_OBSOLETE", `Nothing waits for ${key} any more.`));
    }
    for (const [key, pending] of Object.entries(asked)) {
      if (this.#running.has(key)) continue;
      const one: Running = { pending, controller: new AbortController(), waiting: true };
      this.#running.set(key, one);
      void this.#perform(this.#handler, one);
    }
  }

  async #perform(handler: EffectHandler, one: Running): Promise<void> {
    const { pending } = one;
    const { signal } = one.controller;
    const { effect, attempt } = pending;
    let outcome: Unstamped;
    try {
      await this.#until(Math.max("due" in effect ? effect.due : 0, pending.notBefore), signal);
      signal.throwIfAborted();
      one.waiting = false;
      outcome = await this.#outcomeOf(handler, effect, signal);
    } catch (error) {
      if (signal.aborted) return;
      const typed = error instanceof CotrainError ? error : undefined;
      const level = typed?.retryable ? "info" : "warn";
      this.#options.logger[level]({ err: error, effect: effect.key, attempt }, "effect failed, will be tried again");
      // What is of unknown kind may pass; only what says that it is final is.
      const retryable = typed?.retryable ?? true;
      outcome = { type: "EffectFailed", key: effect.key, code: typed?.code ?? "UNEXPECTED", attempt, retryable };
    }
    if (!signal.aborted) await this.#conclude(outcome, pending, signal);
  }

  /** Does an effect; while there is no room for what it writes it waits, without a word in the log. */
  async #outcomeOf(handler: EffectHandler, effect: Effect, signal: AbortSignal): Promise<Unstamped> {
    const { writer, blobDisk, logDisk } = this.#options;
    for (;;) {
      try {
        const outcome = await handler(effect, { state: writer.state, signal });
        if (effectKinds[effect.kind].proves === "roomForBlobs") blobDisk.wrote();
        return outcome;
      } catch (error) {
        if (!isDiskFull(error) || signal.aborted) throw error;
        blobDisk.report(error);
        await Promise.all([blobDisk.opened(signal), logDisk.opened(signal)]);
      }
    }
  }

  /** Hands in how an effect ended, again and again while the database is away: otherwise it would hang for ever. */
  async #conclude(outcome: Unstamped, { effect: { key }, attempt }: PendingEffect, signal: AbortSignal): Promise<void> {
    const { writer, clock, logDisk, logger } = this.#options;
    for (let event = outcome; ;) {
      try {
        await writer.submit(event);
        return;
      } catch (error) {
        if (signal.aborted || writer.stopped || (error instanceof RefusedError && event.type === "EffectFailed"))
          return;
        if (isDiskFull(error)) {
          await logDisk.opened(signal).catch(() => undefined);
          continue;
        }
        const final = error instanceof RefusedError || (error instanceof CotrainError && !error.retryable);
        if (final && event.type !== "EffectFailed") {
          const { code } = error;
          logger.warn({ effect: key, code }, "an effect's result does not fit the state, will be tried again");
          event = { type: "EffectFailed", key, code, attempt, retryable: true };
          continue;
        }
        logger.error({ err: error, type: event.type }, "an effect's result could not be written, will be tried again");
        await clock.sleep(1_000, signal).catch(() => undefined);
      }
    }
  }

  async #until(time: number, signal: AbortSignal): Promise<void> {
    const { clock, runClock } = this.#options;
    // Node's timers hold 31 bits of milliseconds.
    for (let left = time - runClock.now(); left > 0; left = time - runClock.now()) {
      await clock.sleep(Math.min(left, 2 ** 31 - 1), signal);
    }
  }
}
