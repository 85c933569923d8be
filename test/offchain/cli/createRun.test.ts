/** What a run of each preset is given where nobody asks for something else. */
import { checkRunParams, defaultRunBounds } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { demoParamsOf, FRAGMENTS, screeningOf } from "../../../offchain/src/cli/createRun.ts";
import { presetOf } from "../../../offchain/src/engine/index.ts";

test.each(["0.1m", "1m", "3.5m", "20m"])("the parameters of %s are within the bounds of every run", (name) => {
  expect(() => checkRunParams(demoParamsOf(name), FRAGMENTS, defaultRunBounds)).not.toThrow();
});

// Point 2: the gate takes at most 3% of a round.
describe("the loss gate of a local run", () => {
  test.each(["0.1m", "1m", "3.5m", "20m"] as const)(
    "costs %s at most 3%% of a round's steps of three workers",
    (name) => {
      const { microBatch } = presetOf(name);
      const passes = 2 * Math.ceil(screeningOf(name).gateSequences / microBatch);
      // A step is a forward pass and a backward pass of twice its products.
      expect(passes / 3 / (3 * demoParamsOf(name).innerSteps)).toBeLessThanOrEqual(0.03);
    },
  );
});
