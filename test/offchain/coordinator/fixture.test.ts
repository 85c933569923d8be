/** Within one state version what was written stays readable: a state is kept in the tree, see test/fixtures/renew.ts. */
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { digestOfJson, type RunId } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { openDriver } from "../../../offchain/src/coordinator/driver.ts";
import { coordinatorMigrations, type CoordinatorSchema } from "../../../offchain/src/coordinator/index.ts";
import type { RunEvent } from "../../../offchain/src/coordinator/machine/events.ts";
import { logics, replay } from "../../../offchain/src/coordinator/machine/logics.ts";
import {
  createEventLog,
  type Database,
  eventLogMigrations,
  openDatabase,
  openStateDirectory,
  silentLogger,
} from "../../../offchain/src/service/index.ts";
import { allFixtures, fixtures, folder, outdated, present, refusalOf } from "../../fixtures/fixtures.ts";
import { START } from "./harness.ts";

interface Expected {
  readonly runId: RunId;
  readonly logicVersion: number;
  readonly seq: number;
  readonly digest: string;
}

let directory: string;
let database: Database<CoordinatorSchema>;
let expected: Expected;

async function open(fixture: string): Promise<void> {
  directory = await mkdtemp(join(tmpdir(), "cotrain-fixture-"));
  await cp(join(folder, fixture), directory, { recursive: true });
  expected = JSON.parse(await readFile(join(directory, "expected.json"), "utf8")) as Expected;
  database = await openDatabase(join(directory, "coordinator.sqlite"), [
    ...eventLogMigrations,
    ...coordinatorMigrations,
  ]);
}

const logOf = () =>
  createEventLog<RunEvent, CoordinatorSchema>(database, {
    runId: expected.runId,
    schemaVersion: logics.known[logics.present]!.schemaVersion,
    logicVersion: logics.present,
  });

// foundation 12
describe.each(fixtures())("a state of this version that was written before, %s,", (fixture) => {
  beforeEach(() => open(fixture));
  afterEach(async () => {
    await database.close();
    await rm(directory, { recursive: true });
  });

  it("opens, from its snapshot and from its first event alike, with the same state", async () => {
    (await openStateDirectory(directory)).close();
    const fromSnapshot = await replay(logOf());
    expect(fromSnapshot).toMatchObject({ seq: expected.seq, logicVersion: expected.logicVersion });
    expect(digestOfJson(fromSnapshot!.state)).toBe(expected.digest);
    await database.kysely.deleteFrom("snapshots").execute();
    const fromFirst = await replay(logOf());
    // When this fails, a decision changed: raise LOGIC_VERSION and keep the logic before, see test/fixtures/renew.ts.
    expect(digestOfJson(fromFirst!.state)).toBe(expected.digest);
  });

  it("goes on", async () => {
    const driver = await openDriver({
      runId: expected.runId,
      database,
      clock: createManualClock(START + 3_600_000),
      logger: silentLogger(),
      create: () => expect.fail("there is a log"),
    });
    await driver.submit({ type: "PauseRequested", by: "operator" });
    expect(driver.state.pausedBy.operator).toBe(true);
    expect(driver.seq).toBeGreaterThan(expected.seq);
    await driver.stop();
  });
});

describe("a state that is kept", () => {
  it("is of this logic too, and all that are kept can be opened", () => {
    expect(fixtures()).toContain(present);
    expect(allFixtures()).toEqual(fixtures());
  });

  it("is not written over, with what to do instead, unless nothing that writes such states was released", () => {
    expect(refusalOf(present, fixtures(), false)).toMatch(
      new RegExp(`^test/fixtures/${present} is there, .* raise LOGIC_VERSION, .* raise STATE_VERSION.* --unreleased$`),
    );
    expect(refusalOf(present, fixtures(), true)).toBeUndefined();
    const { error, status, stderr } = spawnSync(
      process.execPath,
      ["--conditions=cotrain-source", join(folder, "renew.ts")],
      { encoding: "utf8" },
    );
    expect([error, status, stderr]).toEqual([undefined, 1, `fixture: ${refusalOf(present, fixtures(), false)}\n`]);
  });

  it("is what the command writes, in a process of its own", async () => {
    directory = await mkdtemp(join(tmpdir(), "cotrain-fixture-"));
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--conditions=cotrain-source", join(folder, "renew.ts"), "--into", directory],
      { encoding: "utf8" },
    );
    expect([status, stderr]).toEqual([0, ""]);
    const written = JSON.parse(await readFile(join(directory, present, "expected.json"), "utf8")) as Expected;
    const kept = JSON.parse(await readFile(join(folder, present, "expected.json"), "utf8")) as Expected;
    expect(written.logicVersion).toBe(kept.logicVersion);
    await rm(directory, { recursive: true });
  });

  it("stays beside that of a new logic, and goes with its state version", () => {
    const before = ["state-v2-logic7", ...fixtures()];
    expect(refusalOf(`${present}0`, before, false)).toBeUndefined();
    expect(outdated(before, false)).toEqual(["state-v2-logic7"]);
    expect(outdated(before, true)).toEqual(before);
  });
});
