import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { FormatError } from "../../../offchain/src/storage/index.ts";
import type { Tensor } from "../../../offchain/src/storage/safetensors.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensorsFiles.ts";

/** A file from a header text and a number of data bytes, as a hostile writer would make it. */
function file(header: unknown, dataBytes: number, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + dataBytes);
  new DataView(out.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  out.set(text, 8);
  return out;
}
const entry = (shape: unknown, begin: unknown, end: unknown, dtype: unknown = "F32"): unknown => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const full = (list: readonly Tensor[]): Tensor[] => list.filter(({ values }) => values.length > 0);

describe("safetensors", () => {
  it("round-trips tensors of any shape, in order, with metadata", () => {
    const random = createRandom("safetensors");
    for (let run = 0; run < 50; run++) {
      const tensors: Tensor[] = Array.from({ length: random.below(6) }, (_, i) => {
        const shape = Array.from({ length: random.below(4) }, () => random.below(5));
        const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
        return { name: random.pick(["w", "1", "ä", '"', "__proto__"]) + i, shape, values };
      });
      const metadata = run % 2 === 0 ? {} : { format: "test", ä: "ö" };
      const bytes = encodeSafetensors(tensors, metadata);
      const decoded = decodeSafetensors(bytes);
      // Empty tensors have no place of their own, so only the order of the others is kept.
      expect(full(decoded.tensors)).toEqual(full(tensors));
      expect(decoded.tensors).toHaveLength(tensors.length);
      expect(decoded.metadata).toEqual(metadata);
    }
  });

  it("writes the documented layout with data aligned to 8 bytes", () => {
    const bytes = encodeSafetensors([{ name: "a", shape: [2], values: new Float32Array([1, -2]) }]);
    const header = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  ';
    expect(Buffer.from(bytes).toString("latin1", 0, 8)).toBe("\x38\0\0\0\0\0\0\0");
    expect(Buffer.from(bytes).toString("utf8", 8, 64)).toBe(header);
    expect(Buffer.from(bytes).toString("hex", 64)).toBe("0000803f000000c0");
  });

  it.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array(0)],
    ["half a length", new Uint8Array(7)],
    ["a header longer than the file", file("{}", 0, 3n)],
    ["a header of 2^63 bytes", file("{}", 0, 1n << 63n)],
    ["a header beyond the limit", file("{}", 0, 16_777_217n)],
    ["no JSON", file("{a", 0)],
    ["JSON that is no object", file("[]", 0)],
    ["a header that begins with a space", file(" {}", 0)],
    ["bytes that are not UTF-8", file("{}", 0).with(8, 0x7b).with(9, 0xff)],
    ["trailing bytes", file({ a: entry([1], 0, 4) }, 5)],
    ["missing bytes", file({ a: entry([1], 0, 4) }, 3)],
    ["a hole", file({ a: entry([1], 4, 8) }, 8)],
    ["an overlap", file({ a: entry([2], 0, 8), b: entry([1], 4, 8) }, 8)],
    ["the same bytes twice", file({ a: entry([1], 0, 4), b: entry([1], 0, 4) }, 4)],
    ["another dtype", file({ a: entry([1], 0, 8, "F64") }, 8)],
    ["offsets that do not fit the shape", file({ a: entry([2], 0, 4) }, 4)],
    ["offsets backwards", file({ a: entry([1], 4, 0) }, 4)],
    ["negative offsets", file({ a: entry([1], -4, 0) }, 4)],
    ["a fractional offset", file({ a: entry([1], 0.5, 4.5) }, 4)],
    ["a negative shape", file({ a: entry([-1, -1], 0, 4) }, 4)],
    ["a shape whose product overflows", file({ a: entry([2 ** 32, 2 ** 32], 0, 0) }, 0)],
    ["a shape whose product in bytes overflows 64 bits to 0", file({ a: entry([2 ** 31, 2 ** 31], 0, 0) }, 0)],
    ["too many dimensions", file({ a: entry([1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 4) }, 4)],
    ["a shape that is text", file({ a: entry("1", 0, 4) }, 4)],
    ["three offsets", file({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4, 4] } }, 4)],
    ["an unknown field", file({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4], x: 1 } }, 4)],
    ["an entry that is no object", file({ a: null }, 0)],
    ["metadata that is no text", file({ __metadata__: { a: 1 } }, 0)],
  ])("refuses %s", (_, bytes) => {
    expect(() => decodeSafetensors(bytes)).toThrow(FormatError);
  });

  it("never fails otherwise on damaged files", () => {
    const random = createRandom("damage");
    const good = encodeSafetensors(
      [
        { name: "a", shape: [2, 2], values: new Float32Array(4) },
        { name: "b", shape: [3], values: new Float32Array(3) },
      ],
      { k: "v" },
    );
    const failures: unknown[] = [];
    for (let run = 0; run < 3000; run++) {
      const bad = good.slice(0, random.below(3) === 0 ? random.below(good.length) : good.length);
      for (let i = random.below(3); i >= 0 && bad.length > 0; i--) bad[random.below(bad.length)] = random.below(256);
      try {
        decodeSafetensors(bad);
      } catch (error) {
        if (!(error instanceof FormatError)) failures.push(error);
      }
    }
    expect(failures).toEqual([]);
  });

  it("does not write what it would not read", () => {
    const one = new Float32Array(1);
    expect(() => encodeSafetensors([{ name: "a", shape: [2], values: one }])).toThrow(/has 1 values/);
    expect(() => encodeSafetensors([{ name: "__metadata__", shape: [1], values: one }])).toThrow(/not allowed/);
    const twice = { name: "a", shape: [1], values: one };
    expect(() => encodeSafetensors([twice, twice])).toThrow(/twice/);
  });
});
