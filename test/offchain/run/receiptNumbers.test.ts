/** Numbers of receipts that are larger than a double counts: whoever made them up says nothing that anybody could add up. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { asHead, asRunId, digestOfJson, type ReceiptsFile, zeroHash } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import type { ChainReader, PostedHead } from "../../../offchain/src/chain/index.ts";
import { type RunDocuments, verifyReceipts } from "../../../offchain/src/run/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { createInitial, createPublisher, params, poster } from "../chain/world.ts";
import { contracts } from "./ledger.ts";

const runId = asRunId(digestOfJson("run"));
const reader = {
  chainId: 31_337,
  contracts,
  postersOf: async () => [poster.address.toLowerCase()],
} as unknown as ChainReader;

let directory: string;
let initial: Awaited<ReturnType<typeof createInitial>>;
let file: ReceiptsFile;
let parent: PostedHead;
let head: PostedHead;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-receipts-"));
  const store = await openBlobStore(join(directory, "blobs"));
  initial = await createInitial(store, runId);
  const made = await createPublisher(store, { chainId: 31_337, contracts, runId }, initial).round();
  const posted = { runId, paramsVersion: 1, block: 1, blockHash: zeroHash, logIndex: 0, transaction: zeroHash };
  const at = { ...posted, anchoredAt: 1, parentHead: zeroHash, sequence: 0, head: asHead(digestOfJson("head")) };
  parent = { ...at, round: 0, checkpointDigest: initial.digest, receiptsRoot: zeroHash };
  head = { ...at, ...made.fields };
  file = made.file;
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Verifies receipts of steps as large as any run may have, by a program of as many sequences a step as any may have. */
const [steps, microBatch, accumulation] = [2 ** 32 - 1, 1 << 20, 1 << 10] as const;
const verify = (receipts: ReceiptsFile["receipts"]) =>
  verifyReceipts(reader, { ...file, receipts }, head, parent, {
    definition: initial.definition,
    params: { ...params, rampInnerSteps: steps },
    before: initial.manifest,
    documents: { build: async () => ({ microBatch, accumulation, segmentSteps: 1 }) } as unknown as RunDocuments,
  });

it.each([
  ["one's", 2n ** 53n, 0n],
  ["all together", 2n ** 53n - 2n, 1n],
])("receipts of more tokens than a round can be weighed by are refused: %s", async (_name, first, others) => {
  const counting = (of: bigint) =>
    verify(file.receipts.map((entry, i) => ({ ...entry, tokens: String(i === 0 ? of : others) })));
  await expect(counting(first)).rejects.toMatchObject({
    code: "DOCUMENT_RECEIPT",
    message: expect.stringMatching(
      /receipt of all workers: they count 9007199254740992 tokens, more than can be weighed/,
    ),
  });
  // As many as can be: what else is wrong with them is told.
  await expect(counting(first - 1n)).rejects.toMatchObject({ message: expect.not.stringMatching(/can be weighed/) });
});

it("positions of an assignment are counted exactly, be they more than a double holds", async () => {
  const batch = microBatch * accumulation;
  const due = BigInt(steps) * BigInt(batch);
  const most = 2n ** 52n;
  const ofPositions = (positions: bigint) => {
    const counts = Array.from({ length: Number(positions / most) }, () => Number(most));
    const ranges = [...counts, Number(positions % most)].map((count) => ({ start: 1, count }));
    const [first, ...rest] = file.receipts as [ReceiptsFile["receipts"][number], ...ReceiptsFile["receipts"]];
    const assignment = { ...first.assignment, steps, batch, ranges };
    const receipt = { ...first.receipt, steps: 0, assignment: digestOfJson(assignment) };
    return verify([{ ...first, assignment, receipt }, ...rest]);
  };
  // What is wrong with this one, that it took no steps, is told after its positions.
  await expect(ofPositions(due)).rejects.toMatchObject({ message: expect.stringMatching(/it claims more steps/) });
  for (const other of [due - 1n, due + 1n])
    await expect(ofPositions(other)).rejects.toMatchObject({
      message: expect.stringContaining(`has ${other} positions for ${steps} steps`),
    });
});
