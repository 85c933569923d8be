/** Roots and heads of a model's next run, for who watches the run before: whose coordinator was named decides what is unpublished. */
import type { RunId } from "@cotrain/sdk/protocol";
import { parseEther } from "viem";
import { describe, expect, it } from "vitest";

import { anyOf, createNaming, ofNamedRuns, type WhyUnnamed } from "../../../offchain/src/validator/index.ts";
import { nextRun } from "../chain/nextRun.ts";
import { fragments, poster, workers } from "../chain/world.ts";
import { createManualClock } from "../manualClock.ts";
import {
  away,
  client,
  compute,
  disputes,
  lessPaid,
  missing,
  open,
  pass,
  post,
  postSigned,
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

const naming = async (...next: readonly RunId[]): Promise<WhyUnnamed> =>
  createNaming(await open(), [world.runId, ...next]);

/** Who knows of no source that has the manifest of a root. */
async function withoutManifest(epochDigest: string, whyUnnamed: WhyUnnamed, error = missing) {
  const clock = createManualClock();
  const blobs = ofNamedRuns(anyOf([without(new Set([epochDigest]), error)]), whyUnnamed);
  return { clock, watch: await watching({ blobs, clock }) };
}

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
    const { clock, watch } = await withoutManifest(attestation.epochDigest, await naming(runId));
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
  const watch = await watching({ blobs: ofNamedRuns(world.blobs, await naming()) });
  expect(await watch.look()).toMatchObject({ state: "suspect" });
  await client().mine({ blocks: 1 });
  expect(await watch.look()).toMatchObject({ state: "disputed", digest });
});

describe("heads of a next run", () => {
  it("whose coordinator nobody named are not told as missing, and looked at once they are to be had", async () => {
    const { runId } = await begun();
    const { attestation } = await compute();
    await postSigned({ attestation });
    const whyUnnamed = await naming();
    let isThere = false;
    const published: typeof world.blobs = {
      blob: (of, ...rest) => (of === runId && !isThere ? Promise.reject(missing()) : world.blobs.blob(of, ...rest)),
    };
    const watch = await watching({ blobs: ofNamedRuns(published, whyUnnamed) });
    const heads = await watchingHeads(watch, undefined, published, undefined, whyUnnamed);
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
