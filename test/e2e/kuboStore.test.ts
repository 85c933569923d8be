/** Blobs in a real Kubo: what every engine must do, whose CIDs they have, and that another node gets them from this one. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { cidOf, type Digest } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../offchain/src/base/index.ts";
import type { BlobStore } from "../../offchain/src/storage/index.ts";
import { writeCar } from "../../offchain/src/storage/car.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import { openKuboStore } from "../../offchain/src/storage/node/kuboStore.ts";
import { findTool } from "../goTool.ts";
import { KUBO, type KuboDaemon, startKubo } from "../kubo.ts";
import { canRun } from "../needs.ts";
import { keepsTheContract } from "../offchain/storage/contract.ts";
import { collect, digestsIn } from "../offchain/storage/fixtures.ts";

const MIB = 1 << 20;
const random = createRandom("real kubo");
const command = findTool(KUBO);
const possible = canRun("blobs in a real Kubo", "kubo");

let first: KuboDaemon;
let second: KuboDaemon;
let stores = 0;

beforeAll(async () => {
  if (command === undefined) return;
  [first, second] = await Promise.all([startKubo(command), startKubo(command)]);
});
afterAll(() => Promise.all([first?.remove(), second?.remove()]));

const said = (node: KuboDaemon, ...args: readonly string[]): string => node.ipfs(args).toString().trim();

/** A store of its own in the first node, and where that keeps a blob. */
async function openStore(): Promise<{ store: BlobStore; location: string; cid: (digest: Digest) => string }> {
  const name = `store-${++stores}`;
  const location = `ipfs+http://${first.host}/${name}`;
  const store = await openBlobStore(location);
  const pathOf = (digest: Digest): string => `/cotrain/${name}/${digest.slice(2, 4)}/${digest.slice(2)}`;
  return { store, location, cid: (digest) => said(first, "files", "stat", "--hash", pathOf(digest)) };
}

/** The file in which the first node has a block. */
function fileOf(block: Uint8Array): string {
  const blocks = readdirSync(join(first.repository, "blocks"), { recursive: true, encoding: "utf8" });
  const files = blocks.filter((name) => name.endsWith(".data")).map((name) => join(first.repository, "blocks", name));
  const found = files.find((name) => readFileSync(name).equals(block));
  if (found === undefined) throw new Error("The node has no such block.");
  return found;
}

const isPinned = (cid: string): boolean => {
  try {
    return said(first, "pin", "ls", "--type=recursive", cid).length > 0;
  } catch {
    return false;
  }
};

describe.runIf(possible)("blobs in a real Kubo", () => {
  keepsTheContract(async () => {
    const { location } = await openStore();
    return { open: () => openBlobStore(location) };
  });

  it("up to 1 MiB are one raw block, pinned, under the CID that ipfs computes of them", async () => {
    const { store, cid } = await openStore();
    for (const size of [0, 1, 1000, MIB - 1, MIB]) {
      const bytes = random.bytes(size);
      const { digest } = await store.put(bytes);
      expect(cid(digest)).toBe(cidOf(digest));
      const computed = ["add", "--only-hash", "--quieter", "--cid-version=1", `--chunker=size-${MIB}`];
      expect(first.ipfs(computed, bytes).toString().trim()).toBe(cidOf(digest));
      expect(first.ipfs(["block", "get", cidOf(digest)]).equals(bytes)).toBe(true);
      expect(isPinned(cidOf(digest))).toBe(true);
    }
  });

  it("that are larger come to another node, from this one, in blocks that peers exchange", async () => {
    const { store, cid } = await openStore();
    const bytes = random.bytes(5 * MIB + 3);
    const { digest } = await store.put(bytes);
    const root = cid(digest);
    const leaves = said(first, "refs", "--recursive", root).split("\n");
    expect(leaves).toHaveLength(6);
    for (const leaf of leaves) expect(first.ipfs(["block", "get", leaf]).length).toBeLessThanOrEqual(MIB);
    expect(leaves[0]).toBe(cidOf(sha256Bytes(bytes.subarray(0, MIB))));
    expect(() => second.ipfs(["--offline", "cat", root])).toThrow(/not found/);
    const { Addresses } = JSON.parse(said(first, "id")) as { Addresses: string[] };
    second.ipfs(["swarm", "connect", Addresses.find((address) => address.startsWith("/ip4/127.0.0.1/tcp/")) ?? ""]);
    expect(sha256Bytes(second.ipfs(["cat", root]))).toBe(digest);
  });

  it("are in a CAR under the same CIDs, which another node takes", async () => {
    const { store, cid } = await openStore();
    const contents = [random.bytes(1000), random.bytes(MIB), random.bytes(3 * MIB + 1)];
    const blobs = new Map<Digest, number>();
    for (const bytes of contents) blobs.set((await store.put(bytes)).digest, bytes.length);
    const [root] = blobs.keys();
    const car = Buffer.concat(await collect(writeCar(store, root!, blobs)));
    second.ipfs(["dag", "import", "--pin-roots=false"], car);
    for (const digest of blobs.keys()) expect(sha256Bytes(second.ipfs(["--offline", "cat", cid(digest)]))).toBe(digest);
  });

  it("outlive the node's garbage collection, and those deleted do not", async () => {
    const { store, cid } = await openStore();
    const [kept, gone] = [random.bytes(2 * MIB), random.bytes(2 * MIB)];
    const digests = [(await store.put(kept)).digest, (await store.put(gone)).digest] as const;
    const root = cid(digests[1]);
    await store.delete(digests[1]);
    expect(isPinned(root)).toBe(false);
    first.ipfs(["repo", "gc", "--quiet"]);
    expect(() => first.ipfs(["--offline", "cat", root])).toThrow(/not found/);
    expect(sha256Bytes(await store.get(digests[0]))).toBe(digests[0]);
  });

  it("whose bytes changed on the node's disk are corrupted, and are repaired when they are stored again", async () => {
    const { store } = await openStore();
    for (const bytes of [random.bytes(1000), random.bytes(3 * MIB)]) {
      const { digest } = await store.put(bytes);
      const piece = bytes.subarray(-MIB);
      writeFileSync(fileOf(piece), piece.with(5, piece[5]! ^ 1));
      await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_CORRUPTED", details: { digest } });
      await store.put(bytes);
      expect(sha256Bytes(await store.get(digest))).toBe(digest);
    }
  });

  it("of which the node lost a piece are repaired when they are stored again", async () => {
    const { store } = await openStore();
    for (const piece of [0, 2]) {
      const bytes = random.bytes(3 * MIB);
      const { digest } = await store.put(bytes);
      rmSync(fileOf(bytes.subarray(piece * MIB, (piece + 1) * MIB)));
      // It remembers what it had.
      await first.kill();
      await first.start();
      await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_CORRUPTED", details: { digest } });
      await store.put(bytes);
      expect(sha256Bytes(await store.get(digest))).toBe(digest);
    }
  });

  it("of which the node cannot read a piece for now are not lost", async () => {
    const { store } = await openStore();
    for (const piece of [0, 2]) {
      const bytes = random.bytes(3 * MIB);
      const { digest } = await store.put(bytes);
      const block = bytes.subarray(piece * MIB, (piece + 1) * MIB);
      const file = fileOf(block);
      rmSync(file);
      mkdirSync(file);
      await first.kill();
      await first.start();
      await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_STORE_FAILED", retryable: true });
      rmdirSync(file);
      writeFileSync(file, block);
      expect(sha256Bytes(await store.get(digest))).toBe(digest);
    }
  });

  it.each([false, true])("with a broken or lost root are repaired, or deleted (HashOnRead: %s)", async (checks) => {
    const { location, cid } = await openStore();
    const store = await openKuboStore(location, { patience: 3_000 });
    const blobs = [random.bytes(3 * MIB), random.bytes(2 * MIB), random.bytes(2 * MIB + 1), random.bytes(1000)];
    const digests: Digest[] = [];
    for (const bytes of blobs) digests.push((await store.put(bytes)).digest);
    const files = digests.map((digest) => fileOf(first.ipfs(["block", "get", cid(digest)])));
    const damage = (index: number): void => {
      if (index === 0) writeFileSync(files[0]!, "");
      if (index === 1) writeFileSync(files[1]!, random.bytes(100));
      if (index === 2) rmSync(files[2]!);
      if (index === 3) writeFileSync(files[3]!, blobs[3]!.with(5, blobs[3]![5]! ^ 1));
    };
    for (const index of blobs.keys()) damage(index);
    await first.kill();
    first.ipfs(["config", "--bool", "Datastore.HashOnRead", String(checks)]);
    await first.start();
    // Those before are gone or broken, and pinned, while one is repaired.
    for (const [index, bytes] of [...blobs.entries()].toReversed()) {
      const digest = digests[index]!;
      const code = index === 2 ? "BLOB_MISSING" : "BLOB_CORRUPTED";
      await expect(store.get(digest)).rejects.toMatchObject({ code });
      await store.put(bytes);
      expect(sha256Bytes(await store.get(digest))).toBe(digest);
    }
    for (const index of blobs.keys()) damage(index);
    await first.kill();
    await first.start();
    for (const digest of digests) await store.delete(digest);
    expect(await digestsIn(store)).toEqual([]);
    expect(said(first, "pin", "ls", "--type=recursive", "--names")).not.toContain(digests[0]!.slice(2));
  });

  it("are of whoever claims their store first, of many at once, until it is cleared", async () => {
    const marks = Array.from({ length: 12 }, (_, index) => String(index).repeat(32).slice(0, 64).padEnd(64, "0"));
    for (let again = 0; again < 4; again++) {
      const { store, location } = await openStore();
      expect(await store.claims?.isMade()).toBe(false);
      const stores = await Promise.all(marks.map(() => openBlobStore(location)));
      const made = await Promise.all(stores.map(({ claims }, index) => claims!.make(marks[index]!)));
      expect(made.filter(Boolean)).toHaveLength(1);
      // It stays whose it is, whoever asks again.
      expect(await Promise.all(marks.map((mark) => store.claims!.make(mark)))).toEqual(made);
      await store.put(random.bytes(10));
      expect(await digestsIn(store)).toHaveLength(1);
      await store.clear();
      expect(await store.claims?.isMade()).toBe(false);
      expect(said(first, "pin", "ls", "--type=recursive", "--names")).not.toContain("whose");
    }
  });

  it("are there after kill -9, and the node is away meanwhile", async () => {
    const { store } = await openStore();
    const bytes = random.bytes(2 * MIB);
    const { digest } = await store.put(bytes);
    await first.kill();
    await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_STORE_AWAY", retryable: true });
    await expect(store.put(bytes)).rejects.toMatchObject({ code: "BLOB_STORE_AWAY", retryable: true });
    await first.start();
    expect(sha256Bytes(await store.get(digest))).toBe(digest);
  });
});
