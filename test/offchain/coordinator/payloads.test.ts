import { digestOfJson } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import type { RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { lostBefore, noteLost } from "../../../offchain/src/coordinator/payloads.ts";
import type { BlobStore } from "../../../offchain/src/storage/index.ts";

test("so much of what is lost is remembered and no more, also of what was lost before a start", async () => {
  const blobs = { has: async () => false } as unknown as BlobStore;
  const digests = Array.from({ length: 9_000 }, (_, index) => digestOfJson(index));
  const uploads = Object.fromEntries(digests.map((digest, index) => [index, { digest, bytes: 1 }]));
  const state = { current: { work: { "0x31": { uploads, receipt: null } } } } as unknown as RunState;
  const lost = await lostBefore(blobs, state);
  expect([...lost]).toEqual(digests.slice(-8_192));
  noteLost({ lost }, digestOfJson("one more"));
  expect(lost.size).toBe(8_192);
});
