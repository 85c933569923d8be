/** The coordinator: runs opened, effects begun, the chain watched, members watched, old blobs released. */
import type { SigningAccount, Address, RunId } from "@cotrain/sdk/protocol";

import pLimit, { type LimitFunction } from "p-limit";

import { type Clock, roundNumber, systemClock, UserError } from "../base/index.ts";
import type { RunChain } from "../run/index.ts";
import type { BlobStore } from "../storage/index.ts";
import type { Database, HttpApp, Logger, Metrics } from "../service/index.ts";
import { createApi } from "./api.ts";
import { ChainWatch } from "./chainWatch.ts";
import { handlerOf } from "./effects.ts";
import { stopping } from "./errors.ts";
import { giveUpUploads } from "./makingRoom.ts";
import type { RunEvent } from "./machine/events.ts";
import type { RunState } from "./machine/state.ts";
import { createCoordinatorMetrics, type CoordinatorMetrics } from "./metrics.ts";
import type { PresenceOptions } from "./presence.ts";
import type { Software } from "./software.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";
import { repeat, type Repeated } from "./repeat.ts";
import { keptFrom, release, releaseUnnamed } from "./retention.ts";
import { defaultRetention, type RetentionOptions } from "./retentionRules.ts";
import { REVENUE_AT_LEAST } from "./revenue.ts";
import { earnedUnder } from "./rewards.ts";
import { createRewardTrees } from "./rewardTrees.ts";
import { createSignatures } from "./signatures.ts";
import { type Announced, openRun, type Run, type RunModules, type RunOptions, type RunSettings } from "./run.ts";
import { unnamedBy } from "./unnamed.ts";

export interface CoordinatorOptions {
  readonly runs: readonly RunOptions[];
  /** Bearer token of pause and resume. */
  readonly operatorToken: string;
  readonly presence?: Partial<PresenceOptions>;
  readonly retention?: Partial<RetentionOptions>;
  /** Default: no RPC, no blocks. */
  readonly announced?: Announced;
  /** Whole tokens that must have arrived before a root of revenue is made; default {@link REVENUE_AT_LEAST}. */
  readonly revenueAtLeast?: number | undefined;
  /** See `RunSettings`. */
  readonly claimFrom?: bigint | undefined;
  readonly claimRevenueFrom?: number | undefined;
  /** How often the chain is compared with the journal, ms; default 1,000. */
  readonly watchInterval?: number;
}

export interface CoordinatorModules {
  readonly chain: RunChain;
  readonly blobs: BlobStore;
  /** Opened with eventLogMigrations and coordinatorMigrations. */
  readonly database: Database<CoordinatorSchema>;
  /** The key that acknowledges receipts; the runs' poster. */
  readonly poster: SigningAccount;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
  readonly problemOf?: RunModules["problemOf"];
  readonly gate?: RunModules["gate"];
  readonly secret?: RunModules["secret"];
  readonly conflicts?: RunModules["conflicts"];
  readonly revenue?: RunModules["revenue"];
  /** What rented machines run; default none is served. */
  readonly software?: Software;
}

export interface Coordinator {
  readonly runs: ReadonlyMap<RunId, Run>;
  /** Registers the HTTP API on a server made with `statusByCode`. */
  readonly api: (app: HttpApp) => Promise<void>;
  /** Begins pending effects and all that goes on by itself. */
  start(): void;
  /** Ends long polls and effects, writes snapshots. The database stays open. */
  stop(): Promise<void>;
  /** One sentence while a run waits for room on a disk, else undefined. */
  readonly paused: () => string | undefined;
  /** Rejects when a run cannot go on here. */
  readonly failed: Promise<never>;
}

const defaultPresence: PresenceOptions = { heartbeatSeconds: 1, silentAfter: 5_000, evictAfter: 15_000 };

/** Checks presence this often, ms. */
const PRESENCE_INTERVAL = 500;
/** Holders admit and withdraw builds by a vote. */
const BUILDS_INTERVAL = 60_000;
/** How often it is looked whether the log's disk is full, ms. */
const ROOM_INTERVAL = 1_000;
/** Pauses that must have ended without room before uploads are given up for it. */
const FAILED_PAUSES = 2;
/** Roots become active once an epoch. */
const CLAIMS_INTERVAL = 5_000;
/** Shards are looked through every so many rounds. */
const RELEASE_EVERY_ROUNDS = 16;
/** And payloads as often as this, ms, whether they have been kept long enough. */
const RELEASE_INTERVAL = 10_000;

/** Events by which members may lose their places. */
const leaving: ReadonlySet<string> = new Set(["MemberLeft", "MemberJoined", "CheckpointStored"]);

/** Who is no member any more: who left, made room for another, or was left out too often. */
const goneBy = (event: RunEvent, state: RunState, before: RunState | null): Address[] =>
  leaving.has(event.type)
    ? (Object.keys(before?.members ?? {}) as Address[]).filter((worker) => !state.members[worker])
    : [];

/** Deletes uploads that nothing names, of one run after the other. What is left behind meanwhile is deleted after them. */
function createSweep(oneByOne: LimitFunction, logger: Logger) {
  const due = new Set<RunId>();
  let last: Promise<void> = Promise.resolve();
  return {
    sweep: (run: Run): void => {
      if (due.has(run.runId)) return;
      due.add(run.runId);
      last = oneByOne(() => {
        due.delete(run.runId);
        return releaseUnnamed(run);
      }).catch((error: unknown) => logger.warn({ err: error }, "uploads that nothing names could not be deleted"));
    },
    /** They are in turn: when the last is done all are. */
    swept: () => last,
  };
}

/** What time alone releases; rounds and roots release the rest. */
function watchTime(run: Run, releaseOld: (run: Run) => void, sweep: (run: Run) => void): () => Promise<void> {
  let before = 0;
  return async () => {
    // What could not be deleted, or was on its way again.
    if ((await run.projections.unnamed()).length > 0) sweep(run);
    const from = await keptFrom(run);
    if (from > before) releaseOld(run);
    before = from;
  };
}

/**
 * A run that goes on here, or one that is over, which keeps that from nothing where it cannot be served. Nobody joins such a one; that it
 * has ended stands in its journal once the chain says so for long enough, as of any run.
 */
async function openOne(options: RunOptions, settings: RunSettings, modules: RunModules): Promise<Run | undefined> {
  if (!options.earlier) return openRun(options, settings, modules);
  try {
    return await openRun(options, settings, modules);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    modules.logger.warn({ err: error, run: options.runId }, "a run that is over is not served");
    return undefined;
  }
}

/**
 * Opens runs and makes their API. Nothing happens before `start`.
 * @throws as `openRun`
 */
export async function createCoordinator(
  options: CoordinatorOptions,
  modules: CoordinatorModules,
): Promise<Coordinator> {
  const clock = modules.clock ?? systemClock;
  const { logger } = modules;
  const metrics = createCoordinatorMetrics(modules.metrics);
  const presence = { ...defaultPresence, ...options.presence };
  const retention = { ...defaultRetention, ...options.retention };
  const announced = options.announced ?? { rpcUrl: null, profile: "unknown", blocks: {} };
  const revenueAtLeast = options.revenueAtLeast ?? REVENUE_AT_LEAST;
  const shared = { ...modules, clock, signatures: createSignatures(), rewardTrees: createRewardTrees(clock) };
  const runs = new Map<RunId, Run>();
  const { claimFrom, claimRevenueFrom } = options;
  for (const each of options.runs) {
    const settings = { presence, retention, announced, revenueAtLeast, claimFrom, claimRevenueFrom };
    const run = await openOne(each, settings, shared);
    if (run) runs.set(run.runId, run);
  }
  const ending = new AbortController();
  const loops: Promise<void>[] = [];
  const releasing = new Map<RunId, Promise<void>>();
  /** One run after the other: of two that let go of the same blob at once each would leave it to the other. */
  const oneByOne = pLimit(1);

  const releaseOld = (run: Run): void => {
    if (releasing.has(run.runId)) return;
    const work = oneByOne(() => release(run))
      .catch((error: unknown) => logger.warn({ err: error }, "old blobs could not be deleted"))
      .finally(() => releasing.delete(run.runId));
    releasing.set(run.runId, work);
  };

  const { sweep, swept } = createSweep(oneByOne, logger);

  const failed = Promise.race([...runs.values()].map(({ driver }) => driver.failed));
  // Who does not wait for it finds it in the log, not as an unhandled rejection.
  failed.catch((error: unknown) => logger.error({ err: error }, "a run cannot go on here"));

  return {
    runs,
    api: createApi({
      runs,
      operatorToken: options.operatorToken,
      metrics,
      signal: ending.signal,
      software: modules.software,
    }),
    failed,
    paused: () => [...runs.values()].map(({ driver }) => driver.paused).find((reason) => reason !== undefined),
    start: () => {
      for (const run of runs.values()) {
        observe(run, metrics, releaseOld, sweep);
        run.driver.start(handlerOf(run));
        const repeated = [
          ...watching(run, options),
          { what: "looking for old payloads", interval: RELEASE_INTERVAL, work: watchTime(run, releaseOld, sweep) },
        ];
        loops.push(...repeated.map((each) => repeat(each, { clock, logger }, ending.signal)));
      }
    },
    stop: async () => {
      ending.abort(stopping());
      await Promise.all([...runs.values()].map(({ driver }) => driver.stop()));
      await Promise.all([...runs.values()].map(({ gate }) => gate.close()));
      await Promise.all([...loops, ...releasing.values(), swept()]);
    },
  };
}

/**
 * Nothing is given up where the log can be written, since what waits for room gets it in time; nor where that is soon the case by
 * itself, or what is given up lies on another disk.
 */
async function makeRoom(run: Run): Promise<void> {
  const { database, blobs } = run.modules;
  if (database.disk.full === undefined || database.disk.failed < FAILED_PAUSES) return;
  if ((await blobs.device()) === database.device) await giveUpUploads(run);
}

/** What is looked at over and over, as nobody tells of it. */
function watching(run: Run, { watchInterval = 1_000 }: Pick<CoordinatorOptions, "watchInterval">): Repeated[] {
  const watch = new ChainWatch(run);
  const { revenue, claims } = run;
  return [
    { what: "looking at the chain", interval: watchInterval, work: () => watch.look() },
    ...(revenue ? [{ what: "looking after revenue", interval: 2 * watchInterval, work: () => revenue.look() }] : []),
    ...(claims
      ? [{ what: "claiming for who asked", interval: CLAIMS_INTERVAL, work: () => claims.look(earnedUnder(run)) }]
      : []),
    { what: "looking for builds", interval: BUILDS_INTERVAL, work: async () => void (await run.builds.findAdmitted()) },
    { what: "making room on a full disk", interval: ROOM_INTERVAL, work: () => makeRoom(run) },
    { what: "looking after members", interval: PRESENCE_INTERVAL, work: () => run.presence.check() },
  ];
}

/** What is counted, logged and let go of when something happened. */
function observe(
  run: Run,
  metrics: CoordinatorMetrics,
  releaseOld: (run: Run) => void,
  sweep: (run: Run) => void,
): void {
  const { logger } = run.modules;
  metrics.watch(run);
  run.driver.onChange((state, event, before) => {
    if (unnamedBy(before, state).length > 0) sweep(run);
    for (const worker of goneBy(event, state, before)) run.presence.forget(worker);
    if (event.type === "CheckpointStored" && before) logRound(logger, metrics, state, event, before);
    if (event.type === "EffectFailed") {
      metrics.effectFailed(before?.pending[event.key]?.effect.kind ?? "unknown", event.code);
    }
    if (
      event.type === "RootActivated" ||
      (event.type === "CheckpointStored" && state.round % RELEASE_EVERY_ROUNDS === 0)
    )
      releaseOld(run);
    logDecided(logger, state, event, before);
  });
}

/** What holders decided, where it is taken up. */
function logDecided(logger: Logger, { round }: RunState, event: RunEvent, before: RunState | null): void {
  if (event.type === "RolledBack")
    logger.warn(
      { checkpoint: round, link: event.given.at(-1)?.sequence, lost: (before?.round ?? 0) - round },
      "the run was rolled back, and goes on from there",
    );
  if (event.type === "ParamsChanged")
    logger.info({ version: event.version }, "parameters changed, in force from the next round");
}

/** One line per round. */
function logRound(
  logger: Logger,
  metrics: CoordinatorMetrics,
  state: RunState,
  event: RunEvent,
  before: RunState,
): void {
  const summary = state.recent.at(-1);
  if (!summary || event.type !== "CheckpointStored") return;
  const seconds = (summary.durableAt - summary.openedAt) / 1_000;
  metrics.roundEnded(seconds);
  logger.info(
    {
      round: roundNumber(event.round),
      seconds,
      workers: summary.workers,
      steps: before.current?.innerSteps,
      tokens: summary.tokens,
      total: state.checkpoint.tokens,
      checkpoint: event.digest,
    },
    "round complete",
  );
}
