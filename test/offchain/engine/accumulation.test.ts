/** Steps that take their batch in micro-batches: the same step in less memory. */
import { expect, test } from "vitest";

import {
  buildPrograms,
  conformance,
  EngineError,
  initialParameters,
  type OpenEngine,
  presets,
  programLimits,
  readSignature,
  type TransformerConfig,
} from "../../../offchain/src/engine/index.ts";
import { inspectProgram } from "../../../offchain/src/engine/inspect/inspect.ts";
import { measureSteps } from "../../../offchain/src/engine/measure.ts";
import { stepGraph } from "../../../offchain/src/engine/programs.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { devices, openEngineHost } from "../../../offchain/src/engine/runtime/node/index.ts";

const model: TransformerConfig = presets["0.1m"].model;

/** One step and one held-out loss of eight sequences. */
async function stepOf(microBatch: number, accumulation: number, config = model) {
  const { step, eval: evaluation } = buildPrograms(config, { microBatch, accumulation });
  const programs = { step: step.bytes, eval: evaluation.bytes };
  const engine = await openCpuEngine({ programs, threads: 1 });
  const tokens = Int32Array.from({ length: 8 * (config.sequence + 1) }, (_, i) => (i * i + 7 * i) % config.vocabulary);
  await engine.setParameters(initialParameters(config, 1).map(({ data }) => data.map((x) => 5 * x)));
  const { loss: evaluated } = await engine.evaluate({ tokens });
  const { loss, gradientNorm } = await engine.step({ tokens, learningRate: 1e-3 });
  const { optimizer, parameters } = await engine.save();
  const { shapes } = engine;
  await engine.close();
  return { numbers: [loss, gradientNorm, evaluated], optimizer, parameters, shapes };
}

/** The largest difference of two tensors beside the largest value of the second. */
const differs = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) /
  b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

test.each([
  ["tied", model],
  ["untied", { ...model, tiedEmbeddings: false }],
])("a batch in two or four micro-batches takes the step of the whole: %s", async (_, config) => {
  const whole = await stepOf(8, 1, config);
  for (const accumulation of [2, 4]) {
    const parts = await stepOf(8 / accumulation, accumulation, config);
    expect(parts.shapes).toMatchObject({ step: { batch: 8 }, eval: { batch: 8 / accumulation } });
    for (const [i, number] of parts.numbers.entries()) expect(number / whole.numbers[i]!).toBeCloseTo(1, 5);
    const pairs = [
      ...parts.parameters.map((tensor, i) => [tensor, whole.parameters[i]!] as const),
      ...parts.optimizer.tensors.map((tensor, i) => [tensor, whole.optimizer.tensors[i]!] as const),
    ];
    expect(pairs.filter(([a, b]) => !(differs(a.data, b.data) < 1e-3)).map(([{ name }]) => name)).toEqual([]);
  }
});

test("has the same bits on 1, 2, 3 and 7 threads", async () => {
  const { step } = buildPrograms(model, { microBatch: 4, accumulation: 3 });
  const digests = new Set<string>();
  for (const threads of [1, 2, 3, 7]) digests.add(await conformance(openCpuEngine, step.bytes, threads));
  expect(digests.size).toBe(1);
});

const peakOf = (microBatch: number, accumulation: number): number =>
  readSignature(buildPrograms(model, { microBatch, accumulation }).step.bytes, 2 ** 40).model.peak;

test("takes the memory of one micro-batch and the gradients", () => {
  const [one, whole, parts] = [peakOf(4, 1), peakOf(32, 1), peakOf(4, 8)];
  expect(whole / one).toBeGreaterThan(5);
  expect(parts / one).toBeLessThan(1.2);
});

test("no runtime can begin a micro-batch before the gradients of the one before are there", () => {
  const { nodes } = stepGraph(model, { microBatch: 2, accumulation: 3 }).graph;
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const lookups = nodes.filter(({ op }) => op === "Gather");
  expect(lookups.length).toBe(3);
  for (const lookup of lookups) {
    const before = new Set<string>();
    const open = [...lookup.inputs];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const maker = makers.get(name);
      if (before.has(name) || !maker) continue;
      before.add(name);
      open.push(...maker.inputs);
    }
    const products = nodes.slice(0, nodes.indexOf(lookup)).filter(({ op }) => op === "Gemm" || op === "MatMul");
    expect(products.filter(({ outputs: [name] }) => !before.has(name!))).toEqual([]);
  }
});

test("refuses what is no number of micro-batches", () => {
  expect(() => buildPrograms(model, { microBatch: 4, accumulation: 0 })).toThrow(EngineError);
  expect(() => buildPrograms(model, { microBatch: 4, accumulation: 1.5 })).toThrow(
    "The accumulation must be a positive",
  );
});

/** Why a step of so many micro-batches of one sequence is not built, "" where it is. */
function refusal(accumulation: number): string {
  try {
    buildPrograms(model, { microBatch: 1, accumulation });
    return "";
  } catch (error) {
    if (error instanceof EngineError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

test("more micro-batches than a program has nodes for are refused before it is built, and no fewer", () => {
  const [four, five] = [4, 5].map((accumulation) => {
    const { step } = buildPrograms(model, { microBatch: 1, accumulation });
    return inspectProgram(step.bytes, 2 ** 40).nodes;
  }) as [number, number];
  const most = 4 + Math.floor((programLimits.nodes - four) / (five - four));
  const said = new RegExp(`^PROGRAM_TOO_LARGE: An inner step of this model can have ${most} micro-batches at most`);
  expect(refusal(most + 1)).toMatch(said);
  expect(refusal(1 << 10)).toMatch(said);
});

test("a device is measured, and shows its class, by steps of all their micro-batches", async () => {
  const asked = new Set<number>();
  const { step } = buildPrograms(model, { microBatch: 2, accumulation: 3 });
  const watched: OpenEngine = async (options) => {
    const engine = await openEngineHost(options);
    return {
      ...engine,
      train: (given, more) => {
        asked.add(given.tokens.length / (model.sequence + 1));
        return engine.train(given, more);
      },
    };
  };
  // Step by step, and the clock says a second for each look: two steps after the first, in two seconds.
  const device = { ...devices.cpu, open: watched, blockMs: undefined };
  let now = 0;
  const { tokensPerSecond } = await measureSteps(
    device,
    { model, microBatch: 2, accumulation: 3 },
    { milliseconds: 1_000, clock: { monotonic: () => (now += 1_000) } },
  );
  expect(tokensPerSecond).toBe(6 * model.sequence);
  await conformance(watched, step.bytes);
  expect(asked).toEqual(new Set([6, 18]));
});
