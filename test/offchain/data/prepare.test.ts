import { asDigest, canonicalJson, type DataManifest, MAX_SHARD_TOKENS } from "@cotrain/sdk/protocol";
import { beforeAll, describe, expect, it } from "vitest";

import { createRandom, uint16Of } from "../../../offchain/src/base/index.ts";
import {
  batchesOf,
  bitsPerByte,
  heldOutBy,
  openSequences,
  positionsOf,
  prepareData,
  readDataManifest,
  SHARD_TOKENS,
  sequenceCount,
  type Tokenizer,
} from "../../../offchain/src/data/index.ts";
import { brownCorpus, loadTokenizer, textCorpus } from "../../../offchain/src/data/node/index.ts";
import type { BlobStore } from "../../../offchain/src/storage/index.ts";
import { collect, corpusOf, temporaryFile, temporaryStore } from "./fixtures.ts";

/** More tokens than a shard may have. */
function* ids(): Generator<number> {
  for (let i = 0; i <= MAX_SHARD_TOKENS; i++) yield 1;
}

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer();
});

/** All token ids of a split. */
async function idsOf(store: BlobStore, split: DataManifest["train"]): Promise<number[]> {
  const ids: number[] = [];
  for (const { digest } of split.shards) ids.push(...uint16Of(await store.get(asDigest(digest))));
  return ids;
}

const documents = Array.from({ length: 47 }, (_, i) => {
  const random = createRandom(`document ${i}`);
  return Array.from({ length: 40 }, () => random.pick(["the", "of", "jury", "Ünï", "漢字", "said,"])).join(" ") + "\n";
});

const digestOf = async (seed: string): Promise<string> =>
  (await prepareData(await temporaryStore(), corpusOf(documents), tokenizer, { seed })).digest;

describe("a data set", () => {
  it("holds every document once, in one split, as its tokens and bytes", async () => {
    const store = await temporaryStore();
    const { digest, manifest } = await prepareData(store, corpusOf(documents), tokenizer, {
      seed: "s",
      shardTokens: 500,
    });
    const heldOut = heldOutBy("s");
    for (const [split, texts] of [
      [manifest.train, documents.filter((_, i) => !heldOut(i))],
      [manifest.heldOut, documents.filter((_, i) => heldOut(i))],
    ] as const) {
      expect(tokenizer.decode(await idsOf(store, split))).toBe(texts.join(""));
      expect(split.bytes).toBe(Buffer.byteLength(texts.join("")));
      expect(split.shards.slice(0, -1).every((shard) => shard.tokens === 500)).toBe(true);
    }
    expect(await readDataManifest(store, digest)).toEqual(manifest);
    expect(await store.get(tokenizer.digest)).toEqual(new Uint8Array(tokenizer.bytes));
  });

  it("is the same for the same text and seed, another for another seed", async () => {
    expect(await digestOf("a")).toBe(await digestOf("a"));
    expect(await digestOf("a")).not.toBe(await digestOf("b"));
  });

  it("is refused without a document to hold out", async () => {
    await expect(prepareData(await temporaryStore(), corpusOf(["a b c"]), tokenizer)).rejects.toMatchObject({
      code: "DATA_TOO_SHORT",
    });
  });

  it("is made of the whole Brown corpus in whole shards", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, await brownCorpus(), tokenizer);
    expect(manifest.train.shards.slice(0, -1).every((shard) => shard.tokens === SHARD_TOKENS)).toBe(true);
    const share = manifest.heldOut.bytes / (manifest.heldOut.bytes + manifest.train.bytes);
    expect(Math.abs(share - 0.05)).toBeLessThan(0.002);
    expect(manifest.train.bytes / manifest.train.tokens).toBeGreaterThan(2.5);
  });

  it("is made of the smallest text that is allowed", async () => {
    const store = await temporaryStore();
    const corpus = await textCorpus(await temporaryFile("The jury said it did. ".repeat(1490)));
    const { manifest } = await prepareData(store, corpus, tokenizer);
    expect(openSequences(store, manifest, "heldOut", 128).count).toBeGreaterThanOrEqual(2);
    expect(manifest.train.bytes + manifest.heldOut.bytes).toBe(1490 * 22);
    expect((await collect(corpus.documents())).length).toBeGreaterThan(100);
  });

  it("is refused when its manifest does not add up", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer, { shardTokens: 500 });
    const put = async (train: Partial<DataManifest["train"]>) =>
      (
        await store.put(
          new TextEncoder().encode(canonicalJson({ ...manifest, train: { ...manifest.train, ...train } })),
        )
      ).digest;
    const [first, ...rest] = manifest.train.shards;
    for (const train of [
      { tokens: manifest.train.tokens + 1 },
      { bytes: 0 },
      { shards: rest },
      { shards: [...rest, first!] },
      { shards: [], tokens: 0, bytes: 0 },
    ]) {
      await expect(readDataManifest(store, await put(train))).rejects.toMatchObject({ code: "DATA_INVALID" });
    }
    await expect(readDataManifest(store, manifest.train.shards[0]!.digest as never)).rejects.toThrow(/not valid JSON/);
    // Of one document there is one digest: other bytes that say the same are none.
    const spaced = await store.put(new TextEncoder().encode(JSON.stringify(manifest, null, 1)));
    await expect(readDataManifest(store, spaced.digest)).rejects.toMatchObject({ code: "JSON_NOT_CANONICAL" });
  });
});

describe("bits per byte", () => {
  it("is nats per token ÷ ln 2 × tokens ÷ bytes", () => {
    // A uniform guess over 256 tokens of one byte is 8 bits a byte; over tokens of two bytes it is 4.
    expect(bitsPerByte(Math.log(256), { tokens: 10, bytes: 10 })).toBeCloseTo(8, 12);
    expect(bitsPerByte(Math.log(256), { tokens: 10, bytes: 20 })).toBeCloseTo(4, 12);
  });
});

describe("sequences", () => {
  it("are S + 1 tokens from i · S, also over the border of shards", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer, { shardTokens: 100 });
    const ids = await idsOf(store, manifest.train);
    for (const S of [7, 99, 100, 250]) {
      const sequences = openSequences(store, manifest, "train", S);
      expect(sequences.count).toBe(Math.floor((ids.length - 1) / S));
      const indices = [0, 1, 3, sequences.count - 1, 1];
      const batch = await sequences.batch(indices);
      expect([...batch].map(Number)).toEqual(indices.flatMap((i) => ids.slice(i * S, i * S + S + 1)));
      await expect(sequences.batch([sequences.count])).rejects.toMatchObject({ code: "SEQUENCE_UNKNOWN" });
    }
  });

  it("need one whole sequence", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer);
    expect(() => openSequences(store, manifest, "heldOut", 100_000)).toThrow(
      /held-out split has \d+ tokens; a sequence takes 100001/,
    );
    expect([0, 1, 128, 129, 256, 257].map((tokens) => sequenceCount(tokens, 128))).toEqual([0, 0, 0, 1, 1, 2]);
  });

  it("are refused when a shard holds tokens beyond the vocabulary", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer);
    const sequences = openSequences(store, { ...manifest, vocabulary: 300 }, "train", 8);
    await expect(sequences.batch([0])).rejects.toMatchObject({ code: "DATA_INVALID" });
  });

  it("lie in shards of a bounded length, for who writes a manifest and for who reads it", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer);
    const [shard] = manifest.train.shards;
    const long = { ...shard!, tokens: MAX_SHARD_TOKENS + 1 };
    const train = { ...manifest.train, tokens: long.tokens, shards: [long] };
    const { digest } = await store.put(new TextEncoder().encode(canonicalJson({ ...manifest, train })));
    await expect(readDataManifest(store, digest)).rejects.toMatchObject({ code: "MALFORMED_DOCUMENT" });
    const text = corpusOf([...documents, "a ".repeat(MAX_SHARD_TOKENS)]);
    const each = { ...tokenizer, encode: (document: string) => (document.length > MAX_SHARD_TOKENS ? ids() : [1]) };
    await expect(
      prepareData(store, text, each as unknown as typeof tokenizer, { shardTokens: 2 * MAX_SHARD_TOKENS }),
    ).rejects.toMatchObject({ code: "MALFORMED_DOCUMENT" });
  });

  it("are refused, not waited for, where shards end before the tokens that the manifest counts", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer, { shardTokens: 100 });
    const [first, second] = manifest.train.shards;
    const short = { digest: (await store.put(new Uint8Array(20))).digest, tokens: 10, bytes: 10 };
    for (const shards of [[first!, short, second!], [short, first!], [first!], [{ ...first!, tokens: 0 }], []]) {
      const sequences = openSequences(
        store,
        { ...manifest, train: { tokens: 1_000, bytes: 1_000, shards } },
        "train",
        40,
      );
      await expect(sequences.tokens([4, 2, 3])).rejects.toMatchObject({ code: "DATA_INVALID" });
    }
  });

  it("are read again after a shard was missing for a while", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer);
    const digest = asDigest(manifest.train.shards[0]!.digest);
    const shard = await store.get(digest);
    await store.delete(digest);
    const sequences = openSequences(store, manifest, "train", 8);
    await expect(sequences.batch([0])).rejects.toMatchObject({ code: "BLOB_MISSING" });
    await store.put(shard);
    expect(await sequences.batch([0])).toHaveLength(9);
  });
});

describe("batches of an assignment", () => {
  it("cover its positions once, step by step, through the order of their pass", async () => {
    const store = await temporaryStore();
    const { manifest } = await prepareData(store, corpusOf(documents), tokenizer);
    const train = openSequences(store, manifest, "train", 8);
    const seed = `0x${"ab".repeat(32)}` as const;
    const n = train.count;
    // Both passes whole, in pieces.
    const ranges = [
      { start: 10, count: 2 * n - 10 },
      { start: 0, count: 10 },
    ];
    const batches = batchesOf(train, { ranges, steps: n, batch: 2, seed, sequence: 8 });
    const indices = Array.from({ length: n }, (_, step) => batches.indicesAt(step)).flat();
    const timesSeen = Array.from({ length: n }, () => 0);
    for (const index of indices) timesSeen[index]!++;
    expect(timesSeen.every((times) => times === 2)).toBe(true);
    expect(await batches.at(3)).toEqual(await train.batch(batches.indicesAt(3)));
    expect([...(await batches.tokensAt(3))]).toEqual([...(await batches.at(3))].map(Number));
    expect(() => batches.indicesAt(n)).toThrow(/no step/);
    expect(() => batchesOf(train, { ranges, steps: n, batch: 2, seed, sequence: 9 })).toThrow(/cut at 8/);
  });

  it("take positions from ranges laid end to end", () => {
    const ranges = [
      { start: 5, count: 2 },
      { start: 100, count: 3 },
      { start: 7, count: 1 },
    ];
    expect(positionsOf(ranges, 0, 6)).toEqual([5, 6, 100, 101, 102, 7]);
    expect(positionsOf(ranges, 1, 2)).toEqual([6, 100]);
    expect(positionsOf(ranges, 4, 2)).toEqual([102, 7]);
    expect(() => positionsOf(ranges, 4, 3)).toThrow(/fewer than 7/);
  });
});
