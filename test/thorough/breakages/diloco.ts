/** Defences of `diloco`. */
import type { Breakage } from "./breakage.ts";

export const diloco: readonly Breakage[] = [
  {
    name: "a payload is measured by the others alone",
    file: "offchain/src/diloco/screening.ts",
    text: "if (squares === 0) return norms.map(() => Infinity);",
    instead: "if (squares >= 0) return norms.map(() => Infinity);",
    tests: ["test/attack/payloads.test.ts", "test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "each past round has a voice of its own in what norms are measured by",
    file: "offchain/src/diloco/screening.ts",
    text: "undecided ? [...present, upperMedian(past)] : present;",
    instead: "undecided || past.length > 0 ? [...present, ...past] : present;",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "the past has no voice between two halves of a round",
    file: "offchain/src/diloco/screening.ts",
    text: "present.length % 2 === 0 && past.length > 0;",
    instead: "present.length % 2 === 0 && past.length > 64;",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "a vote changes the measure of norms",
    file: "offchain/src/diloco/screening.ts",
    text: "fp32OfBits(bits) * (input.innerLrPpb / innerLrPpb)",
    instead: "fp32OfBits(bits) * (input.innerLrPpb > 0 && innerLrPpb > 0 ? 1 : 0)",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "a search for the harmful ends at the first group",
    file: "offchain/src/diloco/gate.ts",
    text: "each.loss > nobody + rules.gateBound / 2",
    instead: "each.loss < nobody + rules.gateBound / 2",
    tests: ["test/attack/payloads.test.ts", "test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "a discarded round leaves the momentum that spoilt it",
    file: "offchain/src/diloco/reduce.ts",
    text: "outer: optimizer.init(elements) };",
    instead: "outer: new Float32Array(state.outer) };",
    tests: ["test/attack/payloads.test.ts"],
  },
  {
    name: "a payload of few steps is a copy of one of many",
    file: "offchain/src/diloco/screening.ts",
    text: "a.entry.steps < rules.copySteps || b.entry.steps < rules.copySteps",
    instead: "a.entry.steps < rules.copySteps",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "of two payloads alone one is the other's measure",
    file: "offchain/src/diloco/screening.ts",
    text: "pool.length < 3 ? 0",
    instead: "pool.length < 2 ? 0",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "a gate searches on where nothing could be measured",
    file: "offchain/src/diloco/gate.ts",
    text: "if (nobody === null) return [];",
    instead: "if (nobody === null && trials < 0) return [];",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "the gate searches for ever where passes do not hold",
    file: "offchain/src/diloco/gate.ts",
    text: "if (earlier.length >= rules.gatePasses) return [];",
    instead: "if (earlier.length < 0) return [];",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "the gate's sample is the same whatever the receipts",
    file: "offchain/src/diloco/gate.ts",
    text: "const first = Number.parseInt(seed.slice(2, 14), 16) % available;",
    instead: "const first = seed.length % 1;",
    tests: ["test/offchain/diloco/screening.test.ts"],
  },
  {
    name: "a slow worker's smallness counts twice although a run's holders chose otherwise",
    file: "offchain/src/diloco/weights.ts",
    text: "Math.fround(tokens / steps / perStep)",
    instead: "Math.fround(tokens / perStep)",
    tests: ["test/offchain/diloco/reduce.test.ts"],
  },
];
