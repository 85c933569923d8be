/** A coordinator whose disk is full waits, says so, and goes on by itself. */
import { sql } from "kysely";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { asDigest, type Digest } from "@cotrain/sdk/protocol";
import { RetryableError } from "../../../offchain/src/base/index.ts";
import { writeError } from "../../../offchain/src/base/node/index.ts";
import { giveUpUploads } from "../../../offchain/src/coordinator/makingRoom.ts";
import { keyOf } from "../../../offchain/src/coordinator/machine/effects.ts";
import { createLogger } from "../../../offchain/src/service/index.ts";
import { canRun } from "../../needs.ts";
import { mountSmallDisk } from "../service/smallDisk.ts";
import {
  elapse,
  type Harness,
  type HarnessOptions,
  openHarness,
  type Prepared,
  runId,
  type TestWorker,
  until,
} from "./harness.ts";

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

/** Not a page more, and none with room: what SQLite then reports is what it reports of a full disk. */
async function fillDatabase(harness: Harness): Promise<void> {
  const { kysely } = harness.database;
  await sql`pragma max_page_count = 1`.execute(kysely);
  for (let seq = 1; harness.database.disk.full === undefined; seq++) {
    const row = { run_id: "other", seq, schema_version: 1, logic_version: 1, type: "", at: 0, json: "" };
    const insert = kysely.insertInto("events").values({ ...row, previous_hash: "", hash: "" });
    await insert.execute().catch(() => undefined);
  }
}

const emptyDatabase = (harness: Harness) => sql`pragma max_page_count = 1000000`.execute(harness.database.kysely);

// foundation 4
test("writing pauses while the database may not grow; one line for each pause; it resumes by itself", async () => {
  const { harness, lines } = await open();
  const written = await live(harness, lines, {
    fill: () => fillDatabase(harness),
    empty: () => emptyDatabase(harness),
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

/** They are heard of from now on, however long the disk is full. */
const stay = (harness: Harness, workers: readonly TestWorker[]): void => {
  for (const { address } of workers) harness.run.presence.hold(address);
};

/** One member whose receipt is acknowledged, and one that has sent its fragments alone, the first of which is the other's too. */
async function halfDelivered() {
  const { harness } = await open();
  const [a, b] = [harness.worker("a1"), harness.worker("a2")];
  await a.join();
  await b.join();
  stay(harness, [a, b]);
  const { prepared: delivered } = await a.train();
  const prepared = b.prepare(await b.assigned());
  await b.upload(prepared);
  const { assignmentId, attempt } = prepared.assignment;
  const [shared] = delivered.payloads;
  const first = asDigest(delivered.header.fragments[0]!.digest);
  const own = prepared.header.fragments.map(({ digest }) => asDigest(digest));
  const acknowledged = [asDigest(delivered.receipt.payloadDigest)];
  acknowledged.push(...delivered.header.fragments.map(({ digest }) => asDigest(digest)));
  const there = async (digests: readonly Digest[]): Promise<number> =>
    (await Promise.all(digests.map((digest) => harness.blobs.has(digest)))).filter(Boolean).length;
  const sendShared = () => b.session.uploadFragment(assignmentId, attempt, 0, shared!, first);
  return { harness, b, prepared, own, acknowledged, there, sendShared };
}

/**
 * Five times the disk is full, the work is given up and sent again; then it is handed in.
 * @returns uploads that counted, and the outcome
 */
async function sendAgain(
  { harness, b, prepared, own, there }: Awaited<ReturnType<typeof halfDelivered>>,
  between = () => Promise.resolve(),
): Promise<unknown> {
  for (let times = 0; times < 5; times++) {
    const full = vi.spyOn(harness.database.disk, "full", "get").mockReturnValue("The disk is full.");
    await giveUpUploads(harness.run);
    full.mockRestore();
    expect(await there(own)).toBe(0);
    await between();
    await b.upload(prepared);
    expect(await there(own)).toBe(4);
  }
  const uploaded = harness.run.driver.state.current?.work[b.address]?.uploaded;
  await b.submit(prepared);
  await until(() => harness.run.driver.state.round === 1, "the round's end");
  return { ...harness.run.driver.state.outcomes[b.address], uploaded };
}

/** Deletions wait from now on, until the test ends at the latest. @returns what was to be deleted, and lets them go on */
function holdDeletions(harness: Harness): { readonly begun: Digest[]; readonly release: () => void } {
  const remove = harness.blobs.delete.bind(harness.blobs);
  const gate = Promise.withResolvers<void>();
  onTestFinished(() => gate.resolve());
  const begun: Digest[] = [];
  harness.blobs.delete = async (digest) => {
    begun.push(digest);
    await gate.promise;
    return remove(digest);
  };
  return { begun, release: () => gate.resolve() };
}

const thereOf = async (harness: Harness, { header, receipt }: Prepared): Promise<number> => {
  const digests = [receipt.payloadDigest, ...header.fragments.map(({ digest }) => digest)].map(asDigest);
  return (await Promise.all(digests.map((digest) => harness.blobs.has(digest)))).filter(Boolean).length;
};

/** Moves time on while the disk stays full. */
const elapseFull = (harness: Harness, holds: () => boolean | Promise<boolean>, what: string): Promise<void> =>
  elapse(
    harness,
    async () => {
      if (await holds()) return true;
      if (harness.database.disk.full === undefined) await fillDatabase(harness);
      return false;
    },
    what,
  );

const resume = async (harness: Harness): Promise<void> => {
  await emptyDatabase(harness);
  await elapse(harness, () => harness.run.driver.paused === undefined, "room");
};

describe("while the log cannot be written", () => {
  test("uploads that no receipt names are given up, and taken again; what is acknowledged stays", async () => {
    const { harness, b, prepared, own, acknowledged, there, sendShared } = await halfDelivered();
    await sendShared();
    await until(async () => (await there(own)) === 3, "the deletion of what was replaced");
    await fillDatabase(harness);
    await elapseFull(harness, async () => (await there(own)) === 0, "the deletion");
    expect(harness.database.disk.failed).toBeGreaterThanOrEqual(2);
    expect(await there(acknowledged)).toBe(acknowledged.length);
    // Nothing takes the room again.
    await expect(b.upload(prepared)).rejects.toMatchObject({ code: "DISK_FULL", retryable: true });
    const { assignmentId, attempt } = prepared.assignment;
    const again = b.session.uploadFragment(assignmentId, attempt, 1, prepared.payloads[1]!, own[1]!);
    await expect(again).rejects.toMatchObject({ code: "DISK_FULL", retryable: true });
    expect(await there(own)).toBe(0);
    await resume(harness);
    await b.upload({ ...prepared, payloads: prepared.payloads.slice(0, 1) });
    await expect(b.submit(prepared)).rejects.toMatchObject({ code: "FRAGMENT_MISSING" });
    await b.upload(prepared);
    await b.submit(prepared);
    await until(() => harness.run.driver.state.round === 1, "the round's end");
    expect(harness.run.driver.state.outcomes[b.address]).toMatchObject({ round: 0, outcome: 0 });
  });

  test("a fragment that was looked at before is looked at again, and one whose receipt is on its way stays", async () => {
    const { harness, b, prepared, own, there } = await halfDelivered();
    const put = harness.blobs.put.bind(harness.blobs);
    const gate = Promise.withResolvers<void>();
    onTestFinished(() => gate.resolve());
    let waits = false;
    harness.blobs.put = async (...given) => {
      waits = true;
      await gate.promise;
      return put(...given);
    };
    const submitted = b.submit(prepared);
    submitted.catch(() => undefined);
    await until(() => waits, "the header");
    await fillDatabase(harness);
    await giveUpUploads(harness.run);
    expect(await there(own)).toBe(own.length);
    gate.resolve();
    await expect(submitted).rejects.toMatchObject({ code: "DISK_FULL" });
    await elapseFull(harness, async () => (await there(own)) === 0, "the deletion");
    await resume(harness);
    await expect(b.submit(prepared)).rejects.toMatchObject({ code: "FRAGMENT_MISSING" });
    expect(harness.run.driver.state.current?.work[b.address]?.receipt).toBeNull();
  });

  test.each([
    ["is acknowledged meanwhile stays, also when the disk is full again", true],
    ["need not be given up any more, as there is room, stays", false],
  ])("what %s", async (_, again) => {
    const { harness, lines } = await open({ params: { minWorkers: 3 } });
    const workers = ["a1", "a2", "a3"].map((byte) => harness.worker(byte));
    for (const worker of workers) await worker.join();
    stay(harness, workers);
    const sent: { worker: TestWorker; prepared: Prepared }[] = [];
    for (const worker of workers) {
      const prepared = worker.prepare(await worker.assigned());
      await worker.upload(prepared);
      sent.push({ worker, prepared });
    }
    const { begun, release } = holdDeletions(harness);
    await fillDatabase(harness);
    await elapseFull(harness, () => begun.length === 1, "a deletion");
    await resume(harness);
    const isHit = ({ prepared }: { prepared: Prepared }): boolean =>
      prepared.header.fragments.some(({ digest }) => digest === begun[0]);
    const spared = sent.filter((each) => !isHit(each));
    expect(spared).toHaveLength(2);
    if (again) {
      for (const { worker, prepared } of spared) await worker.submit(prepared);
      await fillDatabase(harness);
    }
    release();
    await until(() => lines.some(({ msg }) => msg.includes("were given up")), "the end");
    for (const { prepared } of spared) expect(await thereOf(harness, prepared)).toBe(again ? 5 : 4);
    if (again) await resume(harness);
    expect(await thereOf(harness, sent.find(isHit)!.prepared)).toBe(again ? 0 : 3);
  });

  test("nothing is given up on another disk than the database's", async () => {
    const { harness, own, there } = await halfDelivered();
    const device = vi.spyOn(harness.blobs, "device").mockResolvedValue(-1);
    await fillDatabase(harness);
    await elapseFull(harness, () => device.mock.calls.length > 1, "two looks");
    expect(await there(own)).toBe(own.length);
    await resume(harness);
  });

  test("a receipt waits for the deletion of what it names, and says that it is missing", async () => {
    const { harness, b, prepared, own, there } = await halfDelivered();
    const { begun, release } = holdDeletions(harness);
    await fillDatabase(harness);
    await elapseFull(harness, () => begun.length === 1, "a deletion");
    await resume(harness);
    const reads = vi.spyOn(harness.blobs, "open");
    const submitted = b.submit(prepared);
    submitted.catch(() => undefined);
    const other = own.find((digest) => digest !== begun[0])!;
    await until(() => reads.mock.calls.length > 0 || harness.run.arriving.has(other), "the receipt");
    expect(reads).not.toHaveBeenCalled();
    release();
    await expect(submitted).rejects.toMatchObject({ code: "FRAGMENT_MISSING" });
    expect(await there(own)).toBe(3);
    await b.upload(prepared);
    await b.submit(prepared);
    await until(() => harness.run.driver.state.round === 1, "the round's end");
    expect(harness.run.driver.state.outcomes[b.address]).toMatchObject({ round: 0, outcome: 0 });
  });

  test("what is sent again since it was given up counts once, however often", async () => {
    expect(await sendAgain(await halfDelivered())).toMatchObject({ uploaded: 4, round: 0, outcome: 0 });
  });

  test("what was given up counts once also when the coordinator was started anew meanwhile", async () => {
    const half = await halfDelivered();
    const handedIn = await sendAgain(half, async () => {
      await half.harness.restart();
      await half.b.join();
      stay(half.harness, [half.b]);
    });
    expect(handedIn).toMatchObject({ uploaded: 4, round: 0, outcome: 0 });
  });

  test("an upload that was replaced may be sent again before it is noted that it is gone", async () => {
    const { harness, own, there, sendShared, b, prepared } = await halfDelivered();
    harness.run.projections.forgetUnnamed = () => Promise.reject(new RetryableError("DISK_FULL", "The disk is full."));
    await sendShared();
    await until(async () => (await there(own)) === 3, "the deletion of what was replaced");
    expect(await harness.run.projections.unnamed()).toEqual(own.slice(0, 1));
    await b.upload(prepared);
    expect(await there(own)).toBe(4);
  });
});
