/**
 * What a payload's fragment looks like from outside: its norm, and a short random projection (count sketch) by which two
 * payloads are compared without reading either again. docs/protocol.md, "Screening", says both to the last bit.
 */
import { SKETCH_LENGTH } from "@cotrain/sdk/protocol";

import { fmix32 } from "../base/index.ts";
import { type ChunkSource, decodedChunks } from "./payload.ts";
import { PayloadError } from "./payloadError.ts";

/** Elements that share one permutation. */
const BLOCK = 256;

export interface Measured {
  /** Bits of the norm as fp32; never negative, so ordered as norms are. */
  readonly norm: number;
  /** {@link SKETCH_LENGTH} signed bytes in base64. */
  readonly sketch: string;
}

const word = new DataView(new ArrayBuffer(4));
/** The fp32 number that has these bits. */
export function fp32OfBits(bits: number): number {
  word.setUint32(0, bits);
  return word.getFloat32(0);
}
/** Bits of the nearest fp32. */
export function bitsOfFp32(value: number): number {
  word.setFloat32(0, value);
  return word.getUint32(0);
}

/** The projection of elements that begin at a block, added to `sums`. */
function project(values: Float32Array, firstBlock: number, fragment: number, sums: Float64Array): void {
  for (let from = 0, block = firstBlock; from < values.length; from += BLOCK, block++) {
    const place = fmix32((Math.imul(0x9e37_79b1, block) + Math.imul(0x85eb_ca77, fragment) + 0x1656_67b1) | 0);
    let signs = 0;
    const count = Math.min(BLOCK, values.length - from);
    for (let j = 0; j < count; j++) {
      // A sign of its own for each element of a block. Of two that share a place, as j and j + 128 do, one sign would show the sum
      // and hide the difference; of two that do not, it would make two places err alike.
      if ((j & 31) === 0) signs = fmix32(place ^ Math.imul(0x27d4_eb2f, 1 + (j >>> 5)));
      const value = values[from + j]!;
      const k = (j ^ place) & (SKETCH_LENGTH - 1);
      sums[k] = (signs >>> (j & 31)) & 1 ? sums[k]! - value : sums[k]! + value;
    }
  }
}

/** Adding and taking away 1.5 · 2^52 rounds a double of small magnitude to an integer, ties to even. */
const ROUND = 6755399441055744;

function sketchOf(sums: Float64Array): string {
  const most = sums.reduce((largest, sum) => Math.max(largest, Math.abs(sum)), 0);
  const scale = most / 127;
  const bytes = Int8Array.from(sums, (sum) => (most === 0 ? 0 : sum / scale + ROUND - ROUND));
  return btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
}

/** The signed bytes of a sketch. */
export function sketchBytes(sketch: string): Int8Array {
  return Int8Array.from(atob(sketch), (character) => character.charCodeAt(0));
}

const LARGEST_FP32 = 0x7f7f_ffff;

/** Bits of the norm of a fragment's parameters as fp32; those of the largest number where it is beyond. */
export function parametersNorm(values: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
  return Math.min(LARGEST_FP32, bitsOfFp32(Math.sqrt(squares)));
}

/**
 * Decodes a fragment once.
 * @throws PayloadError for what no honest encoder writes, and for a norm beyond fp32
 */
export async function measureFragment(
  code: number,
  source: ChunkSource,
  elements: number,
  fragment: number,
): Promise<Measured> {
  const sums = new Float64Array(SKETCH_LENGTH);
  let squares = 0;
  for await (const { start, values } of decodedChunks(code, source, elements)) {
    for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
    project(values, start / BLOCK, fragment, sums);
  }
  const norm = Math.fround(Math.sqrt(squares));
  if (!Number.isFinite(norm)) {
    throw new PayloadError("PAYLOAD_VALUE", `The norm of the payload's fragment ${fragment} is beyond fp32.`);
  }
  return { norm: bitsOfFp32(norm), sketch: sketchOf(sums) };
}
