/** Where reducing reads from: anything that can give a slice of a payload. Spooled files, blobs, bytes in memory. */
import { type Codec, codecOf } from "./codec.ts";
import { requireLength } from "./payloadError.ts";

/** Random access to bytes of a known length. */
export interface ChunkSource {
  readonly length: number;
  /** Exactly `length` bytes from `offset`. The result may be a view that is valid until the next read. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

/** Bytes in memory as a source. */
export function sourceOf(bytes: Uint8Array): ChunkSource {
  return { length: bytes.byteLength, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** Elements per chunk: 1 MiB of fp32, a multiple of every codec's block. */
export const CHUNK_ELEMENTS = 262_144;

/** Memory for one chunk's slices, used again for the next: what is read in passing must leave nothing to be collected. */
export type SliceMemory = Uint8Array<ArrayBuffer>[];

/**
 * Reads the slices of a run of blocks. Copies them, since a source may reuse its buffer.
 * @returns views of `memory`, or of the source's where there is but one
 */
export async function readSlices(
  codec: Codec,
  source: ChunkSource,
  elements: number,
  start: number,
  count: number,
  memory: SliceMemory,
): Promise<Uint8Array[]> {
  const slices = codec.slices(elements, start, count);
  const parts: Uint8Array[] = [];
  for (const [index, { offset, length }] of slices.entries()) {
    const part = await source.read(offset, length);
    requireLength(part.byteLength, length);
    if (slices.length === 1) return [part];
    const kept = memory[index];
    const space = kept && kept.length >= length ? kept : (memory[index] = new Uint8Array(length));
    space.set(part);
    parts.push(space.subarray(0, length));
  }
  return parts;
}

/**
 * Decodes a whole payload once, in chunks of {@link CHUNK_ELEMENTS}, keeping nothing.
 * @yields elements from `start` on, in an array that is used again for the next
 * @throws PayloadError for what no honest encoder writes
 */
export async function* decodedChunks(
  code: number,
  source: ChunkSource,
  elements: number,
): AsyncGenerator<{ readonly start: number; readonly values: Float32Array }> {
  const codec = codecOf(code);
  requireLength(source.length, codec.encodedLength(elements));
  const chunk = new Float32Array(Math.min(CHUNK_ELEMENTS, elements));
  const memory: SliceMemory = [];
  for (let start = 0; start < elements; start += CHUNK_ELEMENTS) {
    const values = chunk.subarray(0, Math.min(CHUNK_ELEMENTS, elements - start));
    codec.decode(await readSlices(codec, source, elements, start, values.length, memory), start, values);
    yield { start, values };
  }
}

/** What a first pass over a payload tells. */
export interface PayloadStatistics {
  /** Euclidean norm of the decoded pseudo-gradient, summed in doubles in element order. */
  readonly norm: number;
  /** Largest absolute value. */
  readonly maximum: number;
  /** How many elements are not 0. */
  readonly nonZero: number;
}

/**
 * Reads a whole payload once: is it well formed and finite, and how large is it.
 * @throws PayloadError for what no honest encoder writes
 */
export async function inspectPayload(code: number, source: ChunkSource, elements: number): Promise<PayloadStatistics> {
  let squares = 0;
  let maximum = 0;
  let nonZero = 0;
  for await (const { values } of decodedChunks(code, source, elements)) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      squares += value * value;
      if (value !== 0) nonZero++;
      const abs = value < 0 ? -value : value;
      if (abs > maximum) maximum = abs;
    }
  }
  return { norm: Math.sqrt(squares), maximum, nonZero };
}

/** A run of blocks of a fragment's pseudo-gradient. */
interface BlockRun {
  /** Elements of the fragment. */
  readonly elements: number;
  /** First element of the run, a multiple of the codec's block. */
  readonly start: number;
  readonly delta: Float32Array;
  /** Error feedback of the run; absent = zeros. */
  readonly residual: Float32Array | undefined;
}

/**
 * Encodes a run of blocks to where the fragment's payload keeps them. All runs together are what encoding it whole is,
 * since codecs work block by block.
 * @param payload [codec.encodedLength(elements)]
 * @returns the next residual of the run
 */
export function encodeInto(
  payload: Uint8Array,
  codec: Codec,
  { elements, start, delta, residual }: BlockRun,
): Float32Array<ArrayBuffer> {
  const { bytes, nextResidual } = codec.encode(delta, residual);
  const places = codec.slices(elements, start, delta.length);
  for (const [i, { offset, length }] of codec.slices(delta.length, 0, delta.length).entries())
    payload.set(bytes.subarray(offset, offset + length), places[i]?.offset ?? 0);
  return nextResidual;
}
