/**
 * Codec 1, `int8-b256`: ⌈n/256⌉ fp32 little-endian scales, then n int8 (protocol.md, "Payload").
 *
 *     x = fround(Δ + e)          s = fround(absmax / 127)       s = 0 → all 0, else
 *     q = clamp(roundHalfEven(fround(x / s)), ±127)             e' = fround(x − fround(q · s))
 *
 * The loops calculate in doubles and round once per operation by `Math.fround` or by storing into a Float32Array. For
 * + − × ÷ on fp32 operands that equals fp32 arithmetic, since 53 ≥ 2 · 24 + 2 (Figueroa, "When is double rounding
 * innocuous?", 1995).
 */
import { float32Of, InternalError } from "../base/index.ts";
import type { Codec } from "./codec.ts";
import { PayloadError, requireLength } from "./payloadError.ts";

const BLOCK = 256;
/** Adding and taking away 1.5 · 2^52 rounds a double of small magnitude to an integer, ties to even. */
const ROUND = 6755399441055744;

/** Largest fp32 whose product with 127 is finite in fp32. */
const MAX_SCALE = 2.6793883890187504e36;

const blocksOf = (elements: number): number => Math.ceil(elements / BLOCK);

/** Views of scales and values of a run of blocks; scales checked. */
function open(parts: readonly Uint8Array[], start: number, count: number): { scales: Float32Array; values: Int8Array } {
  const [scaleBytes = new Uint8Array(0), valueBytes = new Uint8Array(0)] = parts;
  const blocks = blocksOf(count);
  requireLength(scaleBytes.byteLength + valueBytes.byteLength, blocks * 4 + count);
  requireLength(scaleBytes.byteLength, blocks * 4);
  const scales = float32Of(scaleBytes);
  for (let b = 0; b < blocks; b++) {
    const scale = scales[b]!;
    // Object.is tells −0, whose products would differ from +0 in their sign bit, from an honest 0.
    if (!(scale >= 0 && scale <= MAX_SCALE) || Object.is(scale, -0)) {
      const block = start / BLOCK + b;
      const shown = Object.is(scale, -0) ? "-0" : String(scale);
      throw new PayloadError(
        "PAYLOAD_SCALE",
        `Scale ${block} of the payload is ${shown}; allowed are 0 to ${MAX_SCALE}.`,
        {
          details: { block },
        },
      );
    }
  }
  return { scales, values: new Int8Array(valueBytes.buffer, valueBytes.byteOffset, valueBytes.byteLength) };
}

function refuseValue(values: Int8Array, start: number): never {
  const element = start + values.indexOf(-128);
  throw new PayloadError("PAYLOAD_VALUE", `Element ${element} of the payload is -128; -127 to 127 are allowed.`, {
    details: { element },
  });
}

export const int8b256: Codec = {
  label: "int8",
  block: BLOCK,
  encodedLength: (elements) => blocksOf(elements) * 4 + elements,
  encode: (delta, residual) => {
    const n = delta.length;
    const blocks = blocksOf(n);
    const bytes = new Uint8Array(blocks * 4 + n);
    const scales = new Float32Array(bytes.buffer, 0, blocks);
    const values = new Int8Array(bytes.buffer, blocks * 4, n);
    const nextResidual = new Float32Array(n);
    for (let b = 0, from = 0; b < blocks; b++, from += BLOCK) {
      const to = Math.min(from + BLOCK, n);
      let absmax = 0;
      for (let i = from; i < to; i++) {
        const x = Math.fround(residual ? delta[i]! + residual[i]! : delta[i]!);
        nextResidual[i] = x;
        // Math.max, unlike a comparison, keeps a NaN.
        absmax = Math.max(absmax, Math.abs(x));
      }
      const scale = Math.fround(absmax / 127);
      if (!(scale <= MAX_SCALE)) {
        throw new InternalError(
          "CODEC_NON_FINITE",
          `Block ${b} of the pseudo-gradient is not finite; training diverged.`,
        );
      }
      scales[b] = scale;
      if (scale === 0) continue;
      for (let i = from; i < to; i++) {
        const x = nextResidual[i]!;
        let q = Math.fround(x / scale) + ROUND - ROUND;
        q = q > 127 ? 127 : q < -127 ? -127 : q;
        values[i] = q;
        nextResidual[i] = x - Math.fround(q * scale);
      }
    }
    return { bytes, nextResidual };
  },
  slices: (elements, start, count) => [
    { offset: (start / BLOCK) * 4, length: blocksOf(count) * 4 },
    { offset: blocksOf(elements) * 4 + start, length: count },
  ],
  // Twice the same loop: a function for each number would make both slower.
  // jscpd:ignore-start
  decode: (parts, start, out) => {
    const n = out.length;
    const { scales, values } = open(parts, start, n);
    let low = 0;
    for (let b = 0, from = 0; from < n; b++, from += BLOCK) {
      const scale = scales[b]!;
      const to = Math.min(from + BLOCK, n);
      for (let i = from; i < to; i++) {
        const q = values[i]!;
        if (q < low) low = q;
        out[i] = q * scale;
      }
    }
    if (low === -128) refuseValue(values, start);
  },
  add: (parts, start, weight, acc) => {
    const n = acc.length;
    const { scales, values } = open(parts, start, n);
    let low = 0;
    for (let b = 0, from = 0; from < n; b++, from += BLOCK) {
      const scale = scales[b]!;
      const to = Math.min(from + BLOCK, n);
      for (let i = from; i < to; i++) {
        const q = values[i]!;
        if (q < low) low = q;
        acc[i] = acc[i]! + Math.fround(weight * Math.fround(q * scale));
      }
    }
    if (low === -128) refuseValue(values, start);
  },
  // jscpd:ignore-end
};
