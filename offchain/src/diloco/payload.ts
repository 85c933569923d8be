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
 * Decodes a whole payload once, in chunks, keeping nothing: is it well formed and finite, and how large is it.
 * @throws PayloadError for what no honest encoder writes
 */
export async function inspectPayload(code: number, source: ChunkSource, elements: number): Promise<PayloadStatistics> {
  const codec = codecOf(code);
  requireLength(source.length, codec.encodedLength(elements));
  const chunk = new Float32Array(Math.min(CHUNK_ELEMENTS, elements));
  const memory: SliceMemory = [];
  let squares = 0;
  let maximum = 0;
  let nonZero = 0;
  for (let start = 0; start < elements; start += CHUNK_ELEMENTS) {
    const out = chunk.subarray(0, Math.min(CHUNK_ELEMENTS, elements - start));
    codec.decodeSlices(await readSlices(codec, source, elements, start, out.length, memory), start, out);
    for (let i = 0; i < out.length; i++) {
      const value = out[i]!;
      squares += value * value;
      if (value !== 0) nonZero++;
      const abs = value < 0 ? -value : value;
      if (abs > maximum) maximum = abs;
    }
  }
  return { norm: Math.sqrt(squares), maximum, nonZero };
}

/**
 * Encodes one fragment's pseudo-gradient.
 * @see Codec.encode
 */
export function encodePayload(code: number, delta: Float32Array, residual?: Float32Array): ReturnType<Codec["encode"]> {
  return codecOf(code).encode(delta, residual);
}

/**
 * Decodes a whole payload.
 * @returns pseudo-gradient, [elements]
 * @throws PayloadError for what no honest encoder writes
 */
export function decodePayload(code: number, bytes: Uint8Array, elements: number): Float32Array<ArrayBuffer> {
  const codec = codecOf(code);
  requireLength(bytes.byteLength, codec.encodedLength(elements));
  const out = new Float32Array(elements);
  const parts = codec
    .slices(elements, 0, elements)
    .map(({ offset, length }) => bytes.subarray(offset, offset + length));
  codec.decodeSlices(parts, 0, out);
  return out;
}
