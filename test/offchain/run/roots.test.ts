/** Which roots there must be, where nodes behind one address lag behind each other. */
import { digestOfJson, type ModelId } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import { createManualClock } from "../manualClock.ts";
import type { ChainReader, PostedRoot } from "../../../offchain/src/chain/index.ts";
import type { BlobSource } from "../../../offchain/src/run/index.ts";
import { rejectedHeads } from "../../../offchain/src/run/rejected.ts";
import { postedRoots } from "../../../offchain/src/run/roots.ts";

const root = { root: digestOfJson("root"), epoch: 3, epochDigest: digestOfJson("manifest") } as unknown as PostedRoot;
const blobs: BlobSource = { blob: () => Promise.reject(new UserError("BLOB_MISSING", "There is none.")) };

function readRoots(confirmations: number, source = blobs) {
  const clock = createManualClock();
  const told: PostedRoot[] = [];
  const reader = {
    confirmations,
    activeRoot: async () => undefined,
    headsSince: async () => [],
    run: async () => ({}),
    pendingRoot: async () => root,
    rootsOf: async () => [...told],
    forget: () => undefined,
  } as unknown as ChainReader;
  const found = postedRoots(reader, source, digestOfJson("model") as unknown as ModelId, clock);
  return { reader, clock, told, found };
}

it("what a node that lags does not tell of yet is looked for again after a pause", async () => {
  const { clock, told, found } = readRoots(0);
  while (clock.sleepers === 0) await new Promise(setImmediate);
  told.push(root);
  await clock.advance(3_000);
  expect(await found).toEqual({ roots: [root], leftOut: [] });
});

it("what is not there after it either is left out", async () => {
  const { clock, found } = readRoots(0);
  while (clock.sleepers === 0) await new Promise(setImmediate);
  await clock.advance(3_000);
  expect(await found).toEqual({ roots: [], leftOut: [root.root] });
});

it("what waits for confirmations is not left out", async () => {
  expect(await readRoots(1).found).toEqual({ roots: [], leftOut: [] });
});

it("a disk that cannot be read hides neither a root nor a head that validators rejected", async () => {
  const error = Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
  const failing: BlobSource = { blob: () => Promise.reject(error) };
  const { reader, told, found } = readRoots(0, failing);
  told.push(root);
  await expect(found).rejects.toBe(error);
  // The manifest could be read, for the root before it, and is not there for its verdicts.
  let asked = 0;
  const once: BlobSource = { blob: () => (asked++ === 0 ? blobs : failing).blob(root.runId, root.epochDigest, 1) };
  await expect(rejectedHeads(reader, once, root.runId)).rejects.toBe(error);
});
