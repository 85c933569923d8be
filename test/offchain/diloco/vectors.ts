/**
 * Vectors of the payload and reduce formats and of sketches. The file is written by references of the tests, never by the
 * code under test:
 *
 *     node --conditions=cotrain-source test/offchain/diloco/vectors.ts
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { measured } from "../../vectors/measured.ts";
import { decodeInt8, encodeInt8, pullsBy, reduce, weightsBy } from "./reference.ts";

/** Little-endian bytes as hex. */
type HexBytes = string;

export interface DilocoVectors {
  readonly about: string;
  readonly int8b256: readonly {
    readonly name: string;
    readonly delta: HexBytes;
    readonly residual: HexBytes;
    readonly payload: HexBytes;
    readonly nextResidual: HexBytes;
    readonly decoded: HexBytes;
  }[];
  readonly reduce: readonly {
    readonly name: string;
    readonly params: HexBytes;
    readonly buffer: HexBytes;
    readonly contributions: readonly { readonly worker: string; readonly tokens: number; readonly payload: HexBytes }[];
    readonly lrPpm: number;
    readonly momentumPpm: number;
    readonly nextParams: HexBytes;
    readonly nextBuffer: HexBytes;
  }[];
  /** In ascending order of address. */
  readonly weights: readonly {
    readonly name: string;
    readonly weighting: "tokens" | "uniform" | "normalised";
    readonly shares: readonly { readonly tokens: number; readonly steps: number }[];
    readonly weights: HexBytes;
    /** What they are in proportion to. */
    readonly pulls: readonly string[];
  }[];
  readonly sketches: readonly {
    readonly name: string;
    readonly fragment: number;
    readonly values: HexBytes;
    /** Bits of the fp32. */
    readonly norm: number;
    readonly sketch: string;
  }[];
}

export const vectorsPath = fileURLToPath(new URL("../../vectors/diloco.json", import.meta.url));

export const toHex = (values: Iterable<number>): HexBytes =>
  Buffer.from(new Float32Array(values).buffer).toString("hex");
const singles = (values: readonly number[]): number[] => [...new Float32Array(values)];

const zeros = (n: number): number[] => Array.from({ length: n }, () => 0);

export function buildVectors(): DilocoVectors {
  const random = createRandom("diloco vectors");
  const normal = (n: number, size: number): number[] =>
    singles(Array.from({ length: n }, () => random.normal() * size));
  const ties = [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5, 0.49999997, 3];
  const tiny = 2 ** -149;
  const encoded: [string, number[], number[]][] = [
    ["empty", [], []],
    ["one element", [0.3], [0]],
    ["ties go to even", ties, zeros(ties.length)],
    ["zeros", zeros(5), zeros(5)],
    ["signed zeros", [-0, 0, -0], [0, -0, -0]],
    ["subnormal scale rounds and clamps", singles([190 * tiny, -190 * tiny, 64 * tiny, tiny]), zeros(4)],
    ["scale underflows to 0, all goes to the residual", singles([63 * tiny, -tiny]), zeros(2)],
    ["residual cancels", normal(7, 1e-3), []],
    ["one block and one element", normal(257, 1e-2), normal(257, 1e-4)],
    [
      "three blocks of different size",
      [...normal(256, 1), ...normal(256, 1e-5), ...normal(44, 1e5)],
      normal(556, 1e-6),
    ],
    ["large values", singles([1e38, -3e38, 3.3e38]), zeros(3)],
  ];
  encoded[7]![2] = encoded[7]![1].map((value) => -value);

  const payloads = [normal(300, 1e-2), normal(300, 2e-2), normal(300, 1e-3)].map(
    (delta) => encodeInt8(delta, zeros(300)).bytes,
  );
  const workers = [
    "0xff00000000000000000000000000000000000001",
    "0x0a00000000000000000000000000000000000002",
    "0x9f00000000000000000000000000000000000003",
  ];
  const tokens = [65_536, 32_768, 50_001];
  const rounds: [string, number, number, number, number[]][] = [
    ["one worker, plain averaging", 1, 1_000_000, 0, zeros(300)],
    ["three workers, Nesterov from zeros", 3, 700_000, 900_000, zeros(300)],
    ["three workers, Nesterov with momentum", 3, 900_000, 500_000, normal(300, 1e-2)],
  ];
  const shared: [string, { tokens: number; steps: number }[]][] = [
    ["one alone", [{ tokens: 1_024, steps: 1 }]],
    ["as many steps each", [3, 3, 3].map((steps) => ({ tokens: 1_024 * steps, steps }))],
    ["at a twentieth of the speed", [36, 36, 1].map((steps) => ({ tokens: 1_024 * steps, steps }))],
    [
      "steps of different batches",
      [7, 48, 13].map((steps, i) => ({ tokens: [256, 1_024, 65_536][i]! * steps, steps })),
    ],
    ["many tokens", [4_096, 1].map((steps) => ({ tokens: 2 ** 38 * steps, steps }))],
  ];
  const sketched: [string, number, number][] = [
    ["a part of a block", 0, 77],
    ["one block", 3, 256],
    ["three blocks, the last of one half and a bit", 1, 645],
  ];
  return {
    about: "Little-endian bytes in hex; floats are fp32. Written by test/offchain/diloco/vectors.ts.",
    int8b256: encoded.map(([name, delta, residual]) => {
      const { bytes, nextResidual } = encodeInt8(delta, residual);
      return {
        name,
        delta: toHex(delta),
        residual: toHex(residual),
        payload: Buffer.from(bytes).toString("hex"),
        nextResidual: toHex(nextResidual),
        decoded: toHex(decodeInt8(bytes, delta.length)),
      };
    }),
    reduce: rounds.map(([name, count, lrPpm, momentumPpm, buffer]) => {
      const params = normal(300, 0.1);
      const shares = payloads.slice(0, count).map((payload, i) => ({
        worker: workers[i]!,
        tokens: tokens[i]!,
        delta: decodeInt8(payload, 300),
      }));
      const next = reduce(params, buffer, shares, lrPpm, momentumPpm);
      return {
        name,
        params: toHex(params),
        buffer: toHex(buffer),
        contributions: shares.map(({ worker, tokens }, i) => ({
          worker,
          tokens,
          payload: Buffer.from(payloads[i]!).toString("hex"),
        })),
        lrPpm,
        momentumPpm,
        nextParams: toHex(next.params),
        nextBuffer: toHex(next.buffer),
      };
    }),
    weights: shared.flatMap(([name, shares]) =>
      (["tokens", "uniform", "normalised"] as const).map((weighting) => ({
        name: `${name}, ${weighting}`,
        weighting,
        shares,
        weights: toHex(weightsBy(weighting, shares)),
        pulls: pullsBy(weighting, shares).map(String),
      })),
    ),
    sketches: sketched.map(([name, fragment, elements]) => {
      const values = normal(elements, 1e-2);
      return { name, fragment, values: toHex(values), ...measured(values, fragment) };
    }),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(vectorsPath, `${JSON.stringify(buildVectors(), null, 2)}\n`);
}
