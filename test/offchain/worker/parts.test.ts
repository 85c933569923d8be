import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { commitmentRoot, type Digest, type Hex, outcomeCode, type TensorEntry } from "@cotrain/sdk/protocol";

import { createRandom, sha256Bytes, UserError } from "../../../offchain/src/base/index.ts";
import {
  CHUNK_ELEMENTS,
  fragmentLayouts,
  gatherFragment,
  pseudoGradient,
  tensorViews,
} from "../../../offchain/src/diloco/index.ts";
import { encodePayload } from "../diloco/payloads.ts";
import { presetOf, parameterCount, stateElements, tensorSpecs } from "../../../offchain/src/engine/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import {
  blake3Of,
  checkResources,
  createArtefacts,
  createCommitment,
  createResidualLedger,
  createRequestQueue,
  encodeFragment,
  fedDigests,
  needsOf,
  segmentEnds,
} from "../../../offchain/src/worker/index.ts";

const hex = (byte: string): Hex => `0x${byte.repeat(32)}`;
const told = (byte: string, outcome: number) => ({ receiptHash: hex(byte), outcome });
const sizeOf = (name: "1m" | "20m") => {
  const { model, microBatch, optimizer } = presetOf(name);
  const { vocabulary, sequence } = model;
  const state = stateElements(optimizer, tensorSpecs(model));
  return { parameters: parameterCount(model), state, vocabulary, microBatch, sequence, model: { ...model } };
};

const table: TensorEntry[] = [
  { name: "a", shape: [3], fragment: 0 },
  { name: "b", shape: [2], fragment: 1 },
  { name: "c", shape: [4], fragment: 0 },
];

test("encoding in chunks gives the bytes and the residual of encoding the fragment whole", async () => {
  const random = createRandom("encode");
  const elements = CHUNK_ELEMENTS + 77;
  const entries: TensorEntry[] = [
    { name: "x", shape: [elements - 1_001], fragment: 0 },
    { name: "y", shape: [1_001], fragment: 0 },
  ];
  const [layout] = fragmentLayouts(entries);
  const values = (n: number): Float32Array<ArrayBuffer> => Float32Array.from({ length: n }, () => random.float() - 0.5);
  const local = new Map(entries.map(({ name, shape }) => [name, values(shape[0]!)]));
  const [base, residual] = [values(elements), values(elements)];
  for (const codec of [0, 1]) {
    const own = base.slice();
    const encoded = await encodeFragment({ codec, layout: layout!, base: own, local, residual });
    const whole = encodePayload(codec, pseudoGradient(base, gatherFragment(local, layout!)), residual);
    expect(Buffer.compare(encoded.bytes, whole.bytes)).toBe(0);
    expect(encoded.residual).toEqual(whole.nextResidual);
    expect(encoded.residual).toBe(own); // no memory of its own
    expect(encoded.digest).toBe(sha256Bytes(whole.bytes));
  }
});

describe("the residual", () => {
  const layouts = fragmentLayouts(table);
  const next = [new Float32Array(7).fill(1), new Float32Array(2).fill(2)];

  test("starts at zero and advances only with outcome 0 of the very receipt", () => {
    for (const [tell, expected] of [
      [told("aa", outcomeCode.aggregated), "advanced"],
      [told("aa", outcomeCode.late), "reverted"],
      [told("bb", outcomeCode.aggregated), "reverted"],
      [null, "reverted"],
    ] as const) {
      const ledger = createResidualLedger(layouts);
      const zeros = ledger.current;
      expect(zeros.map((values) => [...values])).toEqual([Array(7).fill(0), [0, 0]]);
      expect(ledger.settle(null)).toBe("none");
      ledger.submitted(hex("aa"), next);
      expect(ledger.current).toBe(zeros);
      expect(ledger.settle(tell)).toBe(expected);
      expect(ledger.current).toBe(expected === "advanced" ? next : zeros);
      expect(ledger.settle(tell)).toBe("none");
    }
  });

  test("is hashed tensor by tensor in parameter order", async () => {
    const tensors = tensorViews([Float32Array.of(1, 2, 3, 6, 7, 8, 9), Float32Array.of(4, 5)], layouts, table);
    expect(tensors.map((tensor) => [...tensor])).toEqual([
      [1, 2, 3],
      [4, 5],
      [6, 7, 8, 9],
    ]);
    expect(await blake3Of(tensors)).toBe(await blake3Of([Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)]));
  });
});

describe("the commitment", () => {
  test("cuts a round into segments as long as its build says, so that a part of a round is cut like the whole", () => {
    expect(segmentEnds(32, 32)).toEqual([32]);
    expect(segmentEnds(64, 32)).toEqual([32, 64]);
    expect(segmentEnds(33, 32)).toEqual([32, 33]);
    expect(segmentEnds(4, 32)).toEqual([4]);
    expect(segmentEnds(40, 32)).toEqual(segmentEnds(96, 32).slice(0, 1).concat(40));
    for (const steps of [1, 32, 1_000]) expect(segmentEnds(steps, 0)).toEqual([steps]);
  });

  test("has a leaf per state, and the encoding in the last", () => {
    const builder = createCommitment();
    builder.start(7, hex("01"));
    const fed = fedDigests(Uint16Array.of(1, 2, 3), [0.5], 7);
    builder.segment(8, hex("02"), fed);
    const { root, leaves } = builder.finish({
      step: 9,
      endState: hex("03"),
      baseDigest: hex("04") as Digest,
      newResidual: hex("05"),
      payloadDigest: hex("06") as Digest,
    });
    expect(leaves.map(({ j, step, state }) => [j, step, state])).toEqual([
      [0, 7n, hex("01")],
      [1, 8n, hex("02")],
      [2, 9n, hex("03")],
    ]);
    expect(leaves[1]).toMatchObject(fed);
    expect(leaves[2]).toMatchObject({ data: hex("04"), scalars: hex("05"), update: hex("06") });
    expect(root).toBe(commitmentRoot(leaves));
  });

  test("hashes ids as uint16, rates as fp32 and the optimizer's steps from 1 as uint64, little-endian", () => {
    const scalars = Uint8Array.from([0, 0, 0, 0x3f, 8, 0, 0, 0, 0, 0, 0, 0]);
    expect(fedDigests(Uint16Array.of(1, 258), [0.5], 7)).toEqual({
      data: sha256Bytes(Uint8Array.of(1, 0, 2, 1)),
      scalars: sha256Bytes(scalars),
    });
  });
});

test("a session's requests leave in the order in which they were begun", async () => {
  const sent: string[] = [];
  const requestQueue = createRequestQueue((_, init) => {
    sent.push(new Headers(init?.headers).get("cotrain-counter") ?? "");
    return new Promise<Response>(() => undefined);
  });
  const begin = (counter: string, delay: number): Promise<void> =>
    requestQueue.enter(async () => {
      for (let i = 0; i < delay; i++) await Promise.resolve();
      void requestQueue.fetch("http://x", { headers: { "cotrain-counter": counter } });
      // The answer never comes, and nobody behind waits for it.
      if (counter !== "3") await new Promise(() => undefined);
    });
  void begin("1", 50);
  void begin("2", 0);
  await begin("3", 5);
  expect(sent).toEqual(["1", "2", "3"]);
});

describe("resources", () => {
  test("of a model with more layers than a run can have are counted at once, as of one that nobody knows", () => {
    const size = sizeOf("20m");
    const unknown = needsOf({ ...size, model: { kind: "plain" } }, 0);
    for (const layers of [2 ** 32, 1e9])
      expect(needsOf({ ...size, model: { ...size.model, layers } }, 0)).toEqual(unknown);
  });

  test("are those of both processes of a worker, and no less than was measured at 20m", () => {
    const [engine, own] = [1_036, 557];
    const mebibytes = needsOf(sizeOf("20m"), 0).memory / 2 ** 20;
    expect(mebibytes).toBeGreaterThan(engine + own);
    expect(mebibytes).toBeLessThan(1.1 * (engine + own));
  });

  test("need grows with the model and is refused in one sentence", async () => {
    const [small, large] = [needsOf(sizeOf("1m"), 1e6), needsOf(sizeOf("20m"), 1e6)];
    expect(large.memory).toBeGreaterThan(2 * small.memory);
    const foreign = needsOf({ ...sizeOf("20m"), model: { kind: "plain" } }, 0).memory;
    expect(foreign).toBeLessThan(large.memory);
    expect(foreign).toBeGreaterThan(large.memory / 2);
    // Of an optimizer without state: m and v, twice each.
    const { memory } = needsOf({ ...sizeOf("20m"), state: 0 }, 1e6);
    expect(large.memory - memory).toBe(4 * 4 * sizeOf("20m").parameters);
    const surroundings = { availableMemory: () => 1e9, freeDisk: () => Promise.resolve(2e6) };
    await expect(checkResources(small, "/tmp", surroundings)).resolves.toBeUndefined();
    await expect(checkResources(large, "/tmp", surroundings)).rejects.toThrow(
      /needs about .* GiB of memory and 0.93 GiB/,
    );
    // On a device of its own memory both must be there; one that the system tells nothing of is tried.
    const gpu = needsOf(sizeOf("1m"), 1e6, "webgpu");
    const own = (bytes: number | undefined) => ({ ...surroundings, ownMemory: async () => bytes });
    await expect(checkResources(gpu, "/tmp", own(gpu.own))).resolves.toBeUndefined();
    await expect(checkResources(gpu, "/tmp", own(undefined))).resolves.toBeUndefined();
    await expect(checkResources(gpu, "/tmp", own(gpu.own - 1))).rejects.toMatchObject({
      code: "MEMORY_SHORT",
      message: expect.stringMatching(/^This run needs about .* of the device's own memory/),
    });
    // With products in fp16 a step takes more.
    const half = needsOf({ ...sizeOf("1m"), precision: "fp16" }, 1e6, "webgpu");
    expect(half.own).toBeGreaterThan(1.05 * gpu.own);
    await expect(checkResources(large, "/tmp", own(1e12))).rejects.toMatchObject({ code: "MEMORY_SHORT" });
    await expect(checkResources({ ...small, disk: 3e6 }, "/tmp", surroundings)).rejects.toMatchObject({
      code: "DISK_SHORT",
    });
  });
});

describe("the cache", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "cotrain-cache-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test("fetches once, keeps what was used last within its bound, and repairs what is corrupted", async () => {
    const blobs = [1, 2, 3].map((byte) => new Uint8Array(100).fill(byte));
    const digests = blobs.map((bytes) => sha256Bytes(bytes));
    const fetched: number[] = [];
    const store = await openBlobStore(directory);
    const artefacts = createArtefacts(store, {
      blob: (digest) => {
        const i = digests.indexOf(digest);
        fetched.push(i);
        return Promise.resolve(blobs[i]!);
      },
      blobPart: () => Promise.reject(new UserError("NO", "No.")),
    });
    for (const i of [0, 1, 2, 0]) expect(await artefacts.get(digests[i]!, 100)).toEqual(blobs[i]);
    expect(fetched).toEqual([0, 1, 2]);
    await artefacts.trim(200);
    expect(await Promise.all(digests.map((digest) => store.has(digest)))).toEqual([true, false, true]);
    await artefacts.get(digests[1]!, 100);
    expect(fetched).toEqual([0, 1, 2, 1]);
  });
});
