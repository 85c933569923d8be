/** Killed at any moment, the next start goes on with the same round; nothing acknowledged is lost, nothing is posted twice. */
import { getAddress } from "viem";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, describe, expect, it, onTestFinished } from "vitest";

import { type Digest, digestOfJson, type RunId } from "@cotrain/sdk/protocol";
import {
  type CoordinatorSchema,
  EVENT_SCHEMA_VERSION,
  LOGIC_VERSION,
} from "../../../offchain/src/coordinator/index.ts";
import type { RunEvent } from "../../../offchain/src/coordinator/machine/events.ts";
import {
  clockMigrations,
  type ClockSchema,
  readClock,
  writeClock,
} from "../../../offchain/src/coordinator/runClock.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import type { RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { replay } from "../../../offchain/src/coordinator/machine/logics.ts";
import { createEventLog, createLogger, eventLogMigrations, openDatabase } from "../../../offchain/src/service/index.ts";
import {
  attest,
  elapse,
  hashOf,
  type Harness,
  type HarnessOptions,
  openHarness,
  openPair,
  OPERATOR,
  runId,
  type TestWorker,
  trainFirstEpoch,
  until,
  validators,
} from "./harness.ts";
import { addressOf, play } from "./liveness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

/** A run, and two workers that have joined it. */
async function pair(options?: HarnessOptions) {
  const { harness: opened, workers } = await openPair(options);
  harness = opened;
  const [a, b] = workers;
  return { harness: opened, a, b };
}

/** So many first rounds, of each of which the checkpoint is anchored before the next begins. */
async function anchorRounds({ run }: Harness, workers: readonly TestWorker[], count: number): Promise<void> {
  for (let round = 1; round <= count; round++) {
    for (const worker of workers) await worker.train();
    const anchored = (): boolean => run.driver.state.heads.filter(({ anchor }) => anchor).length === round + 1;
    await until(anchored, "the anchor");
  }
}

describe("a coordinator that is killed", () => {
  it("in a round goes on with the same round, and workers with their work", async () => {
    const { harness, a, b } = await pair();
    const { prepared, reply } = await a.train();
    const mine = b.prepare(await b.assigned());
    await b.upload(mine);
    const before = harness.digest();
    await harness.restart();
    expect(harness.digest()).toBe(before);
    await expect(b.work()).rejects.toMatchObject({ code: "SESSION_UNKNOWN", status: 401 });
    await a.join();
    await b.join();
    expect(await b.assigned()).toEqual(mine.assignment);
    await b.submit(mine);
    expect(await a.submit(prepared)).toEqual(reply);
    await until(() => harness.run.driver.state.round === 1, "round 1");
    expect(harness.run.driver.state.checkpoint.tokens).toBe(256);
  });

  it("evicts nobody for one grace period", async () => {
    harness = await openHarness();
    const a = harness.worker("31");
    await a.join();
    await harness.clock.advance(14_000);
    await harness.restart();
    await harness.clock.advance(14_000);
    expect(harness.run.driver.state.members[a.address]).toBeDefined();
    await harness.clock.advance(2_000);
    await until(() => harness!.run.driver.state.members[a.address] === undefined, "the eviction");
  });

  it("between posting and its confirmation posts nothing twice", async () => {
    harness = await openHarness();
    const { chain } = harness;
    let reached = false;
    // The transaction landed, the answer never comes.
    chain.landed = () => {
      reached = true;
      return new Promise(() => undefined);
    };
    const [a, b] = [harness.worker("31"), harness.worker("32")];
    await a.join();
    await b.join();
    await a.train();
    await b.train();
    await until(() => reached, "the posting");
    expect(harness.run.driver.state.heads.at(-1)?.anchor).toBeNull();
    chain.landed = () => undefined;
    await harness.restart();
    await until(() => harness!.run.driver.state.heads.at(-1)?.anchor !== null, "the anchor");
    expect(chain.heads.map(({ sequence }) => sequence)).toEqual([0, 1]);
    expect(new Set(chain.sent).size).toBe(1);
  });

  it("while a round closes finishes it", async () => {
    const { harness, a, b } = await pair();
    await a.train();
    // Killed as soon as the last receipt is durable, before anything is reduced.
    const { driver } = harness.run;
    const closed = new Promise<void>((resolve) => {
      driver.onChange((_state, event) => {
        if (event.type === "ReceiptAccepted") resolve();
      });
    });
    const prepared = b.prepare(await b.assigned());
    await b.upload(prepared);
    const last = b.submit(prepared).catch(() => undefined);
    await closed;
    await harness.restart();
    await last;
    await until(() => harness.run.driver.state.round === 1, "round 1");
    expect(harness.run.driver.state.checkpoint.tokens).toBe(256);
    // foundation 9: nobody heard of it yet; the next work tells, and the receipt is acknowledged as then.
    await b.join();
    const receiptHash = hashOf(prepared.receipt);
    await a.join();
    await b.assigned();
    expect(await b.work()).toMatchObject({ lastOutcome: { round: 0, receiptHash, outcome: 0 } });
    expect(await b.submit(prepared)).toMatchObject({ ack: { receiptHash, round: "0" } });
  });
});

describe("a chain", () => {
  it("that is away does not stop training; heads are posted later, once, in order, and at once", async () => {
    const { harness, a, b } = await pair();
    const { chain } = harness;
    chain.away = true;
    for (let round = 1; round <= 3; round++) {
      await a.train();
      await b.train();
      await until(() => harness.run.driver.state.round === round, `round ${round}`);
    }
    expect(chain.heads.length).toBe(1);
    chain.away = false;
    const anchored = (): boolean => harness.run.driver.state.heads.every(({ anchor }) => anchor !== null);
    await elapse(harness, anchored, "the anchors");
    expect(chain.heads.map(({ round }) => round)).toEqual([0, 1, 2, 3]);
    expect(chain.batches).toEqual([3]);
  });

  it("that lost its last blocks is noticed, and what was lost is posted again", async () => {
    const { harness, a, b } = await pair();
    const { chain } = harness;
    await anchorRounds(harness, [a, b], 2);
    const lost = chain.heads.at(-1)!.head;
    chain.rewind(0);
    await harness.clock.advance(500);
    expect(harness.run.driver.state.reverts).toBe(0);
    await elapse(harness, () => chain.heads.length === 3, "the second posting");
    expect(harness.run.driver.state.reverts).toBe(1);
    expect(chain.heads.at(-1)!.head).toBe(lost);
    await until(() => harness.run.driver.state.heads.every(({ anchor }) => anchor !== null), "the anchors");
  });
});

describe("an epoch", () => {
  it("is computed when it is over, attested, posted, activated and paid out, through kills at every step", async () => {
    const { harness, a, b } = await pair();
    const { chain, clock } = harness;
    const done = [await a.train(), await b.train()];
    await until(() => chain.heads.length === 2, "the anchor");
    const payload = done[0]!.prepared.header.fragments[0]!.digest as Parameters<typeof harness.blobs.has>[0];
    await harness.client.control(runId, OPERATOR, { action: "pause" });

    await clock.advance(17_000);
    await until(async () => (await harness.client.epochs(runId)).epochs[0]?.state === "collecting", "the epoch");
    await attest(harness, validators[0]!);
    await attest(harness, validators[0]!);
    expect((await harness.client.epochs(runId)).epochs[0]?.signatures.length).toBe(1);
    await harness.restart();
    expect(await harness.blobs.has(payload)).toBe(true);

    let reached = false;
    chain.landed = () => {
      reached = true;
      return new Promise(() => undefined);
    };
    await attest(harness, validators[2]!);
    await until(() => reached, "the posting");
    chain.landed = () => undefined;
    await harness.restart();
    await until(() => harness.run.driver.state.epochs.at(-1)?.state === "posted", "the journal");
    expect(chain.sent.filter((key) => key.startsWith("postRoot")).length).toBe(2);
    expect(new Set(chain.sent.filter((key) => key.startsWith("postRoot"))).size).toBe(1);

    await clock.advance(5_000);
    await until(() => harness.run.driver.state.settledEpoch === 1, "the activation");
    const reward = await harness.client.reward(runId, a.beneficiary);
    expect(reward).toMatchObject({
      account: getAddress(a.beneficiary),
      epoch: 1,
      leaves: [{ index: 1, amount: "128" }],
    });
    expect((await harness.client.epochs(runId)).epochs[0]).toMatchObject({ state: "active", epoch: 1 });
    // Payloads are kept until their epoch's root is active and its deadline is over, and not longer.
    await elapse(harness, async () => !(await harness.blobs.has(payload)), "the release");
  });

  it("whose deadline passes unsigned is computed again, with more time each time, and pays all at once", async () => {
    const warnings: { msg: string; attempts?: number; signatures?: number }[] = [];
    const write = (line: string): void => void warnings.push(JSON.parse(line) as (typeof warnings)[0]);
    const logger = createLogger({ component: "coordinator", pretty: false, destination: { write } });
    const { harness, a, b } = await pair({ logger });
    await trainFirstEpoch(harness, [a, b]);
    await until(async () => (await harness.client.epochs(runId)).epochs.length === 1, "the epoch");
    const first = (await harness.client.epochs(runId)).epochs[0]!;
    await attest(harness, validators[0]!);
    const stateOf = async (pass: number) => (await harness.client.epochs(runId)).epochs[pass]?.state;
    await elapse(harness, async () => (await stateOf(0)) === "superseded", "the first deadline");
    // No time passes while it is computed again, however long that takes: the second deadline would pass too.
    await until(async () => (await stateOf(1)) === "collecting", "the second attestation");
    const { epochs } = await harness.client.epochs(runId);
    expect(epochs[0]?.state).toBe("superseded");
    expect(Number(epochs[1]?.attestation.deadline)).toBe(Number(first.attestation.deadline) + 12);
    await elapse(harness, async () => (await stateOf(1)) === "superseded", "the second deadline");
    await elapse(harness, async () => (await stateOf(2)) === "collecting", "the third attestation");
    const third = (await harness.client.epochs(runId)).epochs[2]!;
    expect(Number(third.attestation.deadline)).toBe(Number(first.attestation.deadline) + 36);
    const said = warnings.filter(({ msg }) => msg.includes("not posted by its deadline"));
    expect(said).toMatchObject([
      { attempts: 1, signatures: 1 },
      { attempts: 2, signatures: 0 },
    ]);
    for (const validator of validators.slice(0, 2)) await attest(harness, validator);
    await elapse(harness, () => harness.run.driver.state.settledEpoch === 1, "the activation");
  });
});

describe("a log", () => {
  it("replays to the live state, event by event", async () => {
    const { harness, a, b } = await pair();
    await anchorRounds(harness, [a, b], 3);
    const live = harness.run.driver.state;
    const database = await openDatabase(join(harness.directory, "copy.sqlite"), eventLogMigrations);
    const copy = createEventLog<RunEvent>(database, {
      runId,
      schemaVersion: EVENT_SCHEMA_VERSION,
      logicVersion: LOGIC_VERSION,
    });
    const original = createEventLog<RunEvent, CoordinatorSchema>(harness.run.modules.database, {
      runId,
      schemaVersion: EVENT_SCHEMA_VERSION,
      logicVersion: LOGIC_VERSION,
    });
    let seq = 0;
    for await (const row of original.read()) {
      await copy.append(seq, [row.event]);
      seq = row.seq;
    }
    expect((await replay(copy))?.state).toEqual(live);
    expect(seq).toBe(harness.run.driver.seq);
    await database.close();
  });

  it("of another logic version is refused with one sentence", async () => {
    const directory = await mkdtemp(join(tmpdir(), "cotrain-log-"));
    const database = await openDatabase(join(directory, "log.sqlite"), eventLogMigrations);
    const id = `0x${"77".repeat(32)}` as RunId;
    const foreign = createEventLog<RunEvent>(database, { runId: id, schemaVersion: 1, logicVersion: 9 });
    await foreign.append(0, [{ type: "RunFinished", at: 1 }]);
    const log = createEventLog<RunEvent>(database, {
      runId: id,
      schemaVersion: EVENT_SCHEMA_VERSION,
      logicVersion: LOGIC_VERSION,
    });
    await expect(replay(log)).rejects.toMatchObject({
      code: "LOGIC_VERSION",
      message: expect.stringMatching(
        /written by logic version 9, which this Cotrain cannot go on with \(it knows \d+\): .*--fresh/,
      ),
    });
    await database.close();
    await rm(directory, { recursive: true });
  });
});

const HOUR = 3_600_000;

// foundation 8
describe("what is waited for, when the wall clock is set", () => {
  const [member, other, gone] = [addressOf(0), addressOf(1), addressOf(9)];
  const { state } = play({
    actors: [
      { kind: "honest", pace: 100 },
      { kind: "honest", pace: 100 },
    ],
    params: { minWorkers: 1, roundDeadline: 20 },
    time: 20_000,
  });
  const was = state.at;
  const effect = { kind: "anchorHead", key: "anchorHead/999", sequence: 999 } as const;
  /** Benches, memories of who left and effects that come again: each due so long after the clock was set, or before. */
  const waiting = (ms: number): RunState => ({
    ...state,
    members: {
      [member]: { ...state.members[member]!, benchedUntil: was + ms },
      [other]: { ...state.members[other]!, benchedUntil: 0 },
    },
    absent: { [gone]: { misses: 3, benchedUntil: was + 2 * ms, keptUntil: was + 3 * ms } },
    pending: { ...state.pending, [effect.key]: { effect, attempt: 2, notBefore: was + ms } },
  });
  const set = (from: RunState, by: number): RunState => step(from, { type: "ClockStepped", at: was + by, was }).state;

  it.each([HOUR, -HOUR])("(by %i ms) is as far away as before", (by) => {
    const after = set(waiting(40_000), by);
    const now = was + by;
    expect(after.members[member]!.benchedUntil - now).toBe(40_000);
    expect(after.members[other]!.benchedUntil).toBe(0);
    expect(after.absent[gone]).toEqual({ misses: 3, benchedUntil: now + 80_000, keptUntil: now + 120_000 });
    expect(after.pending[effect.key]!.notBefore - now).toBe(40_000);
  });

  it.each([HOUR, -HOUR])("(by %i ms) is due where it was due, and over where it was over", (by) => {
    const after = set(waiting(-1), by);
    const { benchedUntil, keptUntil } = after.absent[gone]!;
    const times = [after.pending[effect.key]!.notBefore, after.members[member]!.benchedUntil, benchedUntil, keptUntil];
    for (const time of times) expect(time).toBeLessThanOrEqual(was + by);
  });
});

it("how far a run's time has come is written down again and again, for each run", async () => {
  const directory = await mkdtemp(join(tmpdir(), "cotrain-clock-"));
  const database = await openDatabase<ClockSchema>(join(directory, "clock.sqlite"), clockMigrations);
  onTestFinished(async () => {
    await database.close();
    await rm(directory, { recursive: true });
  });
  const db = database.kysely;
  expect(await readClock(db, "a")).toBe(0);
  for (const at of [1_000, 6_000, 5_000]) await writeClock(db, "a", at);
  await writeClock(db, "b", 9_000);
  expect([await readClock(db, "a"), await readClock(db, "b")]).toEqual([5_000, 9_000]);
});

describe("the builds of a run", () => {
  const withdrawn = Array.from({ length: 70 }, (_, i) => digestOfJson(`withdrawn ${i}`));

  it("are those that the registry names, and an RPC that names none is asked again", async () => {
    const none = openHarness({ chain: (chain) => (chain.buildsOf = async () => []) });
    await expect(none).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
    const unread = openHarness({
      chain: (chain) => {
        chain.buildsOf = async () => [digestOfJson("admitted, and not here")];
        chain.isAdmitted = async () => true;
      },
    });
    await expect(unread).rejects.toMatchObject({ code: "NO_BUILD" });
    harness = await openHarness({
      chain: (chain) => {
        const honest = { ...chain };
        chain.buildsOf = async (...asked) => [...withdrawn, ...(await honest.buildsOf(...asked))];
      },
    });
    expect((await harness.client.run(runId)).builds).toHaveLength(1);
  });

  it("are those that can be read: another, whose document is none, does not keep the coordinator from starting", async () => {
    // Holders may admit any digest; this one's blob is the run's definition.
    harness = await openHarness({
      chain: (chain) => {
        const honest = { ...chain };
        const definition = async (): Promise<Digest> => (await honest.run(runId)).definition;
        chain.buildsOf = async (...asked) => [await definition(), ...(await honest.buildsOf(...asked))];
        chain.isAdmitted = async (of, build) => build === (await definition()) || honest.isAdmitted(of, build);
      },
    });
    expect((await harness.client.run(runId)).builds).toHaveLength(1);
  });
});
