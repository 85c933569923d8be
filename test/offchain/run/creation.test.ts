/** What a run of each preset is given where nobody asks for something else. */
import { checkRunParams, defaultRunBounds } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { demoParamsOf, FRAGMENTS, screeningOf } from "../../../offchain/src/run/creation.ts";
import { localnetOptions } from "../../../offchain/src/run/options.ts";
import { loadTokenizer } from "../../../offchain/src/data/node/index.ts";
import { presetNames, presetOf } from "../../../offchain/src/engine/index.ts";

const local = presetNames.filter((name) => presetOf(name).local);

test.each(local)("the parameters of %s are within the bounds of every run", (name) => {
  expect(() => checkRunParams(demoParamsOf(name), FRAGMENTS, defaultRunBounds)).not.toThrow();
});

describe("a preset for runs on one machine", () => {
  test.each(local)(
    "%s has the tokenizer that is shipped, whole rounds for its fragments, and stands in the help",
    async (name) => {
      expect(presetOf(name).model.vocabulary).toBe((await loadTokenizer()).vocabulary);
      expect(demoParamsOf(name).innerSteps % (3 * FRAGMENTS)).toBe(0);
      expect(localnetOptions.preset.description).toMatch(new RegExp(`[ ,]${name.replace(".", "\\.")}(,| or |$)`));
    },
  );
});

// Point 2: the gate takes at most 3% of a round.
describe("the loss gate of a local run", () => {
  test.each(local)("costs %s at most 3%% of a round's steps of three workers", (name) => {
    const { microBatch } = presetOf(name);
    const passes = 2 * Math.ceil(screeningOf(name).gateSequences / microBatch);
    // A step is a forward pass and a backward pass of twice its products.
    expect(passes / 3 / (3 * demoParamsOf(name).innerSteps)).toBeLessThanOrEqual(0.03);
  });
});
