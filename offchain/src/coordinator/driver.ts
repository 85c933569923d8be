/**
 * A run at work: its log's single writer (eventWriter.ts), what carries its effects out (effectRunner.ts), and its clock. An
 * effect begins when the event that asks for it is durable. A restart loads the snapshot, replays the rest and issues again
 * what is pending.
 */
import type { RunId } from "@cotrain/sdk/protocol";

import type { Clock } from "../base/index.ts";
import {
  createDiskGate,
  createEventLog,
  type Database,
  type DiskGate,
  type EventLog,
  isDiskFull,
  type Logger,
} from "../service/index.ts";
import { type EffectHandler, EffectRunner } from "./effectRunner.ts";
import { stopping } from "./errors.ts";
import { type ChangeListener, EventWriter, stamped } from "./eventWriter.ts";
import type { RunCreated, RunEvent, Unstamped } from "./machine/events.ts";
import { continued, type Logics, logics as allLogics, replay } from "./machine/logics.ts";
import type { RunState } from "./machine/state.ts";
import { project } from "./projections.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";
import { createRunClock, readClock, type RunClock, writeClock } from "./runClock.ts";

/** How often the clocks are compared, ms, and after how many looks the run's time is written down. */
const CLOCK_INTERVAL = 1_000;
const CLOCK_LOOKS = 5;

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

export interface Driver {
  readonly state: RunState;
  /** Seq of the last event. */
  readonly seq: number;
  /** The run's own time, ms since 1970. */
  now(): number;
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
  start(handler: EffectHandler): void;
  /** Takes no more events, aborts effects, waits for what is being written, and keeps a snapshot. */
  stop(): Promise<void>;
  /** Rejects when the run cannot go on: another process wrote to its log. */
  readonly failed: Promise<never>;
}

type Log = EventLog<RunEvent>;

interface Reached {
  readonly state: RunState;
  readonly seq: number;
}

async function create({ database, clock, ...options }: DriverOptions, { known, present }: Logics, log: Log) {
  const event = stamped(await options.create(), clock.now());
  const { state } = known[present]!.step(null, event);
  await database.transaction(async (trx) => {
    await log.append(0, [event], trx);
    await project(trx, event, null, state);
  });
  return { state, seq: 1 };
}

/** What the log gives; where another logic wrote it, its last state is kept, and the present one goes on from there. */
async function restore(
  { database, logger, runId }: DriverOptions,
  logics: Logics,
  log: Log,
): Promise<Reached | undefined> {
  const { present } = logics;
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
  logger.info({ runId, seq, rounds: state.round, phase: state.phase }, "run restored from its log");
  return { state, seq };
}

/** Has a step of the clock logged, when there was one. */
async function compareClocks(writer: EventWriter, runClock: RunClock): Promise<void> {
  if (runClock.stepped() !== undefined)
    await writer.submit({ type: "ClockStepped", was: Math.max(runClock.now(), writer.state.at) });
}

async function watchClocks(
  { clock, database, logger, runId }: DriverOptions,
  writer: EventWriter,
  runClock: RunClock,
  signal: AbortSignal,
): Promise<void> {
  for (let look = 1; ; look++) {
    await clock.sleep(CLOCK_INTERVAL, signal);
    try {
      await compareClocks(writer, runClock);
      if (look % CLOCK_LOOKS === 0) await writeClock(database.kysely, runId, runClock.now());
    } catch (error) {
      // A disk that is full, a database that is closing: whatever is written next meets it too, and says so.
      logger.debug({ err: error }, "the run's time could not be written down");
    }
  }
}

export async function openDriver(options: DriverOptions): Promise<Driver> {
  const { database, clock, logger, runId, snapshotEvery } = options;
  const logics = options.logics ?? allLogics;
  const logicVersion = logics.present;
  const logic = logics.known[logicVersion]!;
  const { schemaVersion } = logic;
  const log: Log = createEventLog<RunEvent, CoordinatorSchema>(database, { runId, schemaVersion, logicVersion });
  const reached = (await restore(options, logics, log)) ?? (await create(options, logics, log));
  const runClock = createRunClock(clock, Math.max(reached.state.at, await readClock(database.kysely, runId)));
  const blobDisk = createDiskGate({ what: `The blob store of run ${runId}`, clock, logger });
  const written = (stepped: boolean): void => {
    if (stepped) runner.waitAnew();
    runner.reconcile();
  };
  const writer = new EventWriter(
    { runId, database, log, logic, logicVersion, clock, runClock, logger, snapshotEvery, written },
    reached,
  );
  const runner = new EffectRunner({ writer, clock, runClock, blobDisk, logDisk: database.disk, logger });
  await compareClocks(writer, runClock).catch((error: unknown) => {
    // Soon tried again; a full disk keeps no coordinator from answering.
    if (!isDiskFull(error)) throw error;
  });
  const ending = new AbortController();

  return {
    get state() {
      return writer.state;
    },
    get seq() {
      return writer.seq;
    },
    now: () => runClock.now(),
    failed: writer.failed,
    blobDisk,
    get paused() {
      // Strangers read it too: not where the database is.
      return database.disk.full === undefined ? blobDisk.full : "The database cannot be written: the disk is full.";
    },
    submit: (event) => writer.submit(event),
    onChange: (listener) => writer.onChange(listener),
    start: (handler) => {
      runner.start(handler);
      watchClocks(options, writer, runClock, ending.signal).catch(() => undefined);
    },
    stop: async () => {
      if (writer.stopped) return;
      const stopped = writer.stop();
      ending.abort(stopping());
      runner.stop();
      blobDisk.close();
      await stopped;
      try {
        await writer.keep();
        await writeClock(database.kysely, runId, runClock.now());
      } catch (error) {
        // The log has it all; the next start replays a little more.
        if (!isDiskFull(error)) throw error;
      }
    },
  };
}
