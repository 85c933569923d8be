/**
 * Every JSON document that is published and hashed: schema and type in one. A document's digest is sha256 of its canonical
 * JSON; integers are safe JSON numbers, wide integers decimal strings, hashes and addresses lower-case hex.
 */
import { type Static, type TSchema, Type } from "typebox";
import { Check, Errors } from "typebox/schema";
import { ProtocolError } from "../baseErrors.ts";
import {
  Address20,
  closed,
  Count,
  Decimal,
  Hash32,
  Name,
  Signature65,
  Uint16,
  Uint32,
  Uint8,
  Version1,
} from "./fields.ts";
import { MAX_FRAGMENTS, MAX_TENSORS } from "./limits.ts";
import { ScreeningRules } from "./screening.ts";

export const TensorEntrySchema = Type.Object(
  {
    name: Name,
    shape: Type.Array(Type.Integer({ minimum: 1, maximum: 0xffff_ffff }), { maxItems: 8 }),
    fragment: Uint16,
  },
  closed,
);

const Beta = Type.Number({ minimum: 0, exclusiveMaximum: 1 });
const decayAndClipping = { weightDecay: Type.Number({ minimum: 0 }), clipNorm: Type.Number({ exclusiveMinimum: 0 }) };
const adamConstants = {
  beta1: Beta,
  beta2: Beta,
  epsilon: Type.Number({ exclusiveMinimum: 0 }),
  ...decayAndClipping,
};
const InnerOptimizer = Type.Union([
  Type.Object({ kind: Type.Literal("adamw"), ...adamConstants }, closed),
  Type.Object({ kind: Type.Literal("sgd"), momentum: Beta, nesterov: Type.Boolean(), ...decayAndClipping }, closed),
  /** AdamW's constants are of what is no hidden matrix. */
  Type.Object({ kind: Type.Literal("muon"), momentum: Beta, ...adamConstants }, closed),
]);

/** Steps of warm-up, for the run and for a fresh optimizer. */
const warmup = { warmupSteps: Uint32, freshWarmupSteps: Uint32 };
/** The run's inner steps after which the rate stays at this part of its peak. */
const end = {
  steps: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }),
  floor: Type.Number({ minimum: 0, maximum: 1 }),
};
const Schedule = Type.Union([
  Type.Object({ kind: Type.Literal("warmup-constant"), ...warmup }, closed),
  Type.Object({ kind: Type.Literal("cosine"), ...warmup, ...end }, closed),
  /** Constant until its last steps, in which it falls. */
  Type.Object(
    {
      kind: Type.Literal("warmup-stable-decay"),
      ...warmup,
      ...end,
      decaySteps: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }),
    },
    closed,
  ),
]);

/** What is trained: independent of machines and of the chain. Its digest stands in RunRegistry. */
export const Definition = Type.Object(
  {
    version: Version1,
    /** The engine's model configuration; the protocol does not look into it. */
    model: Type.Record(
      Type.String({ maxLength: 64 }),
      Type.Union([Type.String({ maxLength: 200 }), Type.Number(), Type.Boolean()]),
    ),
    tokenizer: Hash32,
    data: Hash32,
    innerOptimizer: InnerOptimizer,
    /** Shape of the inner learning rate; its size is RunParams.innerLrPpb. */
    schedule: Schedule,
    sequence: Type.Integer({ minimum: 2, maximum: 1 << 20 }),
    table: Type.Array(TensorEntrySchema, { minItems: 1, maxItems: MAX_TENSORS }),
    /** sha256 of the canonical JSON list of checkpoint 0's shard digests, by fragment. */
    initialParameters: Hash32,
    screening: ScreeningRules,
  },
  closed,
);
export type Definition = Static<typeof Definition>;

/** How a definition is computed on a class of machines; exact replay is within one. Graphs are blobs by digest. */
export const Build = Type.Object(
  {
    version: Version1,
    definition: Hash32,
    graphs: Type.Object({ step: Hash32, eval: Hash32, logits: Hash32 }, closed),
    microBatch: Type.Integer({ minimum: 1, maximum: 1 << 20 }),
    /** Micro-batches of one inner step, 1 where it is absent. */
    accumulation: Type.Optional(Type.Integer({ minimum: 2, maximum: 1 << 10 })),
    /** Of the step's products of matrices; all else is fp32. */
    precision: Type.Union([Type.Literal("fp32"), Type.Literal("fp16")]),
    runtime: Name,
    deviceClass: Name,
    /** Inner steps between two states that a commitment holds, at most; 0: the round's start and end alone. */
    segmentSteps: Type.Integer({ minimum: 0, maximum: 1 << 20 }),
    /** State digest after 3 steps from fixed inputs, computed on the organiser's machine. */
    conformance: Hash32,
  },
  closed,
);
export type Build = Static<typeof Build>;

/** Sequences of one inner step. */
export const batchOf = ({ microBatch, accumulation = 1 }: Pick<Build, "microBatch" | "accumulation">): number =>
  microBatch * accumulation;

/** Token ids of a shard at most, 32 MiB: whoever reads a sequence holds the shards that it lies in. */
export const MAX_SHARD_TOKENS = 16_777_216;
export const DataShard = Type.Object(
  { digest: Hash32, tokens: Type.Integer({ minimum: 1, maximum: MAX_SHARD_TOKENS }), bytes: Count },
  closed,
);
export type DataShard = Static<typeof DataShard>;
const DataSplit = Type.Object(
  {
    /** Token ids in all shards. */
    tokens: Count,
    /** UTF-8 bytes of the text they stand for: bits/byte = nats per token ÷ ln 2 × tokens ÷ bytes. */
    bytes: Count,
    shards: Type.Array(DataShard, { maxItems: 8_192 }),
  },
  closed,
);

/** A tokenized corpus: shards of uint16 little-endian token ids. */
export const DataManifest = Type.Object(
  {
    version: Version1,
    source: Type.String({ maxLength: 500 }),
    tokenizer: Hash32,
    vocabulary: Type.Integer({ minimum: 2, maximum: 65_536 }),
    train: DataSplit,
    heldOut: DataSplit,
  },
  closed,
);
export type DataManifest = Static<typeof DataManifest>;

/** `count` consecutive positions of the ledger; data's epoch = ⌊position ÷ sequences⌋, permuted within it from the run's seed. */
export const PositionRange = Type.Object(
  { start: Count, count: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) },
  closed,
);
export type PositionRange = Static<typeof PositionRange>;

/** What one worker does in one round. Its digest stands in the receipt. */
export const Assignment = Type.Object(
  {
    version: Version1,
    runId: Hash32,
    round: Count,
    worker: Address20,
    assignmentId: Count,
    attempt: Uint32,
    /** Inner steps H_i, sequences per step, tokens per sequence: steps × batch = Σ count of ranges. */
    steps: Uint32,
    batch: Uint32,
    sequence: Uint32,
    ranges: Type.Array(PositionRange, { minItems: 1, maxItems: 1_024 }),
    seed: Hash32,
    /** Digest of the checkpoint that holds θ_r. */
    base: Hash32,
    paramsVersion: Uint32,
    /** Inner steps of the run before this round: the schedule's clock. */
    globalStep: Count,
    innerLrPpb: Uint32,
    codec: Uint8,
  },
  closed,
);
export type Assignment = Static<typeof Assignment>;

/** Bytes [offset, offset + bytes) of a shard and their sha256, so that a part can be fetched and verified alone. */
const ShardPart = Type.Object({ offset: Count, bytes: Count, digest: Hash32 }, closed);
export const CheckpointFragment = Type.Object(
  {
    index: Uint16,
    /** sha256 and length of the safetensors shard. */
    digest: Hash32,
    bytes: Count,
    /** The fragment's parameters in table order, fp32 little-endian, contiguous; then the outer optimizer's buffer likewise. */
    parameters: ShardPart,
    outer: ShardPart,
  },
  closed,
);
export type CheckpointFragment = Static<typeof CheckpointFragment>;

/** θ and outer state after `round` completed rounds. Its digest is the checkpointDigest of the head. */
export const CheckpointManifest = Type.Object(
  {
    version: Version1,
    runId: Hash32,
    /** Completed rounds. */
    round: Count,
    /** Inner steps of the run's schedule, and tokens trained, so far. */
    step: Count,
    tokens: Decimal,
    paramsVersion: Uint32,
    table: Hash32,
    parent: Type.Union([Hash32, Type.Null()]),
    /** Digest of the ReceiptsFile of the round that led here; null in checkpoint 0. */
    receipts: Type.Union([Hash32, Type.Null()]),
    /** Digest of the ScreeningFile of that round; null in checkpoint 0 alone. */
    screening: Type.Union([Hash32, Type.Null()]),
    fragments: Type.Array(CheckpointFragment, { minItems: 1, maxItems: MAX_FRAGMENTS }),
  },
  closed,
);
export type CheckpointManifest = Static<typeof CheckpointManifest>;

/** Head of a worker's payload in one round; its sha256 is the receipt's payloadDigest. Fragments are blobs by digest. */
export const PayloadHeader = Type.Object(
  {
    version: Version1,
    runId: Hash32,
    round: Count,
    worker: Address20,
    codec: Uint8,
    table: Hash32,
    fragments: Type.Array(
      Type.Object({ index: Uint16, base: Hash32, elements: Count, bytes: Count, digest: Hash32 }, closed),
      { minItems: 1, maxItems: MAX_FRAGMENTS },
    ),
  },
  closed,
);
export type PayloadHeader = Static<typeof PayloadHeader>;

const WireReceipt = Type.Object(
  {
    runId: Hash32,
    round: Decimal,
    worker: Address20,
    beneficiary: Address20,
    assignmentId: Decimal,
    attempt: Uint32,
    assignment: Hash32,
    steps: Uint32,
    paramsVersion: Uint32,
    build: Hash32,
    baseDigest: Hash32,
    commitment: Hash32,
    leaves: Uint32,
    payloadDigest: Hash32,
  },
  closed,
);
const WireAck = Type.Object(
  { runId: Hash32, round: Decimal, worker: Address20, receiptHash: Hash32, tokens: Decimal, acceptedAt: Decimal },
  closed,
);

/** All receipts of a round with their acknowledgements and outcomes, by ascending worker; leaves of the head's receiptsRoot. */
export const ReceiptsFile = Type.Object(
  {
    version: Version1,
    runId: Hash32,
    round: Count,
    receipts: Type.Array(
      Type.Object(
        {
          receipt: WireReceipt,
          signature: Signature65,
          ack: WireAck,
          ackSignature: Signature65,
          assignment: Assignment,
          tokens: Decimal,
          outcome: Uint16,
        },
        closed,
      ),
      { maxItems: 65_535 },
    ),
  },
  closed,
);
export type ReceiptsFile = Static<typeof ReceiptsFile>;

/** Addresses of the contracts a run lives in; the name is the contract's. */
export const ContractAddresses = Type.Object(
  {
    modelRegistry: Address20,
    runRegistry: Address20,
    checkpointRegistry: Address20,
    validatorSet: Address20,
    emission: Address20,
    computeRewards: Address20,
  },
  closed,
);
export type ContractAddresses = Static<typeof ContractAddresses>;

/** A blob that is named with its length, so that who fetches it knows when to stop. */
const BlobName = Type.Object({ digest: Hash32, bytes: Count }, closed);

/** Everything that is needed to use a checkpoint elsewhere, and where its run lives: root of a model's CAR. */
export const ModelBundle = Type.Object(
  {
    version: Version1,
    /** Where the checkpoint is anchored. */
    chainId: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    contracts: ContractAddresses,
    modelId: Hash32,
    runId: Hash32,
    /** Its CheckpointManifest, which names the shards. */
    checkpoint: BlobName,
    definition: BlobName,
    build: BlobName,
    tokenizer: BlobName,
    /** The build's graphs. */
    programs: Type.Object({ step: BlobName, eval: BlobName, logits: BlobName }, closed),
  },
  closed,
);
export type ModelBundle = Static<typeof ModelBundle>;

/**
 * Checks a document that came from outside.
 * @throws ProtocolError MALFORMED_DOCUMENT that names the place
 */
export function parseDocument<T extends TSchema>(what: string, schema: T, value: unknown): Static<T> {
  if (Check(schema, value)) return value;
  const [, [error]] = Errors(schema, value);
  throw new ProtocolError(
    "MALFORMED_DOCUMENT",
    `${what}${error?.instancePath ?? ""}: ${error?.message ?? "malformed"}.`,
  );
}
