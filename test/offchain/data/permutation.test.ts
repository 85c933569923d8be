import { createHash } from "node:crypto";

import { describe, expect, it } from "vitest";

import { createDataOrder, permutationOf } from "../../../offchain/src/data/index.ts";

const seed = `0x${"5a".repeat(32)}` as const;
const other = `0x${"5b".repeat(32)}` as const;

/** The permutation from its description, in BigInt arithmetic. */
function reference(pass: number, n: number): (index: number) => number {
  const le = Buffer.alloc(8);
  le.writeBigUInt64LE(BigInt(pass));
  const digest = createHash("sha256").update("cotrain data order").update(Buffer.alloc(32, 0x5a)).update(le).digest();
  const mask = 0xffffffffn;
  const fmix = (x: bigint): bigint => {
    let h = x;
    h = ((h ^ (h >> 16n)) * 0x85ebca6bn) & mask;
    h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) & mask;
    return h ^ (h >> 16n);
  };
  let h = 1n;
  while (1n << (2n * h) < BigInt(n)) h++;
  return (index) => {
    let value = BigInt(index);
    do {
      let [left, right] = [value >> h, value & ((1n << h) - 1n)];
      for (let i = 0; i < 8; i++) {
        const key = BigInt(digest.readUInt32LE(4 * i));
        [left, right] = [right, left ^ (fmix(right ^ key) & ((1n << h) - 1n))];
      }
      value = (left << h) | right;
    } while (value >= BigInt(n));
    return Number(value);
  };
}

const same = (a: number[], b: number[]): number => a.filter((value, i) => value === b[i]).length;

describe("data order", () => {
  it.each([1, 2, 3, 4, 5, 16, 17, 100, 255, 256, 257, 1000, 16_384, 20_000])("of %i sequences is a bijection", (n) => {
    for (const pass of [0, 1, 7]) {
      const permute = permutationOf(seed, pass, n);
      const seen = new Set(Array.from({ length: n }, (_, i) => permute(i)));
      expect(seen.size).toBe(n);
      expect(Math.max(...seen)).toBe(n - 1);
    }
  });

  it.each([7, 1000, 2 ** 31 + 5, 2 ** 40 + 1, 2 ** 52])("of %i sequences is as documented", (n) => {
    const permute = permutationOf(seed, 3, n);
    const expected = reference(3, n);
    for (let i = 0; i < 200; i++) {
      const index = Math.floor((i * n) / 200);
      expect(permute(index)).toBe(expected(index));
    }
  });

  it("differs by seed and pass, and leaves few neighbours together", () => {
    const n = 10_000;
    const orders = [permutationOf(seed, 0, n), permutationOf(seed, 1, n), permutationOf(other, 0, n)];
    const values = orders.map((permute) => Array.from({ length: n }, (_, i) => permute(i)));
    expect(same(values[0]!, values[1]!)).toBeLessThan(20);
    expect(same(values[0]!, values[2]!)).toBeLessThan(20);
    const neighbours = values[0]!.filter((value, i) => Math.abs(value - (values[0]![i + 1] ?? value)) === 1).length;
    expect(neighbours).toBeLessThan(20);
  });

  it("of positions begins anew with each pass", () => {
    const order = createDataOrder(seed, 10);
    const positions = [25, 3, 13, 9, 10, 29];
    expect(positions.map(order)).toEqual(positions.map((p) => permutationOf(seed, Math.floor(p / 10), 10)(p % 10)));
  });

  it.each([0, -1, 1.5, 2 ** 52 + 1])("refuses %s sequences", (n) => {
    expect(() => permutationOf(seed, 0, n)).toThrow(/no order/);
  });
});
