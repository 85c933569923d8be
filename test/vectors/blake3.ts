/** BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs) of one chunk: 1,024 bytes at most, enough here. */
const INITIAL = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const QUARTERS = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
] as const;
const BLOCK = 64;
const CHUNK = 1_024;
const CHUNK_START = 1;
const CHUNK_END = 2;
const ROOT = 8;

const rotated = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

function compress(chaining: readonly number[], block: readonly number[], length: number, flags: number): number[] {
  const v = Uint32Array.from([...chaining, ...INITIAL.slice(0, 4), 0, 0, length, flags]);
  let words = block;
  for (let round = 0; round < 7; round++) {
    for (const [i, [a, b, c, d]] of QUARTERS.entries()) {
      let [p, q, r, s] = [v[a]!, v[b]!, v[c]!, v[d]!];
      for (const [word, first, second] of [[words[2 * i]!, 16, 12], [words[2 * i + 1]!, 8, 7]] as const) {
        p = (p + q + word) | 0;
        s = rotated(s ^ p, first);
        r = (r + s) | 0;
        q = rotated(q ^ r, second);
      }
      [v[a], v[b], v[c], v[d]] = [p, q, r, s];
    }
    words = PERMUTATION.map((from) => words[from]!);
  }
  return Array.from({ length: 8 }, (_, i) => v[i]! ^ v[i + 8]!);
}

export function blake3(data: Buffer): string {
  if (data.length > CHUNK) throw new Error(`BLAKE3 of ${data.length} bytes, written here for ${CHUNK} at most.`);
  const blocks = Math.max(1, Math.ceil(data.length / BLOCK));
  let chaining = INITIAL;
  for (let i = 0; i < blocks; i++) {
    const part = data.subarray(i * BLOCK, (i + 1) * BLOCK);
    const padded = Buffer.concat([part, Buffer.alloc(BLOCK - part.length)]);
    const words = Array.from({ length: 16 }, (_, word) => padded.readUInt32LE(4 * word));
    const flags = (i === 0 ? CHUNK_START : 0) | (i === blocks - 1 ? CHUNK_END | ROOT : 0);
    chaining = compress(chaining, words, part.length, flags);
  }
  const out = Buffer.alloc(32);
  for (const [i, word] of chaining.entries()) out.writeInt32LE(word | 0, 4 * i);
  return `0x${out.toString("hex")}`;
}
