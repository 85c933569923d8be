/** From the flags of `cotrain up` to how inner steps are taken, and what does not go together. */
import { checkRunParams, defaultRunBounds, defaultRunParams } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { defaultOptimizer, presets } from "../../../offchain/src/engine/index.ts";
import { demoParamsOf } from "../../../offchain/src/run/creation.ts";
import { recipeKeys } from "../../../offchain/src/run/recipe.ts";
import { recipeOptions } from "../../../offchain/src/run/options.ts";
import { recipeFrom } from "./recipes.ts";

const { kind: _, ...adam } = defaultOptimizer;
const warmup = { warmupSteps: 100, freshWarmupSteps: 10 };

test("without a flag a run is trained as its preset says", () => {
  const { optimizer, schedule } = presets["1m"];
  expect(recipeFrom("1m")).toEqual({ optimizer, schedule, accumulation: 1, recompute: false, roundSteps: 72 });
  expect(recipeFrom("150m").recompute).toBe(true);
  expect(recipeFrom("150m", "--no-recompute").recompute).toBe(false);
});

test("every option of it is looked at", () => {
  expect([...recipeKeys].toSorted()).toEqual(Object.keys(recipeOptions).toSorted());
});

test.each([
  [["--optimizer", "adamw"], { optimizer: defaultOptimizer }],
  [["--optimizer", "muon"], { optimizer: { kind: "muon", momentum: 0.95, ...adam } }],
  [["--optimizer", "sgd"], { optimizer: { kind: "sgd", momentum: 0.9, nesterov: true, weightDecay: 0, clipNorm: 1 } }],
  [["--schedule", "constant"], { schedule: { kind: "warmup-constant", ...warmup } }],
  [["--warmup-steps", "7"], { schedule: { kind: "warmup-constant", ...warmup, warmupSteps: 7 } }],
  [["--schedule", "cosine"], { schedule: { kind: "cosine", ...warmup, steps: 7_200, floor: 0.1 } }],
  [
    ["--schedule", "cosine", "--total-steps", "500", "--lr-floor", "0", "--warmup-steps", "20"],
    { schedule: { kind: "cosine", ...warmup, warmupSteps: 20, steps: 500, floor: 0 } },
  ],
  // A short schedule rises in a tenth of itself.
  [
    ["--schedule", "wsd", "--total-steps", "500"],
    { schedule: { kind: "warmup-stable-decay", ...warmup, warmupSteps: 50, steps: 500, floor: 0, decaySteps: 50 } },
  ],
  [
    ["--schedule", "wsd", "--decay-steps", "100", "--lr-floor", "0.2"],
    { schedule: { kind: "warmup-stable-decay", ...warmup, steps: 7_200, floor: 0.2, decaySteps: 100 } },
  ],
  [["--micro-batches", "4", "--recompute"], { accumulation: 4, recompute: true }],
  [["--inner-steps", "480", "--schedule", "cosine"], { roundSteps: 480, schedule: { kind: "cosine", steps: 48_000 } }],
  // 100 rounds of as many sequences as without accumulation.
  [
    ["--micro-batches", "2", "--schedule", "cosine"],
    { accumulation: 2, schedule: { kind: "cosine", ...warmup, steps: 3_600, floor: 0.1 } },
  ],
] as const)("%j", (flags, expected) => {
  expect(recipeFrom("1m", ...flags)).toMatchObject(expected);
});

describe("what does not go together is told in one sentence", () => {
  test.each([
    [
      "--total-steps 500",
      "--total-steps says nothing of --schedule constant: leave it out, or name --schedule cosine or wsd.",
    ],
    ["--schedule constant --lr-floor 0.1", "--lr-floor says nothing of --schedule constant: leave it out"],
    [
      "--schedule cosine --decay-steps 5",
      "--decay-steps says nothing of --schedule cosine: leave it out, or name --schedule wsd.",
    ],
    [
      "--schedule wsd --total-steps 500 --warmup-steps 400 --decay-steps 101",
      "A rate that rises in 400 steps (--warmup-steps) and falls in 101 (--decay-steps) does not fit into 500 (--total-steps)",
    ],
    [
      "--schedule cosine --total-steps 500 --warmup-steps 500",
      "A rate that rises in 500 steps (--warmup-steps) has no step to fall in of 500 (--total-steps)",
    ],
    [
      "--inner-steps 50",
      "--inner-steps must be a multiple of 12, so that each fragment has as many: 48 or 60, not 50.",
    ],
  ])("%s", (line, sentence) => {
    expect(() => recipeFrom("1m", ...line.split(" "))).toThrow(sentence);
  });
});

const steps = (...flags: readonly string[]): number => demoParamsOf("1m", recipeFrom("1m", ...flags)).innerSteps;

const deadline = (...flags: readonly string[]): number => demoParamsOf("1m", recipeFrom("1m", ...flags)).roundDeadline;

const peak = (optimizer: string): number => {
  const params = demoParamsOf("1m", recipeFrom("1m", "--optimizer", optimizer));
  expect(() => checkRunParams(params, 4, defaultRunBounds)).not.toThrow();
  return params.innerLrPpb;
};

describe("the parameters of a run", () => {
  test("keep a round as long when a step takes several micro-batches, and whole for every fragment", () => {
    expect([steps(), steps("--micro-batches", "2"), steps("--micro-batches", "4")]).toEqual([72, 36, 24]);
    expect(steps("--micro-batches", "1024")).toBe(12);
  });

  test("give a longer round its time, and are within the bounds of every run at the longest", () => {
    expect([deadline(), deadline("--inner-steps", "12"), deadline("--inner-steps", "144")]).toEqual([60, 60, 120]);
    for (const preset of Object.keys(presets)) {
      const longest = demoParamsOf(preset, recipeFrom(preset, "--inner-steps", "3072"));
      expect(() => checkRunParams(longest, 4, defaultRunBounds)).not.toThrow();
      const heavy = demoParamsOf(preset, recipeFrom(preset, "--inner-steps", "3072", "--micro-batches", "1024"));
      expect(() => checkRunParams(heavy, 4, defaultRunBounds)).not.toThrow();
      // What the first session's vote makes of it.
      expect(() => checkRunParams({ ...longest, innerSteps: 4_096 }, 4, defaultRunBounds)).not.toThrow();
    }
  });

  test("have a peak rate that suits the optimizer, within the bounds of every run", () => {
    expect([peak("adamw"), peak("muon")]).toEqual([defaultRunParams.innerLrPpb, defaultRunParams.innerLrPpb]);
    expect(peak("sgd")).toBeGreaterThan(10 * defaultRunParams.innerLrPpb);
  });
});
