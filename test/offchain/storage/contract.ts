/** What every engine of blobs must do, whoever keeps them. */
import { expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import type { BlobStore } from "../../../offchain/src/storage/index.ts";
import { collect, digestsIn } from "./fixtures.ts";

/** One store, as often as it is opened. */
export interface Subject {
  open(): Promise<BlobStore>;
}

const random = createRandom("blobs");
const MIB = 1 << 20;
const sizes = [0, 1, 1000, MIB - 1, MIB, MIB + 17, 5 * MIB + 3];

async function* failing(bytes: number): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(bytes);
  throw new TypeError("connection lost");
}

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** @param make a new, empty store, gone when the test ends */
export function keepsTheContract(make: () => Promise<Subject>): void {
  it.each(sizes)("gives back %i bytes by get, stream and ranges, whole or in chunks", async (size) => {
    const store = await (await make()).open();
    const bytes = random.bytes(size);
    const stored = { digest: sha256Bytes(bytes), bytes: size };
    expect(await store.put(bytes)).toEqual(stored);
    expect(await store.put(chunked(bytes, 100_000), { ...stored, maxBytes: size })).toEqual(stored);
    const { digest } = stored;
    expect(Buffer.from(await store.get(digest, size)).equals(bytes)).toBe(true);
    expect(Buffer.concat(await collect(store.stream(digest))).equals(bytes)).toBe(true);
    for (const again of [false, true, false]) {
      await using blob = await store.open(digest, { again });
      expect([blob.digest, blob.length]).toEqual([digest, size]);
      expect(
        Buffer.from(await blob.read(size >> 1, size >> 2)).equals(bytes.slice(size >> 1, (size >> 1) + (size >> 2))),
      ).toBe(true);
      const whole = new Uint8Array(size);
      await blob.readInto(whole, 0);
      expect(Buffer.from(whole).equals(bytes)).toBe(true);
    }
    expect(await store.size(digest)).toBe(size);
  });

  it("gives memory of its own to each who reads", async () => {
    const store = await (await make()).open();
    const bytes = random.bytes(100);
    const { digest } = await store.put(bytes);
    await using blob = await store.open(digest);
    (await blob.read(0, 100)).fill(0);
    (await store.get(digest)).fill(0);
    expect(await blob.read(0, 100)).toEqual(bytes);
    expect(await store.get(digest)).toEqual(bytes);
  });

  it("refuses to read beyond the end of an open blob", async () => {
    const store = await (await make()).open();
    await using blob = await store.open((await store.put(random.bytes(100))).digest);
    await expect(blob.read(50, 51)).rejects.toMatchObject({ code: "BLOB_CORRUPTED" });
  });

  it("finds again, lists, removes, and removes once more", async () => {
    const subject = await make();
    const store = await subject.open();
    expect(await digestsIn(store)).toEqual([]);
    await store.delete(sha256Bytes(random.bytes(1)));
    const all = [random.bytes(10), random.bytes(0), random.bytes(MIB + 1)];
    const digests = all.map(sha256Bytes).sort();
    for (const bytes of all) await store.put([bytes.subarray(0, 5), bytes.subarray(5)]);
    const again = await subject.open();
    expect(await digestsIn(again)).toEqual(digests);
    const [digest, ...others] = digests as [(typeof digests)[number], ...typeof digests];
    expect(await again.has(digest)).toBe(true);
    await again.delete(digest);
    await again.delete(digest);
    expect(await digestsIn(store)).toEqual(others);
    expect([await store.has(digest), await store.size(digest)]).toEqual([false, undefined]);
    const missing = { code: "BLOB_MISSING", details: { digest } };
    await expect(store.get(digest)).rejects.toMatchObject(missing);
    await expect(store.open(digest)).rejects.toMatchObject(missing);
    await expect(collect(store.stream(digest))).rejects.toMatchObject(missing);
    await store.clear();
    expect(await digestsIn(store)).toEqual([]);
    await store.put(all[0]!);
    expect(await digestsIn(again)).toEqual([sha256Bytes(all[0]!)]);
  });

  it("a blob that was deleted is missing for who had verified it", async () => {
    const store = await (await make()).open();
    const { digest } = await store.put(random.bytes(1000));
    await (await store.open(digest, { again: false })).close();
    await store.delete(digest);
    await expect(store.open(digest, { again: false })).rejects.toMatchObject({ code: "BLOB_MISSING" });
  });

  it.each([100, 6 * MIB])("keeps nothing of %i bytes that are not as expected or do not end", async (size) => {
    const store = await (await make()).open();
    const bytes = random.bytes(size);
    const other = sha256Bytes(random.bytes(1));
    await expect(store.put(bytes, { digest: other })).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    await expect(store.put(chunked(bytes, MIB), { digest: other })).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    await expect(store.put([bytes], { bytes: size - 1 })).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
    const short = { code: "BLOB_MISMATCH", details: { end: size, bytes: size + 1 } };
    await expect(store.put([bytes], { bytes: size + 1 })).rejects.toMatchObject(short);
    await expect(store.put(bytes, { maxBytes: size - 1 })).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
    await expect(store.put(failing(size))).rejects.toThrow("connection lost");
    expect(await digestsIn(store)).toEqual([]);
  });

  it("stops reading a stream at the limit", async () => {
    const store = await (await make()).open();
    let produced = 0;
    function* endless(): Generator<Uint8Array> {
      for (;;) {
        produced++;
        yield new Uint8Array(1000);
      }
    }
    await expect(store.put(endless(), { maxBytes: 2500 })).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
    expect(produced).toBe(3);
  });

  it("refuses to read more than allowed", async () => {
    const store = await (await make()).open();
    const { digest } = await store.put(random.bytes(100));
    await expect(store.get(digest, 99)).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
    expect(await store.get(digest, 100)).toHaveLength(100);
  });

  it("takes the same blob from many at once", async () => {
    const subject = await make();
    const bytes = random.bytes(2 * MIB);
    const stores = await Promise.all([subject.open(), subject.open(), subject.open(), subject.open()]);
    const stored = await Promise.all(stores.map((store) => store.put(bytes)));
    expect(new Set(stored.map(({ digest }) => digest))).toEqual(new Set([sha256Bytes(bytes)]));
    expect(Buffer.from(await stores[0].get(sha256Bytes(bytes))).equals(bytes)).toBe(true);
  });

  it("says how much room it has", async () => {
    expect(await (await (await make()).open()).free()).toBeGreaterThan(MIB);
  });
}
