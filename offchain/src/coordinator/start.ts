/** A coordinator as a process: state directory, database, chain, server. */
import type { LocalAccount } from "viem";

import { createRandom, type Clock, systemClock } from "../base/index.ts";
import { connect, openChain, type ChainOptions } from "../chain/index.ts";
import { revenueAccounts, withEpochAccounts } from "../run/index.ts";
import {
  createHttpServer,
  createMetrics,
  eventLogMigrations,
  jobMigrations,
  type JobSchema,
  listen,
  type Listening,
  type ListenOptions,
  type Logger,
  openDatabase,
  openJobTable,
  type StateDirectory,
  type Tls,
} from "../service/index.ts";
import { type BlobStore } from "../storage/index.ts";
import { openBlobStore } from "../storage/node/index.ts";
import { type Coordinator, type CoordinatorOptions, createCoordinator } from "./coordinator.ts";
import { statusByCode } from "./errors.ts";
import { openSoftware } from "./software.ts";
import { coordinatorMigrations, type CoordinatorSchema } from "./projectionTables.ts";

export interface StartOptions extends CoordinatorOptions {
  /** The coordinator's own directory, locked by this process. */
  readonly state: StateDirectory;
  /** Where blobs lie; default `blobs` in the state directory. Give the store that the run was prepared in. */
  readonly blobs?: BlobStore;
  readonly chain: ChainOptions;
  /** The poster's key: acknowledges receipts and sends the postings. */
  readonly poster: LocalAccount;
  readonly http: ListenOptions & { readonly tls?: Tls | undefined };
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface RunningCoordinator extends Listening {
  readonly coordinator: Coordinator;
  /** Rejects when it cannot go on. */
  readonly failed: Promise<never>;
  /** Takes no more requests, ends effects, writes snapshots, closes everything but the state directory. */
  stop(): Promise<void>;
}

/**
 * Opens everything, goes on where the last process ended, and listens.
 * @throws as `openRun`, `openChain`, `openDatabase` and `listen`; nothing is left open then
 */
export async function startCoordinator(options: StartOptions): Promise<RunningCoordinator> {
  const { state, logger, poster } = options;
  const clock = options.clock ?? systemClock;
  await using opened = new AsyncDisposableStack();
  const database = await openDatabase<CoordinatorSchema & JobSchema>(
    state.resolve("coordinator.sqlite"),
    [...eventLogMigrations, ...jobMigrations, ...coordinatorMigrations],
    { clock, logger },
  );
  opened.defer(() => database.close());
  const jobs = await openJobTable(database, { clock, random: createRandom(`${poster.address}/${clock.now()}`) });
  const connection = await connect(options.chain);
  const posting = await openChain({ clock, logger, ...options.chain }, { account: poster, jobs }, connection);
  const chain = withEpochAccounts(posting);
  opened.defer(() => chain.close());
  const metrics = await createMetrics();
  const coordinator = await createCoordinator(options, {
    chain,
    blobs: options.blobs ?? (await openBlobStore(state.resolve("blobs"))),
    database,
    poster,
    logger,
    metrics,
    clock,
    revenue: revenueAccounts({ reader: chain, connection, fromBlock: options.chain.fromBlock }),
    conflicts: state.resolve("conflicts"),
    software: await openSoftware(state.resolve("software"), logger),
  });
  opened.defer(() => coordinator.stop());
  const { http } = options;
  const app = await createHttpServer({
    logger,
    title: "Cotrain coordinator",
    version: "1",
    metrics,
    statusByCode,
    paused: coordinator.paused,
    tls: http.tls,
    ...(http.behindProxy !== undefined && { behindProxy: http.behindProxy }),
  });
  opened.defer(() => app.close());
  await coordinator.api(app);
  coordinator.start();
  const listening = await listen(app, http);
  const resources = opened.move();
  return {
    ...listening,
    coordinator,
    failed: coordinator.failed,
    stop: async () => {
      // Long polls are answered by the coordinator's end, then the server has nothing left to wait for.
      const closing = coordinator.stop();
      await app.close();
      await closing;
      await resources.disposeAsync();
    },
  };
}
