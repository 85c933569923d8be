/** Builds that holders admit by a proposal, whose text has the document: nobody uploads it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { asRunId, type Build, canonicalJson, type Digest, digestOfJson } from "@cotrain/sdk/protocol";
import { expect, onTestFinished, test, vi } from "vitest";

import { RetryableError, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { createArriving } from "../../../offchain/src/coordinator/arriving.ts";
import { createBuilds } from "../../../offchain/src/coordinator/builds.ts";
import type { RunChain } from "../../../offchain/src/run/index.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { createManualClock } from "../manualClock.ts";
import { openHarness } from "./harness.ts";

const runId = asRunId(digestOfJson("run"));
const definition = digestOfJson("definition");
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
/** That is here. */
const program = bytesOf("a program");
const here = sha256Bytes(program);
const missing = digestOfJson("no program");
const graphsOf = (each: Digest): Build["graphs"] => ({ step: each, eval: each, logits: each });

async function open(
  proposed: Readonly<Record<Digest, string>>,
  admitted: readonly Digest[],
  problemOf: (build: Build) => Promise<string> = async () => "",
) {
  const directory = await mkdtemp(join(tmpdir(), "cotrain-builds-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const blobs = await openBlobStore(directory);
  await blobs.put(program);
  let asked = 0;
  const chain = {
    buildsOf: async () => admitted,
    isAdmitted: async (_: unknown, build: Digest) => admitted.includes(build),
    proposedBuild: async (_: unknown, build: Digest) => {
      asked++;
      return proposed[build];
    },
  } as unknown as RunChain;
  const [noted, disk, arriving] = [new Set<Digest>(), { full: false }, createArriving()];
  const clock = createManualClock();
  const builds = createBuilds(runId, definition, {
    chain,
    blobs,
    clock,
    logger: silentLogger(),
    arriving,
    problemOf,
    projections: {
      noteDocument: async (digest) => {
        if (disk.full) throw new RetryableError("DISK_FULL", "The disk is full.");
        noted.add(digest);
      },
    },
  });
  return { builds, blobs, arriving, clock, noted, disk, asked: () => asked };
}

const document = (over: Partial<Build> = {}): Build => ({
  version: 1,
  definition,
  graphs: graphsOf(here),
  microBatch: 4,
  precision: "fp32",
  runtime: "onnxruntime 1",
  deviceClass: "exact-wasm",
  segmentSteps: 32,
  conformance: digestOfJson("value"),
  ...over,
});

test("are taken from there, and kept, where their programs are here", async () => {
  const build = document();
  const digest = digestOfJson(build);
  const { builds, blobs, noted, asked } = await open({ [digest]: canonicalJson(build) }, [digest]);
  const put = vi.spyOn(blobs, "put").mockImplementationOnce(async (...given) => {
    // An upload of the same that ends just then does not take it along.
    expect(noted).toEqual(new Set([digest, here]));
    put.mockRestore();
    return blobs.put(...given);
  });
  expect(await builds.findAdmitted()).toBe(0);
  expect(builds.known).toEqual([digest]);
  expect(noted).toEqual(new Set([digest, here]));
  expect(await builds.find(digest)).toEqual(build);
  expect(JSON.parse(new TextDecoder().decode(await blobs.get(digest)))).toEqual(build);
  expect(asked()).toBe(1);
});

test("are of no use where a program is missing, or no holder admitted them", async () => {
  const build = document({ graphs: graphsOf(missing) });
  const digest = digestOfJson(build);
  const { builds, blobs } = await open({ [digest]: canonicalJson(build) }, [digest]);
  expect(await builds.findAdmitted()).toBe(1);
  expect(builds.known).toEqual([]);
  expect(await blobs.size(digest)).toBeUndefined();

  const other = await open({ [digest]: canonicalJson(build) }, [digestOfJson("another")]);
  expect(await other.builds.find(digest)).toBeUndefined();
  expect(other.asked()).toBe(0);
});

test("are of no use without a program also where the document is here, as an upload or by hand, until it is put", async () => {
  const build = document({ graphs: { ...graphsOf(here), eval: sha256Bytes(bytesOf("another program")) } });
  const digest = digestOfJson(build);
  const { builds, blobs, clock } = await open({}, [digest]);
  await blobs.put(bytesOf(canonicalJson(build)));
  expect(await builds.findAdmitted()).toBe(1);
  // Nor is the gate measured with it.
  expect(builds.known).toEqual([]);
  await blobs.put(bytesOf("another program"));
  await clock.advance(11_000);
  expect(await builds.findAdmitted()).toBe(0);
  expect(builds.known).toEqual([digest]);
});

test.each(["document", "program"])("are of no use where their %s is just being deleted, as an upload", async (what) => {
  const build = document();
  const digest = digestOfJson(build);
  const { builds, blobs, arriving } = await open({}, [digest]);
  await blobs.put(bytesOf(canonicalJson(build)));
  const going = what === "document" ? digest : here;
  const gate = Promise.withResolvers<void>();
  const deletion = arriving.remove(going, () => gate.promise.then(() => blobs.delete(going)));
  const waits = Promise.withResolvers<void>();
  const removed = arriving.removed.bind(arriving);
  arriving.removed = (digests) => {
    if (digests.includes(going)) waits.resolve();
    return removed(digests);
  };
  const looked = builds.findAdmitted();
  await Promise.race([waits.promise, looked]);
  gate.resolve();
  await deletion;
  expect(await looked).toBe(1);
  expect(builds.known).toEqual([]);
});

test("are not what an RPC makes of them: other bytes than the digest's are refused", async () => {
  const build = document();
  const digest = digestOfJson(build);
  const { builds } = await open({ [digest]: canonicalJson({ ...build, microBatch: 64 }) }, [digest]);
  expect(await builds.findAdmitted()).toBe(1);
  expect(builds.known).toEqual([]);
});

test("and their programs are noted where they are here already, once there is room for it; programs of others are not", async () => {
  const build = document();
  const other = document({ definition: digestOfJson("another definition"), graphs: graphsOf(missing) });
  const digests = [digestOfJson(build), digestOfJson(other)];
  const { builds, blobs, clock, noted, disk } = await open({}, digests);
  for (const each of [build, other]) await blobs.put(bytesOf(canonicalJson(each)));
  disk.full = true;
  const needed = () => [...digests, here, missing].map((digest) => builds.needs(digest));
  expect(needed()).toEqual([false, false, false, false]);
  const has = vi.spyOn(blobs, "has").mockImplementationOnce(async (...given) => {
    // What is being looked for does not go meanwhile.
    expect(needed()).toEqual([true, false, true, false]);
    has.mockRestore();
    return blobs.has(...given);
  });
  expect(await builds.findAdmitted()).toBe(1);
  expect(builds.known).toEqual([digests[0]]);
  expect(noted.size).toBe(0);
  expect(needed()).toEqual([true, false, true, false]);
  disk.full = false;
  await clock.advance(11_000);
  await builds.findAdmitted();
  expect(noted).toEqual(new Set([...digests, here]));
});

test("are of no use where their programs are not what they say: those are read once, and it is told", async () => {
  const [build, sly] = [document(), document({ accumulation: 1_024 })];
  const digests = [build, sly].map((each) => digestOfJson(each));
  const read: Build[] = [];
  const { builds, blobs, clock } = await open({}, digests, async (each) => {
    read.push(each);
    return each.accumulation === undefined ? "" : "its program for step takes 4 sequences";
  });
  for (const each of [build, sly]) await blobs.put(bytesOf(canonicalJson(each)));
  expect(await builds.findAdmitted()).toBe(1);
  expect(builds.known).toEqual([digests[0]]);
  expect(await builds.find(digests[1]!)).toBeUndefined();
  await clock.advance(11_000);
  expect(await builds.findAdmitted()).toBe(1);
  expect(read).toEqual([build, sly]);
});

test("are read in a run, which begins with none whose programs are no programs", async () => {
  await expect(openHarness({ readsPrograms: true })).rejects.toMatchObject({ code: "NO_BUILD" });
});
