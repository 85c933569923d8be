/** What a screening measures of a fragment: its norm and its sketch. */
import { littleEndian } from "./encodings.ts";

/** Murmur3's finaliser over 32-bit words, in integers. */
function mixed(word: bigint): bigint {
  const mask = 0xffff_ffffn;
  const multiplied = (value: bigint, factor: bigint): bigint => (value * factor) & mask;
  const once = multiplied(word ^ (word >> 16n), 0x85eb_ca6bn);
  const twice = multiplied(once ^ (once >> 13n), 0xc2b2_ae35n);
  return twice ^ (twice >> 16n);
}

/** Bits of the nearest fp32, and back. */
export const bitsOf = (value: number): number => littleEndian.fp32([value]).readUInt32LE();
export function numberOf(bits: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(bits);
  return bytes.readFloatLE();
}

/** The nearest integer, ties to even. */
function halfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** A fragment's norm as the bits of an fp32, and its sketch as signed bytes. */
export function measured(values: readonly number[], fragment: number): { norm: number; sketch: string } {
  const low = 0xffff_ffffn;
  const sums = Array.from({ length: 128 }, () => 0);
  for (const [i, value] of values.entries()) {
    const [block, j] = [BigInt(i) / 256n, BigInt(i) % 256n];
    const place = mixed((0x9e37_79b1n * block + 0x85eb_ca77n * BigInt(fragment) + 0x1656_67b1n) & low);
    const signs = mixed(place ^ ((0x27d4_eb2fn * (1n + j / 32n)) & low));
    const negative = (signs >> (j % 32n)) & 1n;
    sums[Number((j ^ place) % 128n)]! += negative === 1n ? -value : value;
  }
  const scale = Math.max(...sums.map(Math.abs)) / 127;
  return {
    norm: bitsOf(Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))),
    sketch: Buffer.from(sums.map((sum) => halfEven(sum / scale) & 255)).toString("base64"),
  };
}

