/** A coordinator whose disk is full waits, says so, and goes on by itself. */
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";

import { writeError } from "../../../offchain/src/base/node/index.ts";
import { keyOf } from "../../../offchain/src/coordinator/machine/effects.ts";
import { createLogger } from "../../../offchain/src/service/index.ts";
import { canRun } from "../../needs.ts";
import { mountSmallDisk } from "../service/smallDisk.ts";
import { type Harness, type HarnessOptions, openHarness, runId, until } from "./harness.ts";

async function open(options: HarnessOptions = {}) {
  const lines: { level: number; msg: string }[] = [];
  const logger = createLogger({
    component: "coordinator",
    pretty: false,
    destination: { write: (line) => void lines.push(JSON.parse(line) as { level: number; msg: string }) },
  });
  const harness = await openHarness({ ...options, logger });
  onTestFinished(() => harness.close());
  return { harness, lines };
}

const health = async (harness: Harness): Promise<unknown> => (await harness.app.inject("/health")).json();

/** Two members in a round; then there is no room, and a third wants to join. @returns events written once there is room */
async function live(
  harness: Harness,
  lines: readonly { level: number; msg: string }[],
  disk: {
    fill(): unknown;
    empty(): unknown;
  },
): Promise<number> {
  const [a, b, c] = [harness.worker("a1"), harness.worker("a2"), harness.worker("a3")];
  await a.join();
  await b.join();
  await a.assigned();
  await b.assigned();
  const { seq, state } = harness.run.driver;
  const { round, deadlines } = state.current!;
  const deadline = keyOf("setTimer", "deadline", round, deadlines);
  await disk.fill();
  for (let tries = 0; tries < 50; tries++) {
    await expect(c.join()).rejects.toMatchObject({ code: "DISK_FULL", retryable: true });
  }
  expect(await health(harness)).toEqual({ status: "paused", reason: expect.stringContaining("the disk is full") });
  expect((await harness.app.inject("/health")).body).not.toContain(harness.directory);
  expect((await harness.app.inject("/ready")).statusCode).toBe(503);
  expect((await harness.client.run(runId)).current?.round).toBe(0);
  const before = lines.length;
  // Members fall silent, deadlines pass, effects end: all that wants to be written waits.
  for (let second = 0; second < 60; second++) await harness.clock.advance(1_000);
  expect(harness.run.driver.seq).toBe(seq);
  expect(lines.slice(before).filter(({ level }) => level >= 50).length).toBeLessThanOrEqual(8);
  await disk.empty();
  await until(async () => {
    await harness.clock.advance(1_000);
    return ((await health(harness)) as { status: string }).status === "ok";
  }, "room");
  await c.join();
  // What ended meanwhile is handed in: the round's deadline, which passed.
  const fired = harness.database.kysely.selectFrom("events").select("json").where("type", "=", "TimerFired");
  await until(async () => (await fired.execute()).some(({ json }) => json.includes(deadline)), "the deadline");
  return harness.run.driver.seq - seq;
}

// foundation 4
test("writing pauses while the database may not grow; one line for each pause; it resumes by itself", async () => {
  const { harness, lines } = await open();
  const written = await live(harness, lines, {
    // Not a page more, and none with room: what SQLite then reports is what it reports of a full disk.
    fill: async () => {
      const { kysely } = harness.database;
      await sql`pragma max_page_count = 1`.execute(kysely);
      for (let seq = 1; harness.database.disk.full === undefined; seq++) {
        const row = { run_id: "other", seq, schema_version: 1, logic_version: 1, type: "", at: 0, json: "" };
        const insert = kysely.insertInto("events").values({ ...row, previous_hash: "", hash: "" });
        await insert.execute().catch(() => undefined);
      }
    },
    empty: () => sql`pragma max_page_count = 1000000`.execute(harness.database.kysely),
  });
  expect(written).toBeGreaterThan(0);
});

test.runIf(canRun("a real disk that is full", "mount"))("the same on a real disk that is full", async () => {
  const disk = await mountSmallDisk(8);
  onTestFinished(() => disk.unmount());
  const { harness, lines } = await open({ parent: disk.path });
  expect(await live(harness, lines, disk)).toBeGreaterThan(0);
});

test.each([
  ["EACCES", "INTERNAL"],
  ["ENOSPC", "DISK_FULL"],
])("who sends a fragment is told nothing of where blobs lie when the disk says %s", async (errno, code) => {
  const { harness } = await open();
  const [a, b] = [harness.worker("a1"), harness.worker("a2")];
  await a.join();
  await b.join();
  const assignment = await a.assigned();
  harness.blobs.put = async () => {
    throw writeError(harness.directory, Object.assign(new Error(errno), { code: errno }));
  };
  const error: unknown = await a.upload(a.prepare(assignment)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code });
  expect(JSON.stringify([error, (error as Error).message])).not.toContain(harness.directory);
});
