import { createHash } from "node:crypto";

import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";

/** xoshiro128** as the reference C code states it, in BigInt arithmetic. */
function reference(seed: string): () => number {
  const digest = createHash("sha256").update(seed).digest();
  const mask = 0xffffffffn;
  const s = [0, 4, 8, 12].map((at) => BigInt(digest.readUInt32LE(at)));
  const rotl = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
  return () => {
    const result = (rotl((s[1]! * 5n) & mask, 7n) * 9n) & mask;
    const t = (s[1]! << 9n) & mask;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotl(s[3]!, 11n);
    return Number(result);
  };
}

describe("random", () => {
  it("is xoshiro128** from the SHA-256 of its seed", () => {
    const random = createRandom("cotrain");
    const expected = reference("cotrain");
    for (let i = 0; i < 1000; i++) expect(random.uint32()).toBe(expected());
  });

  it("stays within bounds and reaches every value", () => {
    const random = createRandom(7);
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 60_000; i++) counts[random.below(6)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    for (let i = 0; i < 1000; i++) expect(random.below(2 ** 53 - 1)).toBeLessThan(2 ** 53 - 1);
    expect(random.below(1)).toBe(0);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53])("refuses the bound %s", (bound) => {
    expect(() => createRandom(0).below(bound)).toThrow(/random bound/);
  });

  it("splits into streams that do not depend on how far the parent was read", () => {
    const fresh = createRandom("seed");
    const used = createRandom("seed");
    used.bytes(1000);
    expect(used.split("a").uint32()).toBe(fresh.split("a").uint32());
    expect(fresh.split("a").uint32()).not.toBe(fresh.split("b").uint32());
  });

  it("shuffles every permutation of three equally often", () => {
    const random = createRandom("shuffle");
    const counts = new Map<string, number>();
    for (let i = 0; i < 12_000; i++) {
      const key = random.shuffle([1, 2, 3]).join("");
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });

  it("draws normal deviates of mean 0 and variance 1", () => {
    const random = createRandom("normal");
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < 100_000; i++) {
      const value = random.normal();
      sum += value;
      squares += value * value;
    }
    expect(Math.abs(sum / 100_000)).toBeLessThan(0.02);
    expect(Math.abs(squares / 100_000 - 1)).toBeLessThan(0.02);
  });
});
