/** What validators rejected in a model's runs is in those that go on from them, however many come between. */
import { asHead, asModelId, asRunId, digestOfJson, type RunId, zeroHash } from "@cotrain/sdk/protocol";
import { expect, test, vi } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import type { ChainReader, PostedHead } from "../../../offchain/src/chain/index.ts";
import { type BlobSource, rejectedBefore } from "../../../offchain/src/run/index.ts";
import { rejectedUpTo } from "../../../offchain/src/run/runEnd.ts";

const headOf = (run: string, round: number) => asHead(digestOfJson(`${run}/${round}`));
vi.mock("../../../offchain/src/run/rejected.ts", async (original) => ({
  ...(await original<object>()),
  rejectedOfModel: async () => new Set([headOf("first", 1), headOf("first", 2), headOf("third", 1)]),
}));

const names = ["first", "second", "third", "fourth"] as const;
const runs = names.map((name) => asRunId(digestOfJson(name)));
const [first, , third, fourth] = runs as [RunId, RunId, RunId, RunId];
const reader = {
  run: async (runId: RunId) => ({ runId, modelId: asModelId(digestOfJson("model")), definition: zeroHash }),
  runsOf: async () => runs,
  headsSince: async (runId: RunId) =>
    [0, 1, 2].map((round) => ({
      runId,
      round,
      sequence: round,
      head: headOf(names[runs.indexOf(runId)]!, round),
    })) as unknown as PostedHead[],
} as unknown as ChainReader;
/** Nobody has the documents any more that would say that a run begins with something else. */
const blobs: BlobSource = {
  blob: () => Promise.reject(new UserError("BLOB_MISSING", "There is no such blob.")),
};

test("it is told run by run, oldest first, and no further than to the run that is asked about", async () => {
  const place = { reader, blobs };
  const ofFirst = { runId: first, rounds: [1, 2] };
  const all = [ofFirst, { runId: third, rounds: [1] }];
  expect(await rejectedUpTo(place, fourth)).toEqual(all);
  expect(await rejectedBefore(place, fourth)).toEqual(all);
  expect(await rejectedUpTo(place, third)).toEqual(all);
  expect(await rejectedBefore(place, third)).toEqual([ofFirst]);
  expect(await rejectedBefore(place, first)).toEqual([]);
});
