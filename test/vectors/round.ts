/**
 * One round of a run of two workers as it is published and settled: every JSON document, the shards and the CAR of its
 * checkpoints, the commitment to a worker's steps. Numbers are arbitrary, links hold: a digest that one part names is that
 * of the other. Shards are put together byte by byte from https://github.com/huggingface/safetensors.
 */
import { concat, keccak256, TypedDataEncoder, Wallet } from "ethers";
import { address, cidOf, coder, hash, parseType, sha256, tree, zero32 } from "./basics.ts";
import { blake3 } from "./blake3.ts";
import { canonical, carVector, digestOf, documentVector, hexOf, type Json, littleEndian } from "./encodings.ts";
import { bitsOf, measured, numberOf } from "./measured.ts";
import { revenueInputs } from "./revenue.ts";
import { headType, structs } from "./structs.ts";

const chainId = "31337";
const runRegistry = address("a run registry");
const checkpointRegistry = address("a checkpoint registry");
const modelId = hash("a model");
const runId = hash("a run");
const poster = new Wallet(hash("key of the poster"));
const validator = new Wallet(hash("key of a validator"));
const lower = (wallet: Wallet): string => wallet.address.toLowerCase();
const workers = [new Wallet(hash("key of one worker")), new Wallet(hash("key of another worker"))].sort((a, b) =>
  lower(a) < lower(b) ? -1 : 1,
);
const domain = { name: "Cotrain", version: "1", chainId, verifyingContract: runRegistry };

type StructName = keyof typeof structs;
const typesOf = (name: StructName) => ({ [name]: parseType(structs[name]).fields });
const sign = (signer: Wallet, name: StructName, message: Readonly<Record<string, string | number>>): Promise<string> =>
  signer.signTypedData(domain, typesOf(name), message);

/** Parameters in their order; by the rule layer 0 → fragment 0, embedding → 1 (empty then), norm → 0 (6 < 10). */
const table = [
  { name: "embedding", shape: [5, 2], fragment: 1 },
  { name: "layer.0.weight", shape: [2, 2], fragment: 0 },
  { name: "layer.0.norm", shape: [2], fragment: 0 },
  { name: "norm", shape: [2], fragment: 0 },
];
const fragments = [0, 1];
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const inFragment = (index: number) => table.filter(({ fragment }) => fragment === index);
const elementsIn = (index: number): number => inFragment(index).reduce((sum, { shape }) => sum + sizeOf(shape), 0);

/** Values for `count` elements, exact in fp32 and none like its neighbour. */
const valuesFrom = (seed: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (((i + 1) * (seed + 3) * 7) % 61) / 8 - 3.75);

/** A fragment's shard: 8 bytes of the header's length, the header padded with spaces to a multiple of 8, the data. */
function shardVector(index: number, parameters: readonly number[], outer: readonly number[]) {
  let at = 0;
  const entries = ["", "outer."].flatMap((prefix) =>
    inFragment(index).map(({ name, shape }) => {
      const from = at;
      at += 4 * sizeOf(shape);
      return `"${prefix}${name}":{"dtype":"F32","shape":[${shape.join(",")}],"data_offsets":[${from},${at}]}`;
    }),
  );
  const metadata = `"__metadata__":{"format":"cotrain-fragment-1","fragment":"${index}"}`;
  const text = `{${[metadata, ...entries].join(",")}}`;
  const header = text.padEnd(Math.ceil(text.length / 8) * 8, " ");
  const parts = [littleEndian.fp32(parameters), littleEndian.fp32(outer)] as const;
  const bytes = Buffer.concat([littleEndian.uint64(header.length), Buffer.from(header, "latin1"), ...parts]);
  const [first, second] = [8 + header.length, 8 + header.length + parts[0].length];
  return {
    header,
    parameters: hexOf(parts[0]),
    outer: hexOf(parts[1]),
    bytes: hexOf(bytes),
    cid: cidOf(sha256(bytes)),
    /** Its entry in the checkpoint's manifest. */
    fragment: {
      index,
      digest: sha256(bytes),
      bytes: bytes.length,
      parameters: { offset: first, bytes: parts[0].length, digest: sha256(parts[0]) },
      outer: { offset: second, bytes: parts[1].length, digest: sha256(parts[1]) },
    },
  };
}

const steps = 5;
const segmentSteps = 2;
const batch = 1;
const sequence = 4;
const tokens = String(steps * batch * sequence);

const initialShards = fragments.map((index) =>
  shardVector(index, valuesFrom(index, elementsIn(index)), Array.from({ length: elementsIn(index) }, () => 0)),
);
const nextShards = fragments.map((index) =>
  shardVector(index, valuesFrom(index + 2, elementsIn(index)), valuesFrom(index + 4, elementsIn(index))),
);

const dataManifest = {
  version: 1,
  source: "A corpus of one text – “é €” 😀",
  tokenizer: sha256("a tokenizer"),
  vocabulary: 1_024,
  train: { tokens: 300, bytes: 1_200, shards: [{ digest: sha256("tokens"), tokens: 300, bytes: 600 }] },
  heldOut: { tokens: 20, bytes: 80, shards: [{ digest: sha256("held-out tokens"), tokens: 20, bytes: 40 }] },
};
const definition = {
  version: 1,
  model: { kind: "llama", layers: 1, width: 2, ropeBase: 10_000.5, tied: false },
  tokenizer: dataManifest.tokenizer,
  data: digestOf(dataManifest),
  innerOptimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clipNorm: 1 },
  schedule: { kind: "warmup-constant", warmupSteps: 100, freshWarmupSteps: 10 },
  sequence,
  table,
  initialParameters: digestOf(initialShards.map(({ fragment }) => fragment.digest)),
  screening: {
    history: 8,
    maxRatio: 20,
    thetaBps: 30_000,
    emptyRatio: 1_000,
    copyBps: 9_950,
    copySteps: 8,
    gateSequences: 3,
    gateBound: 50_000,
    gateTolerance: 1_000,
    gateTrials: 32,
    gatePasses: 4,
    auditOneIn: 4,
    strikes: 3,
  },
};
const build = {
  version: 1,
  definition: digestOf(definition),
  graphs: { step: sha256("step graph"), eval: sha256("eval graph"), logits: sha256("logits graph") },
  microBatch: batch,
  precision: "fp32",
  runtime: "onnxruntime 1.30.0",
  deviceClass: "exact-x86",
  segmentSteps,
  conformance: hash("a conformance value"),
};

/** The same for GPUs that multiply in fp16, whose steps nobody can recompute bit for bit; in micro-batches. */
const halfBuild = {
  ...build,
  graphs: { ...build.graphs, step: sha256("step graph with products in fp16") },
  accumulation: 2,
  precision: "fp16",
  runtime: "onnxruntime 1.30.0 webgpu",
  deviceClass: "webgpu",
  segmentSteps: 0,
  conformance: hash("a GPU's conformance value"),
};
const initialManifest = {
  version: 1,
  runId,
  round: 0,
  step: 0,
  tokens: "0",
  paramsVersion: 1,
  table: digestOf(table),
  parent: null,
  receipts: null,
  screening: null,
  fragments: initialShards.map(({ fragment }) => fragment),
};

const assignments = workers.map((worker, i) => ({
  version: 1,
  runId,
  round: 0,
  worker: lower(worker),
  assignmentId: i + 1,
  attempt: i,
  steps,
  batch,
  sequence,
  ranges: [
    { start: 10 * i, count: 2 },
    { start: 10 * i + 7, count: 3 },
  ],
  seed: hash("the run's seed"),
  base: digestOf(initialManifest),
  paramsVersion: 1,
  globalStep: 0,
  innerLrPpb: 2_000_000,
  codec: 1,
}));
/** `int8-b256` of fewer than 256 elements: one scale, then a signed byte for each. */
const payloadOf = (worker: number, index: number): Buffer =>
  Buffer.concat([
    littleEndian.fp32([2 ** -(7 + worker)]),
    Buffer.from(Array.from({ length: elementsIn(index) }, (_, i) => (i * 37 + worker) % 256)),
  ]);
const payloadHeaders = workers.map((worker, i) => ({
  version: 1,
  runId,
  round: 0,
  worker: lower(worker),
  codec: 1,
  table: digestOf(table),
  fragments: fragments.map((index) => {
    const payload = payloadOf(i, index);
    return {
      index,
      base: initialShards[index]!.fragment.digest,
      elements: elementsIn(index),
      bytes: payload.length,
      digest: sha256(payload),
    };
  }),
}));

/** Per tensor in the parameters' order. */
const tensorsFrom = (seed: number): Buffer[] =>
  table.map(({ shape }, i) => littleEndian.fp32(valuesFrom(seed + i, sizeOf(shape))));

/** θ, the optimizer's m and v, the residual, and the optimizer's step: BLAKE3 of all of them one after the other. */
function stateVector(seed: number, optimizerStep: number) {
  const parameters = tensorsFrom(seed);
  const optimizer = [...tensorsFrom(seed + 5), ...tensorsFrom(seed + 10)];
  const residual = tensorsFrom(50);
  const bytes = Buffer.concat([...parameters, ...optimizer, ...residual, littleEndian.uint64(optimizerStep)]);
  return {
    optimizerStep: String(optimizerStep),
    parameters: parameters.map(hexOf),
    optimizer: optimizer.map(hexOf),
    residual: residual.map(hexOf),
    state: blake3(bytes),
  };
}

/** The first worker's commitment: 5 steps in segments of 2 are 3 segments, which end after steps 2, 4 and 5. */
function commitmentVector() {
  const before = 7;
  const ends = [2, 4, 5];
  const states = [0, ...ends].map((step, i) => stateVector(20 * i, before + step));
  /** What the last segment is fed follows from the assignment and stands in no leaf. */
  const segments = [
    { from: 0, learningRates: [0.001, 0.25] },
    { from: 2, learningRates: [0.0011, 0.5] },
  ].map(({ from, learningRates }) => {
    const ids = littleEndian.uint16(learningRates.flatMap((_, i) => [0, 1, 258, 65_535, 1_000 + from + i]));
    const scalars = Buffer.concat(
      learningRates.flatMap((rate, i) => [littleEndian.fp32([rate]), littleEndian.uint64(before + from + i + 1)]),
    );
    return {
      optimizerStep: String(before + from),
      tokens: hexOf(ids),
      learningRates: learningRates.map(String),
      scalars: hexOf(scalars),
      dataDigest: sha256(ids),
      scalarsDigest: sha256(scalars),
    };
  });
  const residual = tensorsFrom(60);
  const newResidual = blake3(Buffer.concat(residual));
  const payloadDigest = digestOf(payloadHeaders[0]!);
  const rows = states.map(({ optimizerStep, state }, j) => {
    const place = [String(j), optimizerStep, state];
    if (j === 0) return [...place, sha256(""), sha256(""), zero32];
    const fed = segments[j - 1];
    return fed
      ? [...place, fed.dataDigest, fed.scalarsDigest, zero32]
      : [...place, assignments[0]!.base, newResidual, payloadDigest];
  });
  const { root, leaves } = tree(["uint32", "uint64", "bytes32", "bytes32", "bytes32", "bytes32"], rows);
  return {
    steps: String(steps),
    segmentSteps: String(segmentSteps),
    segmentEnds: ends.map(String),
    states,
    segments,
    newResidual: { tensors: residual.map(hexOf), digest: newResidual },
    baseDigest: assignments[0]!.base,
    payloadDigest,
    leaves,
    root,
  };
}
const commitment = commitmentVector();

const beneficiaries = [lower(workers[0]!), address("a beneficiary")];

async function receiptsFile() {
  const receipts = workers.map(async (worker, i) => {
    const assignment = assignments[i]!;
    const receipt = {
      runId,
      round: "0",
      worker: lower(worker),
      beneficiary: beneficiaries[i]!,
      assignmentId: String(assignment.assignmentId),
      attempt: assignment.attempt,
      assignment: digestOf(assignment),
      steps,
      paramsVersion: 1,
      build: digestOf(build),
      baseDigest: assignment.base,
      commitment: i === 0 ? commitment.root : hash("another commitment"),
      leaves: commitment.leaves.length,
      payloadDigest: digestOf(payloadHeaders[i]!),
    };
    const ack = {
      runId,
      round: "0",
      worker: receipt.worker,
      receiptHash: TypedDataEncoder.hashStruct("Receipt", typesOf("Receipt"), receipt),
      tokens,
      acceptedAt: String(1_700_000_000_000 + i),
    };
    const signature = await sign(worker, "Receipt", receipt);
    return { receipt, signature, ack, ackSignature: await sign(poster, "Ack", ack), assignment, tokens, outcome: 0 };
  });
  return { version: 1, runId, round: 0, receipts: await Promise.all(receipts) };
}

function screeningFile(receiptHashes: readonly string[]) {
  const judged = workers.map((worker, i) => ({
    worker: lower(worker),
    steps,
    outcome: 0,
    copyOf: null,
    fragments: fragments.map((index) => {
      const bytes = payloadOf(i, index);
      const values = Array.from(bytes.subarray(4), (byte) => ((byte << 24) >> 24) * bytes.readFloatLE(0));
      return { digest: sha256(bytes), clipPpm: 1_000_000, ...measured(values, index) };
    }),
  }));
  const round = Buffer.alloc(8);
  const seed = sha256(Buffer.concat([runId, hexOf(round), ...receiptHashes].map((hex) => Buffer.from(hex.slice(2), "hex"))));
  // 20 tokens hold ⌊19 ÷ 4⌋ sequences; 3 are asked for, one a batch.
  const first = Number(BigInt(seed.slice(0, 14)) % 4n);
  return {
    version: 1,
    runId,
    round: 0,
    paramsVersion: 1,
    innerLrPpb: 2_000_000,
    theta: fragments.map((index) =>
      bitsOf(Math.sqrt(valuesFrom(index, elementsIn(index)).reduce((sum, value) => sum + value * value, 0))),
    ),
    workers: judged,
    // The upper one of two.
    medians: fragments.map((index) =>
      Math.max(...judged.map((worker) => bitsOf(numberOf(worker.fragments[index]!.norm) / Math.sqrt(steps)))),
    ),
    gate: {
      seed,
      build: digestOf(build),
      conformance: build.conformance,
      sequences: [0, 1, 2].map((k) => (first + Math.floor((k * 4) / 3)) % 4),
      before: 2_100_000,
      passes: [{ after: 2_000_000, tried: [], leftOut: [] }],
    },
  };
}

const headOf = (parentHead: string, at: number, checkpointDigest: string, receiptsRoot: string): string => {
  const types = parseType(headType).fields.map(({ type }) => type);
  const fields = [chainId, checkpointRegistry, parentHead, runId, at, at, 1, checkpointDigest, receiptsRoot];
  return keccak256(concat([hash(headType), coder.encode(types, fields)]));
};

/** In the order of a CAR. */
const modelTexts = ["a tokenizer", "step graph", "eval graph", "logits graph"];

const named = (bytes: Buffer): { digest: string; bytes: number } => ({ digest: sha256(bytes), bytes: bytes.length });

/** A checkpoint with all that is needed to use it, and its CAR. */
function modelVector(manifest: Json & { readonly [key: string]: Json }) {
  const documents = [manifest, definition, build].map((document) => Buffer.from(canonical(document)));
  const texts = modelTexts.map((text) => Buffer.from(text));
  const [checkpoint, ofDefinition, ofBuild] = documents.map(named);
  const [tokenizer, step, evaluation, logits] = texts.map(named);
  const bundle = {
    version: 1,
    chainId: Number(chainId),
    contracts: {
      modelRegistry: address("a model registry"),
      runRegistry,
      checkpointRegistry,
      validatorSet: address("a validator set"),
      emission: address("an emission"),
      computeRewards: address("compute rewards"),
    },
    modelId,
    runId,
    checkpoint: checkpoint!,
    definition: ofDefinition!,
    build: ofBuild!,
    tokenizer: tokenizer!,
    programs: { step: step!, eval: evaluation!, logits: logits! },
  };
  const shards = nextShards.map(({ bytes }) => Buffer.from(bytes.slice(2), "hex"));
  const car = carVector(digestOf(bundle), [Buffer.from(canonical(bundle)), ...documents, ...texts, ...shards]);
  return { bundle, car };
}

async function verdictsFile(head: string) {
  const verdict = (kind: number, index: number, value: string) => ({
    runId,
    round: "1",
    head,
    validator: lower(validator),
    kind,
    worker: `0x${"00".repeat(20)}`,
    index,
    value,
    evidence: zero32,
    issuedAt: "1700000060",
  });
  const given = [verdict(3, 1, "10000"), verdict(4, 64, "2345678")];
  const verdicts = given.map(async (item) => ({ verdict: item, signature: await sign(validator, "Verdict", item) }));
  return { version: 1, modelId, verdicts: await Promise.all(verdicts) };
}

export async function roundVectors() {
  const receipts = await receiptsFile();
  const receiptTree = tree(
    ["bytes32", "address", "address", "uint64", "uint16"],
    receipts.receipts.map(({ receipt, ack, outcome }) => [
      ack.receiptHash,
      receipt.worker,
      receipt.beneficiary,
      tokens,
      String(outcome),
    ]),
  );
  const screening = screeningFile(receipts.receipts.map(({ ack }) => ack.receiptHash));
  const nextManifest = {
    ...initialManifest,
    round: 1,
    step: steps,
    tokens: String(2 * Number(tokens)),
    parent: digestOf(initialManifest),
    receipts: digestOf(receipts),
    screening: digestOf(screening),
    fragments: nextShards.map(({ fragment }) => fragment),
  };
  const initialHead = headOf(zero32, 0, digestOf(initialManifest), zero32);
  const head = headOf(initialHead, 1, digestOf(nextManifest), receiptTree.root);

  const verdicts = await verdictsFile(head);
  const budget = 700n * 10n ** 18n;
  // 20 tokens each at 10,000 basis points: half each.
  const contributions = [
    { account: beneficiaries[0]!, contribution: "200000", amount: String(budget / 2n) },
    { account: beneficiaries[1]!, contribution: "200000", amount: String(budget / 2n) },
  ].sort((a, b) => (a.account < b.account ? -1 : 1));
  const inputs = {
    version: 1,
    modelId,
    epochs: [
      {
        epoch: 3,
        budget: String(budget),
        heads: [
          {
            runId,
            head,
            sequence: 1,
            round: 1,
            paramsVersion: 1,
            checkpointDigest: digestOf(nextManifest),
            receiptsRoot: receiptTree.root,
            anchoredAt: 1_700_000_050,
            minParamsVersion: 1,
          },
        ],
        contributions,
      },
    ],
  };
  const rewards = {
    version: 1,
    modelId,
    kind: 1,
    index: 1,
    leaves: contributions.map(({ account, amount }) => ({ account, amount })),
  };
  const rewardTree = tree(
    ["uint8", "bytes32", "uint64", "address", "uint256"],
    rewards.leaves.map(({ account, amount }) => ["1", modelId, "1", account, amount]),
  );
  const epochManifest = {
    version: 1,
    modelId,
    kind: 1,
    index: 1,
    fromEpoch: 1,
    toEpoch: 3,
    runId,
    head,
    finished: [{ runId: hash("a finished run"), head: hash("its last head") }],
    previous: null,
    previousRoot: zero32,
    root: rewardTree.root,
    total: String(rewards.leaves.reduce((sum, { amount }) => sum + BigInt(amount), 0n)),
    inputs: digestOf(inputs),
    verdicts: digestOf(verdicts),
    rewards: digestOf(rewards),
  };

  const model = modelVector(nextManifest);

  return {
    chainId,
    runRegistry,
    checkpointRegistry,
    poster: lower(poster),
    validator: lower(validator),
    initialHead,
    head,
    receiptsRoot: receiptTree.root,
    documents: [
      documentVector("DataManifest", dataManifest),
      documentVector("Definition", definition),
      documentVector("Build", halfBuild),
      documentVector("Build", build),
      documentVector("CheckpointManifest", initialManifest),
      documentVector("Assignment", assignments[0]!),
      documentVector("PayloadHeader", payloadHeaders[0]!),
      documentVector("ReceiptsFile", receipts),
      documentVector("ScreeningFile", screening),
      documentVector("CheckpointManifest", nextManifest),
      documentVector("VerdictsFile", verdicts),
      documentVector("EpochInputs", inputs),
      documentVector("RevenueInputs", revenueInputs(modelId)),
      documentVector("RewardsFile", rewards),
      documentVector("EpochManifest", epochManifest),
      documentVector("ModelBundle", model.bundle),
    ],
    /** By checkpoint, by fragment. */
    shards: [initialShards, nextShards],
    /** What the digests of tokenizer and programs stand for, as UTF-8. */
    modelTexts,
    /** The model of checkpoint 1. */
    car: model.car,
    commitment,
  };
}
