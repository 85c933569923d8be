/**
 * Aggregates the payloads of one fragment by a rule, chunk by chunk. Memory is that of a chunk and of what the rule
 * declares, which is bounded whatever the number of workers: the more arrays it needs, the shorter its chunks.
 */
import { InternalError } from "../base/index.ts";
import type { Aggregator, Chunk } from "./aggregator.ts";
import type { Codec } from "./codec.ts";
import { CHUNK_ELEMENTS, type ChunkSource, readSlices, type SliceMemory } from "./payload.ts";
import { requireLength } from "./payloadError.ts";

/** A payload and how much of it counts. */
export interface WeightedPayload {
  readonly source: ChunkSource;
  /** fp32. */
  readonly weight: number;
  /** What the pseudo-gradient is multiplied by, fp32; 1 = all of it. */
  readonly clip: number;
}

interface AggregateInput<Plan> {
  readonly aggregator: Aggregator<Plan>;
  readonly codec: Codec;
  /** In ascending order of address. */
  readonly payloads: readonly WeightedPayload[];
  readonly elements: number;
  /** Elements per chunk at most, a multiple of the codec's block. */
  readonly chunkElements?: number | undefined;
}

/** The aggregate of a chunk; the array is used again for the next. */
interface Aggregated {
  readonly start: number;
  readonly gradient: Float32Array;
}

/** Numbers that a rule's rows have together, 16 MiB; of more rows than fit a block of each. */
const LENT_ELEMENTS = 16 * CHUNK_ELEMENTS;
const MAX_PLAN_BYTES = 64 << 20;

/** Chunks as long as the rows have room, in whole blocks. */
function chunkLength({ block }: Codec, rows: number, most: number): number {
  if (rows * most <= LENT_ELEMENTS) return most;
  return Math.min(most, Math.max(block, Math.floor(LENT_ELEMENTS / rows / block) * block));
}

/**
 * @yields the aggregate of one chunk after the other
 * @throws PayloadError when a payload is malformed; what `source.read` throws
 */
export async function* aggregate<Plan>(input: AggregateInput<Plan>): AsyncGenerator<Aggregated> {
  const { aggregator, codec, payloads, elements, chunkElements = CHUNK_ELEMENTS } = input;
  const { needs } = aggregator;
  if (chunkElements < 1 || chunkElements % codec.block !== 0)
    throw new InternalError("REDUCE_INVALID", `Chunks of ${chunkElements} for a codec of blocks of ${codec.block}.`);
  const planBytes = needs.planBytes(payloads.length);
  if (planBytes > MAX_PLAN_BYTES)
    throw new InternalError(
      "AGGREGATOR_MEMORY",
      `A plan for ${payloads.length} payloads takes ${planBytes} bytes; ${MAX_PLAN_BYTES} are allowed.`,
    );
  for (const { source } of payloads) requireLength(source.length, codec.encodedLength(elements));

  const rows = needs.rows(payloads.length);
  const length = Math.min(elements, chunkLength(codec, rows, chunkElements));
  const lent = Array.from({ length: rows }, () => new Float32Array(length));
  const memory: SliceMemory = [];
  let busy = false;
  /** Reads a chunk of one payload; its bytes are overwritten by those of the next. */
  const read = async (
    payload: number,
    [start, count]: readonly [number, number],
    use: (parts: readonly Uint8Array[], clip: number) => void,
  ): Promise<void> => {
    if (busy) throw new InternalError("AGGREGATOR_OVERLAP", "An aggregator reads two payloads at once.");
    busy = true;
    const { source, clip } = payloads[payload]!;
    use(await readSlices(codec, source, elements, start, count, memory), clip);
    busy = false;
  };
  const chunkAt = (start: number): Chunk => {
    const count = Math.min(length, elements - start);
    return {
      start,
      length: count,
      rows: count === length ? lent : lent.map((row) => row.subarray(0, count)),
      add: (payload, weight, acc) =>
        read(payload, [start, count], (parts, clip) =>
          codec.add(parts, start, clip === 1 ? weight : Math.fround(weight * clip), acc),
        ),
      decode: (payload, out) =>
        read(payload, [start, count], (parts, clip) => {
          codec.decode(parts, start, out);
          if (clip !== 1) for (let i = 0; i < out.length; i++) out[i] = clip * out[i]!;
        }),
    };
  };
  function* chunks(): Generator<Chunk> {
    for (let start = 0; start < elements; start += length) yield chunkAt(start);
  }

  let left = needs.passes - 1;
  const pass = (): Generator<Chunk> => {
    if (left-- < 1)
      throw new InternalError(
        "AGGREGATOR_PASSES",
        `A plan goes over the payloads more than ${needs.passes - 1} times.`,
      );
    return chunks();
  };
  const plan = await aggregator.plan({ weights: payloads.map(({ weight }) => weight), elements, pass });
  const space = new Float32Array(length);
  for (const chunk of chunks()) {
    const gradient = space.subarray(0, chunk.length).fill(0);
    await aggregator.reduce(plan, chunk, gradient);
    yield { start: chunk.start, gradient };
  }
}
