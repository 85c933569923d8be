/**
 * What is read of documents, for both implementations to say the same of: texts that are canonical JSON or not, ranges of positions, tokens of a round, and
 * rounds of which workers were given the same sequences in positions of different passes, or others.
 */
import { canonicalJson, digestOfJson, asRunId, type PositionRange, type ReceiptsFile } from "@cotrain/sdk/protocol";

import { parseCanonicalJson } from "../../offchain/src/base/index.ts";
import { createDataOrder, isCountable, permutationOf } from "../../offchain/src/data/index.ts";
import { canBeWeighed } from "../../offchain/src/diloco/index.ts";
import { sharer } from "../../offchain/src/run/index.ts";

export const seed = asRunId(digestOfJson("a run whose data are shared"));

/** Texts, and whether each is canonical JSON. */
export const texts: readonly (readonly [text: string, canonical: boolean])[] = [
  ['{"a":1,"b":[2.5,"é",null]}', true],
  ['{"10":0,"9":0}', true],
  ['{"b":0,"a":0}', false],
  ['{"9":0,"10":0}', false],
  ['{"a":{"c":0,"b":0}}', false],
  ['{"a": 1}', false],
  ['{"a":1}\n', false],
  ['\ufeff{"a":1}', false],
  ['{"a":1,"a":1}', false],
  ['{"a":9,"a":1.0}', false],
  ['{"a":1.0}', false],
  ['{"a":1e0}', false],
  ['{"a":-0}', false],
  ['{"a":"\\u0061"}', false],
  ['{"a":"\\/"}', false],
  ['{"a":"\\ud800"}', false],
  ['{"a":"\\\\ud800"}', true],
  ['{"a":"\\u001f\\n"}', true],
  ['{"a":"\\u000a"}', false],
];

/** Levels of lists in each other, and whether such a text is a document. */
export const levels: readonly (readonly [count: number, read: boolean])[] = [
  [32, true],
  [33, false],
  [1_800, false],
  [1 << 17, false],
];
export const inLevels = (count: number): string => "[".repeat(count) + "]".repeat(count);

/** The range's first position and how many there are, and whether these can be counted. */
export const ranges: readonly (readonly [start: number, count: number, countable: boolean])[] = [
  [0, 2 ** 53 - 1, true],
  [2 ** 53 - 9, 8, true],
  [2 ** 53 - 8, 8, false],
  [2 ** 53 - 2, 8, false],
  [2 ** 53 - 1, 2 ** 53 - 1, false],
];

/** Tokens of a round, and whether these can be weighed. */
export const tokens: readonly (readonly [tokens: bigint, weighable: boolean])[] = [
  [0n, true],
  [2n ** 53n - 1n, true],
  [2n ** 53n, false],
  [2n ** 62n, false],
];

/** A worker's positions: one step of them. */
export interface Work {
  readonly worker: `0x${string}`;
  readonly ranges: readonly PositionRange[];
}

export const worker = (index: number): Work["worker"] => `0x${index.toString(16).padStart(40, "0")}`;

/** The positions of another pass that stand for the sequences of these, out of `n`. */
export function inPass(positions: readonly number[], pass: number, n: number): PositionRange[] {
  const order = createDataOrder(seed, n);
  const permute = permutationOf(seed, pass, n);
  const at = new Map(Array.from({ length: n }, (_, i) => [permute(i), i]));
  return positions.map((position) => ({ start: pass * n + (at.get(order(position)) ?? 0), count: 1 }));
}

const first = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Rounds, with who was given another's sequences: sizes stand on both sides of what chance explains. */
export const rounds: readonly { name: string; n: number; works: readonly Work[]; sharer: string | null }[] = [
  {
    name: "the same positions of one pass apart",
    n: 1_000,
    works: [0, 1, 2].map((i) => ({ worker: worker(i), ranges: [{ start: 100 * i, count: 100 }] })),
    sharer: null,
  },
  ...(
    [
      ["all, of 64 a worker", 4_096, 64, 64, true],
      ["32 of 64, which makes 192 bits", 4_096, 64, 32, true],
      ["31 of 64, which makes 186 bits", 4_096, 64, 31, false],
      ["all, of too few for chance to tell", 4_096, 8, 8, false],
      ["all, of more than a quarter of the data", 1_000, 300, 300, false],
    ] as const
  ).map(([name, n, size, shared, refused]) => ({
    name,
    n,
    works: [
      { worker: worker(1), ranges: [{ start: 0, count: size }] },
      {
        worker: worker(2),
        ranges: [
          ...inPass(first(shared), 3, n),
          ...(shared < size ? inPass(first(2 * size).slice(size + shared), 3, n) : []),
        ],
      },
    ],
    sharer: refused ? worker(1) : null,
  })),
  {
    name: "a few steps of the data of one who has more",
    n: 4_096,
    works: [
      { worker: worker(1), ranges: [{ start: 0, count: 128 }] },
      { worker: worker(2), ranges: inPass(first(64), 2, 4_096) },
    ],
    sharer: worker(2),
  },
  {
    // What the first has twice is what it has: eleven sequences shared make 121 bits, of 160 that are due; counted twice it would be 242.
    name: "a few of the data of one whose positions stand for each of its sequences twice",
    n: 4_096,
    works: [
      { worker: worker(1), ranges: [{ start: 0, count: 32 }, ...inPass(first(32), 1, 4_096)] },
      { worker: worker(2), ranges: [...inPass(first(20), 2, 4_096), ...inPass(first(100).slice(68), 2, 4_096)] },
    ],
    sharer: null,
  },
  {
    name: "the last positions that can be counted",
    n: 1_000,
    works: [
      { worker: worker(1), ranges: [{ start: 0, count: 8 }] },
      { worker: worker(2), ranges: [{ start: 2 ** 53 - 9, count: 8 }] },
    ],
    sharer: null,
  },
];

/** A receipts file of such a round, as far as its data are concerned. */
export const receiptsOf = (works: readonly Work[]): Pick<ReceiptsFile, "receipts"> => ({
  receipts: works.map((work) => ({
    receipt: { worker: work.worker, steps: 1 },
    assignment: { ranges: work.ranges, batch: work.ranges.reduce((sum, { count }) => sum + count, 0) },
  })) as never,
});

function isCanonical(text: string): boolean {
  try {
    parseCanonicalJson(new TextEncoder().encode(text), text.length * 4, "a text");
    return true;
  } catch {
    return false;
  }
}

/** The cases, with what the product says of them. */
export const readingCases = async (): Promise<string> =>
  canonicalJson({
    seed,
    texts: [...texts.map(([text]) => text), ...levels.map(([count]) => inLevels(count))].map((text) => ({
      bytes: Buffer.from(text).toString("base64"),
      canonical: isCanonical(text),
    })),
    ranges: ranges.map(([start, count]) => ({ start, count, countable: isCountable({ start, count }) })),
    tokens: tokens.map(([count]) => ({ count: String(count), weighable: canBeWeighed(count) })),
    rounds: await Promise.all(
      rounds.map(async ({ n, works }) => ({ n, works, sharer: (await sharer(receiptsOf(works), seed, n)) ?? null })),
    ),
  });
