/** Roots and heads of a model's next run, for who watches the run before, and of a run whose poster was replaced: whose coordinator was named decides what is unpublished. */
import { join } from "node:path";

import { asAddress, type RunId } from "@cotrain/sdk/protocol";
import { parseEther } from "viem";
import { describe, expect, it } from "vitest";

import { InternalError } from "../../../offchain/src/base/index.ts";
import type { ChainReader } from "../../../offchain/src/chain/index.ts";
import {
  anyOf,
  createNaming,
  namedRuns,
  openWatchMemory,
  type WhyUnnamed,
} from "../../../offchain/src/validator/index.ts";
import { nextRun } from "../chain/nextRun.ts";
import { fragments, poster, workers } from "../chain/world.ts";
import { createManualClock } from "../manualClock.ts";
import {
  away,
  client,
  compute,
  directory,
  disputes,
  lessPaid,
  missing,
  open,
  pass,
  post,
  postSigned,
  replacePoster,
  slow,
  stageWatch,
  watching,
  watchingHeads,
  without,
  world,
} from "./watched.ts";

stageWatch();

const stranger = workers[1]!;

/** Two heads of a next run, in epochs of their own. */
async function begun(by = stranger) {
  const next = await nextRun(world, fragments, by);
  await client().setBalance({ address: by.address, value: parseEther("10") });
  await post(2, {}, next, by);
  await pass(16);
  return next;
}

type Naming = (reader: ChainReader) => WhyUnnamed;

/** Who names these sources and runs, now. What was named before is remembered for a test. */
async function naming(next: readonly RunId[] = [], sources = ["https://old.example.org"]): Promise<Naming> {
  const memory = await openWatchMemory(join(directory, "named.json"));
  const named = await namedRuns(await open(), memory, { watched: world.runId, next, sources });
  return (reader) => createNaming(reader, new Map(named));
}

/** Who knows of no source that has the manifest of a root. */
async function withoutManifest(epochDigest: string, named: Naming, error = missing, reader?: ChainReader) {
  const clock = createManualClock();
  const blobs = anyOf([without(new Set([epochDigest]), error)]);
  return { clock, watch: await watching({ blobs, clock, naming: named, ...(reader && { reader }) }) };
}

it("a next run that nobody can walk, by an error that nobody foresaw, hides nothing of the run before, and shields no root", async () => {
  const { runId } = await begun();
  const reader = await open();
  const broken = {
    ...reader,
    run: async (id: RunId) => {
      if (id === runId) throw new InternalError("TABLE_INVALID", "The table has a gap.");
      return reader.run(id);
    },
  };
  const { head } = await watching();
  const heads = await watchingHeads({ head }, undefined, world.blobs, broken);
  expect(await heads.look()).toMatchObject({ looked: 3, findings: [], away: "The table has a gap." });

  // What ends a computation by a defect of ours, or of a machine, is told and staked against by nobody.
  await postSigned({ attestation: (await compute()).attestation });
  const watched = await watching({ reader: broken, chain: "none" });
  expect(await watched.look()).toMatchObject({ state: "unread", reason: "The table has a gap." });
});

describe("a root of which something is not to be had", () => {
  it.each([
    ["no source has it", missing],
    ["a source does not answer", away],
    ["a source is slow", slow],
  ])("and that is of a next run whose coordinator nobody named is disputed by nobody: %s", async (_, error) => {
    const { runId } = await begun();
    const { attestation } = await compute();
    const digest = await postSigned({ attestation });
    expect(attestation.runId).toBe(runId);
    const { clock, watch } = await withoutManifest(attestation.epochDigest, await naming(), error);
    const { activatableAt } = (await (await open()).pendingRoot(world.modelId))!;
    for (let look = 0; look < 6; look++) {
      expect(await watch.look()).toEqual({
        state: "unnamed",
        digest,
        index: 1,
        runId,
        until: activatableAt,
        reason: expect.stringContaining(`name it with --mirrors and the run with --next ${runId}.`),
      });
      await clock.advance(1_000);
    }
    expect(await disputes()).toEqual([]);
  });

  it("is disputed where that run was named, too", async () => {
    const { runId } = await begun();
    const { attestation } = await compute();
    await postSigned({ attestation });
    const { clock, watch } = await withoutManifest(attestation.epochDigest, await naming([runId]));
    for (let left = 2_000; left > 0; left -= 500) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    expect(await watch.look()).toMatchObject({ state: "disputed" });
  });

  it("is waited for where that run has the poster of the one that is watched", async () => {
    await begun(poster);
    const { attestation } = await compute();
    await postSigned({ attestation });
    const { watch } = await withoutManifest(attestation.epochDigest, await naming());
    expect(await watch.look()).toMatchObject({ state: "absent" });
  });

  it.each(["a next run without a head in its epochs", "a run that there is not"])(
    "is waited for, too, where it names %s",
    async (named) => {
      const { attestation } = await compute();
      const phantom = `0x${"ee".repeat(32)}` as const;
      const runId = named.startsWith("a next") ? (await nextRun(world, fragments, stranger)).runId : phantom;
      await postSigned({ attestation: { ...attestation, runId } });
      const { watch } = await withoutManifest(attestation.epochDigest, await naming());
      expect(await watch.look()).toMatchObject({ state: "absent" });
    },
  );
});

it("a false root of a next run whose coordinator nobody named is disputed where all of it is to be had", async () => {
  await begun();
  const digest = await postSigned(await lessPaid());
  const watch = await watching({ naming: await naming() });
  expect(await watch.look()).toMatchObject({ state: "suspect" });
  await client().mine({ blocks: 1 });
  expect(await watch.look()).toMatchObject({ state: "disputed", digest });
});

describe("heads of a next run", () => {
  it("whose coordinator nobody named are not told as missing, and looked at once they are to be had", async () => {
    const { runId } = await begun();
    const { attestation } = await compute();
    await postSigned({ attestation });
    const named = await naming();
    let isThere = false;
    const published: typeof world.blobs = {
      blob: (of, ...rest) => (of === runId && !isThere ? Promise.reject(missing()) : world.blobs.blob(of, ...rest)),
    };
    const watch = await watching({ blobs: published, naming: named });
    const heads = await watchingHeads(watch, undefined, published, undefined, named(await open()));
    const away = expect.stringContaining(`Not all of run ${runId} is to be had here.`);
    expect(await heads.look()).toMatchObject({ findings: [], problems: [], away, looked: 3 });
    expect(await heads.look()).toMatchObject({ findings: [], problems: [], away, looked: 0 });
    isThere = true;
    expect(await heads.look()).toMatchObject({ findings: [], problems: [], away: undefined, looked: 3 });
  });

  it("are looked at though a source never answers for the run before", async () => {
    const next = await begun();
    await post(1, { forge: ([first]) => first!.params.fill(0, 0, 1) }, next, stranger);
    const published: typeof world.blobs = {
      blob: (of, ...rest) => (of === next.runId ? world.blobs.blob(of, ...rest) : new Promise(() => undefined)),
    };
    const heads = await watchingHeads(await watching({ blobs: published }), undefined, published);
    const found = await new Promise((tell) => void heads.look(tell));
    expect(found).toMatchObject({ head: { runId: next.runId, round: 3 }, condition: "mismatch" });
  });
});

/** A root of which the coordinator that was named before has nothing. @param named by whoever begins to watch before that */
async function replaced() {
  const named = await naming();
  await replacePoster(stranger);
  const { attestation } = await compute();
  await postSigned({ attestation });
  return { named, epochDigest: attestation.epochDigest };
}

describe("a root of the run that is watched, whose poster holders replaced since", () => {
  it("is told and disputed by nobody, after a restart with the same sources, or with fewer, too", async () => {
    const { named, epochDigest } = await replaced();
    const reason = expect.stringMatching(
      new RegExp(
        `posted by ${stranger.address} since it took the place of ${poster.address}, and so by another coordinator than was named: find out .* with --next ${world.runId}\\. `,
        "i",
      ),
    );
    for (const by of [named, await naming(), await naming([], [])]) {
      const { clock, watch } = await withoutManifest(epochDigest, by);
      for (let look = 0; look < 6; look++) {
        expect(await watch.look()).toMatchObject({ state: "unnamed", runId: world.runId, reason });
        await clock.advance(1_000);
      }
    }
    expect(await disputes()).toEqual([]);
  });

  it.each([
    ["another source", () => naming([], ["https://new.example.org"])],
    ["the run", () => naming([world.runId])],
  ])("is disputed where %s was named after that", async (_, again) => {
    const { epochDigest } = await replaced();
    const { clock, watch } = await withoutManifest(epochDigest, await again());
    for (let left = 2_000; left > 0; left -= 500) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    expect(await watch.look()).toMatchObject({ state: "disputed" });
  });

  it("is not disputed by the word of one RPC that hides it, where another does not", async () => {
    const { named, epochDigest } = await replaced();
    const honest = await open();
    const hiding: ChainReader = {
      ...honest,
      run: async (id) => ({ ...(await honest.run(id)), poster: asAddress(poster.address) }),
    };
    const { clock, watch } = await withoutManifest(epochDigest, named, missing, hiding);
    for (let left = 2_000; left > 0; left -= 500) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    const reason = expect.stringContaining("since it took the place of");
    expect(await watch.look()).toMatchObject({ state: "unread", reason });
    expect(await disputes()).toEqual([]);
  });

  it("counts as named where its new poster posts a run that was named, too", async () => {
    const { runId } = await begun();
    const named = await naming([runId]);
    await replacePoster(stranger);
    expect(await named(await open())(world.runId)).toBeUndefined();
  });
});
