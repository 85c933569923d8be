/** Blobs that are longer than a block of IPFS: their CIDs are those that `ipfs add` computes, and CAR files hold them in pieces. */
import { CarReader, CarWriter } from "@ipld/car";
import { asDigest, cidOf } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";
import { describe, expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { type BlobStore, exportModel, importModel, type Model } from "../../../offchain/src/storage/index.ts";
import { fileNodes, pieceLength } from "../../../offchain/src/storage/unixfs.ts";
import { collect, digestsIn, storedModel, temporaryStore } from "./fixtures.ts";

const MIB = 1 << 20;
const random = createRandom("unixfs");

describe("a long blob", () => {
  // ipfs add --only-hash --cid-version=1 --chunker=size-1048576, of zeros, by Kubo 0.43
  it.each([
    [MIB + 1, "bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq"],
    [5 * MIB + 3, "bafybeid7yvl7cmhfg7ohfpli36uub2sdelq6ne5stmz7nktoyo7hkzlqq4"],
    [174 * MIB, "bafybeiehkrmqsoci5u5g4pzahfhb64hzyg4wtn62vjewazp5zjcngoifca"],
    [174 * MIB + 1, "bafybeibvh2wc7n5urwrvmv7nxmk2htrwz3mqqs4ulqcnzwpxtpxoer6xmu"],
    [350 * MIB, "bafybeieox5ujbdrbrdx4g7gjckg7j2vn4hwn2vykczit6yhnfnovjcrdam"],
  ])("of %i bytes is the file that ipfs makes of it", (bytes, cid) => {
    const full = sha256Bytes(new Uint8Array(MIB));
    const whole = Array.from({ length: Math.ceil(bytes / MIB) - 1 }, () => full);
    const leaves = [...whole, sha256Bytes(new Uint8Array(pieceLength(whole.length, bytes)))];
    expect(fileNodes(leaves, bytes).at(-1)?.cid.toString()).toBe(cid);
  });
});

const step = random.bytes(3 * MIB + 5);
/** The same piece twice. */
const logits = new Uint8Array(2 * MIB);

/** A model of which two programs are long, and its CAR. */
async function exported(): Promise<{ store: BlobStore; model: Model; car: Uint8Array }> {
  const { store } = await temporaryStore();
  const model = await storedModel(store, {}, { step, logits });
  return { store, model, car: new Uint8Array(Buffer.concat(await collect(exportModel(store, model)))) };
}

describe("a CAR of a model with long blobs", () => {
  it("has them as files of blocks that peers exchange, and gives them back", async () => {
    const { store, model, car } = await exported();
    const blocks = await collect((await CarReader.fromBytes(car)).blocks());
    const cids = blocks.map(({ cid }) => cid.toString());
    for (const bytes of [step, logits]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / MIB) }, (_, at) =>
        sha256Bytes(bytes.subarray(at * MIB, (at + 1) * MIB)),
      );
      const nodes = fileNodes(pieces, bytes.length).map(({ cid }) => cid.toString());
      const from = cids.lastIndexOf(nodes[0] ?? "") - pieces.length;
      expect(cids.slice(from, from + pieces.length + 1)).toEqual([...pieces.map(cidOf), ...nodes]);
    }
    for (const { bytes } of blocks) expect(bytes.length).toBeLessThanOrEqual(MIB);
    for (const size of [100_000, car.length]) {
      const { store: other } = await temporaryStore();
      const chunks = Array.from({ length: Math.ceil(car.length / size) }, (_, at) =>
        car.subarray(at * size, (at + 1) * size),
      );
      expect((await importModel(other, chunks)).digest).toBe(model.digest);
      expect(await digestsIn(other)).toEqual(await digestsIn(store));
      expect(Buffer.concat(await collect(exportModel(other, model))).equals(car)).toBe(true);
    }
  });

  it("is read where it has them each as one block, as files from before do", async () => {
    const { store, model } = await exported();
    const blobs = await digestsIn(store);
    const { checkpoint, definition, build } = model.bundle;
    const documents = [model.digest, ...[checkpoint, definition, build].map(({ digest }) => asDigest(digest))];
    const order = [...documents, ...blobs.filter((digest) => !documents.includes(digest))];
    const { writer, out } = CarWriter.create([CID.parse(cidOf(model.digest))]);
    const written = (async () => {
      for (const digest of order) await writer.put({ cid: CID.parse(cidOf(digest)), bytes: await store.get(digest) });
      await writer.close();
    })();
    const { store: other } = await temporaryStore();
    expect((await importModel(other, await collect(out))).digest).toBe(model.digest);
    await written;
    expect(await digestsIn(other)).toEqual(await digestsIn(store));
  });

  it("is refused, and nothing of it kept, where a piece or a node is changed, missing or moved", async () => {
    const { car } = await exported();
    const text = Buffer.from(car);
    /** A piece's block has a length and a CID before its bytes. */
    const head = 3 + 36;
    const first = text.indexOf(step.subarray(0, 100));
    const [second, third] = [first + MIB + head, first + 2 * (MIB + head)] as const;
    const afterLast = third + MIB + 1 + 36 + 5;
    const parts = [0, first - head, second - head, third - head, car.length];
    const [before, one, two, rest] = parts.slice(1).map((end, at) => text.subarray(parts[at], end)) as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ];
    const { store } = await temporaryStore();
    const cases: [RegExp, Uint8Array][] = [
      [/does not hash to its CID/, car.with(first + 5, car[first + 5]! ^ 1)],
      [/does not hash to its CID/, car.with(first - 1, car[first - 1]! ^ 1)],
      [/node .* is not where it must stand/, car.with(afterLast + 60, car[afterLast + 60]! ^ 1)],
      [/node .* is not where it must stand/, car.with(afterLast + 10, car[afterLast + 10]! ^ 1)],
      [/node .* is not where it must stand/, Buffer.concat([before, two, one, rest])],
      [/piece 2 of a blob/, Buffer.concat([before, one, rest])],
      [/in the middle/, car.subarray(0, second + 7)],
    ];
    for (const [sentence, bytes] of cases) await expect(importModel(store, [bytes])).rejects.toThrow(sentence);
    expect(await digestsIn(store)).toEqual([]);
  });
});
