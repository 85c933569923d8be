/** Many inner steps in one call: the bits of as many calls, within a bound of memory and of time. */
import { MessageChannel } from "node:worker_threads";

import ort from "onnxruntime-node";
import { expect, test } from "vitest";

import { bytesOf } from "../../../offchain/src/base/index.ts";
import {
  buildPrograms,
  type Engine,
  EngineError,
  initialParameters,
  presets,
  readSignature,
  SIGNATURE_KEY,
} from "../../../offchain/src/engine/index.ts";
import { createGraph, emit, input, output } from "../../../offchain/src/engine/graph.ts";
import { LOOP_STEPS, loopOf, loopPeak } from "../../../offchain/src/engine/loop.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";
import { openEngine } from "../../../offchain/src/engine/openEngine.ts";
import * as op from "../../../offchain/src/engine/ops.ts";
import { sessionOptions } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { stepsInCall } from "../../../offchain/src/engine/calls.ts";
import { blocks as placesBlocks } from "../../../offchain/src/engine/runtime/node/blocks.ts";
import { onnxRuntime } from "../../../offchain/src/engine/runtime/onnxRuntime.ts";
import type { Blocks } from "../../../offchain/src/engine/runtime/port.ts";

const MEMORY = 2 ** 40;
const { model, microBatch } = presets["0.1m"];
const built = buildPrograms(model, { microBatch });
const tinyModel = {
  ...model,
  vocabulary: 64,
  width: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 2,
  hidden: 32,
  sequence: 8,
};
const tiny = buildPrograms(tinyModel, { microBatch: 2 });

const runtime = (blocks?: Blocks) =>
  onnxRuntime({ ort, availableMemory: () => MEMORY, cpuTime: () => 0, blocks, writesInPlace: true, sessionOptions });
const unbounded: Blocks = { ms: Infinity, memory: Infinity };

/** Steps of a size each, with rates that differ. */
const due = (steps: number, size: number, vocabulary: number) => ({
  tokens: Int32Array.from({ length: steps * size }, (_, i) => (i * i * 31 + 7 * i) % vocabulary),
  learningRate: Array.from({ length: steps }, (_, i) => 1e-3 / (1 + i)),
});

/** How many steps each call took, and what they leave behind. */
async function trained(engine: Engine, steps: number) {
  const { batch, tokensPerSequence, vocabulary } = engine.shapes.step!;
  const calls: number[] = [];
  const results = await engine.train(due(steps, batch * tokensPerSequence, vocabulary), {
    progress: (_, newest) => void calls.push(newest.length),
  });
  const digest = await engine.stateDigest();
  await engine.close();
  return { calls, results, digest };
}

async function ofPreset(threads: number, blocks?: Blocks) {
  const engine = await openEngine({ programs: { step: built.step.bytes }, threads }, runtime(blocks));
  await engine.setParameters(initialParameters(model, 3).map(({ data }) => data));
  return trained(engine, 41);
}

test.each([1, 2])("not a bit of losses, norms and state is another (%i threads)", async (threads) => {
  const single = await ofPreset(threads);
  const loop = await ofPreset(threads, unbounded);
  expect(single.calls).toEqual(Array.from({ length: 41 }, () => 1));
  // One alone, as long as nobody knows what a step takes.
  expect(loop.calls).toEqual([1, 40]);
  expect(loop.results).toEqual(single.results);
  expect(new Set(loop.results.map(({ loss }) => loss)).size).toBe(41);
  expect(loop.digest).toBe(single.digest);
});

test("a step of another optimizer, in micro-batches, loops as well", async () => {
  const options = {
    microBatch: 1,
    accumulation: 2,
    optimizer: { kind: "sgd", momentum: 0.9, nesterov: true, weightDecay: 0, clipNorm: 1 } as const,
  };
  const { step } = buildPrograms(tinyModel, options);
  const open = async (blocks?: Blocks) => {
    const engine = await openEngine({ programs: { step: step.bytes }, threads: 1 }, runtime(blocks));
    await engine.setParameters(initialParameters(tinyModel, 3).map(({ data }) => data));
    return trained(engine, 5);
  };
  const [single, loop] = [await open(), await open(unbounded)];
  expect({ ...loop, calls: [] }).toEqual({ ...single, calls: [] });
  expect(loop.calls).toEqual([1, 4]);
});

const openTiny = (blocks: Blocks, memory?: number) =>
  openEngine({ programs: { step: tiny.step.bytes }, threads: 1, memory }, runtime(blocks));

test("a call takes no more steps than memory was counted for, nor longer than its time", async () => {
  expect((await trained(await openTiny(unbounded), 2 * LOOP_STEPS + 3)).calls).toEqual([1, LOOP_STEPS, LOOP_STEPS, 2]);
  expect((await trained(await openTiny({ ms: 1e-6, memory: Infinity }), 3)).calls).toEqual([1, 1, 1]);
});

test("where there is memory for a step and not for a loop, steps are calls", async () => {
  const outline = readSignature(tiny.step.bytes, MEMORY);
  const [peak, { parameters, state }] = [loopPeak(outline), outline];
  const numbers = [...parameters, ...state].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  // Two more states, and of each step the tokens, four scalars and both results, which are there twice at the end.
  const [tokens, scalars, results] = [
    8 * 2 * (tinyModel.sequence + 1),
    4 * outline.signature.scalars.length,
    4 * 2 * 2,
  ];
  expect(peak).toBe(outline.model.peak + 2 * 4 * numbers + LOOP_STEPS * (tokens + scalars + results));
  expect((await trained(await openTiny(unbounded, peak), 3)).calls).toEqual([1, 2]);
  expect((await trained(await openTiny(unbounded, peak - 1), 3)).calls).toEqual([1, 1, 1]);
  expect((await trained(await openTiny({ ms: Infinity, memory: peak - 1 }), 3)).calls).toEqual([1, 1, 1]);
});

test("where the runtime refuses the loop, steps are calls with the same bits, and the engine says so", async () => {
  const whole = runtime(unbounded);
  const opened: number[] = [];
  const refusing = (code: string) => ({
    ...whole,
    open: async (...given: Parameters<typeof whole.open>) => {
      opened.push(given[1].peak);
      if (given[0] !== tiny.step.bytes) throw new EngineError(code, "No.", { cause: new TypeError("No Loop here.") });
      return whole.open(...given);
    },
  });
  const options = { programs: { step: tiny.step.bytes }, threads: 1 };
  const engine = await openEngine(options, refusing("PROGRAM_REFUSED"));
  expect(engine.remark).toMatch(/^The runtime refuses a loop .* one by one, .* \(No Loop here\.\)\.$/);
  const outline = readSignature(tiny.step.bytes, MEMORY);
  expect(opened).toEqual([loopPeak(outline), outline.model.peak]);
  const { calls, digest } = await trained(engine, 3);
  expect(calls).toEqual([1, 1, 1]);
  const looping = await openEngine(options, whole);
  expect(looping.remark).toBeUndefined();
  expect(await trained(looping, 3)).toMatchObject({ calls: [1, 2], digest });
  await expect(openEngine(options, refusing("DEVICE_MISSING"))).rejects.toMatchObject({ code: "DEVICE_MISSING" });
});

test("a request to stop that comes while a block computes is heard before the next", async () => {
  const engine = await openTiny(unbounded);
  const stop = new AbortController();
  const channel = new MessageChannel();
  channel.port1.once("message", () => stop.abort());
  const { batch, tokensPerSequence } = engine.shapes.step!;
  const results = await engine.train(due(4 * LOOP_STEPS, batch * tokensPerSequence, tinyModel.vocabulary), {
    signal: stop.signal,
    progress: (done) => void (done === 1 + LOOP_STEPS && channel.port2.postMessage("stop")),
  });
  channel.port1.close();
  expect(results).toHaveLength(1 + LOOP_STEPS);
  await engine.close();
});

test("no program from outside may have a loop, not even the engine's own", () => {
  const loop = loopOf(built.step.bytes, readSignature(built.step.bytes, MEMORY));
  expect(() => readSignature(loop.bytes, MEMORY)).toThrow(EngineError);
});

test("a stranger's names are no other's, whatever they are", async () => {
  const graph = createGraph("stranger");
  const [w, rate] = [input(graph, "loop.in.w", [2]), input(graph, "loop.at", [])];
  const tokens = input(graph, "loop.steps", [1, 2], "int64");
  const fed = emit(graph, "Cast", [op.reshape(tokens, [2])], [2], { to: 1 });
  output("_loop.out.w", op.add(w, op.mul(fed, rate)));
  output("loop.goesOn", op.sumAll(op.add(w, fed)));
  const bytes = writeModel(graph, {
    [SIGNATURE_KEY]: JSON.stringify({
      version: 1,
      kind: "step",
      vocabulary: 9,
      tokens: "loop.steps",
      parameters: [{ name: "w", input: "loop.in.w", output: "_loop.out.w" }],
      state: [],
      scalars: [{ input: "loop.at", feed: "learningRate" }],
      loss: "loop.goesOn",
    }),
  });
  const engine = await openEngine({ programs: { step: bytes }, threads: 1 }, runtime(unbounded));
  await engine.setParameters([Float32Array.of(1, 2)]);
  const tokensOfAll = Int32Array.of(1, 2, 3, 4, 5, 6);
  const results = await engine.train({ tokens: tokensOfAll, learningRate: [1, 2, 3] });
  expect(results.map(({ loss }) => loss)).toEqual([6, 13, 31]);
  const [after] = await engine.parameters();
  expect(bytesOf(after!.data)).toEqual(bytesOf(Float32Array.of(1 + 1 + 6 + 15, 2 + 2 + 8 + 18)));
  await engine.close();
});

const calls = (stepMs: number, due = 1_024): number => stepsInCall(placesBlocks.cuda!.ms, stepMs, due);

test("CUDA, whose state crosses with each call, has time for many steps and no bound of memory", () => {
  expect(placesBlocks.cuda).toEqual({ ms: 5_000, memory: Infinity });
  // 32 at least while a step takes no more than a 32nd of that time; of slower steps those that fit, so that a request to stop is heard.
  for (const stepMs of [1, 10, 40, 100, 156]) expect(calls(stepMs)).toBeGreaterThanOrEqual(32);
  expect([calls(1), calls(40), calls(500), calls(6_000)]).toEqual([LOOP_STEPS, LOOP_STEPS, 11, 1]);
  expect([calls(40, 20), calls(40, 130), calls(40, 200)]).toEqual([20, LOOP_STEPS, 100]);
});
