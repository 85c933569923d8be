/** What stands behind a head is believed only as far as the head, the digests and the signatures bear it out. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CoordinatorError, type CotrainError } from "@cotrain/sdk/errors";
import {
  type Assignment,
  asAddress,
  asDigest,
  asHead,
  asRunId,
  canonicalJson,
  type Digest,
  digestOfJson,
  outcomeCode,
  type ReceiptsFile,
  receiptsRoot,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type ChainReader, type PostedHead } from "../../../offchain/src/chain/index.ts";
import {
  type BlobSource,
  blobSourceOf,
  createHeadDocumentsCache,
  createRecordReader,
  DocumentError,
  readHeadDocuments,
  runDocuments,
  verifyReceipts,
  verifyRun,
} from "../../../offchain/src/run/index.ts";
import { BlobError, FormatError, parseManifest } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { contracts } from "./ledger.ts";
import {
  createInitial,
  createPublisher,
  fragments,
  params,
  poster,
  type Publisher,
  type RoundOptions,
  workers,
} from "../chain/world.ts";
import { putTinyPrograms } from "../tinyPrograms.ts";

const runId = asRunId(digestOfJson("run"));
const reader = {
  chainId: 31_337,
  contracts,
  postersOf: async () => [poster.address.toLowerCase()],
  run: async () => ({ runId, fragments, definition: digestOfJson(initial.definition) }),
  buildsOf: async () => admitted,
  paramsOf: async () => params,
  pendingRoot: async () => undefined,
  activeRoot: async () => undefined,
  wrongWires: async () => [],
} as unknown as ChainReader;
const posted = {
  runId,
  paramsVersion: 1,
  block: 1,
  blockHash: zeroHash,
  logIndex: 0,
  transaction: zeroHash,
  anchoredAt: 1,
};

let directory: string;
let initial: Awaited<ReturnType<typeof createInitial>>;
let admitted: Digest[];
let publisher: Publisher;
let parent: PostedHead;
let head: PostedHead;
let file: ReceiptsFile;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-documents-"));
  const store = await openBlobStore(join(directory, "blobs"));
  initial = await createInitial(store, runId);
  admitted = [initial.build];
  publisher = createPublisher(store, { chainId: 31_337, contracts, runId }, initial);
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
  readHeadDocuments(reader, blobSourceOf(publisher.store), of, before);

const failing =
  (error: CotrainError): BlobSource["blob"] =>
  async () => {
    throw error;
  };

describe("the documents of a head", () => {
  it("is found where all of it holds", async () => {
    const { leaves } = await read();
    expect(leaves).toHaveLength(3);
    expect(receiptsRoot(leaves)).toBe(head.receiptsRoot);
  });

  it("is found where an RPC left out when who acknowledged the work was the run's poster", async () => {
    const mine = asAddress(poster.address);
    const told = { ...reader, postersOf: async (_run, wanted) => (wanted === mine ? [mine] : []) } as ChainReader;
    const { leaves } = await readHeadDocuments(told, blobSourceOf(publisher.store), head, parent);
    expect(leaves).toHaveLength(3);
  });

  // foundation 16: the receipts' root against the head's
  it("is refused when its receipts, each of them sound, do not have the root that the head names", async () => {
    for (const root of [digestOfJson("another root"), zeroHash])
      await expect(read({ ...head, receiptsRoot: root })).rejects.toMatchObject({
        code: "DOCUMENT_MANIFEST",
        message: expect.stringContaining("do not have the root that its head names"),
      });
  });

  it("is refused, not waited for, when a document is there and is none", async () => {
    const blobs = blobSourceOf(publisher.store);
    const { receipts } = (await read()).manifest;
    const texts = ["[]", "{", JSON.stringify({ ...file, more: 1 }), JSON.stringify({ ...file, receipts: [{}] })];
    for (const text of texts)
      for (const of of [receipts, head.checkpointDigest]) {
        const blob: typeof blobs.blob = async (run, digest, limit) =>
          digest === of ? new TextEncoder().encode(text) : blobs.blob(run, digest, limit);
        const found = await readHeadDocuments(reader, { blob }, head, parent).then(
          () => "read",
          (error: unknown) => (error instanceof DocumentError || error instanceof FormatError ? "refused" : error),
        );
        expect(found).toBe("refused");
      }
    const blob = failing(new BlobError("BLOB_TOO_LARGE", "It is larger than allowed."));
    await expect(readHeadDocuments(reader, { blob }, head, parent)).rejects.toMatchObject({
      code: "DOCUMENT_MALFORMED",
    });
  });

  it("is not had when a source's answer is too long: nobody knows whether it is the document", async () => {
    const blob = failing(new CoordinatorError(200, "ANSWER_TOO_LARGE", "It is larger than allowed."));
    const reading = readHeadDocuments(reader, { blob }, head, parent);
    await expect(reading).rejects.toMatchObject({ code: "ANSWER_TOO_LARGE" });
  });

  it.each(["JSON_INVALID", "JSON_TOO_LARGE", "BLOB_TOO_LARGE"])(
    "is not had when a coordinator answers with an error that it calls %s",
    async (code) => {
      const blob = failing(new CoordinatorError(400, code, "It is no document."));
      await expect(readHeadDocuments(reader, { blob }, head, parent)).rejects.toMatchObject({ code });
    },
  );

  it.each<[string, () => [PostedHead, PostedHead?], RegExp]>([
    ["another run", () => [{ ...head, runId: asRunId(digestOfJson("other")) }], /belongs to another run/],
    ["another round", () => [{ ...head, round: 2 }], /says checkpoint 1/],
    ["other parameters", () => [{ ...head, paramsVersion: 2 }], /says parameters 1/],
    [
      "another checkpoint before it",
      () => [head, { ...parent, checkpointDigest: asDigest(digestOfJson("x")) }],
      /another checkpoint before/,
    ],
    ["a gap before it", () => [head, { ...parent, round: -1 }], /it follows checkpoint -1/],
  ])("is refused when its manifest is of %s", async (_name, change, words) => {
    const [of, before = parent] = change();
    await expect(read(of, before)).rejects.toMatchObject({
      code: "DOCUMENT_MANIFEST",
      message: expect.stringMatching(words),
    });
  });
});

/** What becomes of a round that follows those given, all from the same checkpoint 0. */
async function played(options: RoundOptions, ...earlier: RoundOptions[]): ReturnType<typeof readHeadDocuments> {
  const { store } = publisher;
  const own = createPublisher(store, { chainId: 31_337, contracts, runId }, initial);
  for (const each of earlier) await own.round(each);
  const before = own.checkpoint();
  const { fields } = await own.round(options);
  return readHeadDocuments(
    reader,
    blobSourceOf(store),
    { ...head, ...fields },
    { ...parent, round: before.round, checkpointDigest: before.digest },
  );
}

type Entry = ReceiptsFile["receipts"][number];

/** Verifies the round's receipts, the first of them changed. */
const verify = (change: (first: Entry) => Partial<Entry>) => {
  const [first, ...rest] = file.receipts as [Entry, ...Entry[]];
  return verifyReceipts(
    reader,
    { ...file, receipts: [{ ...first, ...change(first) }, ...rest] },
    head,
    parent,
    rules(),
  );
};
const rules = () => ({
  definition: initial.definition,
  params,
  before: initial.manifest,
  documents: runDocuments(reader, blobSourceOf(publisher.store), runId),
});

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
    [
      "with an assignment of another worker",
      ({ assignment, receipt }) => {
        const other = { ...assignment, worker: file.receipts[1]!.assignment.worker };
        return { assignment: other, receipt: { ...receipt, assignment: digestOfJson(other) } };
      },
      /the assignment is another one/,
    ],
    [
      "with an assignment under other parameters",
      ({ assignment, receipt }) => {
        const other = { ...assignment, paramsVersion: 2 };
        return { assignment: other, receipt: { ...receipt, assignment: digestOfJson(other) } };
      },
      /the assignment is another one/,
    ],
    [
      "with another assignment's number",
      (e) => ({ receipt: { ...e.receipt, assignmentId: "99" } }),
      /the assignment is another one/,
    ],
    ["with another attempt", (e) => ({ receipt: { ...e.receipt, attempt: 1 } }), /the assignment is another one/],
    ["with more steps than were assigned", (e) => ({ receipt: { ...e.receipt, steps: 9 } }), /more steps/],
    ["of no steps", (e) => ({ receipt: { ...e.receipt, steps: 0, leaves: 0 }, tokens: "0" }), /more steps/],
    // foundation 8
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
    [
      "with another round's acknowledgement",
      (e) => ({ ack: { ...e.ack, round: "7" } }),
      /acknowledgement is another one's/,
    ],
    [
      "that was acknowledged for other tokens",
      (e) => ({ ack: { ...e.ack, tokens: "1" } }),
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
      code: "DOCUMENT_RECEIPT",
      message: expect.stringMatching(words),
    });
  });

  it("in a file of another run is refused", async () => {
    const other = { ...file, runId: asRunId(digestOfJson("other")) };
    await expect(verifyReceipts(reader, other, head, parent, rules())).rejects.toMatchObject({
      message: expect.stringContaining("the file is of round 1 of run"),
    });
  });

  it("that stands twice, or out of order, is refused", async () => {
    const [first, second, third] = file.receipts as [Entry, Entry, Entry];
    for (const receipts of [
      [first, first, second, third],
      [second, first, third],
    ])
      await expect(verifyReceipts(reader, { ...file, receipts }, head, parent, rules())).rejects.toMatchObject({
        message: expect.stringContaining("ascending order"),
      });
  });

  it("about data that another worker of the round was given is refused", async () => {
    await expect(played({ sameData: true })).rejects.toMatchObject({
      code: "DOCUMENT_RECEIPT",
      message: expect.stringContaining("data that another had"),
    });
  });
});

/** One of three is the poster's accomplice, who signs whatever it is told to. */
const thief = workers[1]!.address.toLowerCase();
const ofThief = (change: (honest: Assignment) => Partial<Assignment>): RoundOptions => ({
  forgeAssignment: (honest) => (honest.worker === thief ? { ...honest, ...change(honest) } : honest),
});

describe("an assignment", () => {
  it.each<[string, RoundOptions, RegExp]>([
    [
      "of a million sequences of a million tokens over one position",
      ofThief(({ ranges: [range] }) => ({
        batch: 1 << 20,
        sequence: 1 << 20,
        ranges: [{ start: range!.start, count: 1 }],
      })),
      /batch 1048576 where 2 is due/,
    ],
    ["of longer sequences", ofThief(() => ({ sequence: 1 << 20 })), /sequence 1048576 where 16 is due/],
    [
      "of more steps than a round of the ramp has",
      {
        steps: (worker) => (worker === thief ? 8 : 4),
        ...ofThief(() => ({ ranges: [{ start: 10 ** 12, count: 16 }] })),
      },
      /it was assigned 8 steps, 4 at most/,
    ],
    [
      "of too few positions",
      ofThief(({ ranges: [range] }) => ({ ranges: [{ start: range!.start, count: 1 }] })),
      /1 positions for 4 steps of 2/,
    ],
    [
      "of too many positions",
      ofThief(({ ranges: [range] }) => ({ ranges: [range!, { start: 10 ** 12, count: 1 }] })),
      /9 positions for 4 steps of 2/,
    ],
    ["at another learning rate", ofThief(() => ({ innerLrPpb: 4_000_000_000 })), /innerLrPpb 4000000000 where/],
    ["at another place of the schedule", ofThief(() => ({ globalStep: 10 ** 12 })), /globalStep 1000000000000 where 0/],
    ["past the last position", ofThief(() => ({ ranges: [{ start: 2 ** 53 - 8, count: 8 }] })), /that can be counted/],
    ["of another codec", ofThief(() => ({ codec: 0 })), /codec 0 where 1 is due/],
    ["of a build that nobody admitted", { build: asDigest(digestOfJson("own")) }, /was never admitted/],
  ])("%s is refused", async (_name, options, words) => {
    await expect(played(options)).rejects.toMatchObject({
      code: "DOCUMENT_RECEIPT",
      message: expect.stringMatching(words),
    });
  });

  it("of more steps than a round after the ramp has is refused, and of as many taken", async () => {
    const fitting: RoundOptions = { steps: () => params.innerSteps };
    await expect(played(fitting, {})).resolves.toMatchObject({ leaves: [{}, {}, {}] });
    await expect(played({ steps: () => 12 }, {})).rejects.toMatchObject({
      message: expect.stringMatching(/8 at most/),
    });
  });

  it.each([
    ["another definition", { definition: digestOfJson("other") }, { code: "DOCUMENT_BUILD" }],
    ["more micro-batches", { accumulation: 2 }, { message: expect.stringContaining("batch 2 where 4 is due") }],
  ])("of a build of %s is refused", async (_name, change, problem) => {
    const { store } = publisher;
    const document = JSON.parse(new TextDecoder().decode(await store.get(initial.build))) as object;
    const graphs = await putTinyPrograms(store, { microBatch: 2, ...change }, initial.definition);
    const { digest } = await store.put(new TextEncoder().encode(canonicalJson({ ...document, ...change, graphs })));
    admitted.push(digest);
    await expect(played({ build: digest })).rejects.toMatchObject(problem);
  });
});

it("a build that was not admitted, or not to be had, may be next time", async () => {
  const [blobs, digest] = [blobSourceOf(publisher.store), initial.build];
  const [had, gone] = [[true, false], failing(new BlobError("BLOB_MISSING", "gone"))];
  const blob: BlobSource["blob"] = (...asked) =>
    asked[1] === digest && !had.pop() ? gone(...asked) : blobs.blob(...asked);
  const known: Digest[] = [];
  const told = { ...reader, buildsOf: async () => known } as ChainReader;
  const documents = runDocuments(told, { blob }, runId);
  expect(await documents.build(digest)).toBeUndefined();
  known.push(digest);
  await expect(documents.build(digest)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  // Once it was there it is kept.
  for (let times = 0; times < 2; times++) expect(await documents.build(digest)).toMatchObject({ version: 1 });
});

describe("the manifest of a head", () => {
  it.each<[string, RoundOptions, RegExp]>([
    ["another step", { forgeManifest: (facts) => ({ ...facts, step: facts.step + 4 }) }, /says step 8, where 4 is due/],
    ["other tokens", { forgeManifest: (facts) => ({ ...facts, tokens: "1000000" }) }, /says 1000000 tokens, where 384/],
    ["no receipts", { forgeManifest: (facts) => ({ ...facts, receipts: null }) }, /no receipts or no screening/],
    ["no screening", { forgeManifest: (facts) => ({ ...facts, screening: null }) }, /no receipts or no screening/],
    [
      "no screening of a round without work",
      { workers: [], forgeManifest: (facts) => ({ ...facts, screening: null }) },
      /no receipts or no screening/,
    ],
  ])("is refused with %s", async (_name, options, words) => {
    for (const earlier of [[], [{}]])
      await expect(played(options, ...earlier)).rejects.toMatchObject({ code: "DOCUMENT_MANIFEST" });
    await expect(played(options)).rejects.toMatchObject({ message: expect.stringMatching(words) });
  });

  it("is refused of a first checkpoint whose head names receipts", async () => {
    await expect(
      readHeadDocuments(
        reader,
        blobSourceOf(publisher.store),
        { ...parent, receiptsRoot: head.receiptsRoot },
        undefined,
      ),
    ).rejects.toMatchObject({ message: expect.stringContaining("the first checkpoint has receipts") });
  });

  it.each([
    ["with tokens", { tokens: "384" }, "the first checkpoint was trained"],
    ["with steps", { step: 4 }, "the first checkpoint was trained"],
    ["with a screening", { screening: digestOfJson("screening") }, "the first checkpoint has a screening"],
    ["with receipts", { receipts: digestOfJson("receipts") }, "the first checkpoint has receipts"],
  ])("is refused of a first checkpoint %s", async (_what, change, words) => {
    const { store } = publisher;
    const manifest = { ...parseManifest(await store.get(initial.digest)), ...change };
    const { digest } = await store.put(new TextEncoder().encode(canonicalJson(manifest)));
    const first = { ...parent, checkpointDigest: digest };
    await expect(readHeadDocuments(reader, blobSourceOf(store), first, undefined)).rejects.toMatchObject({
      code: "DOCUMENT_MANIFEST",
      message: expect.stringContaining(words),
    });
  });

  it("counts the tokens of those alone who were aggregated", async () => {
    const { manifest } = await played({ outcome: (worker) => (worker === thief ? outcomeCode.nonFinite : 0) });
    expect(manifest.tokens).toBe(String(2 * 4 * 2 * 16));
  });

  // A manifest's lengths are what its poster says.
  it("is refused where its shards are longer than the run's table makes them, before one is read", async () => {
    const { store } = publisher;
    const manifest = parseManifest(await store.get(initial.digest));
    const grown = manifest.fragments.map((part) => {
      const [bytes, { offset }] = [2 ** 48, part.parameters];
      return {
        ...part,
        bytes: offset + 2 * bytes,
        parameters: { ...part.parameters, bytes },
        outer: { ...part.outer, offset: offset + bytes, bytes },
      };
    });
    const { digest } = await store.put(new TextEncoder().encode(canonicalJson({ ...manifest, fragments: grown })));
    const first = { ...parent, checkpointDigest: digest };
    const limits: number[] = [];
    const chain = { ...reader, headsSince: async () => [first], head: async () => first, rootsOf: async () => [] };
    const blobs = {
      blob: async (_run: unknown, asked: Digest, limit: number) => (limits.push(limit), store.get(asked, limit)),
    };
    const { value: report } = await verifyRun({ reader: chain, blobs }, runId).next();
    expect(report).toMatchObject({
      condition: "mismatch",
      problems: expect.arrayContaining([expect.stringContaining(`has ${2 ** 48} bytes of parameters`)]),
    });
    expect(Math.max(...limits)).toBeLessThanOrEqual(1 << 26);
  });
});

describe("what was read of a head", () => {
  let isThere: boolean;
  const blobs: BlobSource = {
    blob: (...asked) => {
      const source = isThere
        ? blobSourceOf(publisher.store)
        : { blob: failing(new BlobError("BLOB_MISSING", "Gone.")) };
      return source.blob(...asked);
    },
  };

  it("is not read again, but where it could not be had", async () => {
    const cache = createHeadDocumentsCache(on([parent, head]));
    isThere = false;
    await expect(cache.read(blobs, head, parent)).rejects.toMatchObject({ code: "BLOB_MISSING" });
    isThere = true;
    const documents = await cache.read(blobs, head, parent);
    isThere = false;
    expect(await cache.read(blobs, head, parent)).toBe(documents);
  });

  it("is kept of so many heads, the newest", async () => {
    const cache = createHeadDocumentsCache(on([parent, head]), 1);
    isThere = true;
    await cache.read(blobs, parent, undefined);
    await cache.read(blobs, head, parent);
    isThere = false;
    await expect(cache.read(blobs, head, parent)).resolves.toBeDefined();
    await expect(cache.read(blobs, parent, undefined)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  });

  it("is kept of so many records too", async () => {
    const [, first, second] = await chainOf(1, 4);
    const record = createRecordReader(blobs, 1);
    isThere = true;
    for (const each of [first!, second!]) await record(each);
    isThere = false;
    expect(await record(second!)).toMatchObject({ round: 1 });
    await expect(record(first!)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  });
});

/** The heads of rounds in which workers were given data from these places on, three in a row each. */
async function chainOf(...from: number[]): Promise<PostedHead[]> {
  const made = createPublisher(publisher.store, { chainId: 31_337, contracts, runId }, initial);
  const heads = [parent];
  for (const [i, dataFrom] of from.entries()) {
    const before = heads.at(-1)!;
    const { fields } = await made.round({ dataFrom });
    const name = asHead(digestOfJson({ from, head: i + 1 }));
    heads.push({ ...posted, ...fields, head: name, parentHead: before.head, sequence: i + 1 });
  }
  return heads;
}
/** A chain that has these. */
const on = (heads: readonly PostedHead[]) => ({ ...reader, headsSince: async () => heads }) as unknown as ChainReader;
const inTurn = async (heads: readonly PostedHead[], capacity?: number): Promise<string[]> => {
  const cache = createHeadDocumentsCache(on(heads), capacity);
  const found: string[] = [];
  for (const [i, each] of heads.entries())
    found.push(
      await cache.read(blobSourceOf(publisher.store), each, heads[i - 1]).then(
        () => "holds",
        (error: DocumentError) => error.message,
      ),
    );
  return found.slice(1);
};

describe("data that an earlier round of the run was trained on", () => {
  const again = expect.stringMatching(/was given data that an earlier round had/);

  it("does not hold, however many rounds lie between, and whatever became of these", async () => {
    const honest = await chainOf(1, 4, 7, 10);
    expect(await inTurn(honest)).toEqual(["holds", "holds", "holds", "holds"]);
    expect(await inTurn(await chainOf(1, 4, 3))).toEqual(["holds", "holds", again]);
    expect(await inTurn(await chainOf(1, ...Array.from({ length: 12 }, (_, i) => 4 + 3 * i), 1))).toEqual([
      ...Array.from({ length: 13 }, () => "holds"),
      again,
    ]);
    // What was given to those of a head that does not hold is not theirs.
    expect(await inTurn(await chainOf(1, 2, 5, 1, 8))).toEqual(["holds", again, "holds", again, "holds"]);
  });

  it("is told from the same data on another branch of the chain", async () => {
    const heads = await chainOf(1, 4);
    const other = await chainOf(4);
    let branch = heads;
    const cache = createHeadDocumentsCache({ ...on([]), headsSince: async () => branch });
    const read = async (i: number) => cache.read(blobSourceOf(publisher.store), branch[i]!, branch[i - 1]);
    for (const i of [0, 1, 2]) await expect(read(i)).resolves.toBeDefined();
    branch = other;
    await expect(read(1)).resolves.toBeDefined();
    const reading = createHeadDocumentsCache(on(other)).read(blobSourceOf(publisher.store), heads[2]!, heads[1]);
    await expect(reading).rejects.toMatchObject({ code: "CHAIN_MOVED" });
  });

  it("is found by who walks the chain", async () => {
    const heads = await chainOf(1, 4, 5, 10);
    const chain: ChainReader = { ...on(heads), head: async () => heads.at(-1)!, rootsOf: async () => [] };
    const found: boolean[] = [];
    for await (const { problems } of verifyRun({ reader: chain, blobs: blobSourceOf(publisher.store) }, runId))
      found.push(problems.some((problem) => problem.includes("data that an earlier round had")));
    expect(found).toEqual([false, false, false, true, false]);
  });
});
