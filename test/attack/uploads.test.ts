/** Uploads that no receipt names: each key may send some, and keys cost nothing, so they do not stay. */
import { asDigest, type Assignment, canonicalJson, type Digest } from "@cotrain/sdk/protocol";
import { afterEach, expect, it, vi } from "vitest";

import { createRandom, RetryableError, sha256Bytes } from "../../offchain/src/base/index.ts";
import { releaseUnnamed } from "../../offchain/src/coordinator/retention.ts";
import { parseBuild, readManifest } from "../../offchain/src/storage/index.ts";
import {
  elapse,
  ELEMENTS,
  type Harness,
  type HarnessOptions,
  openHarness,
  type TestWorker,
  until,
} from "../offchain/coordinator/harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  await harness?.close();
  harness = undefined;
});

/** As many bytes as the fragment has, of a stranger's making. */
function bytesLike(worker: TestWorker, assignment: Assignment, index: number, seed: string) {
  const bytes = new Uint8Array(createRandom(seed).bytes(worker.prepare(assignment).payloads[index]!.length));
  return { bytes, digest: sha256Bytes(bytes) };
}

/** Uploads random bytes as a fragment. @returns their digest */
async function send(worker: TestWorker, assignment: Assignment, index: number, seed: string): Promise<Digest> {
  const { bytes, digest } = bytesLike(worker, assignment, index, seed);
  await worker.session.uploadFragment(assignment.assignmentId, assignment.attempt, index, bytes, digest);
  return digest;
}

/** It is left behind by what was answered last, so that it goes; waits for that. */
async function deleted(of: Harness, digest: Digest): Promise<void> {
  const left = (await of.run.projections.unnamed()).includes(digest);
  expect(left || !(await of.blobs.has(digest))).toBe(true);
  await until(async () => !(await of.blobs.has(digest)), "the deletion");
}

async function twoWorkers(options: HarnessOptions = {}): Promise<readonly [Harness, TestWorker, TestWorker]> {
  const of = (harness = await openHarness(options));
  const [a, b] = [of.worker("31"), of.worker("32")];
  for (const worker of [a, b]) await worker.join();
  return [of, a, b];
}

it("an upload that another replaces goes at once, unless somebody else sent the same, and may be sent again", async () => {
  const [of, a, b] = await twoWorkers();
  const [mine, theirs] = [await a.assigned(), await b.assigned()];
  const gone = (digest: Digest) => deleted(of, digest);
  const first = await send(a, mine, 0, "first");
  const second = await send(a, mine, 0, "second");
  await gone(first);
  expect(await of.blobs.has(second)).toBe(true);
  const shared = await send(b, theirs, 0, "shared");
  expect(await send(a, mine, 0, "shared")).toBe(shared);
  await gone(second);
  const third = await send(a, mine, 0, "third");
  expect(await send(a, mine, 0, "first")).toBe(first);
  await gone(third);
  expect([await of.blobs.has(shared), await of.blobs.has(first)]).toEqual([true, true]);
  const { prepared } = await a.train();
  await b.train();
  await until(() => of.run.driver.state.round === 1, "the round's end");
  for (const digest of [first, shared]) await gone(digest);
  for (const { digest } of prepared.header.fragments) expect(await of.blobs.has(digest as Digest)).toBe(true);
});

it("what was sent and no receipt names goes when its sender leaves, or the round closes; what receipts name stays", async () => {
  const [of, a, b] = await twoWorkers();
  const [c, d] = [of.worker("33"), of.worker("34")];
  for (const worker of [a, b]) await worker.train();
  for (const worker of [c, d]) await worker.join();
  await until(() => of.run.driver.state.round === 1 && of.run.driver.state.current !== null, "the next round");
  const orphans: Digest[] = [];
  for (const worker of [c, d]) {
    const assignment = await worker.assigned();
    for (const index of [0, 1, 2, 3]) orphans.push(await send(worker, assignment, index, `${worker.address}/${index}`));
  }
  const there = async (digests: readonly Digest[]): Promise<number> =>
    (await Promise.all(digests.map((digest) => of.blobs.has(digest)))).filter(Boolean).length;
  await c.session.leave();
  for (const digest of orphans.slice(0, 4)) await deleted(of, digest);
  expect(await there(orphans)).toBe(4);
  const named: Digest[] = [];
  for (const worker of [a, b]) {
    const { prepared } = await worker.train();
    named.push(prepared.receipt.payloadDigest as Digest);
    named.push(...prepared.header.fragments.map(({ digest }) => digest as Digest));
  }
  await elapse(of, () => of.run.driver.state.round === 2, "the round's end");
  await until(async () => (await there(orphans)) === 0, "the deletion");
  expect(await there(named)).toBe(named.length);
});

it("a coordinator that dies before it deleted them, or whose database cannot be written then, deletes them all the same", async () => {
  const [of, a] = await twoWorkers();
  const mine = await a.assigned();
  const held = vi.spyOn(of.blobs, "delete").mockRejectedValue(new RetryableError("DISK_BUSY", "Not now."));
  const first = await send(a, mine, 0, "first");
  await send(a, mine, 0, "second");
  await until(() => held.mock.calls.length > 0, "an attempt");
  await of.restart();
  expect(await of.blobs.has(first)).toBe(true);
  held.mockRestore();
  const full = vi.spyOn(of.run.projections, "forgetUnnamed");
  full.mockRejectedValue(new RetryableError("DISK_FULL", "The disk is full."));
  await expect(releaseUnnamed(of.run)).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(await of.blobs.has(first)).toBe(false);
  full.mockRestore();
  await elapse(of, async () => (await of.run.projections.unnamed()).length === 0, "the next look");
});

it("one upload too many is refused before its body is read, also when all are sent at once", async () => {
  const [of, a, b] = await twoWorkers();
  const [mine, theirs] = [await a.assigned(), await b.assigned()];
  const puts = vi.spyOn(of.blobs, "put");
  for (let n = 0; n < 16; n++) await send(a, mine, 0, "same");
  expect(puts).toHaveBeenCalledTimes(16);
  await expect(send(a, mine, 0, "same")).rejects.toMatchObject({ code: "TOO_MANY_UPLOADS" });
  expect(puts).toHaveBeenCalledTimes(16);
  const all = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => send(b, theirs, 0, `at once ${n}`)));
  const read = puts.mock.calls.length - 16;
  expect(read).toBeLessThanOrEqual(16);
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(read);
});

const lengthOf = (elements: number): number => elements + 4 * Math.ceil(elements / 256);

interface Foretold {
  /** Of the run's fragments. */
  readonly elements: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: Digest;
}

/** Two who are all of a round know what comes of it. @returns the next checkpoint's manifest, and one of its shards */
async function foretell(
  elements: readonly number[],
): Promise<{ readonly manifest: Foretold; readonly shard: Foretold }> {
  const [of, a, b] = await twoWorkers({ elements });
  for (const worker of [a, b]) await worker.train();
  await until(() => of.run.driver.state.round === 1, "the round's end");
  const { digest } = of.run.driver.state.checkpoint;
  const { fragments } = await readManifest(of.blobs, digest);
  const shard = asDigest(fragments[2]!.digest);
  const [manifest, bytes] = [await of.blobs.get(digest), await of.blobs.get(shard)];
  await of.close();
  return { manifest: { elements, bytes: manifest, digest }, shard: { elements, bytes, digest: shard } };
}

/** Of runs whose payload has a first fragment as long. */
const foretold = {
  shard: async (): Promise<Foretold> => (await foretell(ELEMENTS)).shard,
  manifest: async (): Promise<Foretold> => {
    let elements: readonly number[] = ELEMENTS;
    for (let tries = 0; tries < 8; tries++) {
      const { manifest } = await foretell(elements);
      const { length } = manifest.bytes;
      if (length === lengthOf(elements[0]!)) return manifest;
      const fitting = Array.from({ length }, (_, n) => n).find((n) => lengthOf(n) === length);
      // Where none fits the manifest is made longer.
      elements = [fitting ?? length, ...ELEMENTS.slice(1, 3), elements[3]! * (fitting === undefined ? 10 : 1)];
    }
    return expect.fail("no manifest is as long as a fragment");
  },
};

it.each([
  ["shard", "was sent before, and again to hold up its deletion,", true],
  ["shard", "arrives when the round is over", false],
  ["manifest", "was sent before, and again to hold up its deletion,", true],
  ["manifest", "arrives when the round is over", false],
] as const)("a %s that was foretold and %s stays with the checkpoint that names it", async (what, _, before) => {
  const { bytes, digest, elements } = await foretold[what]();
  const [of, a, b] = await twoWorkers({ elements });
  const [mine, theirs] = [await a.assigned(), await b.assigned()];
  const gate = Promise.withResolvers<void>();
  const put = of.blobs.put.bind(of.blobs);
  const slow = vi.spyOn(of.blobs, "put").mockImplementationOnce(async (...given) => {
    await gate.promise;
    return put(...given);
  });
  const late = b.session.uploadFragment(theirs.assignmentId, theirs.attempt, 0, bytes, digest);
  late.catch(() => undefined);
  await until(() => slow.mock.calls.length === 1, "the slow upload");
  if (before) await a.session.uploadFragment(mine.assignmentId, mine.attempt, 0, bytes, digest);
  for (const worker of [a, b]) await worker.train();
  await until(() => of.run.driver.state.round === 1, "the round's end");
  const { digest: checkpoint } = of.run.driver.state.checkpoint;
  const { fragments } = await readManifest(of.blobs, checkpoint);
  expect(what === "shard" ? fragments[2]!.digest : checkpoint).toBe(digest);
  gate.resolve();
  await expect(late).rejects.toMatchObject({ code: "STALE_ATTEMPT" });
  await elapse(of, async () => (await of.run.projections.unnamed()).length === 0, "the next look");
  expect(await of.blobs.has(digest)).toBe(true);
});

it("a build's document that was foretold, as a proposal shows it, stays when the build is admitted", async () => {
  const of = (harness = await openHarness());
  const length = (await of.blobs.get(of.build)).length;
  await of.close();
  // A build's digests have one length, whatever they are of; its runtime's name makes up for what is missing.
  const elements = Array.from({ length }, (_, n) => n).find((n) => lengthOf(n) >= length + 8)!;
  const [run, a, b] = await twoWorkers({ elements: [elements, ...ELEMENTS.slice(1)] });
  const known = parseBuild(await run.blobs.get(run.build));
  const runtime = known.runtime + "+".repeat(lengthOf(elements) - length);
  const bytes = new TextEncoder().encode(canonicalJson({ ...known, runtime }));
  const digest = sha256Bytes(bytes);
  const { assignmentId, attempt } = await a.assigned();
  await a.session.uploadFragment(assignmentId, attempt, 0, bytes, digest);
  run.admitted.push(digest);
  await run.run.builds.findAdmitted();
  expect(run.run.builds.known).toContain(digest);
  for (const worker of [a, b]) await worker.train();
  await until(() => run.run.driver.state.round === 1, "the round's end");
  await elapse(run, async () => (await run.run.projections.unnamed()).length === 0, "the next look");
  expect(await run.blobs.has(digest)).toBe(true);
});
