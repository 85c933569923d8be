/** Codec 0: n little-endian fp32 values, nothing lost. */
import { bytesOf, float32Of, InternalError } from "../base/index.ts";
import type { Codec } from "./codec.ts";
import { PayloadError, requireLength } from "./payloadError.ts";

/** The numbers of one slice, each checked to be finite. */
function finiteValues(parts: readonly Uint8Array[], start: number, count: number): Float32Array {
  const bytes = parts[0] ?? new Uint8Array(0);
  requireLength(bytes.byteLength, count * 4);
  const values = float32Of(bytes);
  for (let i = 0; i < count; i++) {
    if (!Number.isFinite(values[i])) {
      throw new PayloadError(
        "PAYLOAD_VALUE",
        `Element ${start + i} of the payload is ${values[i]}; only finite values are allowed.`,
        {
          details: { element: start + i },
        },
      );
    }
  }
  return values;
}

export const fp32: Codec = {
  label: "fp32, uncompressed",
  block: 1,
  encodedLength: (elements) => elements * 4,
  encode: (delta, residual) => {
    const n = delta.length;
    const values = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      const x = residual ? delta[i]! + residual[i]! : delta[i]!;
      values[i] = x;
      if (!Number.isFinite(values[i])) {
        throw new InternalError(
          "CODEC_NON_FINITE",
          `Element ${i} of the pseudo-gradient is ${values[i]}; training diverged.`,
        );
      }
    }
    return { bytes: bytesOf(values), nextResidual: new Float32Array(n) };
  },
  slices: (_elements, start, count) => [{ offset: start * 4, length: count * 4 }],
  decode: (parts, start, out) => {
    out.set(finiteValues(parts, start, out.length));
  },
  add: (parts, start, weight, acc) => {
    const values = finiteValues(parts, start, acc.length);
    for (let i = 0; i < acc.length; i++) acc[i] = acc[i]! + Math.fround(weight * values[i]!);
  },
};
