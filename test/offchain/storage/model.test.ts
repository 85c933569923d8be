/** Models as CAR files: read by the field's library, refused when anything about them is not as it must be. */
import { writeFile } from "node:fs/promises";

import { CarReader, CarWriter } from "@ipld/car";
import { asDigest, canonicalJson, cidOf, type Digest, digestOfCid, MAX_JSON_VALUES } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";
import { describe, expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import {
  type BlobStore,
  exportModel,
  importModel,
  type Model,
  putDocument,
  readCheckpoint,
  verifyBlobs,
} from "../../../offchain/src/storage/index.ts";
import {
  collect,
  definitionOf,
  digestsIn,
  fileOf,
  fragmentStates,
  storedModel,
  table,
  temporaryStore,
} from "./fixtures.ts";

const states = fragmentStates("checkpoint");
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
/** A stored model and its CAR. */
async function exported(): Promise<{
  root: string;
  store: BlobStore;
  model: Model;
  car: Uint8Array;
  shards: Digest[];
}> {
  const { root, store } = await temporaryStore();
  const model = await storedModel(store);
  const car = new Uint8Array(Buffer.concat(await collect(exportModel(store, model))));
  return { root, store, model, car, shards: model.manifest.fragments.map((fragment) => asDigest(fragment.digest)) };
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

const refuse = (): never => {
  throw new RangeError("another one is wanted");
};

describe("CAR", () => {
  it("is read by @ipld/car: the bundle as root and first, documents, tokenizer, programs, then every shard", async () => {
    const { store, model, car, shards } = await exported();
    const reader = await CarReader.fromBytes(car);
    expect((await reader.getRoots()).map(String)).toEqual([cidOf(model.digest)]);
    const blocks = await collect(reader.blocks());
    const { checkpoint, definition, build, tokenizer, programs } = model.bundle;
    const named = [checkpoint, definition, build, tokenizer, programs.step, programs.eval, programs.logits];
    expect(blocks.map(({ cid }) => digestOfCid(cid.toString()))).toEqual([
      model.digest,
      ...named.map(({ digest }) => digest),
      ...shards,
    ]);
    for (const { cid, bytes } of blocks)
      expect(await store.get(digestOfCid(cid.toString()))).toEqual(new Uint8Array(bytes));
  });

  it("is imported from chunks of any size, and exported again gives the same bytes", async () => {
    const { model, car } = await exported();
    for (const size of [1, 7, 1000, car.length]) {
      const { store } = await temporaryStore();
      const chunks = Array.from({ length: Math.ceil(car.length / size) }, (_, i) =>
        car.subarray(i * size, (i + 1) * size),
      );
      expect(await importModel(store, chunks)).toEqual(model);
      expect((await readCheckpoint(store, asDigest(model.bundle.checkpoint.digest), table)).states).toEqual(states);
      expect(await verifyBlobs(store, model)).toEqual({ blobs: 10, bytes: expect.any(Number) });
      expect(Buffer.concat(await collect(exportModel(store, model)))).toEqual(Buffer.from(car));
    }
  });

  it("is refused, and nothing of it kept, for any changed byte and any cut", async () => {
    const { model, car } = await exported();
    const { store } = await temporaryStore();
    const check = ({ digest }: Model): void => expect(digest).toBe(model.digest);
    const random = createRandom("car damage");
    const damaged = [
      ...Array.from({ length: 150 }, () => {
        const at = random.below(car.length);
        return car.with(at, car[at]! ^ (1 << random.below(8)));
      }),
      ...Array.from({ length: 40 }, () => car.subarray(0, random.below(car.length))),
    ];
    for (const bytes of damaged) {
      await expect(importModel(store, [bytes], { check })).rejects.toMatchObject({
        code: expect.stringMatching(/^(CAR_INVALID|CHECKPOINT_INVALID|MODEL_INVALID|BLOB_MISMATCH)$/),
      });
    }
    expect(await digestsIn(store)).toEqual([]);
  });

  it("keeps blocks that were there before when the import fails", async () => {
    const { car, shards, store: full } = await exported();
    const { store } = await temporaryStore();
    await store.put(await full.get(shards[0]!));
    await expect(importModel(store, [car.subarray(0, car.length - 1)])).rejects.toThrow(/in the middle/);
    expect(await digestsIn(store)).toEqual([shards[0]]);
  });

  it("is refused with a block unknown, twice, missing, of another length or order, and with other roots", async () => {
    const { store, model, shards } = await exported();
    const block = async (of: string): Promise<[string, Uint8Array]> => [
      cidOf(asDigest(of)),
      await store.get(asDigest(of)),
    ];
    const { checkpoint, definition, build, tokenizer, programs } = model.bundle;
    const root = await block(model.digest);
    const documents = await Promise.all([checkpoint, definition, build].map(({ digest }) => block(digest)));
    const { step, eval: evaluation, logits } = programs;
    const parts = await Promise.all([tokenizer, step, evaluation, logits].map(({ digest }) => block(digest)));
    const [a, b] = [await block(shards[0]!), await block(shards[1]!)];
    const head = [root, ...documents];
    const all = [...head, ...parts];
    const stranger: [string, Uint8Array] = [cidOf(sha256Bytes(utf8("x"))), utf8("x")];
    const rootless = documents[0]!;
    const cases: [RegExp, string[], [string, Uint8Array][]][] = [
      [/not needed/, [root[0]], [...all, a, stranger, b]],
      [/twice/, [root[0]], [...all, a, a, b]],
      [/missing/, [root[0]], [...all, a]],
      [/missing/, [root[0]], [...head, a, b]],
      [/bundle is not where/, [root[0]], [a, ...all, b]],
      [/bundle is not where/, [root[0]], []],
      [/manifest is not where/, [root[0]], [root, documents[1]!, documents[0]!, documents[2]!, ...parts, a, b]],
      [/build is not where/, [root[0]], [root, documents[0]!, documents[1]!, ...parts, a, b]],
      [/bundle/, [rootless[0]], [rootless, ...all, a, b]],
      [/bytes, \d+ are due/, [root[0]], [...all, [a[0], a[1].subarray(1)], b]],
      [/hash to/, [root[0]], [...all, [a[0], a[1].with(0, 1)], b]],
      [/does not hash to its CID/, [root[0]], [[root[0], root[1].with(0, 1)], ...documents, ...parts, a, b]],
      [/0 roots/, [], [...all, a, b]],
      [/2 roots/, [root[0], a[0]], [...all, a, b]],
      [/v1, raw, SHA-256/, ["QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"], [...all, a, b]],
      [
        /v1, raw or DAG-PB, SHA-256/,
        [root[0]],
        [...all, ["bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", a[1]], b],
      ],
    ];
    const { store: target } = await temporaryStore();
    for (const [sentence, roots, blocks] of cases) {
      await expect(importModel(target, [await carOf(roots, blocks)])).rejects.toThrow(sentence);
    }
    const good = await carOf([root[0]], [...head, b, a, ...parts.toReversed()]);
    await expect(importModel(target, [good], { check: refuse })).rejects.toThrow(/another one is wanted/);
    await expect(importModel(target, [good], { maxBytes: 100 })).rejects.toThrow(/allowed are 100/);
    expect(await digestsIn(target)).toEqual([]);
    expect((await importModel(target, [good])).digest).toBe(model.digest);
  });

  it("is not made of parts that do not belong together", async () => {
    const { store } = await temporaryStore();
    const { digest: foreign } = await store.put(utf8(canonicalJson(definitionOf(asDigest(`0x${"cd".repeat(32)}`)))));
    await expect(storedModel(store, { definition: foreign })).rejects.toMatchObject({ code: "BLOB_MISSING" });
    const model = await storedModel(store);
    const { bundle } = model;
    const tampered: [RegExp, unknown][] = [
      [/another run's/, { ...bundle, runId: `0x${"99".repeat(32)}` }],
      [/tokenizer is not/, { ...bundle, tokenizer: bundle.programs.step }],
      [/step program is not/, { ...bundle, programs: { ...bundle.programs, step: bundle.programs.eval } }],
      [
        /eval program is larger/,
        {
          ...bundle,
          programs: { ...bundle.programs, eval: { ...bundle.programs.eval, bytes: 2 ** 31 } },
        },
      ],
      [/definition has 1073741824 bytes/, { ...bundle, definition: { ...bundle.definition, bytes: 2 ** 30 } }],
      [/bundle\/extra/, { ...bundle, extra: 1 }],
    ];
    for (const [sentence, document] of tampered) {
      const { digest } = await store.put(utf8(canonicalJson(document)));
      const blocks = [digest, bundle.checkpoint.digest, bundle.definition.digest, bundle.build.digest];
      const car = await carOf(
        [cidOf(digest)],
        await Promise.all(
          blocks.map(async (of): Promise<[string, Uint8Array]> => [cidOf(asDigest(of)), await store.get(asDigest(of))]),
        ),
      );
      const { store: target } = await temporaryStore();
      await expect(importModel(target, [car])).rejects.toThrow(sentence);
      expect(await digestsIn(target)).toEqual([]);
    }
  });

  it("is verified blob by blob where it was imported", async () => {
    const { root, store, model, shards } = await exported();
    await writeFile(fileOf(root, shards[1]!), (await store.get(shards[1]!)).with(300, 1));
    await expect(verifyBlobs(store, model)).rejects.toMatchObject({ code: "BLOB_CORRUPTED" });
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
    await expect(importModel(store, endless([0xff, 0xff, 0xff, 0xff, 0x0f]))).rejects.toThrow(/header/);
    await expect(importModel(store, endless(Array.from({ length: 12 }, () => 0xff)))).rejects.toThrow(/too large/);
    const { model, car } = await exported();
    const header = car[0]! + 1;
    await expect(
      importModel(
        store,
        endless([...car.subarray(0, header), 0xff, 0xff, 0xff, 0x7f, ...CID.parse(cidOf(model.digest)).bytes]),
      ),
    ).rejects.toThrow(/the bundle has/);
    expect(produced).toBeLessThan(3);
  });
});

it("a document of more values than readers take is not stored", async () => {
  const { store } = await temporaryStore();
  const values = Array.from({ length: MAX_JSON_VALUES + 1 }, () => 0);
  await expect(putDocument(store, values)).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
});
