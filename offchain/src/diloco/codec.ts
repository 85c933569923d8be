/**
 * Encodings of pseudo-gradients. A codec works on one fragment's elements in table order, in blocks of `block` elements,
 * and can read any run of blocks alone, so that reducing needs slices and never a whole payload: no row needs memory
 * beyond what it is handed. Decoders treat bytes as hostile.
 */
import { codecCode } from "@cotrain/sdk/protocol";

import { fp32 } from "./fp32.ts";
import { int8b256 } from "./int8.ts";
import { tableOf } from "./kinds.ts";

/** A slice of a payload in bytes. */
interface Slice {
  readonly offset: number;
  readonly length: number;
}

/** An encoding of fp32 pseudo-gradients. */
export interface Codec {
  /** For people: "int8". */
  readonly label: string;
  /** Elements per block; slices start at multiples of it. Divides CHUNK_ELEMENTS. */
  readonly block: number;
  /** Exact length in bytes of a payload of `elements`. */
  encodedLength(elements: number): number;
  /**
   * Encodes x = fround(delta + residual) and says what was lost.
   * @param delta pseudo-gradient, [n]
   * @param residual error feedback of the round before, [n]; absent = zeros. Neither input is changed.
   * @returns payload bytes and the next residual, [n]
   * @throws InternalError `CODEC_NON_FINITE` when the fragment has an infinity or NaN
   */
  encode(delta: Float32Array, residual?: Float32Array): Encoded;
  /** Which slices of a payload of `elements` hold the elements [start, start + count); start is a multiple of `block`. */
  slices(elements: number, start: number, count: number): Slice[];
  /**
   * Decodes the slices named by {@link slices} into `out`, [count].
   * @param start index of the first element in the fragment, for errors
   * @throws PayloadError for what no honest encoder writes
   */
  decode(parts: readonly Uint8Array[], start: number, out: Float32Array): void;
  /** Like `decode`, then acc[i] = fround(acc[i] + fround(weight · d[i])), without the array between. */
  add(parts: readonly Uint8Array[], start: number, weight: number, acc: Float32Array): void;
}

interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly nextResidual: Float32Array<ArrayBuffer>;
}

/**
 * The codec of a number in RunParams.
 * @throws UserError `CODEC_UNKNOWN`
 */
export const codecOf: (code: number) => Codec = tableOf({ name: "Codec", error: "CODEC_UNKNOWN" }, codecCode, {
  fp32,
  "int8-b256": int8b256,
});
