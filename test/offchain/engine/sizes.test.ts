/** What the presets take, largest included: counted from their numbers, and held against the programs that are built of them. */
import { readFileSync } from "node:fs";

import { MAX_PROGRAM_BYTES } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import {
  engineMemory,
  parameterCount,
  presetNames,
  presetOf,
  programLimits,
  stepSize,
  type TransformerConfig,
} from "../../../offchain/src/engine/index.ts";
import { readForm } from "../../../offchain/src/engine/inspect/form.ts";
import { inspectProgram } from "../../../offchain/src/engine/inspect/inspect.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";
import { isExact } from "../../../offchain/src/engine/products.ts";
import { stepGraph } from "../../../offchain/src/engine/programs.ts";

/** Table, layers (queries and output, keys and values, feed-forward, two norms), last norm, output layer. */
function closedForm({ vocabulary, width, layers, heads, keyValueHeads, hidden, tiedEmbeddings }: TransformerConfig) {
  const keyValueWidth = (width / heads) * keyValueHeads;
  const layer = 2 * width ** 2 + 2 * width * keyValueWidth + 3 * width * hidden + 2 * width;
  return vocabulary * width * (tiedEmbeddings ? 1 : 2) + layers * layer + width;
}

describe.each(presetNames)("preset %s", (name) => {
  const preset = presetOf(name);
  const { model, microBatch } = preset;
  const { graph } = stepGraph(model, preset);
  const bytes = writeModel(graph, {});
  const size = stepSize(model, preset);

  test("has the parameters that its numbers make", () => {
    expect(parameterCount(model)).toBe(closedForm(model));
    expect(size.parameters).toBe(closedForm(model));
  });

  test("all products of its step are exact", () => {
    expect(graph.products.filter((product) => !isExact(product))).toEqual([]);
  });

  test("its products make the operations that are counted", () => {
    const there = new Set(readForm(bytes).graph?.nodes.flatMap(({ outputs }) => outputs));
    const computed = graph.products.filter((product) => there.has(product.name));
    const flops = computed.reduce((sum, { m, n, k, batch }) => sum + 2 * m * n * k * batch, 0);
    const ratio = flops / (size.computedPerToken * microBatch * model.sequence);
    // Positions are turned by products too, which nobody counts.
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThan(1.03);
    expect(size.computedPerToken > size.flopsPerToken).toBe(model.recompute ?? false);
  });

  // Both columns of the table in docs/operations.md, whichever the preset takes, and what they are where products are in fp16.
  test.each([
    ["kept", false, "fp32"],
    ["computed again", true, "fp32"],
    ["kept", false, "fp16"],
    ["computed again", true, "fp16"],
  ] as const)(
    "its step is accepted, and takes the memory that is counted: activations %s",
    (_, recompute, precision) => {
      const chosen = recompute === (model.recompute ?? false) && precision === "fp32";
      const program = chosen
        ? bytes
        : writeModel(stepGraph({ ...model, recompute }, { ...preset, precision }).graph, {});
      // Parameters are inputs: a program has tables of positions and no weights, so that 2 GB, the format's limit, are far.
      expect(program.length).toBeLessThan(MAX_PROGRAM_BYTES / 3);
      const { peak, nodes, inputs, outputs } = inspectProgram(program, Number.MAX_SAFE_INTEGER);
      expect(nodes).toBeLessThan(programLimits.nodes / 2);
      expect(inputs.length + outputs.length).toBeLessThan(programLimits.ends / 2);
      const { memory } = stepSize(model, { microBatch, recompute, precision });
      const { parameters, optimizer, gradients, activations, constants } = memory;
      const state = (parameters + optimizer) / 2;
      // The inspection counts what comes after the state when it is computed; an engine has its buffers from the start.
      const counted = state + constants + Math.max(gradients + activations, state);
      expect(peak / counted).toBeGreaterThan(0.96);
      expect(peak / counted).toBeLessThan(1.03);
    },
  );
});

const gib = (bytes: number): string =>
  bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;

const mark = (text: string, chosen: boolean): string => (chosen ? `**${text}**` : text);

function row(name: string): string {
  const { model, microBatch } = presetOf(name);
  const [kept, again] = [false, true].map((recompute) => stepSize(model, { microBatch, recompute }).memory);
  const { parameters, flopsPerToken, memory } = stepSize(model, { microBatch });
  const { total: inHalf } = stepSize(model, { microBatch, precision: "fp16" }).memory;
  const beside = (of: typeof kept): string => gib(of!.gradients + of!.activations);
  const cells = [
    name,
    parameters < 1e9 ? `${(parameters / 1e6).toFixed(1)} M` : `${(parameters / 1e9).toFixed(2)} B`,
    `${(flopsPerToken / 1e9).toPrecision(3)} GFLOP`,
    `${microBatch} × ${model.sequence.toLocaleString("en-US")}`,
    gib(memory.parameters + memory.optimizer),
    mark(beside(kept), !model.recompute),
    mark(beside(again), model.recompute === true),
    gib(memory.total),
    gib(inHalf),
    gib(engineMemory("cpu", memory).host),
  ];
  return `| ${cells.join(" | ")} |`;
}

test("the page for operators has what is counted", () => {
  const page = readFileSync(new URL("../../../docs/operations.md", import.meta.url), "utf8");
  expect(page).toContain(presetNames.map(row).join("\n"));
});
