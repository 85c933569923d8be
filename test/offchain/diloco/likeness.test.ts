/**
 * How far the sketches' cosine is from that of the payloads: the chance that honest work counts as a copy, or a copy as honest work.
 * Two sketches are 128 pairs of sums over so many elements with independent signs that the pairs are normal, with the payloads'
 * cosine ρ as correlation whatever the payloads' structure; the cosine r of the two follows from that alone. It does not hold where
 * few elements have most of the norm. docs/threat-model.md says the figures.
 */
import { readFileSync } from "node:fs";

import { createRandom, type Random } from "../../../offchain/src/base/index.ts";
import { measureFragment, sourceOf } from "../../../offchain/src/diloco/index.ts";
import { sketchBytes } from "../../../offchain/src/diloco/measure.ts";
import { defaultScreening, SKETCH_LENGTH } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { encodePayload } from "./payloads.ts";
import { type DilocoVectors, vectorsPath } from "./vectors.ts";

/** Density of atanh r up to a factor: that of a correlation of normal pairs whose means are known. */
function density(z: number, rho: number, pairs: number): number {
  const r = Math.tanh(z);
  let [term, series] = [1, 1];
  for (let k = 0; k < 60; k++) {
    term *= ((k + 0.5) ** 2 / (pairs + 0.5 + k) / (k + 1)) * ((1 + rho * r) / 2);
    series += term;
  }
  const power = 0.5 * pairs * Math.log1p(-rho * rho) + 0.5 * (pairs - 3) * Math.log1p(-r * r);
  return Math.exp(power - (pairs - 0.5) * Math.log1p(-rho * r)) * series * (1 - r * r);
}

/** A sum is rounded to a 127th of the largest, which is 2.75 times as large as they are in the mean: so much of a cosine is lost. */
const ROUNDING = (2.75 / 127) ** 2 / 12;

/** Chances that the sketches' cosine is at least, and less than, `bound`. */
function chances(bound: number, rho: number): { readonly hit: number; readonly miss: number } {
  const [middle, width, step] = [Math.atanh(rho), 3, 1e-4];
  let [hit, miss] = [0, 0];
  for (let z = middle - width; z < middle + width; z += step) {
    const part = density(z, rho * (1 - ROUNDING), SKETCH_LENGTH);
    if (z >= Math.atanh(bound)) hit += part;
    else miss += part;
  }
  return { hit: hit / (hit + miss), miss: miss / (hit + miss) };
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const adamW = defaultScreening.copyBps / 10_000;
const muon = 0.999;
/** Of a payload that is another's plus noise of this part of its norm. */
const noisy = (noise: number): number => 1 / Math.sqrt(1 + noise * noise);

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));

const sketchOf = async (values: Float32Array, fragment: number): Promise<Int8Array> => {
  const { bytes } = encodePayload(0, values);
  return sketchBytes((await measureFragment(0, sourceOf(bytes), values.length, fragment)).sketch);
};

/** Noise whose blocks of 256 elements repeat their first `period`, times `factor`. */
const noiseOf =
  (period = 256, factor = 1) =>
  (random: Random): Float32Array => {
    const values = new Float32Array(8_192);
    for (let i = 0; i < values.length; i++)
      values[i] = (i & 255) < period ? random.normal() : factor * values[i - period]!;
    return values;
  };
/** What two payloads have in common, and what one has more and the other less. */
const structures = [
  ["without structure", noiseOf(), noiseOf()],
  // In a matrix of 128 columns: each of them in two neighbouring rows.
  ["that are alike in sums of elements 128 apart alone", noiseOf(128), noiseOf(128, -1)],
  ["that repeat every 32 elements", noiseOf(32), noiseOf(32)],
] as const;

test.each(structures)(
  "sketches' cosines are spread as normal pairs' are about those of payloads %s",
  async (name, common, apart) => {
    const random = createRandom(`sketches of payloads ${name}`);
    const trials = 200;
    for (const rho of [0.5, 0.99]) {
      const found: number[] = [];
      for (let trial = 0; trial < trials; trial++) {
        const [same, other] = [common(random), apart(random)];
        const [x, y] = [1, -1].map((sign) =>
          same.map((value, i) => Math.sqrt((1 + rho) / 2) * value + sign * Math.sqrt((1 - rho) / 2) * other[i]!),
        ) as [Float32Array, Float32Array];
        const [one, two] = [await sketchOf(x, trial), await sketchOf(y, trial)];
        found.push(Math.atanh(cosine(one, two)) - Math.atanh(cosine(x, y)));
      }
      const mean = found.reduce((sum, z) => sum + z, 0) / trials;
      const spread = Math.sqrt(found.reduce((sum, z) => sum + (z - mean) ** 2, 0) / (trials - 1));
      const expected = 1 / Math.sqrt(SKETCH_LENGTH - 1);
      // Four standard errors of each.
      expect(Math.abs(mean - rho / (2 * SKETCH_LENGTH))).toBeLessThan((4 * expected) / Math.sqrt(trials));
      expect(Math.abs(spread / expected - 1)).toBeLessThan(4 / Math.sqrt(2 * trials));
    }
  },
  60_000,
);

test("honest work counts as a copy less than once in a hundred thousand runs, a copy of slight noise as honest about as rarely", () => {
  const { history } = defaultScreening;
  const members = 64;
  const perRound = (members * (members - 1)) / 2 + members * members * history;
  expect(perRound).toBe(34_784);
  const pairs = 1_000 * perRound;
  // The most alike of honest work: AdamW and Muon 0.95 of ordinary text, Muon 0.996 of few sentences said again and again.
  expect(pairs * chances(adamW, 0.95).hit).toBeLessThan(1e-24);
  expect(pairs * chances(adamW, 0.98).hit).toBeLessThan(1e-6);
  expect(pairs * chances(muon, 0.95).hit).toBeLessThan(1e-24);
  expect(pairs * chances(muon, 0.996).hit).toBeLessThan(2e-6);
  // A copy is held against its original; nearer to the bound than this the sketch decides by chance.
  expect(chances(adamW, noisy(0.05)).miss).toBeLessThan(1e-12);
  expect(chances(adamW, noisy(0.06)).miss).toBeLessThan(1e-7);
  expect(chances(adamW, noisy(0.08)).miss).toBeGreaterThan(1e-3);
  expect(chances(adamW, noisy(0.08)).miss).toBeLessThan(0.02);
  expect(chances(adamW, noisy(0.1)).miss).toBeCloseTo(0.5, 1);
  expect(chances(adamW, noisy(0.12)).miss).toBeGreaterThan(0.95);
  expect(chances(muon, noisy(0.025)).miss).toBeLessThan(1e-8);
});

const { sketches } = JSON.parse(readFileSync(vectorsPath, "utf8")) as DilocoVectors;
test.each(sketches)("$name has the norm and the sketch of the vectors", async ({ values, fragment, norm, sketch }) => {
  const bytes = Uint8Array.from(Buffer.from(values, "hex"));
  expect(await measureFragment(0, sourceOf(bytes), bytes.length / 4, fragment)).toEqual({ norm, sketch });
});
