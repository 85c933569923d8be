/**
 * Seeded randomness that is the same on every machine: xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/),
 * its 128-bit state taken little-endian from the first 16 bytes of SHA-256(seed). Not for keys.
 */
import { createHash } from "node:crypto";

import { InternalError } from "./errors.ts";

/** A stream of random numbers that its seed determines. */
export interface Random {
  /** Uniform in 0 … 2^32 − 1. */
  uint32(): number;
  /** Uniform integer in 0 … bound − 1 without bias (rejection); 1 ≤ bound ≤ 2^53 − 1. */
  below(bound: number): number;
  /** Uniform in [0, 1) with 53 bits. */
  float(): number;
  /** Standard normal deviate by Marsaglia's polar method. Uses Math.log, so its last bits are those of the JS engine. */
  normal(): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** Fisher–Yates in place; returns the same array. */
  shuffle<T>(items: T[]): T[];
  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** An independent stream named by `label`; depends on this stream's seed alone, not on how far it was read. */
  split(label: string): Random;
}

/**
 * Makes a random stream.
 * @param seed any text (or integer, by its decimal digits) or bytes; equal seeds give equal streams
 */
export function createRandom(seed: string | number | bigint | Uint8Array): Random {
  const digest = createHash("sha256")
    .update(seed instanceof Uint8Array ? seed : String(seed))
    .digest();
  let s0 = digest.readUInt32LE(0);
  let s1 = digest.readUInt32LE(4);
  let s2 = digest.readUInt32LE(8);
  let s3 = digest.readUInt32LE(12);
  let spare: number | undefined;

  const uint32 = (): number => {
    const scrambled = Math.imul(s1, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = (s3 << 11) | (s3 >>> 21);
    return result;
  };
  /** 53 uniform bits as an integer. */
  const uint53 = (): number => (uint32() >>> 5) * 0x4000000 + (uint32() >>> 6);

  const random: Random = {
    uint32,
    below: (bound) => {
      if (!Number.isSafeInteger(bound) || bound < 1) {
        throw new InternalError("RANDOM_BOUND", `A random bound must be an integer from 1 to 2^53 − 1, not ${bound}.`);
      }
      const [range, draw] = bound <= 0x100000000 ? [0x100000000, uint32] : [Number.MAX_SAFE_INTEGER + 1, uint53];
      const limit = range - (range % bound);
      let value = draw();
      while (value >= limit) value = draw();
      return value % bound;
    },
    float: () => uint53() / 0x20000000000000,
    normal: () => {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      for (;;) {
        const u = 2 * random.float() - 1;
        const v = 2 * random.float() - 1;
        const s = u * u + v * v;
        if (s > 0 && s < 1) {
          const scale = Math.sqrt((-2 * Math.log(s)) / s);
          spare = v * scale;
          return u * scale;
        }
      }
    },
    bytes: (length) => {
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i += 4) {
        let word = uint32();
        for (let j = i; j < Math.min(i + 4, length); j++) {
          out[j] = word & 0xff;
          word >>>= 8;
        }
      }
      return out;
    },
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = random.below(i + 1);
        const swapped = items[i]!;
        items[i] = items[j]!;
        items[j] = swapped;
      }
      return items;
    },
    pick: (items) => items[random.below(items.length)]!,
    split: (label) => createRandom(createHash("sha256").update(digest).update(label).digest()),
  };
  return random;
}
