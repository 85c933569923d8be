/**
 * The order in which a run reads its data: a bijection of 0 … n − 1 per pass over the data, computed point by point, so
 * that it takes no memory whatever n is, and anybody can compute it from the run's seed.
 *
 * Balanced Feistel network of 8 rounds on 2h bits, 2^(2h) ≥ n, with cycle-walking (Black and Rogaway, "Ciphers with
 * arbitrary finite domains", 2002): (L, R) → (R, L xor (fmix32(R xor k_i) mod 2^h)), repeated while the result is ≥ n.
 * fmix32 is MurmurHash3's finalizer; k_0 … k_7 are the little-endian words of
 * SHA-256("cotrain data order" ‖ seed, 32 bytes ‖ pass, uint64 little-endian). Shuffles data; hides nothing.
 */
import { bytesOf, bytesOfHex, fmix32, InternalError, sha256Parts, utf8 } from "../base/index.ts";

/** A bijection of 0 … n − 1. */
export type Permutation = (index: number) => number;

/**
 * The permutation of one pass over the data.
 * @param seed 32 bytes as hex, the assignment's `seed`
 * @param pass 0 for the first pass over the data
 * @param n number of sequences, from 1 to 2^52
 */
export function permutationOf(seed: `0x${string}`, pass: number, n: number): Permutation {
  if (!Number.isSafeInteger(n) || n < 1 || n > 2 ** 52 || !Number.isSafeInteger(pass) || pass < 0) {
    throw new InternalError("PERMUTATION_INVALID", `There is no order of ${n} sequences in pass ${pass}.`);
  }
  const digest = sha256Parts(utf8("cotrain data order"), bytesOfHex(seed), bytesOf(BigUint64Array.of(BigInt(pass))));
  const words = new DataView(digest.buffer, digest.byteOffset);
  const keys = Array.from({ length: 8 }, (_, i) => words.getUint32(i * 4, true));
  let half = 2;
  while (half * half < n) half *= 2;
  return (index) => {
    let value = index;
    do {
      let left = Math.floor(value / half);
      let right = value % half;
      for (const key of keys) {
        // `half` is at most 2^26, so both halves are 32-bit integers.
        const mixed = (left ^ (fmix32(right ^ key) % half)) >>> 0;
        left = right;
        right = mixed;
      }
      value = left * half + right;
    } while (value >= n);
    return value;
  };
}

/**
 * Turns positions of the ledger into sequence indices: the pass is ⌊position ÷ n⌋.
 * @param seed the assignment's seed
 * @param n number of sequences in the training split
 */
export function createDataOrder(seed: `0x${string}`, n: number): (position: number) => number {
  let pass = 0;
  let permute = permutationOf(seed, pass, n);
  return (position) => {
    const wanted = Math.floor(position / n);
    if (wanted !== pass) {
      permute = permutationOf(seed, wanted, n);
      pass = wanted;
    }
    return permute(position % n);
  };
}
