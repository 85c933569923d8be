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
import { type Logics, logics, replay } from "../../../offchain/src/coordinator/machine/logics.ts";
import {
  createEventLog,
  type Database,
  eventLogMigrations,
  openDatabase,
  openStateDirectory,
  silentLogger,
} from "../../../offchain/src/service/index.ts";
import {
  allFixtures,
  allOlder,
  fixtures,
  folder,
  older,
  outdated,
  present,
  refusalOf,
} from "../../fixtures/fixtures.ts";
import { continuing, OLDER, type OlderState, olderAlone, withOlder } from "../../fixtures/older/logic.ts";
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

const drive = (known: Logics = logics) =>
  openDriver({
    runId: expected.runId,
    database,
    clock: createManualClock(START + 3_600_000),
    logger: silentLogger(),
    create: () => expect.fail("there is a log"),
    logics: known,
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
    const driver = await drive();
    await driver.submit({ type: "PauseRequested", by: "operator" });
    expect(driver.state.pausedBy.operator).toBe(true);
    expect(driver.seq).toBeGreaterThan(expected.seq);
    await driver.stop();
  });
});

async function versions(): Promise<number[]> {
  const found: number[] = [];
  for await (const { logicVersion } of logOf().read()) found.push(logicVersion);
  return found;
}

// foundation 12
describe("a log that an older logic left, of another form and other decisions,", () => {
  beforeEach(() => open(older));
  afterEach(async () => {
    await database.close();
    await rm(directory, { recursive: true });
  });

  it("gives what that logic decided, from its snapshot and from its first event alike, and not what the present one would", async () => {
    (await openStateDirectory(directory)).close();
    expect(expected.logicVersion).toBe(OLDER);
    const snapshot = await logOf().latestSnapshot();
    expect(snapshot).toMatchObject({ logicVersion: OLDER });
    expect(snapshot!.seq).toBeLessThan(expected.seq);
    const reached = await replay(logOf(), withOlder);
    expect(reached).toMatchObject({ seq: expected.seq, logicVersion: OLDER });
    expect(digestOfJson(reached!.state)).toBe(expected.digest);
    expect(reached!.state as unknown as OlderState).toMatchObject({ paused: false, pauses: 4 });
    const known = {
      [OLDER]: { ...logics.known[logics.present]!, schemaVersion: olderAlone.known[OLDER]!.schemaVersion },
    };
    await database.kysely.deleteFrom("snapshots").execute();
    expect(digestOfJson((await replay(logOf(), withOlder))!.state)).toBe(expected.digest);
    // Were a logic's number kept and its decisions not, its writer's decisions would be lost.
    expect((await replay(logOf(), { present: OLDER, known }))!.state.pausedBy.operator).toBe(true);
  });

  it("goes on under it to its end and from there under the present one, which keeps a snapshot and needs the older no more", async () => {
    const driver = await drive(withOlder);
    expect(driver.state.pausedBy).toEqual({ operator: false, chain: false });
    expect(await logOf().latestSnapshot()).toMatchObject({ seq: expected.seq, logicVersion: logics.present });
    // Where the older one ended stays, too.
    const its = await logOf().latestSnapshot(OLDER);
    expect([its?.seq, digestOfJson(its?.state)]).toEqual([expected.seq, expected.digest]);
    // What the older logic would have decided otherwise.
    await driver.submit({ type: "PauseRequested", by: "chain" });
    await driver.submit({ type: "PauseRequested", by: "operator" });
    const { pausedBy } = await driver.submit({ type: "ResumeRequested", by: "operator" });
    expect(pausedBy).toEqual({ operator: false, chain: true });
    const { state } = driver;
    const [theirs, ours] = [(await versions()).slice(0, expected.seq), (await versions()).slice(expected.seq)];
    expect([new Set(theirs), new Set(ours)]).toEqual([new Set([OLDER]), new Set([logics.present])]);
    await driver.stop();
    const next = await drive();
    expect(next.state).toEqual(state);
    await next.stop();
    await database.kysely.deleteFrom("snapshots").execute();
    expect((await replay(logOf(), withOlder))!.state).toEqual(state);
  });

  it("is refused in one sentence, and left as it is, where the tree has not kept that logic", async () => {
    const refusal = {
      code: "LOGIC_VERSION",
      message: expect.stringMatching(new RegExp(`written by logic version ${OLDER}, which .*--fresh`)),
    };
    await expect(drive()).rejects.toMatchObject(refusal);
    // A state of it that ended in a snapshot would do; the tail behind that is nobody else's to apply.
    await expect(drive(continuing)).rejects.toMatchObject(refusal);
    expect(digestOfJson((await replay(logOf(), olderAlone))!.state)).toBe(expected.digest);
  });
});

describe("a state that is kept", () => {
  it("is of this logic too, and all that are kept can be opened", () => {
    expect(fixtures()).toContain(present);
    expect(allFixtures()).toEqual(fixtures());
    expect(allOlder()).toEqual([older]);
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
