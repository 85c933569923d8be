/**
 * Reducing: from the accepted payloads of one fragment to its next parameters and outer state (protocol.md, "Reduce").
 * Coordinator and validators call the same function, so that they get the same bits. Memory is O(chunk) for payloads,
 * whatever the number of workers: one worker's slices are in memory at a time.
 */
import { InternalError } from "../base/index.ts";
import { codecOf } from "./codec.ts";
import { type OuterHyperparameters, outerOptimizerOf } from "./outerOptimizer.ts";
import { CHUNK_ELEMENTS, type ChunkSource, readSlices, type SliceMemory } from "./payload.ts";
import { requireLength } from "./payloadError.ts";
import { WHOLE_PPM } from "./screening.ts";
import { type Share, weigh } from "./weights.ts";

/** One worker's payload of one fragment. */
export interface Contribution extends Share {
  readonly source: ChunkSource;
  /** What the pseudo-gradient is multiplied by, millionths; absent = all of it. */
  readonly clipPpm?: number;
}

/** What the aggregate of one fragment is a function of. */
export interface ReduceInput {
  /** θ_r of the fragment, [n]. */
  readonly params: Float32Array;
  /** Outer optimizer's buffer before, [n]. */
  readonly buffer: Float32Array;
  /** Accepted payloads in any order. */
  readonly contributions: readonly Contribution[];
  /** Numbers of RunParams. */
  readonly codec: number;
  readonly outerOptimizer: number;
  readonly weighting: number;
  /** Outer learning rate and momentum of this round. */
  readonly outer: OuterHyperparameters;
  /** Elements per chunk, a multiple of 256; does not change the result. */
  readonly chunkElements?: number;
}

export interface Reduced {
  /** θ_{r+1} of the fragment, [n]. */
  readonly params: Float32Array<ArrayBuffer>;
  /** Outer optimizer's buffer after, [n]. */
  readonly buffer: Float32Array<ArrayBuffer>;
}

/** Weight of a payload: fround(w · fround(clipPpm ÷ 10⁶)) of one that is clipped. */
const clipped = (weight: number, clipPpm: number): number =>
  clipPpm < WHOLE_PPM ? Math.fround(weight * Math.fround(clipPpm / WHOLE_PPM)) : weight;

/**
 * Weighted mean in ascending order of address, acc = fround(acc + fround(w · d)), then one outer step; without contributions
 * no step, and an empty buffer. Inputs are not changed.
 * @throws PayloadError when a payload is malformed; what `source.read` throws
 */
export async function reduceFragment(input: ReduceInput): Promise<Reduced> {
  const n = input.params.length;
  // Nothing was fit: what the buffer drives at may be why, and without it the next round begins anew.
  if (input.contributions.length === 0) return { params: new Float32Array(input.params), buffer: new Float32Array(n) };
  const codec = codecOf(input.codec);
  const optimizer = outerOptimizerOf(input.outerOptimizer);
  const weighted = weigh(input.contributions, input.weighting).map(({ source, weight, clipPpm = WHOLE_PPM }) => ({
    source,
    weight: clipped(weight, clipPpm),
  }));
  const chunkElements = input.chunkElements ?? CHUNK_ELEMENTS;
  if (input.buffer.length !== n || chunkElements < 1 || chunkElements % codec.block !== 0) {
    throw new InternalError(
      "REDUCE_INVALID",
      `A buffer of ${input.buffer.length} for ${n} elements, chunks of ${chunkElements}.`,
    );
  }
  for (const { source } of weighted) requireLength(source.length, codec.encodedLength(n));

  const params = new Float32Array(input.params);
  const buffer = new Float32Array(input.buffer);
  const chunk = new Float32Array(Math.min(chunkElements, n));
  const memory: SliceMemory = [];
  for (let start = 0; start < n; start += chunkElements) {
    const end = Math.min(start + chunkElements, n);
    const gradient = chunk.subarray(0, end - start).fill(0);
    for (const { source, weight } of weighted) {
      const slices = await readSlices(codec, source, n, start, end - start, memory);
      codec.addSlices(slices, start, weight, gradient);
    }
    optimizer.update(params.subarray(start, end), buffer.subarray(start, end), gradient, input.outer);
  }
  return { params, buffer };
}
