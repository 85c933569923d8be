/** What the builder writes: exact products, plain ONNX, stable digests, a signature that speaks for itself. */
import type { Hex } from "@cotrain/sdk/protocol";
import { onnx } from "onnx-proto";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import {
  buildPrograms,
  checkConfig,
  conformance,
  EngineError,
  halfStep,
  parameterCount,
  presetNames,
  presetOf,
  presets,
  ProductRuleError,
  readSignature,
  SIGNATURE_KEY,
  tensorSpecs,
} from "../../../offchain/src/engine/index.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { availableMemory, devices, openEngineHost } from "../../../offchain/src/engine/runtime/node/index.ts";
import { gradients } from "../../../offchain/src/engine/gradients.ts";
import { createGraph, input, output, scalar } from "../../../offchain/src/engine/graph.ts";
import { OPSET, writeModel } from "../../../offchain/src/engine/onnx.ts";
import * as op from "../../../offchain/src/engine/ops.ts";
import { isExact } from "../../../offchain/src/engine/products.ts";
import { evalGraph, stepGraph } from "../../../offchain/src/engine/programs.ts";
import { rules } from "../../../offchain/src/engine/rules.ts";
import { mismatch, stepDigestOf, STEPS, vectorOf } from "../../vectors/conformance.ts";

const { model, microBatch } = presets["0.1m"];
const MEMORY = availableMemory();
const programs = buildPrograms(model, { microBatch });

describe("products", () => {
  const graph = createGraph("products");
  const matrix = (rows: number, columns: number) =>
    input(graph, `${rows}x${columns} ${graph.inputs.length}`, [rows, columns]);

  test.each([
    [128, 1024, 344],
    [32, 512, 96 * 2],
  ])("%i×%i×%i is refused by name", (m, n, k) => {
    expect(() => op.gemm(matrix(m, k), matrix(k, n))).toThrow(ProductRuleError);
    expect(() => op.gemm(matrix(m, k), matrix(k, n))).toThrow(`${m}×${n}×${k} of Gemm`);
    expect(() => op.matMul(matrix(m, k), matrix(k, n))).toThrow(ProductRuleError);
  });
  test("the three ways to be exact", () => {
    expect(() => op.gemm(matrix(344, 128), matrix(344, 1024), { transA: true })).not.toThrow();
    expect(() => op.gemm(matrix(1024, 344), matrix(344, 1024))).not.toThrow();
    expect(() => op.gemm(matrix(128, 128), matrix(128, 1024))).not.toThrow();
    expect(isExact({ op: "MatMul", m: 128, n: 1024, k: 344, transA: true })).toBe(false);
  });
  test("a linear layer that would not be exact is turned round", () => {
    const before = graph.products.length;
    rules.linear(matrix(128, 344), matrix(1024, 344));
    expect(graph.products.slice(before)).toMatchObject([{ m: 128, n: 1024, k: 344, transA: true }]);
  });
  test.each(presetNames)("all products of the eval program of preset %s are exact", (name) => {
    const preset = presetOf(name);
    const { products } = evalGraph(preset.model, preset).graph; // a step's: sizes.test.ts
    expect(products.length).toBeGreaterThan(0);
    expect(products.filter((product) => !isExact(product))).toEqual([]);
  });
  test("the state after three steps is the same on 1, 2, 3, 7 and 16 threads, and that of the device's class", async () => {
    for (const name of ["0.1m", "1m"] as const) {
      const preset = presetOf(name);
      const { step } = buildPrograms(preset.model, preset);
      const digests = new Set<Hex>();
      for (const threads of [1, 2, 3, 7, 16]) digests.add(await conformance(openEngineHost, step.bytes, threads));
      expect(digests.size).toBe(1);
      for (const digest of digests) expect(mismatch(devices.cpu, name, digest)).toBeUndefined();
    }
  });
  test("ONNX Runtime does not turn back what was turned round", async () => {
    // Wider than its batch has rows, as 20m is, and more than one block of K: its feed-forward layer is turned round.
    const narrow = { ...model, width: 192, heads: 3, hidden: 576, layers: 1 };
    const { step } = buildPrograms(narrow, { microBatch: 2 });
    const digests = new Set<string>();
    for (const threads of [1, 7, 16]) digests.add(await conformance(openEngineHost, step.bytes, threads));
    expect(digests.size).toBe(1);
  });
});

const sizeOf = (name: string): number => Number.parseFloat(name) * (name.endsWith("b") ? 1e9 : 1e6);

describe("presets", () => {
  test("have about the size of their name", () => {
    const off = presetNames.filter(
      (name) => !(Math.abs(Math.log2(parameterCount(presetOf(name).model) / sizeOf(name))) < 0.25),
    );
    expect(off).toEqual([]);
  });
  test("name their tensors once, layers in order", () => {
    const specs = tensorSpecs(presets["1b"].model);
    expect(new Set(specs.map(({ name }) => name)).size).toBe(specs.length);
    expect(specs[0]).toEqual({ name: "model.embed_tokens.weight", shape: [32_000, 2048] });
    expect(specs.at(-1)).toEqual({ name: "lm_head.weight", shape: [32_000, 2048] });
    expect(specs.find(({ name }) => name === "model.layers.3.self_attn.k_proj.weight")).toMatchObject({
      shape: [256, 2048],
      layer: 3,
    });
  });
  test("a config that cannot be is refused by field", () => {
    expect(() => presetOf("2m")).toThrow(/choose one of 0.1m/);
    expect(() => checkConfig({ ...model, heads: 5 })).toThrow(/width 48/);
    expect(() => checkConfig({ ...model, keyValueHeads: 2 })).toThrow(/keyValueHeads/);
    expect(() => checkConfig({ ...model, layers: 0.5 })).toThrow(EngineError);
    // Nine tensors a layer and three more, of the 65,536 that a table can name.
    expect(() => checkConfig({ ...model, layers: 7_282 })).toThrow(/layers must be at most 7281, not 7282/);
    expect(checkConfig({ ...model, layers: 7_281 })).toMatchObject({ layers: 7_281 });
    expect(() => buildPrograms(model, { microBatch: 0 })).toThrow(/micro-batch/);
  });
});

describe("bytes", () => {
  test("are the same for the same config, and others for another", () => {
    const again = buildPrograms({ ...model }, { microBatch });
    expect(again.step.digest).toBe(programs.step.digest);
    expect(buildPrograms({ ...model, ropeTheta: 9_999 }, { microBatch }).step.digest).not.toBe(programs.step.digest);
    expect(new Set([programs.step.digest, programs.eval.digest, programs.logits.digest]).size).toBe(3);
  });

  // Of those that no one machine trains, no conformance value can tell that they have changed.
  test.each(presetNames)("a step of %s has the digest that it has had", (name) => {
    expect(stepDigestOf(name)).toBe(vectorOf(STEPS, name));
  });

  test.each(["step", "eval", "logits"] as const)("%s reads as ONNX with another library", (kind) => {
    const read = onnx.ModelProto.decode(programs[kind].bytes);
    expect(onnx.ModelProto.verify(read)).toBeNull();
    expect(read.opsetImport.map(({ domain, version }) => [domain ?? "", Number(version)])).toEqual([["", OPSET]]);
    const graph = read.graph;
    const known = new Set(
      ["", ...(graph?.input ?? []), ...(graph?.initializer ?? [])].map((x) => (typeof x === "string" ? x : x.name)),
    );
    for (const node of graph?.node ?? []) {
      expect(node.domain ?? "").toBe(""); // standard operators only
      expect((node.input ?? []).filter((name) => !known.has(name))).toEqual([]); // read after they are written
      for (const name of node.output ?? []) {
        expect(known.has(name)).toBe(false); // written once
        known.add(name);
      }
    }
    for (const { name, type } of graph?.output ?? []) {
      expect(known.has(name ?? "")).toBe(true);
      expect(type?.tensorType?.elemType).toBe(onnx.TensorProto.DataType.FLOAT);
    }
    for (const { dims, dataType, rawData } of graph?.initializer ?? []) {
      const size = dataType === onnx.TensorProto.DataType.INT64 ? 8 : 4;
      expect(rawData?.length).toBe(size * (dims ?? []).reduce<number>((product, n) => product * Number(n), 1));
    }
  });
});

/** Somebody else's program: a bigram table trained by plain SGD with momentum, with names of its own. */
function foreign(change: (signature: Record<string, unknown>) => unknown = (same) => same): Uint8Array {
  const graph = createGraph("bigrams");
  const table = input(graph, "W", [7, 7]);
  const velocity = input(graph, "velocity", [7, 7]);
  const ids = input(graph, "ids", [4, 3], "int64");
  const rate = input(graph, "eta", [1]);
  const from = op.reshape(op.slice(ids, 1, 0, 2), [8]);
  const to = op.reshape(op.slice(ids, 1, 1, 3), [8]);
  const loss = rules.crossEntropy(rules.embedding(table, from), to);
  const [gradient] = gradients(loss, [table]);
  if (!gradient) throw new RangeError("no gradient");
  const next = op.add(op.mul(velocity, scalar(graph, 0.5)), gradient);
  output("W_new", op.sub(table, op.mul(next, rate)));
  output("velocity_new", next);
  output("nll", loss);
  const signature = {
    version: 1,
    kind: "step",
    vocabulary: 7,
    tokens: "ids",
    parameters: [{ name: "bigrams", input: "W", output: "W_new" }],
    state: [{ name: "velocity", input: "velocity", output: "velocity_new" }],
    scalars: [{ input: "eta", feed: "learningRate" }],
    loss: "nll",
  };
  return writeModel(graph, { [SIGNATURE_KEY]: JSON.stringify(change(signature)) });
}

describe("signature", () => {
  test("is read back from the graph with its shapes", () => {
    const outline = readSignature(programs.step.bytes, MEMORY);
    expect(outline.signature).toMatchObject({
      version: 1,
      kind: "step",
      vocabulary: 1024,
      loss: "loss",
      maxThreads: 32,
    });
    expect(outline.batch).toBe(microBatch);
    expect(outline.tokensPerSequence).toBe(model.sequence + 1);
    expect(outline.parameters).toEqual(tensorSpecs(model).map(({ name, shape }) => ({ name, shape })));
    expect(outline.state.length).toBe(2 * outline.parameters.length);
    expect(readSignature(programs.logits.bytes, MEMORY).tokensPerSequence).toBe(model.sequence);
  });

  test("any program with one can be trained", async () => {
    const bytes = foreign();
    const engine = await openCpuEngine({ programs: { step: bytes }, threads: 2 });
    expect(engine.tensors).toEqual([{ name: "bigrams", shape: [7, 7] }]);
    const tokens = Uint16Array.from({ length: 12 }, (_, i) => i % 3);
    const results = await engine.train({
      tokens: Uint16Array.from({ length: 360 }, (_, i) => tokens[i % 12] ?? 0),
      learningRate: 1,
    });
    expect(results[0]?.loss).toBeCloseTo(Math.log(7), 5);
    expect(results[0]?.gradientNorm).toBeNaN(); // it does not tell
    expect(results.at(-1)?.loss).toBeLessThan(0.5);
    expect((await engine.optimizerState()).tensors.map(({ name }) => name)).toEqual(["velocity"]);
    await engine.close();
    expect(await conformance(openEngineHost, bytes)).toBe(await conformance(openEngineHost, bytes, 2));
  });

  test("the optimizer's step is fed from 1 on", async () => {
    const counted = foreign((s) => ({ ...s, scalars: [{ input: "eta", feed: "optimizerStep" }] }));
    const digests: string[] = [];
    for (const step of [counted, foreign()]) {
      const engine = await openCpuEngine({ programs: { step }, threads: 1 });
      await engine.train({ tokens: Uint16Array.from({ length: 36 }, (_, i) => i % 3), learningRate: [1, 2, 3] });
      digests.push(await engine.stateDigest());
      await engine.close();
    }
    expect(digests[0]).toBe(digests[1]);
  });

  test("one that does not fit its graph is refused, saying what", () => {
    const missing = writeModel(evalGraph(model, { microBatch }).graph, {});
    expect(() => readSignature(missing, MEMORY)).toThrow(/no cotrain.signature/);
    expect(() =>
      readSignature(
        foreign(({ loss, ...rest }) => (loss ? rest : {})),
        MEMORY,
      ),
    ).toThrow(/must name its loss/);
    expect(() =>
      readSignature(
        foreign((s) => ({ ...s, loss: "W_new2" })),
        MEMORY,
      ),
    ).toThrow(/no output W_new2/);
    expect(() =>
      readSignature(
        foreign((s) => ({ ...s, tokens: "W" })),
        MEMORY,
      ),
    ).toThrow(/must be int64/);
    expect(() =>
      readSignature(
        foreign((s) => ({ ...s, scalars: [] })),
        MEMORY,
      ),
    ).toThrow(/input eta is not described/);
    expect(() =>
      readSignature(
        foreign((s) => ({ ...s, scalars: [s["scalars"], s["scalars"]].flat() })),
        MEMORY,
      ),
    ).toThrow(/an input is described twice/);
    expect(() =>
      readSignature(
        foreign((s) => ({ ...s, kind: "dance" })),
        MEMORY,
      ),
    ).toThrow(EngineError);
    expect(() =>
      readSignature(
        foreign((s) => ({ ...s, extra: 1 })),
        MEMORY,
      ),
    ).toThrow(EngineError);
  });
});

test("tables of positions are computed once for a program, however many layers and micro-batches read them", () => {
  const cosine = vi.spyOn(Math, "cos");
  onTestFinished(() => cosine.mockRestore());
  stepGraph(model, { microBatch, accumulation: 3 });
  // For queries and for keys.
  expect(cosine).toHaveBeenCalledTimes((2 * model.sequence * model.width) / model.heads);
});

test("a model whose tables would be larger than a program may be is refused before they are made", () => {
  const { sequence, ...rest } = model;
  const long = { ...rest, sequence: sequence * 2 ** 20 };
  const refused = expect.objectContaining({
    code: "PROGRAM_TOO_LARGE",
    message: expect.stringMatching(
      / \d+ MiB of tables for 67108864 positions and heads of \d+; 64 MiB are accepted\.$/,
    ),
  });
  expect(() => buildPrograms(long, { microBatch })).toThrow(refused);
  expect(() => halfStep(long, { microBatch })).toThrow(refused);
});
