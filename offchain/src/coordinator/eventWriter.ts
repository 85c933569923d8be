/**
 * The single writer of a run's log: takes events in turn, checks each against the state as it is then, appends what passes (many
 * in one durable transaction), applies it, and only then answers.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { canonicalJson, type RunId } from "@cotrain/sdk/protocol";

import { type Clock, InternalError } from "../base/index.ts";
import { type Database, type EventLog, isDiskFull, type Logger } from "../service/index.ts";
import { RefusedError, stopping } from "./errors.ts";
import type { RunEvent, Unstamped } from "./machine/events.ts";
import { violationsOf } from "./machine/invariants.ts";
import type { Logic } from "./machine/logics.ts";
import { refusalOf } from "./machine/rules.ts";
import type { RunState } from "./machine/state.ts";
import { project } from "./projections.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";
import { type RunClock, writeClock } from "./runClock.ts";

/** Events in one transaction. */
const MAX_BATCH = 256;
const SNAPSHOT_EVERY = 500;

export type ChangeListener = (state: RunState, event: RunEvent, before: RunState | null) => void;

interface WriterOptions {
  readonly runId: RunId;
  readonly database: Database<CoordinatorSchema>;
  readonly log: EventLog<RunEvent>;
  readonly logic: Pick<Logic, "step">;
  readonly logicVersion: number;
  readonly clock: Clock;
  readonly runClock: RunClock;
  readonly logger: Logger;
  /** Events between snapshots. */
  readonly snapshotEvery?: number | undefined;
  /** Told after the listeners. @param stepped whether a step of the clock was among what was written */
  readonly written: (stepped: boolean) => void;
}

interface Offer {
  readonly event: Unstamped;
  resolve(state: RunState): void;
  reject(error: unknown): void;
}

interface Accepted {
  readonly offer: Offer;
  readonly event: RunEvent;
  readonly before: RunState;
  readonly after: RunState;
}

interface Refused {
  readonly offer: Offer;
  readonly error: unknown;
}

/** What the log gives back is what is applied: the form after JSON, live as in a replay. */
export function stamped(event: Unstamped, at: number): RunEvent {
  return JSON.parse(canonicalJson({ ...event, at })) as RunEvent;
}

export class EventWriter {
  readonly #options: WriterOptions;
  readonly #queue: Offer[] = [];
  readonly #listeners = new Set<ChangeListener>();
  readonly #failure = Promise.withResolvers<never>();
  #state: RunState;
  #seq: number;
  #stopped = false;
  #sinceSnapshot = 0;
  #writing: Promise<void> | undefined;

  constructor(options: WriterOptions, { state, seq }: { readonly state: RunState; readonly seq: number }) {
    this.#options = options;
    this.#state = state;
    this.#seq = seq;
    this.failed.catch(() => undefined);
  }

  get state(): RunState {
    return this.#state;
  }
  get seq(): number {
    return this.#seq;
  }
  get stopped(): boolean {
    return this.#stopped;
  }
  /** Rejects when the run cannot go on. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  /** See `Driver.submit`. */
  submit(event: Unstamped): Promise<RunState> {
    if (this.#stopped) return Promise.reject(stopping());
    return new Promise((resolve, reject) => {
      this.#queue.push({ event, resolve, reject });
      this.#writing ??= this.#drain().catch((error: unknown) => this.#fail(error));
    });
  }

  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes no more events, and waits for what is being written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const offer of this.#queue.splice(0)) offer.reject(stopping());
    await this.#writing;
  }

  /** Keeps what was reached since the last snapshot. */
  async keep(): Promise<void> {
    const { log, logicVersion } = this.#options;
    if (this.#sinceSnapshot > 0) await log.saveSnapshot(this.#seq, logicVersion, this.#state);
  }

  #fail(error: unknown): void {
    this.#stopped = true;
    this.#failure.reject(error);
  }

  async #drain(): Promise<void> {
    // What arrives within this turn of the event loop shares the transaction.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#writeBatch(this.#queue.splice(0, MAX_BATCH));
    // In the same turn as the last look at the queue: an offer that comes later finds nobody writing and begins anew.
    this.#writing = undefined;
  }

  async #writeBatch(offers: readonly Offer[]): Promise<void> {
    const { accepted, refused } = this.#decide(offers);
    try {
      await this.#commit(accepted);
    } catch (error) {
      for (const { offer } of accepted) offer.reject(error);
      for (const each of refused) each.offer.reject(each.error);
      if (error instanceof CotrainError && error.code === "EVENT_LOG_MOVED") this.#fail(error);
      else if (!isDiskFull(error)) this.#options.logger.error({ err: error }, "events could not be written");
      return;
    }
    for (const { event, before, after } of accepted) {
      for (const listener of this.#listeners) listener(after, event, before);
    }
    for (const { offer, after } of accepted) offer.resolve(after);
    for (const { offer, error } of refused) offer.reject(error);
    this.#options.written(accepted.some(({ event }) => event.type === "ClockStepped"));
  }

  #decide(offers: readonly Offer[]): { accepted: Accepted[]; refused: Refused[] } {
    const { clock, runClock, logger } = this.#options;
    let working = this.#state;
    const accepted: Accepted[] = [];
    const refused: Refused[] = [];
    /** What a step of the clock among these events moves the rest by. */
    let shift = 0;
    for (const offer of offers) {
      if (this.#stopped) {
        refused.push({ offer, error: stopping() });
        continue;
      }
      const refusal = refusalOf(working, offer.event);
      if (refusal) {
        refused.push({ offer, error: new RefusedError(refusal.code, refusal.message) });
        continue;
      }
      try {
        const steps = offer.event.type === "ClockStepped";
        const at = steps ? clock.now() : Math.max(runClock.now() + shift, working.at);
        if (steps) shift = at - runClock.now();
        const event = stamped(offer.event, at);
        const after = this.#apply(working, event);
        accepted.push({ offer, event, before: working, after });
        working = after;
      } catch (error) {
        // Nothing that the machine cannot digest enters the log.
        logger.error({ err: error, type: offer.event.type }, "event could not be applied");
        refused.push({ offer, error });
        // The decisions are wrong somewhere: better to stop, with a log that is sound, than to go on.
        if (error instanceof InternalError && error.code === "INVARIANT_BROKEN") this.#fail(error);
      }
    }
    return { accepted, refused };
  }

  /** @throws InternalError INVARIANT_BROKEN */
  #apply(before: RunState, event: RunEvent): RunState {
    const after = this.#options.logic.step(before, event).state;
    const violations = violationsOf(after, before);
    if (violations.length > 0) {
      throw new InternalError(
        "INVARIANT_BROKEN",
        `Event ${event.type} would break the run's state: ${violations.join("; ")}.`,
      );
    }
    return after;
  }

  async #commit(accepted: readonly Accepted[]): Promise<void> {
    const last = accepted.at(-1);
    if (!last) return;
    const { runId, database, log, logicVersion, runClock } = this.#options;
    const snapshot = this.#sinceSnapshot + accepted.length >= (this.#options.snapshotEvery ?? SNAPSHOT_EVERY);
    const step = accepted.findLast(({ event }) => event.type === "ClockStepped")?.event;
    await database.transaction(async (trx) => {
      await log.append(
        this.#seq,
        accepted.map(({ event }) => event),
        trx,
      );
      for (const { event, before, after } of accepted) await project(trx, event, before, after);
      if (snapshot) await log.saveSnapshot(this.#seq + accepted.length, logicVersion, last.after, trx);
      if (step) await writeClock(trx, runId, step.at);
    });
    if (step) runClock.rebase(step.at);
    this.#sinceSnapshot = snapshot ? 0 : this.#sinceSnapshot + accepted.length;
    this.#seq += accepted.length;
    this.#state = last.after;
  }
}
