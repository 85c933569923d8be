import { sql } from "kysely";
import { afterEach, describe, expect, it } from "vitest";

import { asDigest, type Digest, type RunId } from "@cotrain/sdk/protocol";
import { createProjections } from "../../../offchain/src/coordinator/projections.ts";
import { release } from "../../../offchain/src/coordinator/retention.ts";
import { defaultRetention, type RetentionOptions } from "../../../offchain/src/coordinator/retentionRules.ts";
import type { Run } from "../../../offchain/src/coordinator/run.ts";
import { readManifest } from "../../../offchain/src/storage/index.ts";
import { attest, elapse, type Harness, openHarness, runId, settleFirstEpoch, until, validators } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

/** Two workers, and a run whose checkpoints they make. */
async function openHistory(retention?: Partial<RetentionOptions>) {
  harness = await openHarness({ ...(retention && { retention }) });
  const state = () => harness.run.driver.state;
  const workers = [harness.worker("31"), harness.worker("32")];
  const digests = [state().checkpoint.digest];
  for (const worker of workers) await worker.join();
  return {
    workers,
    digests,
    train: async (): Promise<void> => {
      for (const worker of workers) await worker.train();
      await until(
        () => state().heads.length === digests.length + 1 && state().heads.at(-1)?.anchor != null,
        "the anchor",
      );
      digests.push(state().checkpoint.digest);
    },
    /** Has all rounds up to now paid, and goes on. */
    settle: async (): Promise<void> => {
      await settleFirstEpoch(harness);
      await elapse(harness, async () => (await harness.run.projections.settledFor(0)) > 0, "the deadline");
      for (const worker of workers) await worker.join();
    },
    /** Which checkpoints still have their shards. */
    kept: async (): Promise<number[]> => {
      const rounds: number[] = [];
      for (const [round, digest] of digests.entries()) {
        const { fragments } = await readManifest(harness.blobs, digest);
        const there = await Promise.all(fragments.map((fragment) => harness.blobs.has(asDigest(fragment.digest))));
        if (there.every(Boolean)) rounds.push(round);
      }
      return rounds;
    },
  };
}

it("keeps checkpoint 0, the newest, and what validators may still need; deletes shards of the others but no manifest", async () => {
  const { train, settle, kept } = await openHistory({ checkpointBytes: 0, checkpoints: 1 });
  for (let round = 1; round <= 4; round++) await train();
  await release(harness.run);
  // No root is active yet: validators may recompute all of it.
  expect(await kept()).toEqual([0, 1, 2, 3, 4]);
  await settle();
  await train();
  await release(harness.run);
  // The round in the open epoch starts from checkpoint 4.
  expect(await kept()).toEqual([0, 4, 5]);
  await release(harness.run);
  expect(await kept()).toEqual([0, 4, 5]);
});

// foundation 13
it("keeps as many of the newest checkpoints as it announces, and of the others as many as fit into so many bytes", async () => {
  const { digests, train, settle, kept } = await openHistory();
  const announced = { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 * 1_024 ** 3 };
  expect((await harness.client.run(runId)).kept).toEqual(announced);
  for (let round = 1; round <= 4; round++) await train();
  await settle();
  await train();
  const keptUnder = async (checkpoints: number, checkpointBytes: number): Promise<number[]> => {
    const retention = { ...defaultRetention, checkpoints, checkpointBytes };
    await release(Object.assign(Object.create(harness.run) as Run, { retention }));
    return kept();
  };
  const { fragments } = await readManifest(harness.blobs, digests[2]!);
  const size = fragments.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(await keptUnder(8, 0)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await keptUnder(1, 3 * size)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await keptUnder(3, size)).toEqual([0, 2, 3, 4, 5]);
  expect(await keptUnder(3, size - 1)).toEqual([0, 3, 4, 5]);
});

const HOUR = 3_600_000;

// foundation 13
describe("payloads, and the checkpoints around them, stay for as long as it announces after their root is active", () => {
  it.each([
    ["", 0, false],
    ["also when the clock is set an hour forward", HOUR, false],
    ["and no longer when the clock is set an hour back", -HOUR, false],
    [
      "a coordinator that was down for an hour, or finds the clock set forward, serves them for what was left",
      HOUR,
      true,
    ],
    ["and so does one that finds the clock set an hour back", -HOUR, true],
  ])("%s", async (_, step, down) => {
    harness = await openHarness({ retention: { payloads: 60_000, checkpointBytes: 0, checkpoints: 1 } });
    const { clock } = harness;
    const state = () => harness.run.driver.state;
    expect((await harness.client.run(runId)).kept).toEqual({ payloadSeconds: 60, checkpoints: 1, checkpointBytes: 0 });
    const workers = [harness.worker("31"), harness.worker("32")];
    for (const worker of workers) await worker.join();
    const digests = [state().checkpoint.digest];
    for (let round = 1; round <= 2; round++) {
      for (const worker of workers) await worker.train();
      await until(() => state().heads.at(-1)?.anchor != null && state().heads.length === round + 1, "the anchor");
      digests.push(state().checkpoint.digest);
    }
    const payloads = await harness.run.projections.payloadsBefore(2);
    expect(payloads.length).toBeGreaterThan(workers.length * 4);
    const shardsOf = async (digest: Digest): Promise<Digest[]> =>
      (await readManifest(harness.blobs, digest)).fragments.map((fragment) => asDigest(fragment.digest));
    const needed = [...payloads, ...(await shardsOf(digests[1]!))];
    const there = async (): Promise<number> => {
      const found = await Promise.all(needed.map((digest) => harness.blobs.has(digest)));
      return found.filter(Boolean).length;
    };
    await settleFirstEpoch(harness);
    const active = clock.monotonic();
    await clock.advance(10_000);
    clock.step(step);
    await release(harness.run);
    expect(await there()).toBe(needed.length);
    if (down) await harness.restart();
    const noticed = (): boolean => Math.abs(state().at - clock.now()) < HOUR / 2;
    await elapse(harness, noticed, "a look at the clock");
    await clock.advance(active + 50_000 - clock.monotonic());
    await release(harness.run);
    expect(await there()).toBe(needed.length);
    // Time alone releases them: no round ends here, and no root.
    await elapse(harness, async () => (await there()) === 0, "the release");
    expect(clock.monotonic() - active).toBeLessThan(HOUR / 2);
  });
});

describe("what another run of the same store has too", () => {
  const other = `0x${"0b".repeat(32)}`;

  it("stays as long as that one needs it: payloads, and shards of checkpoints", async () => {
    harness = await openHarness({ retention: { checkpointBytes: 0, checkpoints: 1 } });
    const state = () => harness.run.driver.state;
    const db = harness.database.kysely;
    const workers = [harness.worker("31"), harness.worker("32")];
    for (const worker of workers) await worker.join();
    for (let round = 1; round <= 3; round++) {
      for (const worker of workers) await worker.train();
      await until(() => state().heads.length === round + 1 && state().heads.at(-1)?.anchor != null, "the anchor");
    }
    // The other run began from checkpoint 1 of this one, and a round of it has a payload of this one's first.
    const first = (await harness.run.projections.checkpoint(1))!;
    const { fragments } = await readManifest(harness.blobs, first.digest);
    const shards = fragments.map(({ digest }) => asDigest(digest));
    const [payload, ...others] = await harness.run.projections.payloadsBefore(1);
    const theirs = await db.selectFrom("coordinator_checkpoints").selectAll().where("round", "=", 1).execute();
    await db
      .insertInto("coordinator_checkpoints")
      .values(theirs.map((row) => ({ ...row, run_id: other })))
      .execute();
    await db.insertInto("coordinator_payloads").values({ run_id: other, round: 0, digest: payload! }).execute();

    await settleFirstEpoch(harness);
    const there = async (digests: readonly Digest[]): Promise<number> =>
      (await Promise.all(digests.map((digest) => harness.blobs.has(digest)))).filter(Boolean).length;
    await elapse(harness, async () => (await there(others)) === 0, "the release");
    await release(harness.run);
    expect((await harness.run.projections.checkpoint(1))!.pruned).toBe(true);
    expect(await there([payload!, ...shards])).toBe(1 + shards.length);
    expect(await harness.run.projections.hasPayload(payload!)).toBe(true);

    // The other run lets go: it is the last.
    const second = createProjections(harness.database, other as RunId);
    expect(await second.payloadsBefore(1)).toEqual([payload]);
    await db.updateTable("coordinator_checkpoints").set({ pruned: 1 }).where("run_id", "=", other).execute();
    expect(await harness.run.projections.unprunedOfOthers()).toEqual([]);
  });

  it("is not settled, nor is this one's by its roots, and this one's clock is not its", async () => {
    harness = await openHarness();
    const { clock, run } = harness;
    const db = harness.database.kysely;
    const [their, at] = [{ run_id: other, round: 7, at: 1 }, clock.now()];
    await db.insertInto("coordinator_settled").values(their).execute();
    await db.insertInto("coordinator_clocks").values({ run_id: other, at }).execute();
    expect(await createProjections(harness.database, other as RunId).settledFor(0)).toBe(7);
    expect(await run.projections.settledFor(0)).toBe(0);
    clock.step(HOUR);
    await elapse(harness, () => Math.abs(run.driver.state.at - clock.now()) < HOUR / 2, "a look at the clock");
    expect(await db.selectFrom("coordinator_settled").selectAll().execute()).toEqual([their]);
  });
});

it("keeps a document of the store that a member uploaded as a payload of its", async () => {
  harness = await openHarness({ retention: { checkpointBytes: 0, checkpoints: 1 } });
  const state = () => harness.run.driver.state;
  const workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  // As long as the run's third fragment is.
  const document = new TextEncoder().encode("just 14 bytes.");
  const { digest } = await harness.blobs.put(document);
  const [first, second] = workers;
  const { assignmentId, attempt } = await first!.assigned();
  await first!.session.uploadFragment(assignmentId, attempt, 2, document, digest);
  expect(state().current?.work[first!.address]?.uploads[2]?.digest).toBe(digest);
  const { prepared } = await first!.train();
  await second!.train();
  await until(() => state().heads.length === 2 && state().heads.at(-1)?.anchor != null, "the anchor");
  const attested = async (): Promise<boolean> => (await harness.client.epochs(runId)).epochs[0]?.state === "collecting";
  await elapse(harness, attested, "the epoch");
  for (const validator of validators.slice(0, 2)) await attest(harness, validator);
  const payload = asDigest(prepared.header.fragments[2]!.digest);
  await elapse(harness, async () => !(await harness.blobs.has(payload)), "the release");
  await release(harness.run);
  expect(await harness.blobs.has(digest)).toBe(true);
});

it("keeps a shard that a member uploaded as a payload of its for as long as the checkpoint or the round needs it", async () => {
  const { digests, train, settle, workers } = await openHistory();
  for (let round = 1; round <= 2; round++) await train();
  await settle();
  await train();
  const { fragments } = await readManifest(harness.blobs, digests[1]!);
  const shard = asDigest(fragments[2]!.digest);
  const bytes = await harness.blobs.get(shard);
  const [first] = workers;
  const prepared = first!.prepare(await first!.assigned());
  const { assignmentId, attempt } = prepared.assignment;
  const send = () => first!.session.uploadFragment(assignmentId, attempt, 0, bytes, shard);
  const swept = () => elapse(harness, async () => (await harness.run.projections.unnamed()).length === 0, "the look");
  await send();
  await first!.upload(prepared);
  await swept();
  expect(await harness.blobs.has(shard)).toBe(true);
  await send();
  const retention = { ...defaultRetention, checkpoints: 1, checkpointBytes: 0 };
  await release(Object.assign(Object.create(harness.run) as Run, { retention }));
  expect((await harness.run.projections.checkpoint(1))!.pruned).toBe(true);
  expect(await harness.blobs.has(shard)).toBe(true);
  await first!.upload(prepared);
  await until(async () => !(await harness.blobs.has(shard)), "the deletion");
});

it("deletes no shard with the payloads of a round that is paid", async () => {
  const { digests, train, settle, kept } = await openHistory();
  for (let round = 1; round <= 2; round++) await train();
  const { fragments } = await readManifest(harness.blobs, digests[1]!);
  const foretold = { run_id: runId, round: 0, digest: fragments[2]!.digest };
  await harness.database.kysely.insertInto("coordinator_payloads").values(foretold).execute();
  const [payload] = await harness.run.projections.payloadsBefore(1);
  await settle();
  await elapse(harness, async () => !(await harness.blobs.has(payload!)), "the release");
  expect(await harness.run.projections.payloadsBefore(1)).toEqual([]);
  expect(await kept()).toEqual([0, 1, 2]);
});

it("keeps what a database of before the table of shards has, of checkpoints and of the open round", async () => {
  const { digests, train, workers } = await openHistory();
  await train();
  // The round's shards are there, and its next document is never written.
  const put = harness.blobs.put.bind(harness.blobs);
  const reduced = () => harness.run.driver.state.current?.syncs.flatMap(({ shard }) => (shard ? [shard] : [])) ?? [];
  harness.blobs.put = (data, expected) =>
    data instanceof Uint8Array && reduced().length === 4 ? new Promise(() => undefined) : put(data, expected);
  for (const worker of workers) await worker.train();
  await until(() => reduced().length === 4, "the shards");
  const due = new Set(reduced().map(({ digest }) => digest as string));
  for (const digest of digests)
    for (const fragment of (await readManifest(harness.blobs, digest)).fragments) due.add(fragment.digest);
  const { kysely } = harness.database;
  await kysely.schema.dropTable("coordinator_shards").execute();
  await sql`delete from schema_migrations where name = 'coordinator-5'`.execute(kysely);
  harness.blobs.put = put;
  await harness.restart();
  for (const digest of due) expect(await harness.run.projections.hasShard(asDigest(digest))).toBe(true);
  await until(() => harness.run.driver.state.round === 2, "the round's end");
});
