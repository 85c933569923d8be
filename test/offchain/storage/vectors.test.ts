/** Shards, manifests and a CAR of the protocol's vectors, whose bytes were put together by hand. */
import { readFileSync } from "node:fs";

import {
  asDigest,
  asModelId,
  asRunId,
  canonicalJson,
  cidOf,
  Definition,
  MAX_DOCUMENT_BYTES,
  ModelBundle,
  parseDocument,
} from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { float32Of, sha256Bytes } from "../../../offchain/src/base/index.ts";
import {
  bundleModel,
  exportModel,
  fragmentOf,
  importModel,
  parseFragment,
  parseManifest,
  putDocument,
  readCheckpoint,
} from "../../../offchain/src/storage/index.ts";
import { decodeSafetensors } from "./safetensorsFiles.ts";
import { writeCheckpoint } from "./checkpoints.ts";
import { type ProtocolVectors, vectorsPath } from "../../vectors/generate.ts";
import { collect, temporaryStore } from "./fixtures.ts";

const { round } = JSON.parse(readFileSync(vectorsPath, "utf8")) as ProtocolVectors;
const bytesFrom = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.slice(2), "hex"));
const valuesFrom = (hex: string): Float32Array => float32Of(bytesFrom(hex));

const documentOf = (name: string) => round.documents.filter((vector) => vector.name === name);
const { table } = parseDocument("definition", Definition, documentOf("Definition")[0]!.document);
const manifests = documentOf("CheckpointManifest");
const shards = round.shards.flatMap((list) => list);
const statesOf = (checkpoint: number) =>
  round.shards[checkpoint]!.map(({ parameters, outer }) => ({
    params: valuesFrom(parameters),
    outer: valuesFrom(outer),
  }));

it("a document that no reader would take is not stored", async () => {
  const { store } = await temporaryStore();
  const document = { text: "x".repeat(MAX_DOCUMENT_BYTES) };
  await expect(putDocument(store, document)).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
  for await (const digest of store.list()) expect.fail(`${digest} was stored`);
});

describe("a fragment's shard", () => {
  it.each(shards)("of $fragment.bytes bytes has the vector's digests, and its bytes give the state back", (shard) => {
    const state = { params: valuesFrom(shard.parameters), outer: valuesFrom(shard.outer) };
    const fragment = fragmentOf(table, shard.fragment.index, state);
    expect(fragment).toEqual(shard.fragment);
    expect(parseFragment(bytesFrom(shard.bytes), table, fragment)).toEqual(state);
    expect(cidOf(sha256Bytes(bytesFrom(shard.bytes)))).toBe(shard.cid);
  });

  it("is a safetensors file that lists the parameters in table order, then the outer buffer", () => {
    const [shard] = shards;
    const { tensors, metadata } = decodeSafetensors(bytesFrom(shard!.bytes));
    expect(metadata).toEqual({ format: "cotrain-fragment-1", fragment: "0" });
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ["layer.0.weight", [2, 2]],
      ["layer.0.norm", [2]],
      ["norm", [2]],
      ["outer.layer.0.weight", [2, 2]],
      ["outer.layer.0.norm", [2]],
      ["outer.norm", [2]],
    ]);
  });
});

describe.each([0, 1])("checkpoint %i", (which) => {
  const vector = manifests[which]!;
  const manifest = parseManifest(new TextEncoder().encode(vector.canonical));

  it("is written to the vector's bytes", async () => {
    const { store } = await temporaryStore();
    const { version: _version, table: _table, fragments: _fragments, ...facts } = manifest;
    const written = await writeCheckpoint(store, table, statesOf(which), facts);
    expect(written.digest).toBe(vector.digest);
    expect(written.manifest).toEqual(vector.document);
    expect(new TextDecoder().decode(await store.get(written.digest))).toBe(vector.canonical);
    for (const { fragment, bytes } of round.shards[which]!)
      expect(await store.get(asDigest(fragment.digest))).toEqual(bytesFrom(bytes));
  });

  it("is read from the vector's bytes", async () => {
    const { store } = await temporaryStore();
    await store.put(new TextEncoder().encode(canonicalJson(manifest)));
    for (const { bytes } of round.shards[which]!) await store.put(bytesFrom(bytes));
    const read = await readCheckpoint(store, asDigest(vector.digest), table);
    expect(read.manifest).toEqual(vector.document);
    expect(read.states).toEqual(statesOf(which));
  });
});

describe("a model's CAR", () => {
  const bundle = documentOf("ModelBundle")[0]!;
  const checkpoint = manifests[1]!;
  const parts = [checkpoint, documentOf("Definition")[0]!, documentOf("Build").at(-1)!];
  const texts = round.modelTexts.map((text) => new TextEncoder().encode(text));

  it("is exported to the vector's bytes", async () => {
    const { store } = await temporaryStore();
    for (const { canonical } of parts) await store.put(new TextEncoder().encode(canonical));
    for (const bytes of [...texts, ...round.shards[1]!.map(({ bytes: hex }) => bytesFrom(hex))]) await store.put(bytes);
    const { chainId, contracts, modelId, runId } = parseDocument("bundle", ModelBundle, bundle.document);
    const model = await bundleModel(store, {
      chainId,
      contracts,
      modelId: asModelId(modelId),
      runId: asRunId(runId),
      checkpoint: asDigest(checkpoint.digest),
      build: asDigest(parts[2]!.digest),
    });
    expect(model.digest).toBe(bundle.digest);
    const car = new Uint8Array(Buffer.concat(await collect(exportModel(store, model))));
    expect(car).toEqual(bytesFrom(round.car.bytes));
    expect(sha256Bytes(car)).toBe(round.car.digest);
    expect(round.car.root).toBe(bundle.cid);
    expect(round.car.blocks).toEqual([
      bundle.cid,
      ...parts.map(({ cid }) => cid),
      ...texts.map((text) => cidOf(sha256Bytes(text))),
      ...round.shards[1]!.map(({ cid }) => cid),
    ]);
  });

  it("gives the model back when it is imported", async () => {
    const { store } = await temporaryStore();
    const { digest, manifest } = await importModel(store, [bytesFrom(round.car.bytes)]);
    expect(digest).toBe(bundle.digest);
    expect(manifest).toEqual(checkpoint.document);
    expect((await readCheckpoint(store, asDigest(checkpoint.digest), table)).states).toEqual(statesOf(1));
    for (const text of texts) expect(await store.get(sha256Bytes(text))).toEqual(text);
  });
});
