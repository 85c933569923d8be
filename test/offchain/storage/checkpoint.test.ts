import { writeFile } from "node:fs/promises";

import { CarReader, CarWriter } from "@ipld/car";
import { asDigest, canonicalJson, cidOf, type Digest, digestOfCid } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";
import { describe, expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import {
  type BlobStore,
  exportCheckpoint,
  fragmentOf,
  importCheckpoint,
  readCheckpoint,
  readFragment,
  readManifest,
  writeCheckpoint,
} from "../../../offchain/src/storage/index.ts";
import { collect, digestsIn, facts, fileOf, fragmentStates, table, temporaryStore } from "./fixtures.ts";

const states = fragmentStates("checkpoint");
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Stores a tampered manifest and gives its digest. */
async function putManifest(store: BlobStore, manifest: unknown): Promise<Digest> {
  return (await store.put(utf8(canonicalJson(manifest)))).digest;
}

describe("checkpoint", () => {
  it("comes back bit for bit, the same digest for the same state", async () => {
    const { store } = await temporaryStore();
    const { digest, manifest } = await writeCheckpoint(store, table, states, facts);
    const read = await readCheckpoint(store, digest, table);
    expect(read.states).toEqual(states);
    expect(read.manifest).toEqual(manifest);
    const { store: other } = await temporaryStore();
    expect((await writeCheckpoint(other, table, states, facts)).digest).toBe(digest);
  });

  it("names parts that can be fetched and verified alone, and what a validator computes is the same", async () => {
    const { store } = await temporaryStore();
    const { manifest } = await writeCheckpoint(store, table, states, facts);
    for (const [index, fragment] of manifest.fragments.entries()) {
      expect(fragmentOf(table, index, states[index]!)).toEqual(fragment);
      await using blob = await store.open(asDigest(fragment.digest));
      const part = await blob.read(fragment.parameters.offset, fragment.parameters.bytes);
      expect(sha256Bytes(part)).toBe(fragment.parameters.digest);
      expect(new Float32Array(part.buffer)).toEqual(states[index]!.params);
      const outer = await blob.read(fragment.outer.offset, fragment.outer.bytes);
      expect(new Float32Array(outer.buffer)).toEqual(states[index]!.outer);
    }
  });

  it("refuses states that do not fit the table", async () => {
    const { store } = await temporaryStore();
    const short = [{ ...states[0]!, outer: new Float32Array(29) }, states[1]!];
    await expect(writeCheckpoint(store, table, short, facts)).rejects.toMatchObject({ code: "TENSOR_MISMATCH" });
    await expect(writeCheckpoint(store, table, states.slice(0, 1), facts)).rejects.toMatchObject({
      code: "CHECKPOINT_INCOMPLETE",
    });
  });

  it("names digest and file of a corrupted shard", async () => {
    const { root, store } = await temporaryStore();
    const { digest, manifest } = await writeCheckpoint(store, table, states, facts);
    const shard = asDigest(manifest.fragments[1]!.digest);
    await writeFile(fileOf(root, shard), (await store.get(shard)).with(300, 1));
    await expect(readCheckpoint(store, digest, table)).rejects.toMatchObject({
      code: "BLOB_CORRUPTED",
      details: { digest: shard, file: fileOf(root, shard) },
    });
  });

  it("refuses the checkpoint of another model", async () => {
    const { store } = await temporaryStore();
    const { digest, manifest } = await writeCheckpoint(store, table, states, facts);
    const other = table.map((entry) => (entry.name === "layer0.b" ? { ...entry, shape: [1, 5] } : entry));
    await expect(readCheckpoint(store, digest, other)).rejects.toThrow(/another model/);
    await expect(readFragment(store, other, manifest.fragments[0]!)).rejects.toThrow(/fragment table/);
  });

  it("refuses manifests that are malformed, not canonical or do not add up", async () => {
    const { store } = await temporaryStore();
    const { manifest } = await writeCheckpoint(store, table, states, facts);
    const [first, second] = manifest.fragments;
    const bad = { code: "CHECKPOINT_INVALID" };
    const { digest: pretty } = await store.put(utf8(JSON.stringify(manifest, null, 1)));
    await expect(readManifest(store, pretty)).rejects.toMatchObject(bad);
    const { digest: binary } = await store.put(new Uint8Array([1, 2, 3]));
    await expect(readManifest(store, binary)).rejects.toMatchObject(bad);
    const { digest: large } = await store.put(new Uint8Array((1 << 20) + 1));
    await expect(readManifest(store, large)).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
    const tampered = [
      { ...manifest, version: 2 },
      { ...manifest, extra: 1 },
      { ...manifest, fragments: [second, first] },
      { ...manifest, fragments: [first, { ...second, bytes: second!.bytes + 4 }] },
      { ...manifest, fragments: [first, { ...second, outer: { ...second!.outer, offset: second!.outer.offset - 4 } }] },
    ];
    for (const manifest of tampered) {
      await expect(readManifest(store, await putManifest(store, manifest))).rejects.toMatchObject(bad);
    }
    const swapped = { ...second!, parameters: { ...second!.parameters, digest: second!.outer.digest } };
    await expect(readFragment(store, table, swapped)).rejects.toMatchObject(bad);
  });
});

/** A stored checkpoint and its CAR. */
async function exported(): Promise<{ store: BlobStore; digest: Digest; car: Uint8Array; shards: Digest[] }> {
  const { store } = await temporaryStore();
  const { digest, manifest } = await writeCheckpoint(store, table, states, facts);
  const car = new Uint8Array(Buffer.concat(await collect(exportCheckpoint(store, digest))));
  return { store, digest, car, shards: manifest.fragments.map((fragment) => asDigest(fragment.digest)) };
}

/** A CAR of any blocks, by the library. */
async function carOf(roots: string[], blocks: [string, Uint8Array][]): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create(roots.map((root) => CID.parse(root)));
  const written = (async () => {
    for (const [cid, bytes] of blocks) await writer.put({ cid: CID.parse(cid), bytes });
    await writer.close();
  })();
  const chunks = await collect(out);
  await written;
  return new Uint8Array(Buffer.concat(chunks));
}

describe("CAR", () => {
  it("is read by @ipld/car: the manifest as root and first, then every shard", async () => {
    const { store, digest, car, shards } = await exported();
    const reader = await CarReader.fromBytes(car);
    expect((await reader.getRoots()).map(String)).toEqual([cidOf(digest)]);
    const blocks = await collect(reader.blocks());
    expect(blocks.map(({ cid }) => digestOfCid(cid.toString()))).toEqual([digest, ...shards]);
    for (const { cid, bytes } of blocks)
      expect(await store.get(digestOfCid(cid.toString()))).toEqual(new Uint8Array(bytes));
  });

  it("is imported from chunks of any size, and exported again gives the same bytes", async () => {
    const { digest, car } = await exported();
    for (const size of [1, 7, 1000, car.length]) {
      const { store } = await temporaryStore();
      const chunks = Array.from({ length: Math.ceil(car.length / size) }, (_, i) =>
        car.subarray(i * size, (i + 1) * size),
      );
      expect((await importCheckpoint(store, chunks, { expected: digest })).digest).toBe(digest);
      expect((await readCheckpoint(store, digest, table)).states).toEqual(states);
      expect(Buffer.concat(await collect(exportCheckpoint(store, digest)))).toEqual(Buffer.from(car));
    }
  });

  it("is refused, and nothing of it kept, for any changed byte and any cut", async () => {
    const { digest, car } = await exported();
    const { store } = await temporaryStore();
    const random = createRandom("car damage");
    const damaged = [
      ...Array.from({ length: 150 }, () => {
        const at = random.below(car.length);
        return car.with(at, car[at]! ^ (1 << random.below(8)));
      }),
      ...Array.from({ length: 40 }, () => car.subarray(0, random.below(car.length))),
    ];
    for (const bytes of damaged) {
      await expect(importCheckpoint(store, [bytes], { expected: digest })).rejects.toMatchObject({
        code: expect.stringMatching(/^(CAR_INVALID|CHECKPOINT_INVALID|BLOB_MISMATCH)$/),
      });
    }
    expect(await digestsIn(store)).toEqual([]);
  });

  it("keeps blocks that were there before when the import fails", async () => {
    const { digest, car, shards, store: full } = await exported();
    const { store } = await temporaryStore();
    await store.put(await full.get(shards[0]!));
    await expect(importCheckpoint(store, [car.subarray(0, car.length - 1)], { expected: digest })).rejects.toThrow(
      /in the middle/,
    );
    expect(await digestsIn(store)).toEqual([shards[0]]);
  });

  it("is refused with a block unknown, twice, missing, of another length or order, and with other roots", async () => {
    const { store, digest, shards } = await exported();
    const block = async (of: Digest): Promise<[string, Uint8Array]> => [cidOf(of), await store.get(of)];
    const [root, a, b] = [await block(digest), await block(shards[0]!), await block(shards[1]!)];
    const stranger: [string, Uint8Array] = [cidOf(sha256Bytes(utf8("x"))), utf8("x")];
    const cases: [RegExp, string[], [string, Uint8Array][]][] = [
      [/not needed/, [root[0]], [root, a, stranger, b]],
      [/twice/, [root[0]], [root, a, a, b]],
      [/missing/, [root[0]], [root, a]],
      [/not its root/, [root[0]], [a, root, b]],
      [/not its root/, [root[0]], []],
      [/manifest says/, [root[0]], [root, [a[0], a[1].subarray(1)], b]],
      [/hash to/, [root[0]], [root, [a[0], a[1].with(0, 1)], b]],
      [/does not hash to its CID/, [root[0]], [[root[0], root[1].with(0, 1)], a, b]],
      [/0 roots/, [], [root, a, b]],
      [/2 roots/, [root[0], a[0]], [root, a, b]],
      [/v1, raw, SHA-256/, ["QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"], [root, a, b]],
      [/v1, raw, SHA-256/, [root[0]], [root, ["bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", a[1]], b]],
    ];
    const { store: target } = await temporaryStore();
    for (const [sentence, roots, blocks] of cases) {
      await expect(importCheckpoint(target, [await carOf(roots, blocks)])).rejects.toThrow(sentence);
    }
    const good = await carOf([root[0]], [root, b, a]);
    await expect(importCheckpoint(target, [good], { expected: shards[0]! })).rejects.toThrow(/expected was/);
    await expect(importCheckpoint(target, [good], { maxBytes: 100 })).rejects.toThrow(/allowed are 100/);
    expect(await digestsIn(target)).toEqual([]);
    expect((await importCheckpoint(target, [good])).digest).toBe(digest);
  });

  it("is refused without waiting for bytes that its lengths promise", async () => {
    const { store } = await temporaryStore();
    let produced = 0;
    function* endless(head: number[]): Generator<Uint8Array> {
      yield Uint8Array.from(head);
      for (;;) {
        produced++;
        yield new Uint8Array(1000);
      }
    }
    await expect(importCheckpoint(store, endless([0xff, 0xff, 0xff, 0xff, 0x0f]))).rejects.toThrow(/header/);
    await expect(importCheckpoint(store, endless(Array.from({ length: 12 }, () => 0xff)))).rejects.toThrow(/too large/);
    const { digest, car } = await exported();
    const header = car[0]! + 1;
    await expect(
      importCheckpoint(
        store,
        endless([...car.subarray(0, header), 0xff, 0xff, 0xff, 0x7f, ...CID.parse(cidOf(digest)).bytes]),
      ),
    ).rejects.toThrow(/its manifest has/);
    expect(produced).toBeLessThan(3);
  });
});
