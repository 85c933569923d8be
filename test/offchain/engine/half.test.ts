/** Products in fp16: what is rounded and what is not, that gradients neither fall below fp16 nor rise above it, and who is given them. */
import { afterEach, describe, expect, test, vi } from "vitest";

import {
  buildPrograms,
  type Device,
  firstLosses,
  halfStep,
  initialParameters,
  presetNames,
  presets,
  readSignature,
  requireHalf,
  takesHalf,
  type TransformerConfig,
} from "../../../offchain/src/engine/index.ts";
import { EngineError } from "../../../offchain/src/engine/errors.ts";
import { createGraph, input, output } from "../../../offchain/src/engine/graph.ts";
import { readForm } from "../../../offchain/src/engine/inspect/form.ts";
import { inspectProgram } from "../../../offchain/src/engine/inspect/inspect.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";
import * as op from "../../../offchain/src/engine/ops.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { HALF_LOSS_BOUND } from "../../../offchain/src/run/builds.ts";
import { openRounding } from "./halfRounding.ts";
import { canRun } from "../../needs.ts";
import { swiftShader } from "../../swiftShader.ts";
import { HALF_STEPS, halfStepOf, vectorOf } from "../../vectors/conformance.ts";

const { model, microBatch } = presets["0.1m"];
const full = buildPrograms(model, { microBatch });
const half = halfStep(model, { microBatch });
const MEMORY = 2 ** 33;
const openHalf = openRounding(openCpuEngine);

afterEach(() => {
  vi.unstubAllEnvs();
});

test("a model learns as with products in fp32: its losses over 200 steps are near, and not the same", async () => {
  const due = await firstLosses(devices.cpu.open, full.step.bytes, 200);
  const found = await firstLosses(openRounding(devices.cpu.open), half.bytes, 200);
  const apart = Math.max(...due.map((loss, i) => Math.abs(loss - found[i]!)));
  expect(due.at(-1)).toBeLessThan(due[0]! - 2);
  expect(apart).toBeLessThan(HALF_LOSS_BOUND);
  expect(apart).toBeGreaterThan(1e-5);
});

/** What an operator's operands are, by the casts that made them. */
function productsOf(bytes: Uint8Array) {
  const { nodes } = readForm(bytes).graph;
  const types = new Map<string, string>();
  const products = [];
  for (const { op, inputs, outputs, attributes } of nodes) {
    const operands = inputs.map((name) => types.get(name) ?? "fp32");
    const cast = attributes.find(({ name }) => name === "to")?.i;
    const type = op === "Cast" ? (cast === 10 ? "fp16" : "fp32") : operands.includes("fp16") ? "fp16" : "fp32";
    for (const name of outputs) types.set(name, type);
    if (op === "Gemm" || op === "MatMul") products.push({ op, operands });
    else if (type === "fp16" && !["Cast", "Transpose"].includes(op)) products.push({ op, operands: ["none"] });
  }
  return products;
}

test("the model's products are in fp16, both factors; positions, and all that is no product, are in fp32", () => {
  const { layers } = model;
  const products = productsOf(half.bytes);
  const [narrow, wide] = [
    products.filter(({ operands }) => operands.includes("fp16")),
    products.filter(({ operands }) => operands.includes("fp32")),
  ];
  // Seven matrices a layer and the logits, each there and twice back; attention's two there and four back.
  expect(narrow).toHaveLength(3 * (7 * layers + 1) + 6 * layers);
  expect(narrow.every(({ operands }) => operands.every((type) => type === "fp16"))).toBe(true);
  // Queries and keys turned, there and back; the embedding's rows, added at their tokens.
  expect(wide.map(({ op }) => op)).toEqual([...Array.from({ length: 4 * layers }, () => "MatMul"), "Gemm"]);
  for (const program of Object.values(full))
    expect(productsOf(program.bytes).every(({ operands }) => !operands.includes("fp16"))).toBe(true);
});

/** The axes along which a step adds elements. */
const axesOf = (bytes: Uint8Array) =>
  readForm(bytes).graph.nodes.flatMap(({ op, attributes }) =>
    op === "ScatterElements" ? [attributes.find(({ name }) => name === "axis")?.i ?? 0] : [],
  );

test("no row is added where another is: a GPU would add them in another order every time", () => {
  // Along a row of words each has one place: of its target, or of its token.
  expect(axesOf(half.bytes)).toEqual([1, 1]);
  expect(axesOf(full.step.bytes)).toEqual([1, 0]);
});

test("rows of all micro-batches begin as the same zeros: a GPU keeps those of each that has its own", () => {
  const { model, microBatch, optimizer } = presets["0.1m"];
  const { nodes } = readForm(halfStep(model, { microBatch, accumulation: 3, optimizer }).bytes).graph;
  const made = new Set(nodes.flatMap(({ op, outputs }) => (op === "ConstantOfShape" ? outputs : [])));
  const begun = nodes.flatMap(({ op, inputs: [data = ""] }) =>
    op === "ScatterElements" && made.has(data) ? [data] : [],
  );
  expect(begun).toHaveLength(3);
  expect(new Set(begun).size).toBe(1);
});

test("a step is carried as in fp32: parameters and state are the same, so that a worker goes on with them in either", () => {
  const [a, b] = [full.step, half].map(({ bytes }) => readSignature(bytes, MEMORY));
  expect(b!.parameters).toEqual(a!.parameters);
  expect(b!.state).toEqual(a!.state);
  expect(b!.signature).toEqual(a!.signature);
});

test.each(presetNames)("a step of %s is the one that runs of before keep", (preset) => {
  expect(halfStepOf(preset)).toBe(vectorOf(HALF_STEPS, preset));
});

test("memory is counted with what a runtime makes of fp16 where it has no such product", () => {
  const graph = createGraph("product", "fp16");
  const [a, b] = ["a", "b"].map((name) => op.rounded(input(graph, name, [64, 64])));
  output("c", op.widened(op.matMul(a!, b!)));
  const { peak } = inspectProgram(writeModel(graph, {}), MEMORY);
  // Two inputs in fp32; factors and result in fp16; the factors once more, and all three in fp32.
  expect(peak).toBe(64 * 64 * (2 * 4 + 3 * 2 + 2 * 2 + 3 * 4));
});

/** Gradients of a step, by name: the momentum of plain SGD that is not clipped. */
async function gradientsOf(config: TransformerConfig, accumulation: number, precision: "fp32" | "fp16") {
  const optimizer = { kind: "sgd", momentum: 0.9, nesterov: true, weightDecay: 0, clipNorm: 1e9 } as const;
  const options = { microBatch: microBatch / accumulation, accumulation, optimizer };
  const { bytes } = precision === "fp16" ? halfStep(config, options) : buildPrograms(config, options).step;
  const engine = await openHalf({ programs: { step: bytes }, threads: 1 });
  await engine.setParameters(initialParameters(config, "half").map(({ data }) => data));
  const tokens = Int32Array.from({ length: microBatch * (config.sequence + 1) }, (_, i) => (i * i) % 1021);
  const result = await engine.step({ tokens, learningRate: 0 });
  const { tensors } = await engine.optimizerState();
  await engine.close();
  return { result, tensors };
}

const norm = (values: Iterable<number>): number => Math.hypot(...values);

test.each([
  { tiedEmbeddings: true, recompute: false, accumulation: 1 },
  { tiedEmbeddings: false, recompute: true, accumulation: 2 },
])(
  "gradients are fp32's to 2 in 1,000, though much that they are made of is less than fp16 has ($accumulation)",
  async ({ accumulation, ...over }) => {
    const config = { ...model, ...over };
    const [due, found] = [
      await gradientsOf(config, accumulation, "fp32"),
      await gradientsOf(config, accumulation, "fp16"),
    ];
    expect(found.result.gradientNorm / due.result.gradientNorm).toBeCloseTo(1, 2);
    for (const [i, { name, data }] of due.tensors.entries()) {
      const off = norm(data.map((x, j) => x - found.tensors[i]!.data[j]!)) / norm(data);
      expect({ name, off }).toEqual({ name, off: expect.toSatisfy((x: number) => x < 2e-3) });
    }
  },
);

test("a gradient that overflows counts as none", async () => {
  const names = initialParameters(model, "half");
  const loud = names.map(({ name, data }) => (name === "model.norm.weight" ? data.map(() => 4_000) : data));
  const tokens = Int32Array.from({ length: microBatch * (model.sequence + 1) }, (_, i) => 7 + (i % 2));
  const normsOf = async (bytes: Uint8Array) => {
    const engine = await openHalf({ programs: { step: bytes }, threads: 1 });
    await engine.setParameters(loud);
    const { loss, gradientNorm } = await engine.step({ tokens, learningRate: 1e-3 });
    const after = await engine.parameters();
    await engine.close();
    return { loss, gradientNorm, finite: after.every(({ data }) => data.every(Number.isFinite)) };
  };
  const due = await normsOf(full.step.bytes);
  expect(due.gradientNorm).toBeGreaterThan(16);
  const found = await normsOf(half.bytes);
  expect(found).toMatchObject({ gradientNorm: 0, finite: true });
  expect(Math.abs(found.loss / due.loss - 1)).toBeLessThan(0.01);
});

const gpu = (over: Partial<Device>): Device => ({
  ...devices.cpu,
  name: "webgpu",
  exact: false,
  open: openRounding(devices.cpu.open),
  ...over,
});

const failing: Device["open"] = async (options) => {
  const engine = await devices.cpu.open(options);
  return { ...engine, evaluate: () => Promise.reject(new EngineError("RUNTIME_FAILED", "It requires f16.")) };
};

describe("products in fp16 are for", () => {
  test("a GPU that rounds them so", async () => {
    expect(await takesHalf(gpu({}))).toBe(true);
    await requireHalf(gpu({}));
  });

  test("none that leaves them in fp32, or fails at them", async () => {
    // ONNX Runtime's CPU leaves out casts that change nothing but numbers.
    for (const open of [devices.cpu.open, failing]) {
      expect(await takesHalf(gpu({ open }))).toBe(false);
      await expect(requireHalf(gpu({ open }))).rejects.toMatchObject({
        code: "DEVICE_HALF",
        message:
          "webgpu does not multiply in fp16 here, for which WebGPU needs the GPU's shader-f16: its builds are in fp32.",
      });
    }
  });

  test("no processor", async () => {
    await expect(requireHalf(devices.cpu)).rejects.toMatchObject({ code: "DEVICE_HALF", message: /^cpu has no use/ });
  });

  test.runIf(canRun("products in fp16 on WebGPU", "gpu"))("no SwiftShader, which lacks shader-f16", async () => {
    for (const [name, value] of Object.entries(swiftShader() ?? {})) vi.stubEnv(name, value);
    const { eval: inFull } = full;
    await (await devices.webgpu.open({ programs: { eval: inFull.bytes }, threads: 1 })).close();
    await expect(requireHalf(devices.webgpu)).rejects.toMatchObject({
      code: "DEVICE_HALF",
      message: /^webgpu does not multiply in fp16 here, for which WebGPU needs the GPU's shader-f16: /,
    });
  });
});
