/** What the inspection of a program cannot be led to believe, and what its looking takes at most: it runs beside keys. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import "../../../offchain/src/engine/runtime/node/noTelemetry.ts";
import { onnx } from "onnx-proto";
import ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";

import { createGraph, emit, input, integers, output, type Tensor } from "../../../offchain/src/engine/graph.ts";
import { inspectProgram } from "../../../offchain/src/engine/inspect/inspect.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";

const MIB = 2 ** 20;
const int64 = "int64" as const;

/** A program whose output has the shape that this list says. */
function filledBy(shape: readonly number[], sizesOf: (list: (...values: number[]) => Tensor) => Tensor): Uint8Array {
  const graph = createGraph("filled");
  const sizes = sizesOf((...values) => integers(graph, values));
  output("filled", emit(graph, "ConstantOfShape", [sizes], shape, { value: 1 }));
  return writeModel(graph, {});
}

/** These numbers, two by two. */
const rows = (list: (...values: number[]) => Tensor, ...values: number[]): Tensor =>
  emit(list().graph, "Reshape", [list(...values), list(2, 2)], [2, 2], {}, int64);

describe("sizes that stand in rows of a list of lists, which operators bring into another order,", () => {
  const programs: readonly [what: string, program: (shape: readonly number[]) => Uint8Array][] = [
    [
      "by standing beside others",
      (shape) =>
        filledBy(shape, (list) => {
          const beside = emit(
            list().graph,
            "Concat",
            [rows(list, 1, 1, 1, 1), rows(list, 30, 40, 1, 1)],
            [2, 4],
            { axis: 1 },
            int64,
          );
          const flat = emit(beside.graph, "Reshape", [beside, list(8)], [8], {}, int64);
          return emit(beside.graph, "Slice", [flat, list(2), list(4)], [2], {}, int64);
        }),
    ],
    [
      "by being taken a row at a time",
      (shape) =>
        filledBy(shape, (list) => {
          const row = emit(list().graph, "Gather", [rows(list, 1, 1, 30, 40), list(1)], [1, 2], { axis: 0 }, int64);
          return emit(row.graph, "Reshape", [row, list(2)], [2], {}, int64);
        }),
    ],
  ];
  test.each(programs)("%s are no constants", async (_, program) => {
    const session = await ort.InferenceSession.create(program([30, 40]), { logSeverityLevel: 4 });
    expect((await session.run({}))["filled"]?.dims).toEqual([30, 40]);
    await session.release();
    for (const shape of [[30, 40], [1, 1], [30]])
      expect(() => inspectProgram(program(shape), 2 ** 40)).toThrow(/input 1 must be a constant/);
  });
});

/** MiB that a program takes at the fullest moment which reads so many values of 4 MiB, of an input's shape, one after the other. */
const peakOf = (count: number): number => {
  const graph = createGraph("shapes");
  const p = input(graph, "p", [MIB]);
  const sizes = emit(graph, "Shape", [p], [1], {}, int64);
  const sums = Array.from({ length: count }, (_, value) => {
    const filled = emit(graph, "ConstantOfShape", [sizes], [MIB], { value });
    return emit(graph, "ReduceSum", [emit(graph, "Mul", [filled, p], [MIB])], [], { keepdims: 0 });
  });
  output("sum", emit(graph, "Sum", sums, []));
  return inspectProgram(writeModel(graph, {}), 2 ** 40).peak / MIB;
};

test("what follows from a shape alone is there all the time: the shape of what varies does not", () => {
  expect(peakOf(41) - peakOf(1)).toBeCloseTo(40 * 4, 1);
});

/** A program of so many nodes with 4,096 outputs each, all of which read one value of a name as long as names may be. */
function wide(nodes: number): Uint8Array {
  const name = "\u0001".repeat(4_096);
  const { AttributeType } = onnx.AttributeProto;
  const graph = new onnx.GraphProto({
    name: "wide",
    initializer: [new onnx.TensorProto({ name, dims: [0], dataType: 1 })],
    node: Array.from(
      { length: nodes },
      (_, i) =>
        new onnx.NodeProto({
          opType: "Split",
          input: [name],
          output: Array.from({ length: 4_096 }, (__, at) => `${i}.${at}`),
          attribute: [new onnx.AttributeProto({ name: "num_outputs", type: AttributeType.INT, i: 4_096 })],
        }),
    ),
    output: [
      new onnx.ValueInfoProto({
        name: "0.0",
        type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 0 }] } } },
      }),
    ],
  });
  const opsetImport = [new onnx.OperatorSetIdProto({ domain: "", version: 18 })];
  return onnx.ModelProto.encode(new onnx.ModelProto({ irVersion: 9, opsetImport, graph })).finish();
}

test(
  "looking at a program takes no longer where names are long and nodes have many outputs",
  { timeout: 60_000 },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "cotrain-inspection-"));
    const file = join(directory, "wide.onnx");
    writeFileSync(file, wide(20));
    const inspecting = `
    import { readFileSync } from "node:fs";
    import { inspectProgram } from ${JSON.stringify(join(import.meta.dirname, "../../../offchain/src/engine/inspect/inspect.ts"))};
    process.stdout.write(String(inspectProgram(readFileSync(${JSON.stringify(file)}), 2 ** 30).nodes));`;
    const flags = ["--conditions=cotrain-source", "--max-old-space-size=256", "--input-type=module"];
    try {
      const inspection = promisify(execFile)(process.execPath, [...flags, "--eval", inspecting], { timeout: 50_000 });
      expect((await inspection).stdout).toBe("20");
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
