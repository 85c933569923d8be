/** Real workers, real engine, real coordinator over HTTP; only the chain is in memory. */
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";
import { privateKeyToAccount } from "viem/accounts";

import type { Address } from "@cotrain/sdk/protocol";

import { type Clock, systemClock } from "../../offchain/src/base/index.ts";
import {
  coordinatorMigrations,
  type CoordinatorSchema,
  createCoordinator,
  statusByCode,
} from "../../offchain/src/coordinator/index.ts";
import {
  createHttpServer,
  createMetrics,
  eventLogMigrations,
  listen,
  openDatabase,
  openRoleDirectory,
  silentLogger,
} from "../../offchain/src/service/index.ts";
import { checkpointZero, screeningOf } from "../../offchain/src/run/index.ts";
import { classOf } from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import type { BlobStore } from "../../offchain/src/storage/index.ts";
import { writeCheckpoint } from "../offchain/storage/checkpoints.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import {
  openAssignmentSteps,
  runWorker,
  type Trainer,
  trainerOn,
  type WorkerEvent,
} from "../../offchain/src/worker/index.ts";
import { directoryHome, openReceiptJournal, workerDaemon } from "../../offchain/src/worker/node/index.ts";
import { createFakeChain, type FakeChain } from "../offchain/coordinator/fakeChain.ts";
import { params } from "../offchain/coordinator/harness.ts";
import { recipeFrom } from "../offchain/run/recipes.ts";
import { publishEngineRun, type RunFixture } from "../offchain/worker/fixture.ts";
import { createManualClock, type ManualClock } from "../offchain/manualClock.ts";

const account = (byte: string) => privateKeyToAccount(`0x${byte.repeat(32)}`);
const lower = (address: string): Address => address.toLowerCase() as Address;
const poster = account("11");

let directory: string;
let blobs: BlobStore;
let fixture: RunFixture;
let chain: FakeChain;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-e2e-"));
  blobs = await openBlobStore(join(directory, "blobs"));
});

const passing: ManualClock = {
  ...systemClock,
  advance: () => Promise.resolve(),
  step: () => undefined,
  sleepers: 0,
};

async function publish(
  taken: Parameters<typeof publishEngineRun>[2] = {},
  innerSteps = 16,
  clock: ManualClock = passing,
  roundDeadline = params.roundDeadline,
): Promise<void> {
  fixture = await publishEngineRun(blobs, "0.1m", taken);
  const { runId, definition } = fixture;
  const { digest: checkpoint } = await writeCheckpoint(blobs, definition.table, fixture.initial, checkpointZero(runId));
  chain = createFakeChain({
    clock,
    runId,
    modelId: fixture.modelId,
    definition: fixture.definitionDigest,
    builds: [fixture.buildDigest],
    checkpoint,
    fragments: fixture.initial.length,
    poster: lower(poster.address),
    validators: ["21", "22", "23"].map((byte) => lower(account(byte).address)).toSorted(),
    params: { ...params, innerSteps, rampRounds: 0, minWorkers: 2, roundDeadline },
  });
}

afterEach(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }));

async function openCoordinator(port: number, clock: Clock = systemClock) {
  const database = await openDatabase<CoordinatorSchema>(join(directory, "coordinator.sqlite"), [
    ...eventLogMigrations,
    ...coordinatorMigrations,
  ]);
  const [logger, metrics] = [silentLogger(), await createMetrics({ process: false })];
  const coordinator = await createCoordinator(
    { runs: [{ runId: fixture.runId }], operatorToken: "token-of-the-test" },
    { chain, blobs, database, poster, logger, metrics, clock },
  );
  const app = await createHttpServer({
    logger,
    title: "test",
    version: "1",
    metrics,
    statusByCode,
  });
  await coordinator.api(app);
  coordinator.start();
  const listening = await listen(app, { host: "127.0.0.1", port, explicitPort: port !== 0 });
  return {
    ...listening,
    run: coordinator.runs.get(fixture.runId)!,
    stop: async () => {
      const closed = app.close();
      await coordinator.stop();
      // Both sides live in this process: a connection that a worker opened and never used would be waited for.
      app.server.closeAllConnections();
      await closed;
      await database.close();
    },
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 9_000 && !holds(); i++) await systemClock.sleep(20);
  expect({ what, so: holds() }).toEqual({ what, so: true });
}

const context = (signal: AbortSignal) => ({
  signal,
  logger: silentLogger(),
  ready: () => undefined,
  onShutdown: () => undefined,
});

/** Processes of engines that this process started, by what they compute with. */
function enginesOn(place: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const isOurs = (pid: string): boolean => {
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /, "")
        .split(" ")[1];
      return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(place);
    } catch {
      return false; // it has ended
    }
  };
  return pids.filter(isOurs).map(Number);
}

test.skipIf(process.platform !== "linux")(
  "a device that is lost in mid-round: the worker leaves at once, nobody waits until the deadline, and the next device takes its place",
  async () => {
    // So long that no machine is too slow to open the next device meanwhile.
    await publish({}, 16, passing, 3_600);
    const coordinator = await openCoordinator(0);
    const stop = new AbortController();
    const seen: WorkerEvent[] = [];
    let killed: { readonly round: number; readonly deadline: number } | undefined;
    const kill = (event: WorkerEvent): void => {
      seen.push(event);
      if (killed || event.type !== "assigned" || event.round < 1) return;
      const { round } = event;
      killed = { round, deadline: coordinator.run.driver.state.current!.deadline };
      for (const pid of enginesOn("wasm")) process.kill(pid, "SIGKILL");
    };
    const worker = (byte: string, device: readonly string[], onEvent: (event: WorkerEvent) => void) =>
      workIn(
        byte,
        {
          coordinator: `http://127.0.0.1:${coordinator.port}`,
          account: account(byte),
          device,
          threads: 1,
          chain,
          onEvent,
        },
        stop.signal,
      );
    const workers = [worker("31", ["wasm", "cpu"], kill), worker("32", ["cpu"], () => undefined)];
    const after = (type: WorkerEvent["type"]): boolean =>
      seen.slice(seen.findIndex((event) => event.type === "deviceFailed")).some((event) => event.type === type);
    let nextAt: number | undefined;
    await until("a round of the next device", () => {
      if (!killed) return false;
      if (coordinator.run.driver.state.round > killed.round) nextAt ??= Date.now();
      return nextAt !== undefined && after("deviceFailed") && after("acknowledged");
    });
    expect(nextAt).toBeLessThan(killed!.deadline);
    stop.abort();
    await Promise.all(workers);

    const failed = seen.filter((event) => event.type === "deviceFailed");
    expect(failed).toMatchObject([
      { device: "wasm", next: "cpu", reason: expect.stringMatching(/SIGKILL|cannot be reached/) },
    ]);
    const since = seen.slice(seen.indexOf(failed[0]!));
    expect(since.some((event) => event.type === "joined" && event.again)).toBe(true);
    // What it had in hand was never delivered by it: the ledger gave it to others, or again.
    const delivered = (event: WorkerEvent): boolean => event.type === "acknowledged" && event.round === killed!.round;
    expect(seen.slice(0, seen.indexOf(failed[0]!)).some(delivered)).toBe(false);
    await coordinator.stop();
  },
);

/** Works in a directory of its own until it is told to stop. */
async function workIn(
  byte: string,
  options: Omit<Parameters<typeof workerDaemon>[0], "directory" | "role">,
  signal: AbortSignal,
): Promise<void> {
  const role = `worker-${byte}`;
  const own = await openRoleDirectory(join(directory, "state"), role, { create: true });
  await workerDaemon({ ...options, directory: own, role }, context(signal)).finally(() => own.close());
}

/** Two of them, and what each says. */
function startWorkers(port: number) {
  const stop = new AbortController();
  const events: Record<string, WorkerEvent[]> = { "31": [], "32": [] };
  const workers = Object.entries(events).map(([byte, seen]) =>
    workIn(
      byte,
      {
        coordinator: `http://127.0.0.1:${port}`,
        account: account(byte),
        threads: 1,
        chain,
        onEvent: (event) => seen.push(event),
      },
      stop.signal,
    ),
  );
  return { stop, events, workers };
}

test("two workers train round after round, through a restart of the coordinator, and leave when told", async () => {
  await publish();
  let coordinator = await openCoordinator(0);
  const { port } = coordinator;
  const { stop, events, workers } = startWorkers(port);
  const acknowledged = (byte: string): number => events[byte]!.filter(({ type }) => type === "acknowledged").length;

  await until("round 2", () => coordinator.run.driver.state.round >= 2);
  await coordinator.stop();
  coordinator = await openCoordinator(port);
  const resumedAt = coordinator.run.driver.state.round;
  await until("two rounds more", () => coordinator.run.driver.state.round >= resumedAt + 2);
  stop.abort();
  await Promise.all(workers);
  expect(Object.keys(coordinator.run.driver.state.members)).toEqual([]);

  for (const [byte, seen] of Object.entries(events)) {
    expect(acknowledged(byte)).toBeGreaterThanOrEqual(3);
    // The coordinator forgot its sessions, not its members.
    expect(seen.some((event) => event.type === "joined" && event.again)).toBe(true);
    const outcomes = seen.flatMap((event) => (event.type === "outcome" ? [event.outcome] : []));
    expect(outcomes.length).toBeGreaterThanOrEqual(2);
    expect(new Set(outcomes)).toEqual(new Set([0]));
    const losses = seen.flatMap((event) => (event.type === "acknowledged" ? [event.loss] : []));
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    const journal = await openReceiptJournal(
      join(directory, "state", `worker-${byte}`, "receipts.sqlite"),
      systemClock,
    );
    const rows = await journal.list(fixture.runId);
    await journal.close();
    expect(rows.filter(({ ack }) => ack !== null)).toHaveLength(acknowledged(byte));
  }
  await coordinator.stop();
});

/** A clock that stands but for what a test lets pass, and for a tenth of the time that really passes: no machine is slow by it. */
function createSlowTime(signal: AbortSignal) {
  const clock = createManualClock(Date.now());
  let last: Promise<void> = Promise.resolve();
  const pass = (ms: number): Promise<void> => (last = last.then(() => clock.advance(ms)));
  const flow = async (): Promise<void> => {
    for (; !signal.aborted; await systemClock.sleep(10)) await pass(1);
  };
  return { clock, pass, flowing: flow() };
}

test("a worker that grows slow in mid-run hands in what it did, which counts, and misses nothing", async () => {
  const innerSteps = 64;
  const slowIn = 2;
  const ended = new AbortController();
  const { clock, pass, flowing } = createSlowTime(ended.signal);
  await publish({}, innerSteps, clock);
  const coordinator = await openCoordinator(0, clock);
  const stop = new AbortController();
  const seen: WorkerEvent[] = [];
  const slowAddress = lower(account("31").address);
  let assigned = 0;
  /** All of it would take 38 s; the round waits for 15. */
  const gate = async (): Promise<void> => {
    if (assigned !== slowIn) return;
    await pass(600);
    await until("a heartbeat of the round", () => coordinator.run.presence.heartbeatOf(slowAddress)?.round === slowIn);
  };
  const openTrainer = async (input: Parameters<ReturnType<typeof trainerOn>>[0]): Promise<Trainer> => {
    const trainer = await trainerOn(devices.cpu)(input);
    const train: Trainer["train"] = async ({ tokens, learningRates }, onStep, signals) => {
      const size = tokens.length / learningRates.length;
      let done = 0;
      for (const [i, rate] of learningRates.entries()) {
        if (signals.enough.aborted) break;
        await gate();
        const step = { tokens: tokens.subarray(i * size, (i + 1) * size), learningRates: [rate] };
        done += await trainer.train(step, onStep, signals);
      }
      return done;
    };
    return new Proxy(trainer, { get: (target, key) => (key === "train" ? train : Reflect.get(target, key)) });
  };
  const work = (byte: string, onEvent: (event: WorkerEvent) => void, own: Partial<Parameters<typeof runWorker>[1]>) =>
    runWorker(
      { coordinator: `http://127.0.0.1:${coordinator.port}`, signal: stop.signal, threads: 1 },
      {
        account: account(byte),
        home: directoryHome(join(directory, byte)),
        deviceClass: classOf(devices.cpu),
        openTrainer: trainerOn(devices.cpu),
        openData: openAssignmentSteps,
        chain,
        clock,
        onEvent,
        ...own,
      },
    );
  /** Its link is slow in every round: each of four fragments takes a second. */
  const slowly: typeof fetch = async (input, init) => {
    if (init?.method === "PUT") await pass(1_000);
    return fetch(input, init);
  };
  const watch = (event: WorkerEvent): void => {
    seen.push(event);
    if (event.type === "assigned") assigned = event.round;
  };
  const workers = [work("31", watch, { openTrainer, fetch: slowly }), work("32", () => undefined, {})];
  const acknowledged = () => seen.flatMap((event) => (event.type === "acknowledged" ? [event] : []));
  await until("the round after the slow one", () => acknowledged().some(({ round }) => round > slowIn));
  stop.abort();
  await Promise.all(workers);
  const part = acknowledged().find(({ round }) => round === slowIn)!;
  const done = part.tokens / (fixture.build.microBatch * fixture.definition.sequence);
  expect(done).toBeGreaterThanOrEqual(8);
  expect(done).toBeLessThan(innerSteps);
  expect(seen.filter(({ type }) => type === "dropped")).toEqual([]);
  const outcomes = seen.flatMap((event) => (event.type === "outcome" ? [event.outcome] : []));
  expect(outcomes.length).toBeGreaterThan(slowIn);
  expect(new Set(outcomes)).toEqual(new Set([0]));
  await coordinator.stop();
  ended.abort();
  await flowing;
});

test("two workers train by Muon, at a rate that falls, in two micro-batches a step", async () => {
  const schedule = ["--schedule", "cosine", "--warmup-steps", "4", "--total-steps", "48"];
  const recipe = recipeFrom("0.1m", "--optimizer", "muon", ...schedule, "--micro-batches", "2", "--recompute");
  // The text of the fixture says the same again and again: by Muon honest work on it has cosines up to 0.996, and is no copy.
  await publish({ ...recipe, copyBps: screeningOf("0.1m", "muon").copyBps });
  expect(fixture.definition).toMatchObject({
    innerOptimizer: { kind: "muon" },
    schedule: { kind: "cosine", steps: 48 },
  });
  const coordinator = await openCoordinator(0);
  const { stop, events, workers } = startWorkers(coordinator.port);
  await until("round 3", () => coordinator.run.driver.state.round >= 3);
  stop.abort();
  await Promise.all(workers);
  await coordinator.stop();
  for (const seen of Object.values(events)) {
    const losses = seen.flatMap((event) => (event.type === "acknowledged" ? [event.loss] : []));
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    const outcomes = seen.flatMap((event) => (event.type === "outcome" ? [event.outcome] : []));
    expect(new Set(outcomes)).toEqual(new Set([0]));
  }
});
