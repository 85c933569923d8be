/** Documents of a head that have their digests, and all the same are none: by their bytes, or by what workers were given. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  asDigest,
  asHead,
  canonicalJson,
  type CheckpointManifest,
  type Digest,
  digestOfJson,
  MAX_JSON_VALUES,
  type PositionRange,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ChainReader, PostedHead } from "../../../offchain/src/chain/index.ts";
import { blobSourceOf, readHeadDocuments, runDocuments } from "../../../offchain/src/run/index.ts";
import { fitDefinition } from "../../../offchain/src/run/published.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { inPass, seed as runId } from "../../interop/reading.ts";
import { createInitial, createPublisher, fragments, params, poster, type Publisher, workers } from "../chain/world.ts";
import { contracts } from "./ledger.ts";

/** So many that sixteen sequences which two workers share are no chance. */
const MANY = 100_000;

let directory: string;
let publisher: Publisher;
let initial: Awaited<ReturnType<typeof createInitial>>;
let reader: ChainReader;
let before: PostedHead;
let head: PostedHead;

type Made = Awaited<ReturnType<Publisher["round"]>>;
const headOf = ({ fields }: Pick<Made, "fields">, parent: PostedHead): PostedHead => ({
  ...parent,
  ...fields,
  head: asHead(digestOfJson(`head ${fields.round}`)),
  parentHead: parent.head,
  sequence: fields.round,
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-heads-"));
  const store = await openBlobStore(join(directory, "blobs"));
  initial = await createInitial(store, runId);
  publisher = createPublisher(store, { chainId: 31_337, contracts, runId }, initial);
  reader = {
    chainId: 31_337,
    contracts,
    postersOf: async () => [poster.address.toLowerCase()],
    run: async () => ({ runId, fragments, definition: digestOfJson(initial.definition) }),
    buildsOf: async () => [initial.build],
    paramsOf: async () => params,
  } as unknown as ChainReader;
  const first: PostedHead = {
    runId,
    paramsVersion: 1,
    block: 1,
    blockHash: zeroHash,
    logIndex: 0,
    transaction: zeroHash,
    anchoredAt: 1,
    head: asHead(digestOfJson("head 0")),
    parentHead: zeroHash,
    sequence: 0,
    round: 0,
    checkpointDigest: initial.digest,
    receiptsRoot: zeroHash,
  };
  before = headOf(await publisher.round(), first);
  head = headOf(await publisher.round(), before);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const text = async (digest: string): Promise<string> =>
  new TextDecoder().decode(await publisher.store.get(asDigest(digest), 1 << 26));
const put = async (document: string): Promise<Digest> =>
  (await publisher.store.put(new TextEncoder().encode(document))).digest;

/** The head over other bytes of its receipts. */
async function withReceipts(change: (text: string) => string): Promise<PostedHead> {
  const manifest = JSON.parse(await text(head.checkpointDigest)) as CheckpointManifest;
  const receipts = await put(change(await text(manifest.receipts ?? "")));
  return { ...head, checkpointDigest: await put(canonicalJson({ ...manifest, receipts })) };
}

const read = (of: PostedHead, told: ChainReader = reader) =>
  readHeadDocuments(told, blobSourceOf(publisher.store), of, before);

describe("documents of a head", () => {
  it("are read where they are canonical JSON, of a run whose training sequences are counted", async () => {
    expect((await read(await withReceipts((same) => same))).leaves).toHaveLength(3);
    const documents = runDocuments(reader, blobSourceOf(publisher.store), runId);
    expect(await documents.sequences()).toBe(100);
  });

  it.each<[string, (text: string) => string]>([
    ["a key twice", (receipts) => receipts.replaceAll('"outcome":0', '"outcome":9,"outcome":0')],
    ["numbers in another form", (receipts) => receipts.replace('"version":1', '"version":1e0')],
    ["white space", (receipts) => `${receipts}\n`],
  ])("are refused for receipts that are not, by %s", async (_, change) => {
    await expect(withReceipts(change).then((of) => read(of))).rejects.toMatchObject({
      code: "DOCUMENT_MALFORMED",
      message: expect.stringContaining("the receipts: not canonical JSON"),
    });
  });

  it("are refused for a definition or a build that is not", async () => {
    const definition = await put(`${canonicalJson(initial.definition)}\n`);
    const told = { ...reader, run: async () => ({ runId, fragments, definition }) } as unknown as ChainReader;
    await expect(read(head, told)).rejects.toMatchObject({ code: "DOCUMENT_MALFORMED" });
    const build = await put(`${await text(initial.build)}\n`);
    const other = { ...reader, buildsOf: async () => [build] } as unknown as ChainReader;
    await expect(runDocuments(other, blobSourceOf(publisher.store), runId).build(build)).rejects.toMatchObject({
      code: "JSON_NOT_CANONICAL",
    });
  });

  it("are refused for a build that is not what its programs are", async () => {
    const document = JSON.parse(await text(initial.build)) as object;
    const build = await put(canonicalJson({ ...document, accumulation: 1_024 }));
    const other = { ...reader, buildsOf: async () => [build] } as unknown as ChainReader;
    await expect(runDocuments(other, blobSourceOf(publisher.store), runId).build(build)).rejects.toMatchObject({
      code: "DOCUMENT_BUILD",
      message: expect.stringContaining("takes 2 sequences of 17 tokens where 2048 of 17 are due"),
    });
  });

  it("are refused for more values than anybody parses", async () => {
    const of = await withReceipts(() => `[${"{},".repeat(MAX_JSON_VALUES)}{}]`);
    await expect(read(of)).rejects.toMatchObject({
      code: "DOCUMENT_MALFORMED",
      message: expect.stringContaining(`more than the ${MAX_JSON_VALUES} values`),
    });
  });

  it("are refused for more receipts than the run may have members", async () => {
    const told = { ...reader, paramsOf: async () => ({ ...params, maxWorkers: 2 }) } as unknown as ChainReader;
    await expect(read(head, told)).rejects.toMatchObject({
      code: "DOCUMENT_RECEIPT",
      message: expect.stringContaining("there are 3, where 2 members at most may be"),
    });
  });

  it("are of no run that is unfit by one answer alone: its chain is asked twice", async () => {
    const definition = digestOfJson(initial.definition);
    const told = (...answers: readonly object[]) => {
      let asked = 0;
      const run = async () => ({ runId, fragments, definition, ...answers[Math.min(asked++, answers.length - 1)] });
      return fitDefinition({ reader: { run } as never, blobs: blobSourceOf(publisher.store) }, runId);
    };
    expect(await told({})).toEqual(initial.definition);
    await expect(told({ fragments: 1 })).rejects.toMatchObject({ code: "DOCUMENT_FRAGMENTS" });
    const none = await put("{}");
    await expect(told({ definition: none })).rejects.toMatchObject({ code: "DOCUMENT_DEFINITION" });
    for (const lie of [{ fragments: 1 }, { definition: none }])
      await expect(told(lie, {})).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
  });

  it("are refused where one worker was given another's sequences in positions of another pass", async () => {
    const [victim, thief] = workers.map(({ address }) => address.toLowerCase());
    let stolen: readonly PositionRange[] = [];
    const made = await publisher.round({
      forgeAssignment: (honest) => {
        const positions = honest.ranges.flatMap(({ start, count }) =>
          Array.from({ length: count }, (_, i) => start + i),
        );
        if (honest.worker === victim) stolen = inPass(positions, 3, MANY);
        return honest.worker === thief ? { ...honest, ranges: [...stolen] } : honest;
      },
    });
    const next = headOf(made, head);
    const documents = { ...runDocuments(reader, blobSourceOf(publisher.store), runId), sequences: async () => MANY };
    await expect(readHeadDocuments(reader, blobSourceOf(publisher.store), next, head, documents)).rejects.toMatchObject(
      {
        code: "DOCUMENT_RECEIPT",
        message: expect.stringContaining("sequences that another had"),
      },
    );
  });
});
