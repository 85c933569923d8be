/** Whole payloads in memory; the product encodes and decodes them run by run. */
import { codecOf } from "../../../offchain/src/diloco/index.ts";

/** Encodes one fragment's pseudo-gradient. */
export const encodePayload = (code: number, delta: Float32Array, residual?: Float32Array) =>
  codecOf(code).encode(delta, residual);

/** @returns pseudo-gradient, [elements] */
export function decodePayload(code: number, bytes: Uint8Array, elements: number): Float32Array<ArrayBuffer> {
  const codec = codecOf(code);
  const slices = codec.slices(elements, 0, elements);
  const out = new Float32Array(elements);
  codec.decode(
    slices.map(({ offset, length }) => bytes.subarray(offset, offset + length)),
    0,
    out,
  );
  return out;
}
