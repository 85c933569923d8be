/** Sequences of tokens by index, out of verified shards, and the batches that assignments stand for. */
import { asDigest, type Assignment, type DataManifest, type PositionRange } from "@cotrain/sdk/protocol";

import { InternalError, uint16Of } from "../base/index.ts";
import type { BlobReader } from "../storage/index.ts";
import { DataError } from "./errors.ts";
import { createDataOrder } from "./permutation.ts";

/** Shards kept in memory, bytes. */
const CACHE_BYTES = 64 << 20;

/** One split cut into sequences: sequence i is the S + 1 tokens from token i · S, so that neighbours share one token. */
export interface Sequences {
  /** S, tokens predicted per sequence. */
  readonly sequence: number;
  /** How many whole sequences there are. */
  readonly count: number;
  /**
   * Token ids of sequences.
   * @param indices each from 0 to count − 1, [B]
   * @returns [B, S + 1] row-major
   * @throws like `batch`
   */
  tokens(indices: readonly number[]): Promise<Uint16Array<ArrayBuffer>>;
  /**
   * Token ids of sequences, as the engine's programs take them.
   * @param indices each from 0 to count − 1, [B]
   * @returns [B, S + 1] row-major, int64
   * @throws BlobError; DataError `DATA_INVALID` when a shard is not what the manifest says
   */
  batch(indices: readonly number[]): Promise<BigInt64Array<ArrayBuffer>>;
}

/** Number of whole sequences of S + 1 tokens with stride S. */
export function sequenceCount(tokens: number, sequence: number): number {
  return Math.max(0, Math.floor((tokens - 1) / sequence));
}

/** Shards of a split by index, fetched and verified when first needed; those used last stay in memory. */
function shardsOf(
  reader: BlobReader,
  { vocabulary }: DataManifest,
  shards: DataManifest["train"]["shards"],
  shardTokens: number,
): (index: number) => Promise<Uint16Array> {
  const load = async (index: number): Promise<Uint16Array> => {
    const shard = shards[index];
    if (!shard) throw new DataError("DATA_INVALID", `The data manifest names ${shards.length} shards, none ${index}.`);
    const ids = uint16Of(await reader.get(asDigest(shard.digest), shard.tokens * 2));
    if (ids.length !== shard.tokens || ids.some((id) => id >= vocabulary)) {
      throw new DataError(
        "DATA_INVALID",
        `Shard ${shard.digest} does not hold ${shard.tokens} tokens of the vocabulary.`,
      );
    }
    return ids;
  };
  /** Least recently used first. */
  const cache = new Map<number, Promise<Uint16Array>>();
  const capacity = Math.max(2, Math.floor(CACHE_BYTES / (shardTokens * 2)));
  return (index) => {
    const cached = cache.get(index);
    const shard = cached ?? load(index);
    cache.delete(index);
    cache.set(index, shard);
    // A failure must not be remembered: the next read may find the shard.
    if (!cached) shard.catch(() => cache.get(index) === shard && cache.delete(index));
    for (const oldest of cache.keys()) {
      if (cache.size <= capacity) break;
      cache.delete(oldest);
    }
    return shard;
  };
}

/**
 * Opens a split for reading; shards are fetched and verified when first needed.
 * @param reader where shards come from; a read-through store fetches what is missing
 * @param sequence S
 * @throws DataError `DATA_TOO_SHORT` when the split holds no whole sequence
 */
export function openSequences(
  reader: BlobReader,
  manifest: DataManifest,
  split: "train" | "heldOut",
  sequence: number,
): Sequences {
  const { tokens, shards } = manifest[split];
  const shardTokens = shards[0]?.tokens ?? 1;
  const count = sequenceCount(tokens, sequence);
  if (count === 0) {
    throw new DataError(
      "DATA_TOO_SHORT",
      `The ${split === "train" ? "training" : "held-out"} split has ${tokens} tokens; a sequence takes ${sequence + 1}.`,
    );
  }

  const shardOf = shardsOf(reader, manifest, shards, shardTokens);
  const tokensOf = async (indices: readonly number[]): Promise<Uint16Array<ArrayBuffer>> => {
    const width = sequence + 1;
    const out = new Uint16Array(indices.length * width);
    for (const [row, index] of indices.entries()) {
      if (!Number.isSafeInteger(index) || index < 0 || index >= count) {
        throw new InternalError("SEQUENCE_UNKNOWN", `There is no sequence ${index}; the split has ${count}.`);
      }
      const first = index * sequence;
      for (let done = 0; done < width;) {
        const ids = await shardOf(Math.floor((first + done) / shardTokens));
        const offset = (first + done) % shardTokens;
        const part = ids.subarray(offset, offset + width - done);
        // Shards that are shorter than the first would never fill the row.
        if (part.length === 0)
          throw new DataError("DATA_INVALID", `A shard ends before token ${first + done}, which the manifest counts.`);
        out.set(part, row * width + done);
        done += part.length;
      }
    }
    return out;
  };

  return {
    sequence,
    count,
    tokens: tokensOf,
    batch: async (indices) => BigInt64Array.from(await tokensOf(indices), (id) => BigInt(id)),
  };
}

/** Whether the positions of a range can be counted: 2^53 + 1 is no number. What is published may say anything. */
export const isCountable = ({ start, count }: PositionRange): boolean => start + count <= Number.MAX_SAFE_INTEGER;

/** Positions `from` … `from + count − 1` of ranges laid end to end. */
export function positionsOf(ranges: readonly PositionRange[], from: number, count: number): number[] {
  const out: number[] = [];
  let skip = from;
  for (const range of ranges) {
    for (let i = Math.min(skip, range.count); i < range.count && out.length < count; i++) out.push(range.start + i);
    skip = Math.max(0, skip - range.count);
  }
  if (out.length < count) {
    throw new InternalError("POSITIONS_EXHAUSTED", `The ranges hold fewer than ${from + count} positions.`);
  }
  return out;
}

/** Batches of an assignment. */
export interface Batches {
  /**
   * What inner step `step` trains on.
   * @param step 0 … steps − 1
   * @returns [batch, S + 1] row-major, int64
   */
  at(step: number): Promise<BigInt64Array<ArrayBuffer>>;
  /** The same as `at`, 16 bits a token. */
  tokensAt(step: number): Promise<Uint16Array<ArrayBuffer>>;
  /** The sequence indices of that step, [batch]. */
  indicesAt(step: number): number[];
}

/**
 * The batches of an assignment: step s takes the positions s · batch … (s + 1) · batch − 1 of its ranges, each through
 * the data order of its pass.
 * @param train the training split, opened with the assignment's sequence length
 */
export function batchesOf(
  train: Sequences,
  assignment: Pick<Assignment, "ranges" | "steps" | "batch" | "seed" | "sequence">,
): Batches {
  if (assignment.sequence !== train.sequence) {
    throw new InternalError(
      "SEQUENCE_MISMATCH",
      `The assignment has sequences of ${assignment.sequence} tokens, the data is cut at ${train.sequence}.`,
    );
  }
  const order = createDataOrder(assignment.seed, train.count);
  const indicesAt = (step: number): number[] => {
    if (!Number.isSafeInteger(step) || step < 0 || step >= assignment.steps) {
      throw new InternalError("STEP_UNKNOWN", `There is no step ${step} in an assignment of ${assignment.steps}.`);
    }
    return positionsOf(assignment.ranges, step * assignment.batch, assignment.batch).map(order);
  };
  return {
    indicesAt,
    at: (step) => train.batch(indicesAt(step)),
    tokensAt: (step) => train.tokens(indicesAt(step)),
  };
}
