/** A build is held against its programs: by what it says tokens are paid, and by what they are, steps are taken. */
import { modelGovernorAbi, modelTimelockAbi } from "@cotrain/sdk/abis";
import { type ProposalCall, proposalOf } from "@cotrain/sdk/actions";
import {
  asRunId,
  type Build,
  canonicalJson,
  defaultScreening,
  type Definition,
  type Digest,
  digestOfJson,
  fragmentTable,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { encodeFunctionData } from "viem";
import { describe, expect, test } from "vitest";

import { RetryableError, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { unfitAmong } from "../../../offchain/src/cli/admitted.ts";
import { buildPrograms, defaultOptimizer, halfStep, presets, tensorSpecs } from "../../../offchain/src/engine/index.ts";
import { admission, problemOfBuild } from "../../../offchain/src/run/index.ts";
import { contracts, modelContracts } from "../contracts.ts";
import { putTinyPrograms } from "../tinyPrograms.ts";

const { model, microBatch } = presets["0.1m"];
const runId = asRunId(digestOfJson("run"));
const blobs = new Map<Digest, Uint8Array>();
const put = (bytes: Uint8Array): Digest => {
  const digest = sha256Bytes(bytes);
  blobs.set(digest, bytes);
  return digest;
};
const putJson = (value: unknown): Digest => put(new TextEncoder().encode(canonicalJson(value)));

const definition: Definition = {
  version: 1,
  model: { ...model },
  tokenizer: zeroHash,
  data: zeroHash,
  innerOptimizer: defaultOptimizer,
  schedule: { kind: "warmup-constant", warmupSteps: 4, freshWarmupSteps: 2 },
  sequence: model.sequence,
  table: fragmentTable(tensorSpecs(model), 4).map((entry) => ({ ...entry, shape: [...entry.shape] })),
  initialParameters: zeroHash,
  screening: defaultScreening,
};
const graphsOf = (options: Parameters<typeof buildPrograms>[1], config = model): Build["graphs"] => {
  const { step, eval: held, logits } = buildPrograms(config, options);
  return { step: put(step.bytes), eval: put(held.bytes), logits: put(logits.bytes) };
};
const graphs = graphsOf({ microBatch });
const build: Build = {
  version: 1,
  definition: putJson(definition),
  graphs,
  microBatch,
  precision: "fp32",
  runtime: "onnxruntime 1",
  deviceClass: "exact-x86",
  segmentSteps: 32,
  conformance: digestOfJson("value"),
};
const source = {
  blob: async (_: unknown, digest: Digest) => {
    const bytes = blobs.get(digest);
    if (bytes) return bytes;
    throw new RetryableError("SOURCE_AWAY", "Nobody has it now.");
  },
};
const place = { runId, blobs: source };
const problemOf = (over: Partial<Build>, defined: Partial<Definition> = {}) =>
  problemOfBuild(place, { ...build, definition: putJson({ ...definition, ...defined }), ...over });

test("one that is what it says", async () => {
  expect(await problemOf({})).toBe("");
  expect(await problemOf({ accumulation: 2, graphs: graphsOf({ microBatch, accumulation: 2 }) })).toBe("");
  const muon = { ...defaultOptimizer, kind: "muon", momentum: 0.95 } as const;
  expect(await problemOf({ graphs: graphsOf({ microBatch, optimizer: muon }) }, { innerOptimizer: muon })).toBe("");
});

describe("one whose programs", () => {
  const others: readonly [what: string, over: Partial<Build>, defined: Partial<Definition>, problem: RegExp][] = [
    [
      "take fewer sequences than it accumulates",
      { accumulation: 1_024 },
      {},
      /^its program for step takes 4 sequences of 65 tokens where 4096 of 65 are due$/,
    ],
    ["take fewer than its micro-batch", { microBatch: 32 }, {}, /^its program for step takes 4 sequences/],
    [
      "measure other batches",
      { graphs: { ...graphs, eval: graphsOf({ microBatch: 2 }).eval } },
      {},
      /^its program for eval takes 2 sequences/,
    ],
    ["are for shorter sequences", {}, { sequence: 1_024 }, /takes 4 sequences of 65 tokens where 4 of 1025 are due/],
    [
      "know other tokens",
      {},
      { model: { ...model, vocabulary: 1_000 } },
      /^its program for step knows \d+ tokens where the model has 1000$/,
    ],
    [
      "have another optimizer",
      {},
      { innerOptimizer: { kind: "sgd", momentum: 0.9, nesterov: false, weightDecay: 0, clipNorm: 1 } },
      /^its program for step keeps \d+ numbers/,
    ],
    [
      "have other parameters",
      {},
      { table: definition.table.toReversed() },
      /^its program for step has other parameters/,
    ],
    ["are another's", { graphs: { ...graphs, step: graphs.eval } }, {}, /^its program for step is one for eval$/],
    ["are none", { graphs: { ...graphs, logits: putJson("none") } }, {}, /^its program for logits is refused/],
  ];
  test.each(others)("%s", async (_, over, defined, problem) => {
    expect(await problemOf(over, defined)).toMatch(problem);
  });
});

/** What is said of a proposal that would admit a build. */
const told = async (each: Build, known: readonly Build[] = [], pass = (call: ProposalCall) => call) => {
  const { calls: admitting, description } = admission(contracts, runId, each);
  const calls = admitting.map(pass);
  const proposal = { ...proposalOf(calls, description, contracts.runRegistry), description };
  return unfitAmong(
    { ...place, addresses: contracts, contracts: modelContracts },
    { proposal, calls: calls.map(() => ({})) } as never,
    async () => known.map((document) => ({ admitted: document.runtime !== "withdrawn", document })),
  );
};

test("who votes is told of a build that is admitted by a call which the governor relays to the timelock", async () => {
  const { governor, timelock } = modelContracts;
  const queued = ({ to, data }: ProposalCall): ProposalCall => {
    const args = [to, 0n, data, zeroHash, zeroHash, 60n] as const;
    const scheduled = encodeFunctionData({ abi: modelTimelockAbi, functionName: "schedule", args });
    const relayed = [timelock, 0n, scheduled] as const;
    return { to: governor, data: encodeFunctionData({ abi: modelGovernorAbi, functionName: "relay", args: relayed }) };
  };
  const sly = { ...build, accumulation: 1_024 };
  expect(await told(build, [], queued)).toEqual([]);
  expect(await told(sly, [], queued)).toEqual(await told(sly));
  expect(await told(sly)).toHaveLength(1);
});

test("who votes is told of a build that is not what it says, and of one that nobody can look at", async () => {
  expect(await told(build)).toEqual([]);
  const sly = { ...build, accumulation: 1_024 };
  expect(await told(sly)).toEqual([
    `Build ${digestOfJson(sly)} is not what it says: its program for step takes 4 sequences of 65 tokens where 4096 of 65 are due. Nobody is given work by it.`,
  ]);
  const nowhere = { ...build, graphs: { ...graphs, eval: digestOfJson("nowhere") } };
  expect(await told(nowhere)).toEqual([
    `Nobody could say here whether build ${digestOfJson(nowhere)} is what it says: Nobody has it now.`,
  ]);
});

test("who votes is told of programs that nobody here knows: they may compute anything, and something else later", async () => {
  const strange = { ...build, graphs: { ...graphs, step: graphsOf({ microBatch, recompute: true }).step } };
  const sentence = `Build ${digestOfJson(strange)} has a program that nobody here knows: its program for step is neither what this version makes of the run's definition nor an admitted build's. What it computes, now and later, nobody sees by its form.`;
  expect(await told(strange)).toEqual([sentence]);
  expect(await told(strange, [build])).toEqual([sentence]);
  expect(await told(strange, [{ ...strange, runtime: "withdrawn" }])).toEqual([sentence]);
  // An earlier version's, which the run has.
  expect(await told(strange, [{ ...strange, conformance: zeroHash }])).toEqual([]);
  const half = halfStep(model, { microBatch, optimizer: defaultOptimizer });
  put(half.bytes);
  expect(await told({ ...build, precision: "fp16", graphs: { ...graphs, step: half.digest } })).toEqual([]);
});

test("no programs are made of more layers than a run's parameters have", async () => {
  const deep = { ...build, definition: putJson({ ...definition, model: { ...model, layers: 7_000 } }) };
  expect(await told(deep)).toEqual([expect.stringMatching(/its program for step, eval, logits is neither/)]);
});

test("no programs are made of longer sequences than the run's programs take", async () => {
  const long = { ...build, definition: putJson({ ...definition, model: { ...model, sequence: 2 ** 50 } }) };
  expect(await told(long)).toEqual([expect.stringMatching(/its program for step, eval, logits is neither/)]);
});

test("no programs are made whose tables are larger than a program may be, though a stranger's have none and fit", async () => {
  const wide = { ...model, layers: 1, width: 2 ** 16, heads: 1, keyValueHeads: 1, hidden: 8, sequence: 2 ** 20 };
  const specs = tensorSpecs(wide);
  const table = fragmentTable(specs, 1).map((entry) => ({ ...entry, shape: [...entry.shape] }));
  const described = { ...definition, model: wide, sequence: wide.sequence, table };
  const none = { put: async (bytes: Uint8Array) => ({ digest: put(bytes), bytes: bytes.length, existed: false }) };
  const tiny = await putTinyPrograms(none, build, { ...described, vocabulary: wide.vocabulary });
  for (const precision of ["fp32", "fp16"] as const) {
    const hostile: Build = { ...build, precision, definition: putJson(described), graphs: tiny };
    expect(await problemOfBuild(place, hostile)).toBe("");
    expect(await told(hostile)).toEqual([expect.stringMatching(/its program for step, eval, logits is neither/)]);
  }
});

test("who votes is told of a build that has its workers hash their state at other steps", async () => {
  const often = { ...build, segmentSteps: 1 };
  expect(await told(often)).toEqual([
    `Build ${digestOfJson(often)} has its workers hash all of their state after every step; builds of this version have it after every 32, or at a round's ends alone. More often slows them down, less often leaves more to replay.`,
  ]);
  expect(await told({ ...build, segmentSteps: 0 })).toEqual([]);
});
