import { appendFile, readdir, readFile, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { describe, expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { type BlobOrigin, createReadThrough } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { keepsTheContract } from "./contract.ts";
import { collect, digestsIn, fileOf, temporaryDirectory, temporaryStore } from "./fixtures.ts";

const random = createRandom("blobs");

async function* failing(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(100);
  throw new TypeError("connection lost");
}

describe("file store", () => {
  keepsTheContract(async () => {
    const { root } = await temporaryStore();
    return { open: () => openBlobStore(root) };
  });

  it("is one, named by a path or by its file: URL", async () => {
    const { root, store } = await temporaryStore();
    const { digest } = await store.put(random.bytes(10));
    expect(await digestsIn(await openBlobStore(pathToFileURL(root).href))).toEqual([digest]);
    await expect(openBlobStore("s3://bucket")).rejects.toMatchObject({ code: "LOCATION_INVALID" });
  });

  it.skipIf(process.platform === "win32")("is read by nobody but its owner, wherever it lies", async () => {
    const root = join(await temporaryDirectory(), "elsewhere", "blobs");
    const { digest } = await (await openBlobStore(root)).put(random.bytes(10));
    const file = fileOf(root, digest);
    const places = [root, join(root, "tmp"), dirname(file), file];
    const modes = await Promise.all(places.map(async (place) => (await stat(place)).mode & 0o777));
    expect(modes).toEqual([0o700, 0o700, 0o700, 0o600]);
  });

  it("leaves no file of what is not as expected or does not end", async () => {
    const { root, store } = await temporaryStore();
    const other = sha256Bytes(random.bytes(1));
    await expect(store.put(random.bytes(100), { digest: other })).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    await expect(store.put(failing())).rejects.toThrow("connection lost");
    expect(await readdir(join(root, "tmp"))).toEqual([]);
  });

  it("reads a file that it has verified no second time, unless it is another file since", async () => {
    const { root, store } = await temporaryStore();
    const { digest } = await store.put(random.bytes(100_000));
    await (await store.open(digest, { again: false })).close();
    // One byte changes, and with it the file's time of change: what was verified is not this.
    const path = fileOf(root, digest);
    const bytes = await readFile(path);
    const before = await stat(path);
    bytes[5]! ^= 1;
    await writeFile(path, bytes);
    await utimes(path, before.atime, before.mtime);
    await expect(store.open(digest, { again: false })).rejects.toMatchObject({ code: "BLOB_CORRUPTED" });
    bytes[5]! ^= 1;
    await writeFile(path, bytes);
    await (await store.open(digest, { again: false })).close();
    await using blob = await store.open(digest);
    expect(blob.length).toBe(100_000);
  });

  it.each([
    ["a flipped bit", (path: string, bytes: Uint8Array) => writeFile(path, bytes.with(5000, bytes[5000]! ^ 1))],
    ["a missing end", (path: string) => truncate(path, 4000)],
    ["an added byte", (path: string) => appendFile(path, "x")],
    ["an emptied file", (path: string) => truncate(path, 0)],
  ])("names digest and file when it reads %s, and storing again repairs it", async (_, corrupt) => {
    const { root, store } = await temporaryStore();
    const bytes = random.bytes(1_200_000);
    const { digest } = await store.put(bytes);
    await corrupt(fileOf(root, digest), bytes);
    const error = { code: "BLOB_CORRUPTED", details: { digest, file: fileOf(root, digest) } };
    await expect(store.get(digest)).rejects.toMatchObject(error);
    await expect(store.get(digest, bytes.length)).rejects.toMatchObject(error);
    await expect(store.open(digest)).rejects.toMatchObject(error);
    const received: Uint8Array[] = [];
    await expect(collect(store.stream(digest), received)).rejects.toMatchObject(error);
    expect(Buffer.concat(received).length).toBeLessThan(bytes.length);
    await store.put(bytes);
    expect(await store.get(digest)).toEqual(bytes);
  });

  it("clears what a dead process left, not what a living one writes", async () => {
    const { root } = await temporaryStore();
    await writeFile(join(root, "tmp", "dead"), "x");
    await writeFile(join(root, "tmp", "alive"), "x");
    await utimes(join(root, "tmp", "dead"), 1, 1);
    await openBlobStore(root);
    expect(await readdir(join(root, "tmp"))).toEqual(["alive"]);
  });

  it("says in one sentence that its directory cannot be made", async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, "file"), "");
    await expect(openBlobStore(join(directory, "file"))).rejects.toMatchObject({ code: "PATH_UNWRITABLE" });
  });
});

const source = (name: string, answer: () => Uint8Array | undefined): BlobOrigin & { asked: number } => {
  const self = {
    name,
    asked: 0,
    fetch: async () => {
      self.asked++;
      await Promise.resolve();
      return answer();
    },
  };
  return self;
};

describe("read-through", () => {
  const bytes = random.bytes(5000);
  const digest = sha256Bytes(bytes);
  it("fetches once, verifies, and serves from the store from then on", async () => {
    const { store } = await temporaryStore();
    const peer = source("peer", () => bytes);
    const reader = createReadThrough(store, [peer], 1 << 20);
    const all = await Promise.all([reader.get(digest), reader.get(digest), reader.ensure(digest, 1 << 20)]);
    expect(all[0]).toEqual(bytes);
    expect(Buffer.concat(await collect(reader.stream(digest)))).toEqual(Buffer.from(bytes));
    expect(peer.asked).toBe(1);
    expect(await reader.has(digest)).toBe(true);
  });

  it("passes over sources that lie, fail or have nothing", async () => {
    const { store } = await temporaryStore();
    const sources = [
      source("empty", () => undefined),
      source("liar", () => bytes.with(0, bytes[0]! ^ 1)),
      source("broken", () => {
        throw new TypeError("connection lost");
      }),
      source("honest", () => bytes),
    ];
    const reader = createReadThrough(store, sources, 1 << 20);
    expect(await reader.get(digest)).toEqual(bytes);
    await store.delete(digest);
    const withoutHonest = createReadThrough(store, sources.slice(0, 3), 1 << 20);
    await expect(withoutHonest.get(digest)).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    await expect(createReadThrough(store, sources.slice(0, 1), 100).get(digest)).rejects.toMatchObject({
      code: "BLOB_MISSING",
    });
    expect(await digestsIn(store)).toEqual([]);
  });

  it("fetches again what is corrupted here, and refuses what is too large", async () => {
    const { root, store } = await temporaryStore();
    await store.put(bytes);
    await truncate(fileOf(root, digest), 10);
    const reader = createReadThrough(store, [source("peer", () => bytes)], 1 << 20);
    await using blob = await reader.open(digest);
    expect(await blob.read(0, 5000)).toEqual(bytes);
    await store.delete(digest);
    await expect(reader.get(digest, 4999)).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
  });
});
