/**
 * How far the sketches' cosine is from that of the payloads: the chance that honest work counts as a copy, or a copy as honest work.
 * Two sketches are 128 pairs of sums over so many elements that the pairs are normal, with the payloads' cosine ρ as correlation;
 * the cosine r of the two follows from that alone. docs/threat-model.md says the figures.
 */
import { createRandom } from "../../../offchain/src/base/index.ts";
import { measureFragment, sourceOf } from "../../../offchain/src/diloco/index.ts";
import { sketchBytes } from "../../../offchain/src/diloco/measure.ts";
import { defaultScreening, SKETCH_LENGTH } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { encodePayload } from "./payloads.ts";

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

/** Chances that the sketches' cosine is at least, and less than, `bound`. */
function chances(bound: number, rho: number): { readonly hit: number; readonly miss: number } {
  const [middle, width, step] = [Math.atanh(rho), 3, 1e-4];
  let [hit, miss] = [0, 0];
  for (let z = middle - width; z < middle + width; z += step) {
    const part = density(z, rho, SKETCH_LENGTH);
    if (z >= Math.atanh(bound)) hit += part;
    else miss += part;
  }
  return { hit: hit / (hit + miss), miss: miss / (hit + miss) };
}

const dot = (a: Int8Array, b: Int8Array): number => a.reduce((sum, value, k) => sum + value * b[k]!, 0);

const adamW = defaultScreening.copyBps / 10_000;
const muon = 0.999;
/** Of a payload that is another's plus noise of this part of its norm. */
const noisy = (noise: number): number => 1 / Math.sqrt(1 + noise * noise);

test("sketches' cosines are spread about that of the payloads as normal pairs' are", async () => {
  const [trials, elements] = [400, 8_192];
  const random = createRandom("sketches");
  const normals = (): Float32Array<ArrayBuffer> => Float32Array.from({ length: elements }, () => random.normal());
  for (const rho of [0.5, 0.99]) {
    const found: number[] = [];
    for (let trial = 0; trial < trials / 2; trial++) {
      const [x, noise] = [normals(), normals()];
      const y = x.map((value, i) => rho * value + Math.sqrt(1 - rho * rho) * noise[i]!);
      const [one, other] = await Promise.all(
        [x, y].map(async (values) => {
          const { bytes } = encodePayload(0, Float32Array.from(values));
          return sketchBytes((await measureFragment(0, sourceOf(bytes), elements, trial)).sketch);
        }),
      );
      found.push(Math.atanh(dot(one!, other!) / Math.sqrt(dot(one!, one!) * dot(other!, other!))));
    }
    const mean = found.reduce((sum, z) => sum + z, 0) / found.length;
    const spread = Math.sqrt(found.reduce((sum, z) => sum + (z - mean) ** 2, 0) / (found.length - 1));
    const expected = 1 / Math.sqrt(SKETCH_LENGTH - 1);
    // Four standard errors of each.
    expect(Math.abs(mean - Math.atanh(rho) - rho / (2 * SKETCH_LENGTH))).toBeLessThan(
      (4 * expected) / Math.sqrt(found.length),
    );
    expect(Math.abs(spread / expected - 1)).toBeLessThan(4 / Math.sqrt(2 * found.length));
  }
}, 60_000);

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
