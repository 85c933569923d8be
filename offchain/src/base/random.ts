/**
 * Seeded randomness that is the same on every machine: xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/),
 * its 128-bit state taken little-endian from the first 16 bytes of SHA-256(seed). Not for keys.
 */
import { utf8 } from "./bytes.ts";
import { InternalError } from "./errors.ts";
import { sha256Parts } from "./hash.ts";

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

/** The generator from a state of 16 bytes: uniform in 0 … 2^32 − 1. */
function xoshiro128(state: Uint8Array): () => number {
  const words = new DataView(state.buffer, state.byteOffset, 16);
  let s0 = words.getUint32(0, true);
  let s1 = words.getUint32(4, true);
  let s2 = words.getUint32(8, true);
  let s3 = words.getUint32(12, true);
  return () => {
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
}

/**
 * Makes a random stream.
 * @param seed any text (or integer, by its decimal digits) or bytes; equal seeds give equal streams
 */
export function createRandom(seed: string | number | bigint | Uint8Array): Random {
  const digest = sha256Parts(seed instanceof Uint8Array ? seed : utf8(String(seed)));
  const uint32 = xoshiro128(digest);
  let spare: number | undefined;
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
    split: (label) => createRandom(sha256Parts(digest, utf8(label))),
  };
  return random;
}
