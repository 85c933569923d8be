import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { createRandom, RetryableError, UserError } from "../../../../offchain/src/base/index.ts";
import { createManualClock, type ManualClock } from "../../manualClock.ts";
import { openDatabase } from "../../../../offchain/src/service/persistence/database.ts";
import type { Database } from "../../../../offchain/src/service/persistence/databaseEngine.ts";
import {
  type JobHandler,
  jobMigrations,
  type JobSchema,
  type JobTable,
  type JobTableOptions,
  openJobTable,
  startJobRunner,
} from "../../../../offchain/src/service/persistence/index.ts";
import { eventually, temporaryDirectory } from "../support.ts";

interface Fixture {
  readonly clock: ManualClock;
  readonly database: Database<JobSchema>;
  readonly table: JobTable;
  /** What the next process sees after this one was killed. */
  readonly restart: () => Promise<JobTable>;
}

async function open(options: Partial<JobTableOptions> = {}): Promise<Fixture> {
  const clock = createManualClock(1_000_000);
  const database = await openDatabase<JobSchema>(join(await temporaryDirectory(), "jobs.sqlite"), jobMigrations);
  onTestFinished(() => database.close());
  const restart = (): Promise<JobTable> => openJobTable(database, { clock, random: createRandom("jobs"), ...options });
  return { clock, database, table: await restart(), restart };
}

const post = (n: number, queue?: string) => ({
  kind: "post",
  key: `head-${n}`,
  payload: { n },
  ...(queue && { queue }),
});

test("the same work is written down once", async () => {
  const { table } = await open();
  const first = await table.add(post(1));
  expect(await table.add(post(1))).toEqual(first);
  await table.claim(["post"], 9);
  await table.complete(first.id, { tx: "0x1" });
  expect(await table.add(post(1))).toMatchObject({ state: "done", result: { tx: "0x1" } });
  await expect(table.add({ ...post(1), payload: { n: 2 } })).rejects.toMatchObject({ code: "JOB_KEY_REUSED" });
});

test("a job belongs to the transaction that wrote it down", async () => {
  const { table, database } = await open();
  const failing = database.transaction(async (trx) => {
    await table.add(post(1), trx);
    throw new RangeError("after");
  });
  await expect(failing).rejects.toThrow(RangeError);
  expect(await table.list()).toEqual([]);
});

test("only what is due is claimed, once, the longest due first", async () => {
  const { table, clock } = await open();
  for (const [n, pause] of [
    [1, 500],
    [2, 100],
  ] as const) {
    const { id } = await table.add(post(n));
    await table.claim(["post"], 1);
    await table.defer(id, pause);
  }
  await table.add(post(3));
  await clock.advance(100);
  await table.add({ kind: "other", key: "x", payload: null });
  expect((await table.claim(["post"], 9)).map((job) => job.key)).toEqual(["head-3", "head-2"]);
  expect(await table.claim(["post"], 9)).toEqual([]);
  expect(await table.dueIn(["post"])).toBe(400);
  await clock.advance(400);
  expect((await table.claim(["post"], 9)).map((job) => job.key)).toEqual(["head-1"]);
});

const keys = async (table: JobTable): Promise<string[]> => (await table.claim(["post"], 9)).map(({ key }) => key);

test.each([3_600_000, -3_600_000])("a pause lasts as long when the clock is set by %i ms", async (step) => {
  const { table, clock, restart } = await open();
  const { id } = await table.add(post(1));
  await table.claim(["post"], 9);
  await table.defer(id, 1_000);
  clock.step(step);
  await table.add(post(2));
  expect([await keys(table), await table.dueIn(["post"])]).toEqual([["head-2"], 1_000]);
  await clock.advance(999);
  expect(await keys(table)).toEqual([]);
  await clock.advance(1);
  expect(await keys(table)).toEqual(["head-1"]);
  // What another process wrote down by its time is due as soon as any pause would end.
  await table.defer(id, 50_000);
  clock.step(step);
  const next = await restart();
  expect(await next.dueIn(["post"])).toBeLessThanOrEqual(60_000);
  await clock.advance(60_000);
  expect(await keys(next)).toContain("head-1");
});

test("a queue is worked through in order, one at a time, and does not hold up another", async () => {
  const { table } = await open();
  for (const n of [1, 2]) await table.add(post(n, "poster"));
  await table.add(post(3, "other"));
  const claimed = await table.claim(["post"], 9);
  expect(claimed.map((job) => job.key)).toEqual(["head-1", "head-3"]);
  // Also while the first one waits for its next attempt.
  await table.fail(claimed[0]!.id, new RetryableError("RPC_DOWN", "The RPC is away."));
  expect(await table.claim(["post"], 9)).toEqual([]);
  await table.complete(claimed[0]!.id);
  expect((await table.claim(["post"], 9)).map((job) => job.key)).toEqual(["head-2"]);
});

test("pauses after failures are random below a ceiling that doubles up to the cap", async () => {
  const { table, clock } = await open({ backoffBase: 100, backoffCap: 1_000 });
  await table.add(post(1));
  const pauses: number[] = [];
  for (let attempt = 1; attempt <= 40; attempt++) {
    const [job] = await table.claim(["post"], 1);
    expect(job?.attempts).toBe(attempt);
    const failed = await table.fail(job!.id, new RetryableError("RPC_DOWN", "The RPC is away."));
    expect(failed).toMatchObject({ state: "ready", lastError: { code: "RPC_DOWN", message: "The RPC is away." } });
    const pause = failed.nextAt - clock.now();
    expect(pause).toBeLessThan(Math.min(1_000, 100 * 2 ** (attempt - 1)));
    pauses.push(pause);
    await clock.advance(pause);
  }
  expect(Math.max(...pauses)).toBeGreaterThan(800);
  expect(Math.min(...pauses.slice(4))).toBeLessThan(200);
});

test("what trying again cannot help is given up at once, the rest after the attempts allowed", async () => {
  const { table, clock } = await open({ maxAttempts: 2 });
  await table.add(post(1));
  await table.add(post(2));
  const [one, two] = await table.claim(["post"], 2);
  expect(await table.fail(one!.id, new UserError("NOT_POSTER", "This key is not the poster."))).toMatchObject({
    state: "failed",
  });
  expect(await table.fail(two!.id, new TypeError("odd"))).toMatchObject({
    state: "ready",
    lastError: { code: "UNEXPECTED" },
  });
  await clock.advance(60_000);
  const [again] = await table.claim(["post"], 2);
  expect(await table.fail(again!.id, new TypeError("odd"))).toMatchObject({ state: "failed", attempts: 2 });
  expect((await table.list({ state: "failed" })).map((job) => job.key)).toEqual(["head-1", "head-2"]);
});

test("what a killed process was doing is ready again, with the notes it left", async () => {
  const { table, restart } = await open();
  const { id } = await table.add(post(1));
  await table.claim(["post"], 1);
  await table.note(id, { nonce: 7, sent: ["0xaa"] });
  const next = await restart();
  expect(await next.claim(["post"], 1)).toMatchObject([{ id, attempts: 2, progress: { nonce: 7, sent: ["0xaa"] } }]);
});

test("a done job can be opened again, and old ones are forgotten", async () => {
  const { table, clock } = await open();
  const { id } = await table.add(post(1));
  await table.claim(["post"], 1);
  await table.note(id, { nonce: 7 });
  await table.complete(id, "0xaa");
  expect(await table.reopen("post", "head-1")).toBe(true);
  expect(await table.claim(["post"], 1)).toMatchObject([{ attempts: 1, progress: { nonce: 7 }, result: null }]);
  expect(await table.reopen("post", "head-1")).toBe(false);
  expect(await table.remove("post", "head-1")).toBe(false);
  await table.complete(id);
  expect(await table.prune(clock.now())).toBe(0);
  await clock.advance(1);
  expect(await table.prune(clock.now())).toBe(1);
  expect(await table.get("post", "head-1")).toBeUndefined();
});

test("the runner does each job once, at most so many at a time", async () => {
  const { table, clock } = await open();
  for (let n = 0; n < 9; n++) await table.add(post(n));
  let now = 0;
  let most = 0;
  const done: string[] = [];
  const work: JobHandler = async (job) => {
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    now--;
    done.push(job.key);
    return { by: job.key };
  };
  const runner = startJobRunner({ table, clock, handlers: { post: work }, concurrency: 3 });
  await eventually(async () => (await table.list({ state: "done" })).length === 9, "all jobs done");
  expect(most).toBe(3);
  expect(done.toSorted()).toEqual(Array.from({ length: 9 }, (_, n) => `head-${n}`));
  // A job added to an idle runner needs no clock to be noticed.
  await table.add(post(10));
  await eventually(async () => (await table.get("post", "head-10"))?.state === "done", "the late job is done");
  await runner.stop();
  await table.add(post(11));
  expect((await table.get("post", "head-11"))?.state).toBe("ready");
});

test("the runner tries again when the pause is over, and waits where there is nothing to do yet", async () => {
  const { table, clock } = await open();
  await table.add(post(1));
  const calls: number[] = [];
  const runner = startJobRunner({
    table,
    clock,
    handlers: {
      post: async (job, { note, later }) => {
        calls.push(job.attempts);
        if (calls.length === 1) throw new RetryableError("RPC_DOWN", "The RPC is away.");
        if (calls.length === 2) {
          await note({ sent: "0xaa" });
          return later(5_000);
        }
        return job.progress;
      },
    },
  });
  await eventually(() => calls.length === 1 && clock.sleepers > 0, "the first attempt failed");
  await clock.advance(((await table.get("post", "head-1"))?.nextAt ?? 0) - clock.now());
  await eventually(() => calls.length === 2 && clock.sleepers > 0, "the second attempt was deferred");
  await clock.advance(4_999);
  expect(calls.length).toBe(2);
  await clock.advance(1);
  await eventually(async () => (await table.get("post", "head-1"))?.state === "done", "done");
  // A deferral is not an attempt.
  expect(calls).toEqual([1, 2, 2]);
  expect(await table.get("post", "head-1")).toMatchObject({ result: { sent: "0xaa" }, lastError: null });
  await runner.stop();
});

test("stopping lets go of a job that was interrupted, as if it had not been begun", async () => {
  const { table, clock } = await open();
  await table.add(post(1));
  let started = false;
  const runner = startJobRunner({
    table,
    clock,
    handlers: {
      post: (_job, { signal }) => {
        started = true;
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        });
      },
    },
  });
  await eventually(() => started, "the handler runs");
  await runner.stop();
  expect(await table.get("post", "head-1")).toMatchObject({ state: "ready", attempts: 0, lastError: null });
});
