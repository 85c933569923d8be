import { writeFile } from "node:fs/promises";

import { asDigest, canonicalJson, type CheckpointFragment, type Digest } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { sha256Bytes } from "../../../offchain/src/base/index.ts";
import {
  type BlobStore,
  fragmentOf,
  readCheckpoint,
  readFragment,
  readManifest,
} from "../../../offchain/src/storage/index.ts";
import { writeCheckpoint } from "./checkpoints.ts";
import { facts, fileOf, fragmentStates, table, temporaryStore } from "./fixtures.ts";

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

  it("refuses shards that are longer than the table makes them, or more of them, before one is read", async () => {
    const { store } = await temporaryStore();
    const { digest, manifest } = await writeCheckpoint(store, table, states, facts);
    await expect(readManifest(store, digest, table)).resolves.toEqual(manifest);
    const [first, second] = manifest.fragments as [CheckpointFragment, CheckpointFragment];
    const of = (offset: number, bytes: number): CheckpointFragment => ({
      ...second,
      bytes: offset + 2 * bytes,
      parameters: { ...second.parameters, offset, bytes },
      outer: { ...second.outer, offset: offset + bytes, bytes },
    });
    const { offset, bytes } = second.parameters;
    for (const fragments of [
      [first, of(offset, 2 ** 48)],
      [first, of(offset + 2 ** 40, bytes)],
      [first],
      [first, second, { ...second, index: 2 }],
    ]) {
      const grown = await putManifest(store, { ...manifest, fragments });
      await expect(readManifest(store, grown)).resolves.toMatchObject({ fragments });
      await expect(readCheckpoint(store, grown, table)).rejects.toMatchObject({
        code: "CHECKPOINT_INVALID",
        message: expect.stringMatching(/the fragment table (makes )?\d/),
      });
    }
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
