/** Within one state version what was written stays readable: a state is kept in the tree, see test/fixtures/renew.ts. */
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { digestOfJson, type RunId } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createManualClock } from "../../../offchain/src/base/index.ts";
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
  STATE_VERSION,
} from "../../../offchain/src/service/index.ts";
import { START } from "./harness.ts";

const fixture = fileURLToPath(new URL(`../../fixtures/state-v${STATE_VERSION}`, import.meta.url));

interface Expected {
  readonly runId: RunId;
  readonly logicVersion: number;
  readonly seq: number;
  readonly digest: string;
}

let directory: string;
let database: Database<CoordinatorSchema>;
let expected: Expected;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-fixture-"));
  await cp(fixture, directory, { recursive: true });
  expected = JSON.parse(await readFile(join(directory, "expected.json"), "utf8")) as Expected;
  database = await openDatabase(join(directory, "coordinator.sqlite"), [
    ...eventLogMigrations,
    ...coordinatorMigrations,
  ]);
});
afterEach(async () => {
  await database.close();
  await rm(directory, { recursive: true });
});

const logOf = () =>
  createEventLog<RunEvent, CoordinatorSchema>(database, {
    runId: expected.runId,
    schemaVersion: logics.known[logics.present]!.schemaVersion,
    logicVersion: logics.present,
  });

// point 12
describe("a state of this version that was written before", () => {
  it("opens, from its snapshot and from its first event alike, with the same state", async () => {
    (await openStateDirectory(directory)).close();
    const fromSnapshot = await replay(logOf());
    expect(fromSnapshot).toMatchObject({ seq: expected.seq, logicVersion: expected.logicVersion });
    expect(digestOfJson(fromSnapshot!.state)).toBe(expected.digest);
    await database.kysely.deleteFrom("snapshots").execute();
    const fromFirst = await replay(logOf());
    // When this fails, a decision changed: raise LOGIC_VERSION and keep the logic before, or renew the fixture.
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
