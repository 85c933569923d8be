/** What a run of each preset is given where nobody asks for something else. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Build,
  checkRunParams,
  defaultRunBounds,
  EXACT_SEGMENT_STEPS,
  MAX_FRAGMENTS,
  MAX_SHARD_BYTES,
} from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { demoParamsOf, screeningOf } from "../../../offchain/src/run/creation.ts";
import { fragmentsIn, tableOf } from "../../../offchain/src/run/fragments.ts";
import { fragmentLayouts } from "../../../offchain/src/diloco/index.ts";
import { localnetOptions } from "../../../offchain/src/run/options.ts";
import { loadTokenizer } from "../../../offchain/src/data/node/index.ts";
import type * as Runtimes from "../../../offchain/src/engine/runtime/node/index.ts";
import { buildPrograms, halfStep, presetNames, presetOf, presets } from "../../../offchain/src/engine/index.ts";
import { type ServedRun, serveRun } from "../validator/servedRun.ts";

/** Its programs run on the CPU here; what a GPU's row says of itself is the GPU's. */
vi.mock("../../../offchain/src/engine/runtime/node/index.ts", async (original) => {
  const real = await original<typeof Runtimes>();
  const gpu = { ...real.devices.webgpu, open: real.devices.cpu.open };
  return { ...real, deviceOf: (name: string) => (name === "webgpu" ? gpu : real.deviceOf(name)) };
});

const local = presetNames.filter((name) => presetOf(name).local);

const FRAGMENTS = 4;

describe("the fragments of a run", () => {
  test.each(presetNames)("%s has shards that can be stored and sent, counted without a parameter", (name) => {
    const table = tableOf(presetOf(name).model);
    const layouts = fragmentLayouts(table);
    expect(layouts.length).toBeLessThanOrEqual(MAX_FRAGMENTS);
    for (const { elements, tensors } of layouts) {
      // Parameters and the outer buffer, the header of safetensors besides.
      expect(8 * elements + 512 * tensors.length).toBeLessThan(MAX_SHARD_BYTES);
    }
    expect(() => checkRunParams(demoParamsOf(name), layouts.length, defaultRunBounds)).not.toThrow();
    expect(presetOf(name).model.vocabulary).toBeLessThanOrEqual(65_536);
  });

  test("are four where the model allows it, those of a local run always", () => {
    const counts = presetNames.map((name) => fragmentsIn(tableOf(presetOf(name).model)));
    expect(counts.slice(0, 6)).toEqual([4, 4, 4, 4, 4, 4]);
    expect(counts[6]).toBe(20);
  });

  test("a tensor that no shard holds is named", () => {
    const model = { ...presetOf("10b").model, vocabulary: 128_256 };
    expect(() => tableOf(model)).toThrow(
      /model\.embed_tokens\.weight of 128256 × 4096 needs a shard of 4202692608 bytes/,
    );
  });
});

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

// foundation 2
describe("the loss gate of a local run", () => {
  // What it takes of a round's time is measured by the bench, not here (test/bench/README.md).
  test.each(local)("has for %s at most 3%% of the products that a round's steps of three workers have", (name) => {
    const { microBatch } = presetOf(name);
    const passes = 2 * Math.ceil(screeningOf(name, presetOf(name).optimizer.kind).gateSequences / microBatch);
    // A step is a forward pass and a backward pass of twice its products.
    expect(passes / 3 / (3 * demoParamsOf(name).innerSteps)).toBeLessThanOrEqual(0.03);
  });
});

const bound = (optimizer: Parameters<typeof screeningOf>[1]): number => screeningOf("1m", optimizer).copyBps;

test("honest work is nearer to others' by some optimizers, and is no copy there", () => {
  expect([bound("adamw"), bound("muon"), bound("sgd")]).toEqual([9_950, 9_990, 10_000]);
});

describe("a run of a preset with a recipe of its own, and a build for a GPU", () => {
  const { model, microBatch, ...usual } = presets["0.1m"];
  const own = {
    optimizer: { ...usual.optimizer, beta1: 0.5 },
    schedule: { ...usual.schedule, warmupSteps: 7 },
    accumulation: 2,
  };
  let directory: string;
  let served: ServedRun;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "cotrain-creation-"));
    Object.assign(presets["0.1m"], own);
    try {
      served = await serveRun(directory, "seed", ["webgpu"]);
    } finally {
      Object.assign(presets["0.1m"], { accumulation: undefined }, usual);
    }
  });
  afterAll(async () => {
    await served.close();
    await rm(directory, { recursive: true, force: true });
  });

  test("trains by the optimizer, the schedule and the micro-batches that its preset names", async () => {
    const { material } = served;
    expect(material.definition).toMatchObject({ innerOptimizer: own.optimizer, schedule: own.schedule });
    const { step } = buildPrograms(model, { microBatch, accumulation: 2, optimizer: own.optimizer });
    expect(material.build).toMatchObject({ graphs: { step: step.digest }, microBatch, accumulation: 2 });
    // For who proposes a build with products in fp16.
    const half = halfStep(model, { microBatch, accumulation: 2, optimizer: own.optimizer });
    expect(await served.store.size(half.digest)).toBe(half.bytes.length);
  });

  // Nobody else could replay the steps in between.
  test("commits at a round's end alone by the build for a GPU, every few steps by those of exact classes", async () => {
    const { store, material } = served;
    const builds = await Promise.all(
      material.builds.map(async (digest) => JSON.parse(new TextDecoder().decode(await store.get(digest))) as Build),
    );
    const segments = Object.fromEntries(builds.map(({ deviceClass, segmentSteps }) => [deviceClass, segmentSteps]));
    expect(segments).toMatchObject({ "exact-wasm": EXACT_SEGMENT_STEPS, webgpu: 0 });
    expect(builds[0]?.segmentSteps).toBe(EXACT_SEGMENT_STEPS);
  });
});
