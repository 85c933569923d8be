/** Events are applied by the logic that wrote them; newer logic goes on from where the older one's log ends. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { coordinatorMigrations, type CoordinatorSchema } from "../../../offchain/src/coordinator/index.ts";
import { type Driver, openDriver } from "../../../offchain/src/coordinator/driver.ts";
import type { RunCreated, RunEvent } from "../../../offchain/src/coordinator/machine/events.ts";
import { type Logic, type Logics, logics, replay } from "../../../offchain/src/coordinator/machine/logics.ts";
import type { RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import {
  createEventLog,
  type Database,
  type EventLog,
  eventLogMigrations,
  openDatabase,
  silentLogger,
} from "../../../offchain/src/service/index.ts";
import { simulate } from "./simulation.ts";

const present = logics.known[logics.present]!;
const OLD = logics.present - 1;
const NEW = logics.present + 1;

/** The logic before: it counted every verdict twice, in the older form of the events. */
const older: Logic = {
  schemaVersion: present.schemaVersion - 1,
  step: (state, event) => {
    const { state: next } = present.step(state, event);
    const counted = next.verdictsAccepted - (state?.verdictsAccepted ?? 0);
    return { state: { ...next, verdictsAccepted: next.verdictsAccepted + counted } };
  },
  continues: {},
};
const withOlder: Logics = {
  present: logics.present,
  known: { [OLD]: older, [logics.present]: { ...present, continues: { [OLD]: (state) => state } } },
};
const olderAlone: Logics = { present: OLD, known: { [OLD]: older } };

let directory: string;
let database: Database<CoordinatorSchema>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-logics-"));
  database = await openDatabase(join(directory, "log.sqlite"), [...eventLogMigrations, ...coordinatorMigrations]);
});
afterEach(async () => {
  await database.close();
  await rm(directory, { recursive: true });
});

const { log: events } = simulate("two logics", 60);
const created = events[0] as RunCreated;
const { runId } = created.facts;

const drive = (known: Logics): Promise<Driver> =>
  openDriver({
    runId,
    database,
    clock: createManualClock(events.at(-1)!.at),
    logger: silentLogger(),
    create: () => Promise.resolve(created),
    logics: known,
  });

const logOf = (known: Logics): EventLog<RunEvent> =>
  createEventLog<RunEvent, CoordinatorSchema>(database, {
    runId,
    schemaVersion: known.known[known.present]!.schemaVersion,
    logicVersion: known.present,
  });

/** Pauses and resumes: events that are always in place. */
async function pauses(driver: Driver, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await driver.submit({
      type: driver.state.pausedBy.operator ? "ResumeRequested" : "PauseRequested",
      by: "operator",
    });
  }
}

async function versions(): Promise<number[]> {
  const found: number[] = [];
  for await (const { logicVersion } of logOf(logics).read()) found.push(logicVersion);
  return found;
}

describe("a logic that breaks an invariant", () => {
  it("stops the run before its event is written; what was written before stays sound", async () => {
    const broken: Logic = {
      ...present,
      step: (state, event) => {
        const { state: next } = present.step(state, event);
        return { state: event.type === "PauseRequested" ? { ...next, round: next.round + 1 } : next };
      },
    };
    const driver = await drive({ present: logics.present, known: { [logics.present]: broken } });
    const before = driver.state;
    const refusal = {
      code: "INVARIANT_BROKEN",
      message: "Event PauseRequested would break the run's state: the next round follows the newest checkpoint.",
    };
    await expect(driver.submit({ type: "PauseRequested", by: "operator" })).rejects.toMatchObject(refusal);
    await expect(driver.failed).rejects.toMatchObject({ code: "INVARIANT_BROKEN" });
    expect(driver.state).toBe(before);
    // Nothing follows, though it would be right by itself.
    await expect(driver.submit({ type: "ResumeRequested", by: "operator" })).rejects.toMatchObject({ retryable: true });
    await driver.stop();
    expect(await versions()).toEqual([logics.present]);
    const next = await drive(logics);
    expect(next.state).toEqual(before);
    await pauses(next, 2);
    await next.stop();
  });
});

// foundation 12
describe("a log under two logics", () => {
  it("is replayed by its writer's logic, and goes on under the present one", async () => {
    await drive(olderAlone);
    await logOf(olderAlone).append(1, events.slice(1));
    const written = await replay(logOf(olderAlone), olderAlone);
    const reinterpreted = events.reduce<RunState | null>((state, event) => present.step(state, event).state, null);
    expect(written!.state.verdictsAccepted).toBe(2 * reinterpreted!.verdictsAccepted);
    expect(reinterpreted!.verdictsAccepted).toBeGreaterThan(0);

    const driver = await drive(withOlder);
    expect(driver.state).toEqual(written!.state);
    await pauses(driver, 3);
    expect((await versions()).slice(-4)).toEqual([OLD, logics.present, logics.present, logics.present]);
    // From the first event, each by its own logic, and from the snapshot that was kept where the present one took over.
    const snapshot = await logOf(withOlder).latestSnapshot<RunState>();
    expect(snapshot).toMatchObject({ seq: events.length, logicVersion: logics.present });
    expect((await replay(logOf(withOlder), withOlder))!.state).toEqual(driver.state);
    await database.kysely.deleteFrom("snapshots").execute();
    expect((await replay(logOf(withOlder), withOlder))!.state).toEqual(driver.state);
    await driver.stop();
  });

  it("is continued from a snapshot without the old logic, once its tail is replayed", async () => {
    const first = await drive(olderAlone);
    await pauses(first, 1);
    const snapshotAlone: Logics = { ...withOlder, known: { [logics.present]: withOlder.known[logics.present]! } };
    // A tail of the old logic's: this tree cannot apply it.
    await expect(drive(snapshotAlone)).rejects.toMatchObject({ code: "LOGIC_VERSION" });
    await first.stop();
    const second = await drive(snapshotAlone);
    expect(second.state).toEqual(first.state);
    await pauses(second, 2);
    await second.stop();
    expect(await versions()).toEqual([OLD, OLD, logics.present, logics.present]);
  });

  it("whose events have another form than that logic reads is left as it is", async () => {
    await logOf(logics).append(0, events);
    const other = { ...present, schemaVersion: present.schemaVersion + 1 };
    const known: Logics = { present: logics.present, known: { [logics.present]: other } };
    await expect(replay(logOf(logics), known)).rejects.toMatchObject({ code: "LOGIC_VERSION" });
    expect((await replay(logOf(logics)))?.seq).toBe(events.length);
  });

  it("of newer logic is left as it is, with one sentence", async () => {
    const newer: Logics = { present: NEW, known: { [NEW]: present } };
    const first = await drive(newer);
    await pauses(first, 1);
    const refusal = {
      code: "LOGIC_VERSION",
      message: expect.stringMatching(new RegExp(`written by logic version ${NEW}, which .*--fresh`)),
    };
    await expect(drive(logics)).rejects.toMatchObject(refusal);
    await first.stop();
    await expect(drive(logics)).rejects.toMatchObject(refusal);
    expect(await versions()).toEqual([NEW, NEW]);
  });
});
