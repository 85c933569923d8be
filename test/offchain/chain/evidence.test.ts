/** What stands behind a head is believed only as far as the head, the digests and the signatures bear it out. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  asDigest,
  asHead,
  asRunId,
  digestOfJson,
  type ReceiptsFile,
  receiptsRoot,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type ChainReader, type PostedHead, readEvidence, verifyReceipts } from "../../../offchain/src/chain/index.ts";
import { openFileStore } from "../../../offchain/src/storage/index.ts";
import { contracts } from "./ledger.ts";
import { blobsOf, createInitial, createPublisher, poster, type Publisher } from "./world.ts";

const runId = asRunId(digestOfJson("run"));
const reader = {
  chainId: 31_337,
  contracts,
  postersOf: async () => [poster.address.toLowerCase()],
} as unknown as ChainReader;

let directory: string;
let publisher: Publisher;
let parent: PostedHead;
let head: PostedHead;
let file: ReceiptsFile;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-evidence-"));
  const store = await openFileStore(join(directory, "blobs"));
  const initial = await createInitial(store, runId);
  publisher = createPublisher(store, { chainId: 31_337, contracts, runId }, initial);
  const posted = {
    runId,
    paramsVersion: 1,
    block: 1,
    blockHash: zeroHash,
    logIndex: 0,
    transaction: zeroHash,
    anchoredAt: 1,
  };
  const zero = asHead(digestOfJson("head 0"));
  parent = {
    ...posted,
    head: zero,
    parentHead: zeroHash,
    sequence: 0,
    round: 0,
    checkpointDigest: initial.digest,
    receiptsRoot: zeroHash,
  };
  const made = await publisher.round();
  file = made.file;
  head = { ...posted, ...made.fields, head: asHead(digestOfJson("head 1")), parentHead: zero, sequence: 1 };
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const read = (of: PostedHead = head, before: PostedHead | undefined = parent) =>
  readEvidence(reader, blobsOf(publisher.store), of, before);

describe("the evidence of a head", () => {
  it("is found where all of it holds", async () => {
    const { leaves } = await read();
    expect(leaves).toHaveLength(3);
    expect(receiptsRoot(leaves)).toBe(head.receiptsRoot);
  });

  it("is refused when its receipts, each of them sound, do not have the root that the head names", async () => {
    for (const root of [digestOfJson("another root"), zeroHash])
      await expect(read({ ...head, receiptsRoot: root })).rejects.toMatchObject({
        code: "EVIDENCE_MANIFEST",
        message: expect.stringContaining("do not have the root that its head names"),
      });
  });

  it.each<[string, () => [PostedHead, PostedHead?], RegExp]>([
    ["another run", () => [{ ...head, runId: asRunId(digestOfJson("other")) }], /belongs to another run/],
    ["another round", () => [{ ...head, round: 2 }], /says checkpoint 1/],
    ["other parameters", () => [{ ...head, paramsVersion: 2 }], /says parameters 1/],
    [
      "another checkpoint before it",
      () => [head, { ...parent, checkpointDigest: asDigest(digestOfJson("x")) }],
      /another checkpoint before/,
    ],
    ["a gap before it", () => [head, { ...parent, round: 5 }], /it follows checkpoint 5/],
  ])("is refused when its manifest is of %s", async (_name, change, words) => {
    const [of, before = parent] = change();
    await expect(read(of, before)).rejects.toMatchObject({
      code: "EVIDENCE_MANIFEST",
      message: expect.stringMatching(words),
    });
  });
});

type Entry = ReceiptsFile["receipts"][number];

/** Verifies the round's receipts, the first of them changed. */
const verify = (change: (first: Entry) => Partial<Entry>) => {
  const [first, ...rest] = file.receipts as [Entry, ...Entry[]];
  return verifyReceipts(reader, { ...file, receipts: [{ ...first, ...change(first) }, ...rest] }, head, parent);
};

describe("a receipt", () => {
  it.each<[string, (first: Entry) => Partial<Entry>, RegExp]>([
    ["of another round", (e) => ({ receipt: { ...e.receipt, round: "7" } }), /of another round/],
    [
      "that started elsewhere",
      (e) => ({ receipt: { ...e.receipt, baseDigest: digestOfJson("x") } }),
      /another checkpoint/,
    ],
    ["under other parameters", (e) => ({ receipt: { ...e.receipt, paramsVersion: 2 } }), /other parameters/],
    [
      "with another assignment",
      (e) => ({ assignment: { ...e.assignment, seed: digestOfJson("x") } }),
      /not the one that was signed/,
    ],
    [
      "whose data stand in another order than the run's",
      ({ assignment, receipt }) => {
        const other = { ...assignment, seed: digestOfJson("x") };
        return { assignment: other, receipt: { ...receipt, assignment: digestOfJson(other) } };
      },
      /another order of the data/,
    ],
    ["with another attempt", (e) => ({ receipt: { ...e.receipt, attempt: 1 } }), /the assignment is another one/],
    ["with more steps than were assigned", (e) => ({ receipt: { ...e.receipt, steps: 9 } }), /more steps/],
    // point 8
    [
      "whose commitment has other leaves than its steps make",
      (e) => ({ receipt: { ...e.receipt, leaves: e.receipt.leaves + 1 } }),
      /not the one to its steps/,
    ],
    ["without a commitment", (e) => ({ receipt: { ...e.receipt, commitment: zeroHash } }), /not the one to its steps/],
    ["that counts other tokens", () => ({ tokens: "1" }), /counts 1 tokens/],
    [
      "with another's acknowledgement",
      (e) => ({ ack: { ...e.ack, receiptHash: digestOfJson("x") } }),
      /acknowledgement is another one's/,
    ],
    ["that its worker did not sign", () => ({ signature: file.receipts[1]!.signature }), /did not sign it/],
    [
      "that no poster acknowledged",
      () => ({ ackSignature: file.receipts[1]!.ackSignature }),
      /not signed by the run's poster/,
    ],
  ])("%s is refused", async (_name, change, words) => {
    await expect(verify(change)).rejects.toMatchObject({
      code: "EVIDENCE_RECEIPT",
      message: expect.stringMatching(words),
    });
  });

  it("that stands twice, or out of order, is refused", async () => {
    const [first, second, third] = file.receipts as [Entry, Entry, Entry];
    for (const receipts of [
      [first, first, second, third],
      [second, first, third],
    ])
      await expect(verifyReceipts(reader, { ...file, receipts }, head, parent)).rejects.toMatchObject({
        message: expect.stringContaining("ascending order"),
      });
  });

  it("about data that another worker of the round was given is refused", async () => {
    const store = await openFileStore(join(directory, "same"));
    const initial = await createInitial(store, runId);
    const same = await createPublisher(store, { chainId: 31_337, contracts, runId }, initial).round({ sameData: true });
    await expect(
      readEvidence(
        reader,
        blobsOf(store),
        { ...head, ...same.fields },
        { ...parent, checkpointDigest: initial.digest },
      ),
    ).rejects.toMatchObject({
      code: "EVIDENCE_RECEIPT",
      message: expect.stringContaining("data that another had"),
    });
  });
});
