import { readFileSync } from "node:fs";

import { codecCode } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { bytesOf, createRandom, float32Of, type Random } from "../../../offchain/src/base/index.ts";
import { codecOf, inspectPayload, PayloadError, sourceOf } from "../../../offchain/src/diloco/index.ts";
import { decodePayload, encodePayload } from "./payloads.ts";
import { decodeInt8, encodeInt8 } from "./reference.ts";
import { buildVectors, type DilocoVectors, toHex, vectorsPath } from "./vectors.ts";

const INT8 = codecCode["int8-b256"];
const FP32 = codecCode.fp32;

const floats = (hex: string): Float32Array => float32Of(new Uint8Array(Buffer.from(hex, "hex")));
const vectors: DilocoVectors = JSON.parse(readFileSync(vectorsPath, "utf8"));

/** Values of very different size, some of them 0. */
function values(random: Random, n: number): Float32Array<ArrayBuffer> {
  const size = 10 ** (random.below(30) - 20);
  return Float32Array.from({ length: n }, () => (random.below(10) === 0 ? 0 : random.normal() * size));
}

describe("vectors", () => {
  it("are what the reference writes", () => {
    expect(vectors).toEqual(buildVectors());
  });

  it.each(vectors.int8b256)("int8-b256: $name", ({ delta, residual, payload, nextResidual, decoded }) => {
    const encoded = encodePayload(INT8, floats(delta), floats(residual));
    expect(Buffer.from(encoded.bytes).toString("hex")).toBe(payload);
    // To the last bit, the sign of a zero included: residuals are hashed.
    expect(toHex(encoded.nextResidual)).toBe(nextResidual);
    expect(toHex(decodePayload(INT8, encoded.bytes, delta.length / 8))).toBe(decoded);
  });
});

describe("int8-b256", () => {
  it("agrees with exact arithmetic on random fragments", () => {
    const random = createRandom("int8 against reference");
    for (let run = 0; run < 30; run++) {
      const n = random.below(600);
      const delta = values(random, n);
      const residual = values(random, n);
      const expected = encodeInt8([...delta], [...residual]);
      const encoded = encodePayload(INT8, delta, residual);
      expect(encoded.bytes).toEqual(expected.bytes);
      expect([...encoded.nextResidual]).toEqual(expected.nextResidual);
      expect([...decodePayload(INT8, encoded.bytes, n)]).toEqual(decodeInt8(expected.bytes, n));
    }
  });

  it("loses at most half a step, and the residual is what was lost", () => {
    const random = createRandom("int8 error");
    for (let run = 0; run < 50; run++) {
      const delta = values(random, 1 + random.below(2000));
      const { bytes, nextResidual } = encodePayload(INT8, delta);
      const decoded = decodePayload(INT8, bytes, delta.length);
      const scales = new Float32Array(bytes.buffer, 0, Math.ceil(delta.length / 256));
      for (let i = 0; i < delta.length; i++) {
        expect(Math.fround(delta[i]! - decoded[i]!)).toBe(nextResidual[i]! + 0);
        expect(Math.abs(nextResidual[i]!)).toBeLessThanOrEqual(scales[i >> 8]! * 0.50001);
      }
    }
  });

  it("with error feedback sends everything in the long run", () => {
    const delta = Float32Array.from({ length: 256 }, (_, i) => (i === 0 ? 1 : 1e-3));
    let residual: Float32Array | undefined;
    let sent = 0;
    for (let round = 0; round < 400; round++) {
      const encoded = encodePayload(INT8, delta, residual);
      residual = encoded.nextResidual;
      sent += decodePayload(INT8, encoded.bytes, 256)[7]!;
    }
    // Without feedback 1e-3 is always rounded to 0, being below half a step of 1/127.
    expect(decodePayload(INT8, encodePayload(INT8, delta).bytes, 256)[7]).toBe(0);
    expect(Math.abs(sent - 0.4)).toBeLessThan(1 / 127);
  });

  it("does not change its inputs", () => {
    const delta = new Float32Array([1, 2, 3]);
    const residual = new Float32Array([0.1, 0.2, 0.3]);
    encodePayload(INT8, delta, residual);
    expect(delta).toEqual(new Float32Array([1, 2, 3]));
    expect(residual).toEqual(new Float32Array([0.1, 0.2, 0.3]));
  });

  it.each([Number.NaN, Infinity, -Infinity, 3.4e38])("does not encode %s", (bad) => {
    const delta = new Float32Array(300);
    delta[280] = bad;
    expect(() => encodePayload(INT8, delta, new Float32Array(300).fill(bad === 3.4e38 ? 1e37 : 0))).toThrow(
      expect.objectContaining({ code: "CODEC_NON_FINITE" }),
    );
  });

  it.each([
    ["NaN", Number.NaN],
    ["Infinity", Infinity],
    ["a negative", -1e-3],
    ["minus zero", -0],
    ["one whose products overflow", 3e36],
  ])("refuses %s scale", (_, scale) => {
    const { bytes } = encodePayload(INT8, new Float32Array(600).fill(1));
    new DataView(bytes.buffer).setFloat32(4, scale, true);
    expect(() => decodePayload(INT8, bytes, 600)).toThrow(PayloadError);
    expect(() => decodePayload(INT8, bytes, 600)).toThrow(
      expect.objectContaining({ code: "PAYLOAD_SCALE", details: { block: 1 } }),
    );
  });

  it("refuses -128", () => {
    const { bytes } = encodePayload(INT8, new Float32Array(600).fill(1));
    new DataView(bytes.buffer).setInt8(12 + 599, -128);
    expect(() => decodePayload(INT8, bytes, 600)).toThrow(
      expect.objectContaining({ code: "PAYLOAD_VALUE", details: { element: 599 } }),
    );
  });
});

describe("fp32", () => {
  it("round-trips every finite value", () => {
    const random = createRandom("fp32");
    const bits = new Uint32Array(2000).map(() => random.uint32());
    const delta = new Float32Array(bits.buffer).filter((x) => Number.isFinite(x));
    const { bytes, nextResidual } = encodePayload(FP32, delta);
    expect(bytesOf(decodePayload(FP32, bytes, delta.length))).toEqual(bytesOf(delta));
    expect(nextResidual).toEqual(new Float32Array(delta.length));
  });

  it.each([Number.NaN, Infinity, -Infinity])("refuses %s", (bad) => {
    const values = new Float32Array([1, 2, bad]);
    expect(() => decodePayload(FP32, bytesOf(values), 3)).toThrow(
      expect.objectContaining({ code: "PAYLOAD_VALUE", details: { element: 2 } }),
    );
    expect(() => encodePayload(FP32, values)).toThrow(expect.objectContaining({ code: "CODEC_NON_FINITE" }));
  });
});

describe("any codec", () => {
  it.each([FP32, INT8])("%s refuses one byte more or less", async (code) => {
    const { bytes } = encodePayload(code, new Float32Array(300).fill(1));
    expect(bytes.length).toBe(codecOf(code).encodedLength(300));
    for (const wrong of [bytes.subarray(1), new Uint8Array(bytes.length + 1), new Uint8Array(0)]) {
      await expect(inspectPayload(code, sourceOf(wrong), 300)).rejects.toMatchObject({ code: "PAYLOAD_LENGTH" });
    }
  });

  it("refuses a number that is no codec", () => {
    expect(() => codecOf(99)).toThrow("Codec 99 is not known here; allowed are 0 (fp32) and 1 (int8-b256).");
  });

  it.each([FP32, INT8])("%s decodes random bytes to finite values or refuses them, never anything else", (code) => {
    const random = createRandom(`fuzz ${code}`);
    const outcomes = { finite: 0, refused: 0, other: 0 };
    for (let run = 0; run < 2000; run++) {
      const n = random.below(20);
      const bytes = random.bytes(codecOf(code).encodedLength(n));
      try {
        const finite = decodePayload(code, bytes, n).every((value) => Number.isFinite(value));
        outcomes[finite ? "finite" : "other"]++;
      } catch (error) {
        outcomes[error instanceof PayloadError ? "refused" : "other"]++;
      }
    }
    expect(outcomes.other).toBe(0);
    expect(outcomes.finite).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(50);
  });

  it.each([FP32, INT8])("%s tells norm, maximum and how many are not 0", async (code) => {
    const delta = new Float32Array(300_000);
    delta[5] = 3;
    delta[299_999] = -4;
    const { bytes } = encodePayload(code, delta);
    const statistics = await inspectPayload(code, sourceOf(bytes), 300_000);
    expect(statistics.nonZero).toBe(2);
    expect(statistics.norm).toBeCloseTo(5, 5);
    expect(statistics.maximum).toBeCloseTo(4, 5);
    await expect(inspectPayload(code, sourceOf(bytes), 299_999)).rejects.toBeInstanceOf(PayloadError);
  });
});
