import { describe, expect, test } from "vitest";

import { afterSteps, lossOf, type StepLoss } from "../../../offchain/src/worker/trainingLoss.ts";

const step = (loss: number, tokens = 512): StepLoss => ({ loss, tokens });

// foundation 18: the size of the sample beside each loss
describe("the training loss that people see", () => {
  test("is the mean of the newest twenty steps by tokens, and says of how many tokens", () => {
    expect(lossOf([])).toEqual({ loss: null, lossTokens: 0 });
    expect(lossOf([step(4, 100), step(2, 300)])).toEqual({ loss: 2.5, lossTokens: 400 });
    let steps = afterSteps([], [step(100)]);
    for (let i = 0; i < 10; i++) steps = afterSteps(steps, [step(3), step(1)]);
    expect(steps).toHaveLength(20);
    expect(lossOf(steps)).toEqual({ loss: 2, lossTokens: 20 * 512 });
  });

  test("stays no number once a step's was none", () => {
    let steps = afterSteps([step(1)], [step(Number.NaN), step(1)]);
    for (let i = 0; i < 30; i++) steps = afterSteps(steps, [step(1)]);
    expect(lossOf(steps).loss).toBeNaN();
    expect(lossOf(afterSteps([], [step(Infinity), step(1)])).loss).toBe(Infinity);
  });
});
