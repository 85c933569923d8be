import { describe, expect, it } from "vitest";
import * as protocol from "@cotrain/sdk/protocol";
import { buildVectors } from "../vectors/generate.ts";

const hash = (digit: string): `0x${string}` => `0x${digit.repeat(64)}`;
const account: `0x${string}` = `0x${"ab".repeat(20)}`;
const signature: `0x${string}` = `0x${"1b".repeat(65)}`;

const receipt = {
  runId: hash("1"),
  round: "0",
  worker: account,
  beneficiary: account,
  assignmentId: "1",
  attempt: 0,
  assignment: hash("2"),
  steps: 8,
  paramsVersion: 1,
  build: hash("3"),
  baseDigest: hash("4"),
  commitment: hash("5"),
  leaves: 2,
  payloadDigest: hash("6"),
};
const ack = { runId: hash("1"), round: "0", worker: account, receiptHash: hash("7"), tokens: "8192", acceptedAt: "1" };
const verdict = {
  runId: hash("1"),
  round: "0",
  head: hash("2"),
  validator: account,
  kind: 4,
  worker: account,
  index: 0,
  value: "2300000",
  evidence: hash("0"),
  issuedAt: "1",
};
const assignment = {
  version: 1,
  runId: hash("1"),
  round: 0,
  worker: account,
  assignmentId: 1,
  attempt: 0,
  steps: 8,
  batch: 8,
  sequence: 128,
  ranges: [{ start: 0, count: 64 }],
  seed: hash("2"),
  base: hash("3"),
  paramsVersion: 1,
  globalStep: 0,
  innerLrPpb: 2_000_000,
  codec: 1,
};
const part = { offset: 0, bytes: 4, digest: hash("2") };
const head = {
  runId: hash("1"),
  head: hash("2"),
  sequence: 1,
  round: 1,
  paramsVersion: 1,
  checkpointDigest: hash("3"),
  receiptsRoot: hash("4"),
  anchoredAt: 1_700_000_000,
  minParamsVersion: 1,
};

/** One valid document of each kind. */
const documents = {
  Definition: {
    schema: protocol.Definition,
    good: {
      version: 1,
      model: { layers: 4, tied: true, kind: "llama", ropeBase: 10_000.5 },
      tokenizer: hash("1"),
      data: hash("2"),
      innerOptimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 },
      schedule: { kind: "warmup-constant", warmupSteps: 100, freshWarmupSteps: 10 },
      sequence: 128,
      table: [{ name: "embedding", shape: [1_024, 128], fragment: 0 }],
      initialParameters: hash("3"),
      screening: protocol.defaultScreening,
    },
  },
  Build: {
    schema: protocol.Build,
    good: {
      version: 1,
      definition: hash("1"),
      graphs: { step: hash("2"), eval: hash("3"), logits: hash("4") },
      microBatch: 8,
      precision: "fp32",
      runtime: "onnxruntime 1.30",
      deviceClass: "exact-x86",
      segmentSteps: 32,
      conformance: hash("5"),
    },
  },
  DataManifest: {
    schema: protocol.DataManifest,
    good: {
      version: 1,
      source: "a corpus",
      tokenizer: hash("1"),
      vocabulary: 1_024,
      train: { tokens: 2, bytes: 4, shards: [{ digest: hash("2"), tokens: 2, bytes: 4 }] },
      heldOut: { tokens: 0, bytes: 0, shards: [] },
    },
  },
  Assignment: { schema: protocol.Assignment, good: assignment },
  CheckpointManifest: {
    schema: protocol.CheckpointManifest,
    good: {
      version: 1,
      runId: hash("1"),
      round: 0,
      step: 0,
      tokens: "0",
      paramsVersion: 1,
      table: hash("2"),
      parent: null,
      receipts: null,
      screening: null,
      fragments: [{ index: 0, digest: hash("1"), bytes: 8, parameters: part, outer: part }],
    },
  },
  PayloadHeader: {
    schema: protocol.PayloadHeader,
    good: {
      version: 1,
      runId: hash("1"),
      round: 0,
      worker: account,
      codec: 1,
      table: hash("2"),
      fragments: [{ index: 0, base: hash("3"), elements: 256, bytes: 260, digest: hash("4") }],
    },
  },
  ReceiptsFile: {
    schema: protocol.ReceiptsFile,
    good: {
      version: 1,
      runId: hash("1"),
      round: 0,
      receipts: [{ receipt, signature, ack, ackSignature: signature, assignment, tokens: "8192", outcome: 0 }],
    },
  },
  ScreeningFile: {
    schema: protocol.ScreeningFile,
    good: {
      version: 1,
      runId: hash("1"),
      round: 0,
      paramsVersion: 1,
      innerLrPpb: 3_000_000,
      theta: [0x3f80_0000],
      workers: [
        {
          worker: account,
          steps: 8,
          outcome: 8,
          copyOf: { round: 0, worker: account },
          fragments: [{ digest: hash("2"), norm: 0x3f80_0000, clipPpm: 500_000, sketch: `${"A".repeat(171)}=` }],
        },
      ],
      medians: [0x3f80_0000],
      gate: {
        seed: hash("3"),
        build: hash("4"),
        conformance: hash("5"),
        sequences: [0, 7],
        before: 2_000_000,
        passes: [
          { after: 2_100_000, tried: [{ first: 0, count: 1, without: false, loss: 2_190_000 }], leftOut: [account] },
        ],
      },
    },
  },
  VerdictsFile: {
    schema: protocol.VerdictsFile,
    good: { version: 1, modelId: hash("1"), verdicts: [{ verdict, signature }] },
  },
  EpochInputs: {
    schema: protocol.EpochInputs,
    good: {
      version: 1,
      modelId: hash("1"),
      epochs: [
        { epoch: 1, budget: "700", heads: [head], contributions: [{ account, contribution: "1", amount: "700" }] },
      ],
    },
  },
  RewardsFile: {
    schema: protocol.RewardsFile,
    good: { version: 1, modelId: hash("1"), kind: 1, index: 2, leaves: [{ account, amount: "1" }] },
  },
  EpochManifest: {
    schema: protocol.EpochManifest,
    good: {
      version: 1,
      modelId: hash("1"),
      kind: 1,
      index: 1,
      fromEpoch: 1,
      toEpoch: 2,
      runId: hash("2"),
      head: hash("3"),
      finished: [],
      previous: null,
      previousRoot: hash("0"),
      root: hash("4"),
      total: "1",
      inputs: hash("5"),
      verdicts: hash("6"),
      rewards: hash("7"),
    },
  },
};

type Path = readonly (string | number)[];

/** Every value in a document, with the way to it. */
function* leavesOf(value: unknown, path: Path = []): Generator<Path> {
  if (path.length > 0) yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value))
    yield* leavesOf(item, [...path, Array.isArray(value) ? Number(key) : key]);
}

function replaced(
  document: unknown,
  path: Path,
  change: (parent: Record<string | number, unknown>, key: string | number) => void,
): unknown {
  const copy: unknown = structuredClone(document);
  const key = path.at(-1)!;
  const parent = path
    .slice(0, -1)
    .reduce<unknown>((node, step) => (node as Record<string | number, unknown>)[step], copy);
  change(parent as Record<string | number, unknown>, key);
  return copy;
}

const valueAt = (document: unknown, path: Path): unknown =>
  path.reduce<unknown>((node, step) => (node as Record<string | number, unknown>)[step], document);

/** Values of the same type that the protocol does not allow in place of one that it does. */
function corruptionsOf(value: unknown): unknown[] {
  if (typeof value === "number") return [-1, 0.5, Number.NaN, 2 ** 53, "1"];
  if (typeof value !== "string") return [];
  if (value.startsWith("0x")) return [value.toUpperCase(), `${value}0`, value.slice(0, -1), value.slice(2)];
  return /^\d+$/.test(value) ? ["-1", "01", "1.5", "0x1", "", 1] : [];
}

const refused = expect.objectContaining({ name: "ProtocolError", code: "MALFORMED_DOCUMENT" });

describe.each(Object.entries(documents))("%s", (name, { schema, good }) => {
  const parse = (value: unknown) => protocol.parseDocument(name, schema, value);

  it("passes unchanged, also through canonical JSON", () => {
    expect(parse(good)).toEqual(good);
    expect(parse(JSON.parse(protocol.canonicalJson(good)))).toEqual(good);
  });

  it("is refused with a place for anything else", () => {
    for (const value of [undefined, null, [], "text", 1, {}]) expect(() => parse(value)).toThrow(refused);
    expect(() => parse({ ...good, extra: 1 })).toThrow(refused);
    expect(() => parse({ ...good, version: 2 })).toThrow(`${name}/version`);
  });

  const passes = (value: unknown): boolean => {
    try {
      parse(value);
      return true;
    } catch (error) {
      expect(error).toEqual(refused);
      return false;
    }
  };
  // The engine's own settings are free.
  const paths = [...leavesOf(good)].filter((path) => path[0] !== "model");

  it("is refused when any value in it has another type, or is missing", () => {
    const accepted = paths.filter(
      (path) =>
        passes(replaced(good, path, (parent, key) => (parent[key] = { no: "such value" }))) ||
        (typeof path.at(-1) === "string" && passes(replaced(good, path, (parent, key) => delete parent[key]))),
    );
    expect(accepted).toEqual([]);
  });

  it("is refused with numbers that are no whole, safe numbers and hashes that are not in lower case", () => {
    const accepted = paths
      .filter((path) => path[0] !== "innerOptimizer")
      .flatMap((path) =>
        corruptionsOf(valueAt(good, path))
          .filter((other) => passes(replaced(good, path, (parent, key) => (parent[key] = other))))
          .map((other) => [...path, other]),
      );
    expect(accepted).toEqual([]);
  });
});

const cosine = { kind: "cosine", warmupSteps: 100, freshWarmupSteps: 10, steps: 1_000, floor: 0 };

describe("a definition", () => {
  const { schema, good } = documents.Definition;
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = good.innerOptimizer;
  it.each([
    ["SGD", { innerOptimizer: { kind: "sgd", momentum: 0, nesterov: false, weightDecay, clipNorm } }],
    ["Muon", { innerOptimizer: { kind: "muon", momentum: 0.95, beta1, beta2, epsilon, weightDecay, clipNorm } }],
    ["a cosine", { schedule: cosine }],
    ["a fall at the end", { schedule: { ...cosine, kind: "warmup-stable-decay", decaySteps: 200 } }],
  ])("may have %s", (_, other) => {
    const document = { ...good, ...other };
    expect(protocol.parseDocument("Definition", schema, document)).toEqual(document);
  });
});

describe("a build", () => {
  const { schema, good } = documents.Build;
  it("may have products in fp16, and in no precision that nobody knows", () => {
    const half = { ...good, precision: "fp16" };
    expect(protocol.parseDocument("Build", schema, half)).toEqual(half);
    expect(() => protocol.parseDocument("Build", schema, { ...good, precision: "bf16" })).toThrow(/precision/);
  });
});

describe("bounds of documents", () => {
  const { Definition, PayloadHeader, RewardsFile } = documents;
  it.each([
    ["a table without rows", Definition, { table: [] }],
    ["a dimension of 0", Definition, { table: [{ name: "a", shape: [0], fragment: 0 }] }],
    ["a momentum of 1", Definition, { innerOptimizer: { ...Definition.good.innerOptimizer, beta1: 1 } }],
    [
      "an optimizer of an unknown kind",
      Definition,
      { innerOptimizer: { ...Definition.good.innerOptimizer, kind: "lion" } },
    ],
    [
      "an optimizer with another's constants",
      Definition,
      { innerOptimizer: { ...Definition.good.innerOptimizer, kind: "sgd" } },
    ],
    ["a schedule that ends before it begins", Definition, { schedule: { ...cosine, steps: 0 } }],
    ["a schedule with a floor above its peak", Definition, { schedule: { ...cosine, floor: 1.1 } }],
    [
      "a schedule that falls in no steps",
      Definition,
      { schedule: { ...cosine, kind: "warmup-stable-decay", decaySteps: 0 } },
    ],
    ["a sequence of one token", Definition, { sequence: 1 }],
    ["a payload without fragments", PayloadHeader, { fragments: [] }],
    [
      "a payload of too many fragments",
      PayloadHeader,
      { fragments: Array.from({ length: protocol.MAX_FRAGMENTS + 1 }, () => PayloadHeader.good.fragments[0]) },
    ],
    [
      "a norm that is not finite",
      documents.ScreeningFile,
      {
        workers: [
          {
            ...documents.ScreeningFile.good.workers[0]!,
            fragments: [{ ...documents.ScreeningFile.good.workers[0]!.fragments[0]!, norm: 0x7f80_0000 }],
          },
        ],
      },
    ],
    ["a run that leaves nobody out ever", Definition, { screening: { ...protocol.defaultScreening, strikes: 0 } }],
    ["rewards of nobody", RewardsFile, { leaves: [] }],
  ])("refuse %s", (_, { schema, good }, change) => {
    expect(() => protocol.parseDocument("It", schema, { ...good, ...change })).toThrow(refused);
  });

  it("let the largest payload header stay within its limit", () => {
    const fragments = Array.from({ length: protocol.MAX_FRAGMENTS }, (_, index) => ({
      index,
      base: hash("3"),
      elements: 2 ** 40,
      bytes: 2 ** 40,
      digest: hash("4"),
    }));
    const header = protocol.parseDocument("It", PayloadHeader.schema, { ...PayloadHeader.good, fragments });
    expect(protocol.canonicalJson(header).length).toBeLessThan(protocol.MAX_PAYLOAD_HEADER_BYTES);
  });

  it("hold every struct of the wire that they embed, as typedData.ts defines it", async () => {
    const { structs } = await buildVectors();
    expect(Object.keys(receipt)).toEqual(protocol.structTypes.Receipt.map((field) => field.name));
    expect(Object.keys(ack)).toEqual(protocol.structTypes.Ack.map((field) => field.name));
    expect(Object.keys(verdict)).toEqual(protocol.structTypes.Verdict.map((field) => field.name));
    expect(protocol.fromWire("Receipt", receipt).round).toBe(0n);
    expect(protocol.fromWire("Ack", ack).tokens).toBe(8_192n);
    expect(protocol.fromWire("Verdict", verdict).value).toBe(2_300_000n);
    expect(Object.keys(structs)).toContain("Receipt");
  });
});
