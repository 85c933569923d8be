/**
 * The single writer of a run: takes events in turn, checks each against the state as it is then, appends what passes (many
 * in one durable transaction), applies it, answers, and only then lets the effects begin. A restart loads the snapshot,
 * replays the rest and issues again what is pending.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { canonicalJson, type RunId } from "@cotrain/sdk/protocol";
import { type Clock, InternalError } from "../base/index.ts";
import {
  createDiskGate,
  createEventLog,
  type Database,
  type DiskGate,
  isDiskFull,
  type Logger,
} from "../service/index.ts";
import { RefusedError, stopping } from "./errors.ts";
import type { Effect, EffectKind, PendingEffect } from "./machine/effects.ts";
import type { RunCreated, RunEvent, Unstamped } from "./machine/events.ts";
import { violationsOf } from "./machine/invariants.ts";
import { continued, type Logics, logics as allLogics, replay } from "./machine/logics.ts";
import { refusalOf } from "./machine/rules.ts";
import type { RunState } from "./machine/state.ts";
import { type CoordinatorSchema, project } from "./projections.ts";
import { createRunClock, readClock, writeClock } from "./runClock.ts";

/** Events in one transaction. */
const MAX_BATCH = 256;
const SNAPSHOT_EVERY = 500;
/** How often the clocks are compared, ms, and after how many looks the run's time is written down. */
const CLOCK_INTERVAL = 1_000;
const CLOCK_LOOKS = 5;

export interface EffectContext {
  /** The state when the effect begins. */
  readonly state: RunState;
  /** Aborted when nothing waits for the effect any more. */
  readonly signal: AbortSignal;
}

/** Does an effect; the event it returns ends it, an error becomes an EffectFailed. */
export type EffectHandler = (effect: Effect, context: EffectContext) => Promise<Unstamped>;
/** Timers are the driver's own; their handler says what is known when one fires. */
export type EffectHandlers = Readonly<Record<EffectKind, EffectHandler>>;

export interface DriverOptions {
  readonly runId: RunId;
  readonly database: Database<CoordinatorSchema>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Makes the first event of a run whose log is empty. */
  readonly create: () => Promise<Unstamped<RunCreated>>;
  /** Events between snapshots. */
  readonly snapshotEvery?: number;
  readonly logics?: Logics;
}

export type ChangeListener = (state: RunState, event: RunEvent, before: RunState | null) => void;

export interface Driver {
  readonly state: RunState;
  /** Seq of the last event. */
  readonly seq: number;
  /**
   * Offers an event; resolves once it is durable and applied.
   * @returns the state right after it
   * @throws RefusedError when the rules refuse it; RetryableError when the database fails or the coordinator ends
   */
  submit(event: Unstamped): Promise<RunState>;
  /** Where blobs are written; the log's own disk is the database's. Both pause what needs them while they are full. */
  readonly blobDisk: DiskGate;
  /** One sentence while a disk is full and the run waits for room, else undefined. */
  readonly paused: string | undefined;
  /** Called after each event, once it is durable. Returns the way to unsubscribe. */
  onChange(listener: ChangeListener): () => void;
  /** Begins the pending effects, and those to come. */
  start(handlers: EffectHandlers): void;
  /** Takes no more events, aborts effects, waits for what is being written, and keeps a snapshot. */
  stop(): Promise<void>;
  /** Rejects when the run cannot go on: another process wrote to its log. */
  readonly failed: Promise<never>;
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

interface Running {
  readonly pending: PendingEffect;
  readonly controller: AbortController;
  /** Its time has not come yet. */
  waiting: boolean;
}

/** Whether what runs is still what is asked for: a step of the clock changes only when. */
const isSameTry = (asked: PendingEffect | undefined, { effect, attempt }: PendingEffect): boolean =>
  asked?.effect === effect && asked.attempt === attempt;

/** What the log gives back is what is applied: the form after JSON, live as in a replay. */
function stamped(event: Unstamped, at: number): RunEvent {
  return JSON.parse(canonicalJson({ ...event, at })) as RunEvent;
}

export async function openDriver(options: DriverOptions): Promise<Driver> {
  const { database, clock, logger, runId } = options;
  const snapshotEvery = options.snapshotEvery ?? SNAPSHOT_EVERY;
  const logics = options.logics ?? allLogics;
  const { present } = logics;
  const { step, schemaVersion } = logics.known[present]!;
  const log = createEventLog<RunEvent, CoordinatorSchema>(database, { runId, schemaVersion, logicVersion: present });

  async function create(): Promise<{ state: RunState; seq: number }> {
    const event = stamped(await options.create(), clock.now());
    const { state } = step(null, event);
    await database.transaction(async (trx) => {
      await log.append(0, [event], trx);
      await project(trx, event, null, state);
    });
    return { state, seq: 1 };
  }

  /** What the log gives; where another logic wrote it, its last state is kept, and the present one goes on from there. */
  async function restore(): Promise<{ state: RunState; seq: number } | undefined> {
    const reached = await replay(log, logics);
    if (!reached) return undefined;
    const { seq, logicVersion } = reached;
    const state = continued(log, reached, present, logics);
    if (logicVersion !== present) {
      await database.transaction(async (trx) => {
        await log.saveSnapshot(seq, logicVersion, reached.state, trx);
        await log.saveSnapshot(seq, present, state, trx);
      });
      logger.info({ runId, seq, from: logicVersion, to: present }, "the run goes on under newer logic");
    }
    logger.info({ runId, seq, round: state.round, phase: state.phase }, "run restored from its log");
    return { state, seq };
  }

  let { state, seq } = (await restore()) ?? (await create());
  const runClock = createRunClock(clock, Math.max(state.at, await readClock(database.kysely, runId)));

  const blobDisk = createDiskGate({ what: `The blob store of run ${runId}`, clock, logger });
  const queue: Offer[] = [];
  const listeners = new Set<ChangeListener>();
  const running = new Map<string, Running>();
  let handlers: EffectHandlers | undefined;
  let stopped = false;
  let sinceSnapshot = 0;
  let writing: Promise<void> | undefined;
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => undefined);

  function decide(offers: readonly Offer[]): { accepted: Accepted[]; refused: { offer: Offer; error: unknown }[] } {
    let working = state;
    const accepted: Accepted[] = [];
    const refused: { offer: Offer; error: unknown }[] = [];
    /** What a step of the clock among these events moves the rest by. */
    let shift = 0;
    for (const offer of offers) {
      if (stopped) {
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
        const after = step(working, event).state;
        const violations = violationsOf(after, working);
        if (violations.length > 0) {
          throw new InternalError(
            "INVARIANT_BROKEN",
            `Event ${event.type} would break the run's state: ${violations.join("; ")}.`,
          );
        }
        accepted.push({ offer, event, before: working, after });
        working = after;
      } catch (error) {
        // Nothing that the machine cannot digest enters the log.
        logger.error({ err: error, type: offer.event.type }, "event could not be applied");
        refused.push({ offer, error });
        // The decisions are wrong somewhere: better to stop, with a log that is sound, than to go on.
        if (error instanceof InternalError && error.code === "INVARIANT_BROKEN") {
          stopped = true;
          fail(error);
        }
      }
    }
    return { accepted, refused };
  }

  async function commit(accepted: readonly Accepted[]): Promise<void> {
    const last = accepted.at(-1);
    if (!last) return;
    const snapshot = sinceSnapshot + accepted.length >= snapshotEvery;
    const step = accepted.findLast(({ event }) => event.type === "ClockStepped")?.event;
    await database.transaction(async (trx) => {
      await log.append(
        seq,
        accepted.map(({ event }) => event),
        trx,
      );
      for (const { event, before, after } of accepted) await project(trx, event, before, after);
      if (snapshot) await log.saveSnapshot(seq + accepted.length, present, last.after, trx);
      if (step) await writeClock(trx, runId, step.at);
    });
    if (step) runClock.rebase(step.at);
    sinceSnapshot = snapshot ? 0 : sinceSnapshot + accepted.length;
    seq += accepted.length;
    state = last.after;
  }

  async function drain(): Promise<void> {
    // What arrives within this turn of the event loop shares the transaction.
    await Promise.resolve();
    while (queue.length > 0) {
      const { accepted, refused } = decide(queue.splice(0, MAX_BATCH));
      try {
        await commit(accepted);
      } catch (error) {
        for (const { offer } of accepted) offer.reject(error);
        for (const each of refused) each.offer.reject(each.error);
        if (error instanceof CotrainError && error.code === "EVENT_LOG_MOVED") {
          stopped = true;
          fail(error);
        } else if (!isDiskFull(error)) logger.error({ err: error }, "events could not be written");
        continue;
      }
      for (const { event, before, after } of accepted) {
        for (const listener of listeners) listener(after, event, before);
      }
      for (const { offer, after } of accepted) offer.resolve(after);
      for (const { offer, error } of refused) offer.reject(error);
      if (accepted.some(({ event }) => event.type === "ClockStepped")) waitAnew();
      reconcile();
    }
    // In the same turn as the last look at the queue: an offer that comes later finds nobody writing and begins anew.
    writing = undefined;
  }

  function submit(event: Unstamped): Promise<RunState> {
    if (stopped) return Promise.reject(stopping());
    return new Promise((resolve, reject) => {
      queue.push({ event, resolve, reject });
      writing ??= drain().catch((error: unknown) => {
        stopped = true;
        fail(error);
      });
    });
  }

  /** What waits for a time of the chain's is nearer or further now. */
  function waitAnew(): void {
    for (const [key, { waiting, controller }] of running) {
      if (!waiting) continue;
      running.delete(key);
      controller.abort(new InternalError("CLOCK_STEPPED", `The clock was set while ${key} waited.`));
    }
  }

  /** Begins what is pending and does not run, aborts what runs and is not pending any more. */
  function reconcile(): void {
    if (!handlers || stopped) return;
    for (const [key, { pending, controller }] of running) {
      if (isSameTry(state.pending[key], pending)) continue;
      running.delete(key);
      controller.abort(new InternalError("EFFECT_OBSOLETE", `Nothing waits for ${key} any more.`));
    }
    for (const [key, pending] of Object.entries(state.pending)) {
      if (running.has(key)) continue;
      const one: Running = { pending, controller: new AbortController(), waiting: true };
      running.set(key, one);
      void perform(one);
    }
  }

  async function perform(one: Running): Promise<void> {
    const { pending } = one;
    const { signal } = one.controller;
    const { effect, attempt } = pending;
    let outcome: Unstamped;
    try {
      await until(Math.max("due" in effect ? effect.due : 0, pending.notBefore), signal);
      signal.throwIfAborted();
      one.waiting = false;
      outcome = await outcomeOf(effect, signal);
    } catch (error) {
      if (signal.aborted) return;
      const typed = error instanceof CotrainError ? error : undefined;
      const level = typed?.retryable ? "info" : "warn";
      logger[level]({ err: error, effect: effect.key, attempt }, "effect failed, will be tried again");
      // What is of unknown kind may pass; only what says that it is final is.
      const retryable = typed?.retryable ?? true;
      outcome = { type: "EffectFailed", key: effect.key, code: typed?.code ?? "UNEXPECTED", attempt, retryable };
    }
    if (!signal.aborted) await conclude(outcome, pending, signal);
  }

  /** Does an effect; while there is no room for what it writes it waits, without a word in the log. */
  async function outcomeOf(effect: Effect, signal: AbortSignal): Promise<Unstamped> {
    for (;;) {
      try {
        const outcome = await handlers![effect.kind](effect, { state, signal });
        if (effect.kind === "storeCheckpoint") blobDisk.wrote();
        return outcome;
      } catch (error) {
        if (!isDiskFull(error) || signal.aborted) throw error;
        blobDisk.report(error);
        await Promise.all([blobDisk.opened(signal), database.disk.opened(signal)]);
      }
    }
  }

  /** Hands in how an effect ended, again and again while the database is away: otherwise it would hang for ever. */
  async function conclude(outcome: Unstamped, pending: PendingEffect, signal: AbortSignal): Promise<void> {
    const { key } = pending.effect;
    for (let event = outcome; ;) {
      try {
        await submit(event);
        return;
      } catch (error) {
        if (signal.aborted || stopped || (error instanceof RefusedError && event.type === "EffectFailed")) return;
        if (isDiskFull(error)) {
          await database.disk.opened(signal).catch(() => undefined);
          continue;
        }
        const final = error instanceof RefusedError || (error instanceof CotrainError && !error.retryable);
        if (final && event.type !== "EffectFailed") {
          logger.warn(
            { effect: key, code: error.code },
            "an effect's result does not fit the state, will be tried again",
          );
          event = { type: "EffectFailed", key, code: error.code, attempt: pending.attempt, retryable: true };
          continue;
        }
        logger.error({ err: error, type: event.type }, "an effect's result could not be written, will be tried again");
        await clock.sleep(1_000, signal).catch(() => undefined);
      }
    }
  }

  async function until(time: number, signal: AbortSignal): Promise<void> {
    // Node's timers hold 31 bits of milliseconds.
    for (let left = time - runClock.now(); left > 0; left = time - runClock.now()) {
      await clock.sleep(Math.min(left, 2 ** 31 - 1), signal);
    }
  }

  /** Has a step of the clock logged, when there was one. */
  async function compareClocks(): Promise<void> {
    if (runClock.stepped() !== undefined)
      await submit({ type: "ClockStepped", was: Math.max(runClock.now(), state.at) });
  }

  async function watchClocks(signal: AbortSignal): Promise<void> {
    for (let look = 1; ; look++) {
      await clock.sleep(CLOCK_INTERVAL, signal);
      try {
        await compareClocks();
        if (look % CLOCK_LOOKS === 0) await writeClock(database.kysely, runId, runClock.now());
      } catch (error) {
        // A disk that is full, a database that is closing: whatever is written next meets it too, and says so.
        logger.debug({ err: error }, "the run's time could not be written down");
      }
    }
  }

  await compareClocks().catch((error: unknown) => {
    // Soon tried again; a full disk keeps no coordinator from answering.
    if (!isDiskFull(error)) throw error;
  });
  const ending = new AbortController();

  return {
    get state() {
      return state;
    },
    get seq() {
      return seq;
    },
    failed,
    blobDisk,
    get paused() {
      return database.disk.full ?? blobDisk.full;
    },
    submit,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start: (given) => {
      handlers = given;
      reconcile();
      watchClocks(ending.signal).catch(() => undefined);
    },
    stop: async () => {
      if (stopped) return;
      stopped = true;
      ending.abort(stopping());
      for (const { controller } of running.values()) controller.abort(stopping());
      running.clear();
      for (const offer of queue.splice(0)) offer.reject(stopping());
      blobDisk.close();
      await writing;
      try {
        if (sinceSnapshot > 0) await log.saveSnapshot(seq, present, state);
        await writeClock(database.kysely, runId, runClock.now());
      } catch (error) {
        // The log has it all; the next start replays a little more.
        if (!isDiskFull(error)) throw error;
      }
    },
  };
}
