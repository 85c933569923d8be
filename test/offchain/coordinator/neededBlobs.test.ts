/** What a build needs stays, whatever else it is and whether the log could note it or not: uploads of the same bytes, payloads. */
import type { Assignment, Digest } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { createRandom, RetryableError, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { giveUpUploads } from "../../../offchain/src/coordinator/makingRoom.ts";
import { elapse, type Harness, openHarness, settleFirstEpoch, type TestWorker, until } from "./harness.ts";

let harness: Harness;
let workers: readonly [TestWorker, TestWorker];
beforeEach(async () => {
  harness = await openHarness();
  workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await harness.close();
});

const diskFull = (): RetryableError => new RetryableError("DISK_FULL", "The disk is full.");
const need = (needed: Digest): void => {
  harness.run.builds.needs = (digest) => digest === needed;
};

/** Bytes of somebody's making, as long as the first fragment of the worker's payload. */
function bytesOf(worker: TestWorker, assignment: Assignment, seed: string) {
  const bytes = new Uint8Array(createRandom(seed).bytes(worker.prepare(assignment).payloads[0]!.length));
  return { bytes, digest: sha256Bytes(bytes) };
}

async function send(worker: TestWorker, assignment: Assignment, seed: string): Promise<Digest> {
  const { bytes, digest } = bytesOf(worker, assignment, seed);
  await worker.session.uploadFragment(assignment.assignmentId, assignment.attempt, 0, bytes, digest);
  return digest;
}

it("when another upload replaces it", async () => {
  const [worker] = workers;
  const assignment = await worker.assigned();
  need(bytesOf(worker, assignment, "needed").digest);
  const needed = await send(worker, assignment, "needed");
  const other = await send(worker, assignment, "other");
  await send(worker, assignment, "newest");
  await elapse(harness, async () => (await harness.run.projections.unnamed()).length === 0, "the deletion");
  expect([await harness.blobs.has(needed), await harness.blobs.has(other)]).toEqual([true, false]);
});

it("when the upload of it cannot be written down", async () => {
  const [worker] = workers;
  const assignment = await worker.assigned();
  const { driver } = harness.run;
  const submit = driver.submit.bind(driver);
  driver.submit = async (event) => {
    if (event.type === "FragmentAccepted") throw diskFull();
    return submit(event);
  };
  const [needed, other] = ["needed", "other"].map((seed) => bytesOf(worker, assignment, seed).digest);
  need(needed!);
  for (const seed of ["needed", "other"])
    await expect(send(worker, assignment, seed)).rejects.toMatchObject({ code: "DISK_FULL" });
  expect([await harness.blobs.has(needed!), await harness.blobs.has(other!)]).toEqual([true, false]);
});

it("when uploads are given up, as the disk is full", async () => {
  const [first, second] = workers;
  const needed = await send(first, await first.assigned(), "needed");
  const other = await send(second, await second.assigned(), "other");
  need(needed);
  vi.spyOn(harness.database.disk, "full", "get").mockReturnValue(diskFull().message);
  await giveUpUploads(harness.run);
  expect([await harness.blobs.has(needed), await harness.blobs.has(other)]).toEqual([true, false]);
});

it("when the payloads of a round that is paid go; who looks for one of those waits for its deletion", async () => {
  const { run } = harness;
  const { heads } = run.driver.state;
  for (let round = 1; round <= 2; round++) {
    for (const worker of workers) await worker.train();
    const anchored = () => run.driver.state.heads.filter(({ anchor }) => anchor !== null).length;
    await until(() => anchored() === heads.length + round, "the anchor");
  }
  const [needed, ...others] = await run.projections.payloadsBefore(1);
  need(needed!);
  const remove = vi.spyOn(run.arriving, "remove");
  await settleFirstEpoch(harness);
  await elapse(harness, async () => (await run.projections.payloadsBefore(1)).length === 0, "the release");
  expect(others.length).toBeGreaterThan(4);
  for (const digest of [needed!, ...others]) expect(await harness.blobs.has(digest)).toBe(digest === needed);
  expect(remove.mock.calls.map(([digest]) => digest)).toEqual(expect.arrayContaining(others));
});
