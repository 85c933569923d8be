/** A worker against a coordinator that a test bends: everything fresh before each test, gone after it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { privateKeyToAccount } from "viem/accounts";
import { afterEach, beforeEach, expect } from "vitest";

import type { Digest } from "@cotrain/sdk/protocol";

import { systemClock } from "../../../offchain/src/base/index.ts";
import { type BlobStore } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import {
  type ReceiptJournal,
  type Surroundings,
  type WorkerHome,
  runWorker,
  type WorkerEnd,
  type WorkerEvent,
  type WorkerModules,
  type WorkerOptions,
} from "../../../offchain/src/worker/index.ts";
import { directoryHome, openReceiptJournal } from "../../../offchain/src/worker/node/index.ts";
import { type CoordinatorDouble, type DoubleOptions, startDouble } from "./coordinatorDouble.ts";
import { createPlainTrainer, plainSteps, type PlainTrainer, publishPlainRun, type RunFixture } from "./fixture.ts";

const account = privateKeyToAccount(`0x${"22".repeat(32)}`);
/** The address of the worker. */
export const worker = account.address.toLowerCase();

/** What one test works with. */
interface WorkerTest {
  directory: string;
  /** The blobs of the run. */
  store: BlobStore;
  fixture: RunFixture;
  double: CoordinatorDouble;
  trainer: PlainTrainer;
  events: WorkerEvent[];
  stop: AbortController;
}

/** Set anew before each test of a file that calls `beforeAndAfterEach`. */
export const w = {} as WorkerTest;

/** Registers what goes before and after each test. */
export function beforeAndAfterEach(): void {
  beforeEach(async () => {
    const directory = await mkdtemp(join(tmpdir(), "cotrain-worker-"));
    const store = await openBlobStore(join(directory, "remote"));
    const fixture = await publishPlainRun(store);
    Object.assign(w, { directory, store, fixture, trainer: createPlainTrainer(), events: [] });
    w.stop = new AbortController();
  });

  afterEach(async () => {
    w.stop.abort();
    await w.double.close();
    await rm(w.directory, { recursive: true, force: true, maxRetries: 5 });
  });
}

/** Starts the coordinator. */
export async function start(options: Partial<DoubleOptions> = {}): Promise<void> {
  w.double = await startDouble({ fixture: w.fixture, store: w.store, ...options });
}

/** The worker's home. @param surroundings default this machine */
export const home = (surroundings?: Surroundings): WorkerHome =>
  directoryHome(join(w.directory, "worker"), surroundings);

/** Impatient ones. */
export const options = (more: Partial<WorkerOptions> = {}): WorkerOptions => ({
  coordinator: w.double.url,
  signal: w.stop.signal,
  backoff: { base: 20, maximum: 100 },
  patience: 2_000,
  grace: 2_000,
  ...more,
});

export const modules = (more: Partial<WorkerModules> = {}): WorkerModules => ({
  account,
  home: home(),
  onEvent: (event) => w.events.push(event),
  deviceClass: "exact-x86",
  openTrainer: () => Promise.resolve(w.trainer),
  openData: () => Promise.resolve(plainSteps),
  ...more,
});

export const run = (given: Partial<WorkerOptions> = {}, others: Partial<WorkerModules> = {}): Promise<WorkerEnd> =>
  runWorker(options(given), modules(others));

/** Waits until something is so. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 6_000; i++) {
    if (condition()) return;
    await systemClock.sleep(10);
  }
  expect.fail(`Never so: ${what}. Events: ${w.events.map((event) => JSON.stringify(event)).join("\n")}`);
}

/** What the worker keeps of its receipts. */
export async function journal(): Promise<ReceiptJournal & AsyncDisposable> {
  const opened = await openReceiptJournal(join(w.directory, "worker", "receipts.sqlite"), systemClock);
  return Object.assign(opened, { [Symbol.asyncDispose]: () => opened.close() });
}

export async function baseDigest(): Promise<Digest> {
  const response = await fetch(`${w.double.url}/v1/runs/${w.fixture.runId}`);
  return ((await response.json()) as { checkpoint: { digest: Digest } }).checkpoint.digest;
}

/** The worker's events of a kind. */
export const of = <T extends WorkerEvent["type"]>(type: T): Extract<WorkerEvent, { type: T }>[] =>
  w.events.filter((event): event is Extract<WorkerEvent, { type: T }> => event.type === type);
