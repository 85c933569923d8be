/** The table of operators against the runtime: every row's shape rule says what ONNX Runtime gives. */
import "../../../offchain/src/engine/runtime/node/noTelemetry.ts";
import { onnx } from "onnx-proto";
import ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";

import { createGraph, emit, input, integers, output } from "../../../offchain/src/engine/graph.ts";
import { inspectProgram } from "../../../offchain/src/engine/inspect/inspect.ts";
import { operators } from "../../../offchain/src/engine/inspect/operators.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";

type Type = "float32" | "float16" | "int64" | "bool";
const numbers = { float32: 1, int64: 7, bool: 9, float16: 10 } as const;
/** An input that is fed, or whole numbers that stand in the program. */
type Operand = readonly [Type, ...number[]] | { readonly known: readonly number[]; readonly scalar?: boolean } | "";
interface Case {
  readonly inputs: readonly Operand[];
  readonly attributes?: Readonly<Record<string, number | readonly number[] | string | { readonly float: number }>>;
  readonly outputs?: number;
}

const x: Operand = ["float32", 2, 3, 4];
const known = (...values: number[]): Operand => ({ known: values });
const one: readonly Case[] = [{ inputs: [x] }];
const two: readonly Case[] = [{ inputs: [x, ["float32", 3, 1]] }, { inputs: [["float32", 1, 4], x] }];
const logic: readonly Case[] = [
  {
    inputs: [
      ["bool", 2, 3],
      ["bool", 3],
    ],
  },
];
const reduced: readonly Case[] = [
  { inputs: [x] },
  { inputs: [x, known(1)] },
  { inputs: [x, known(0, -1)], attributes: { keepdims: 0 } },
  { inputs: [x, known()], attributes: { noop_with_empty_axes: 1 } },
];
const along: readonly Case[] = [{ inputs: [x] }, { inputs: [x], attributes: { axis: 1 } }];
const each = (names: string, cases: readonly Case[]): [string, readonly Case[]][] =>
  names.split(" ").map((name) => [name, cases]);

const cases = new Map<string, readonly Case[]>([
  ...each(
    "Abs Neg Sign Identity Ceil Cos Erf Exp Floor Log Reciprocal Relu Round Sigmoid Sin Softplus Softsign Sqrt Tanh",
    one,
  ),
  ...each("Elu LeakyRelu Celu ThresholdedRelu", [{ inputs: [x], attributes: { alpha: { float: 0.5 } } }]),
  ...each("Selu HardSwish IsNaN Gelu HardSigmoid", one),
  ...each("IsInf", [{ inputs: [x], attributes: { detect_negative: 0 } }]),
  ...each("Add Sub Mul Div Pow PRelu Less LessOrEqual Greater GreaterOrEqual Equal", two.slice(0, 1)),
  ...each("Sum Mean Max Min", [...two, { inputs: [x, x, ["float32", 4]] }, ...one]),
  ...each("And Or Xor", logic),
  ...each("Not", [{ inputs: [["bool", 2, 3]] }]),
  ...each("Where", [{ inputs: [["bool", 3, 1], x, ["float32", 4]] }]),
  ...each("Clip", [...one, { inputs: [x, ["float32"], ["float32"]] }, { inputs: [x, "", ["float32"]] }]),
  ...each("Cast", [
    { inputs: [x], attributes: { to: 7 } },
    { inputs: [["int64", 5]], attributes: { to: 1 } },
    { inputs: [x], attributes: { to: 10 } },
    { inputs: [["float16", 5]], attributes: { to: 1 } },
  ]),
  ...each(
    "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp",
    reduced.slice(0, 3),
  ),
  ...each("ArgMax ArgMin", [...one, { inputs: [x], attributes: { axis: -1, keepdims: 0 } }]),
  ...each("Softmax LogSoftmax Hardmax", along),
  ...each("CumSum", [{ inputs: [x, { known: [1], scalar: true }], attributes: { reverse: 1 } }]),
  ...each("LayerNormalization", [{ inputs: [x, ["float32", 4], ["float32", 4]], outputs: 3 }]),
  ...each("SoftmaxCrossEntropyLoss", [
    {
      inputs: [
        ["float32", 5, 7],
        ["int64", 5],
      ],
      outputs: 2,
    },
    {
      inputs: [
        ["float32", 5, 7],
        ["int64", 5],
        ["float32", 7],
      ],
      attributes: { reduction: "none" },
    },
  ]),
  ...each("MatMul", [
    { inputs: [x, ["float32", 4, 5]] },
    {
      inputs: [
        ["float32", 6, 1, 2, 3],
        ["float32", 5, 3, 4],
      ],
    },
    {
      inputs: [
        ["float16", 2, 3],
        ["float16", 3, 4],
      ],
    },
  ]),
  ...each("Gemm", [
    {
      inputs: [
        ["float32", 3, 2],
        ["float32", 4, 3],
        ["float32", 1, 4],
      ],
      attributes: { transA: 1, transB: 1 },
    },
    {
      inputs: [
        ["float16", 3, 2],
        ["float16", 4, 3],
      ],
      attributes: { transA: 1, transB: 1 },
    },
  ]),
  ...each("Reshape", [{ inputs: [x, known(0, -1)] }, { inputs: [x, known(4, 6)], attributes: { allowzero: 1 } }]),
  ...each("Flatten", along),
  ...each("Squeeze", [{ inputs: [["float32", 1, 3, 1]] }, { inputs: [["float32", 1, 3, 1], known(-1)] }]),
  ...each("Unsqueeze", [{ inputs: [x, known(0, -1)] }]),
  ...each("Transpose", [...one, { inputs: [["float16", 2, 3]] }, { inputs: [x], attributes: { perm: [1, 2, 0] } }]),
  ...each("Concat", [{ inputs: [x, ["float32", 2, 1, 4]], attributes: { axis: -2 } }]),
  ...each("Split", [
    { inputs: [x, known(1, 3)], attributes: { axis: 2 }, outputs: 2 },
    { inputs: [["float32", 7]], attributes: { num_outputs: 3 }, outputs: 3 },
  ]),
  ...each("Slice", [
    { inputs: [x, known(1), known(2 ** 40), known(-1)] },
    { inputs: [x, known(-1, 0), known(-100, 3), known(2, 1), known(-2, 2)] },
    { inputs: [x, known(0), known(1)] },
  ]),
  ...each("Expand", [{ inputs: [["float32", 3, 1], known(2, 1, 4)] }]),
  ...each("Tile", [{ inputs: [x, known(2, 1, 3)] }]),
  ...each("Trilu", [{ inputs: [x], attributes: { upper: 0 } }, { inputs: [x, { known: [1], scalar: true }] }]),
  ...each("Gather", [{ inputs: [x, ["int64", 5, 2]], attributes: { axis: 1 } }, { inputs: [x, ["int64"]] }]),
  ...each("GatherElements", [{ inputs: [x, ["int64", 2, 3, 7]], attributes: { axis: 2 } }]),
  ...each("ScatterElements", [
    { inputs: [x, ["int64", 1, 2, 4], ["float32", 1, 2, 4]], attributes: { reduction: "add" } },
  ]),
  ...each("OneHot", [
    { inputs: [["int64", 2, 3], { known: [5], scalar: true }, ["float32", 2]], attributes: { axis: 1 } },
  ]),
  ...each("Shape", [...one, { inputs: [x], attributes: { start: 1, end: -1 } }]),
  ...each("Constant", [{ inputs: [], attributes: { value_ints: [1, 2, 3] } }]),
  ...each("ConstantOfShape", [{ inputs: [known(3, 2)] }]),
]);

function attributeOf(name: string, value: NonNullable<Case["attributes"]>[string]): onnx.AttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  if (typeof value === "number") return new onnx.AttributeProto({ name, type: AttributeType.INT, i: value });
  if (typeof value === "string")
    return new onnx.AttributeProto({ name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  if ("float" in value) return new onnx.AttributeProto({ name, type: AttributeType.FLOAT, f: value.float });
  return new onnx.AttributeProto({ name, type: AttributeType.INTS, ints: [...value] });
}

const info = (name: string, type: Type, shape: readonly number[]) =>
  new onnx.ValueInfoProto({
    name,
    type: { tensorType: { elemType: numbers[type], shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
  });

/** One node; its outputs claim the given types and shapes, where they are known. */
function programOf(op: string, { inputs, attributes = {}, outputs = 1 }: Case, claims: readonly [Type, number[]][]) {
  const names = Array.from({ length: outputs }, (_, i) => `out${i}`);
  const graph = new onnx.GraphProto({
    name: "one",
    node: [
      new onnx.NodeProto({
        opType: op,
        input: inputs.map((operand, i) => (operand === "" ? "" : `in${i}`)),
        output: names,
        attribute: Object.entries(attributes).map(([name, value]) => attributeOf(name, value)),
      }),
    ],
    output: names.map((name, i) => (claims[i] ? info(name, ...claims[i]) : new onnx.ValueInfoProto({ name }))),
  });
  for (const [i, operand] of inputs.entries()) {
    if (operand === "") continue;
    if ("known" in operand) {
      const dims = operand.scalar ? [] : [operand.known.length];
      graph.initializer.push(
        new onnx.TensorProto({ name: `in${i}`, dims, dataType: 7, int64Data: [...operand.known] }),
      );
    } else {
      const [type, ...shape] = operand as [Type, ...number[]];
      // The package for Node hands over no fp16.
      const cast = type === "float16";
      graph.input.push(info(cast ? `raw${i}` : `in${i}`, cast ? "float32" : type, shape));
      if (cast)
        graph.node.unshift(
          new onnx.NodeProto({
            opType: "Cast",
            input: [`raw${i}`],
            output: [`in${i}`],
            attribute: [attributeOf("to", numbers.float16)],
          }),
        );
    }
  }
  const opsetImport = [new onnx.OperatorSetIdProto({ domain: "", version: op === "Gelu" ? 20 : 18 })];
  return onnx.ModelProto.encode(new onnx.ModelProto({ irVersion: 9, opsetImport, graph })).finish();
}

/** What the runtime gives. */
async function runtime(op: string, given: Case): Promise<[Type, number[]][]> {
  const session = await ort.InferenceSession.create(programOf(op, given, []), { logSeverityLevel: 4 });
  const feeds: Record<string, ort.Tensor> = {};
  for (const [i, operand] of given.inputs.entries()) {
    if (operand === "" || "known" in operand) continue;
    const [type, ...shape] = operand as [Type, ...number[]];
    const size = shape.reduce((a, b) => a * b, 1);
    const data = { float32: Float32Array, float16: Float32Array, int64: BigInt64Array, bool: Uint8Array }[type];
    const [name, fed] = type === "float16" ? [`raw${i}`, "float32" as const] : [`in${i}`, type];
    feeds[name] = new ort.Tensor(fed, new data(size) as never, shape);
  }
  const results = await session.run(feeds);
  await session.release();
  return Array.from({ length: given.outputs ?? 1 }, (_, i) => {
    const { type, dims } = results[`out${i}`]!;
    return [type as Type, [...dims]];
  });
}

// foundation 1
describe("the shape rule of", () => {
  test("every row has its cases here", () => {
    expect([...cases.keys()].sort()).toEqual([...operators.keys()].sort());
  });
  test.each([...cases])("%s is the runtime's", async (op, list) => {
    for (const given of list) {
      const found = await runtime(op, given);
      const { outputs } = inspectProgram(programOf(op, given, found), 2 ** 30);
      expect(outputs.map(({ value: { type, shape } }) => [type, [...shape]])).toEqual(found);
      // What claims another shape is refused: the rule, not the claim, decides.
      const wrong = found.map(([type, shape]): [Type, number[]] => [type, [...shape, 1]]);
      expect(() => inspectProgram(programOf(op, given, wrong), 2 ** 30)).toThrow(/is said to be/);
    }
  });
});

test("fp16 is for factors of products and for what moves them: nothing else is computed in it, nor with fp32 beside it", () => {
  const half: Operand = ["float16", 3, 3];
  for (const op of ["Add", "Exp", "Softmax", "ReduceSum", "Sum"])
    expect(() => inspectProgram(programOf(op, { inputs: op === "Add" ? [half, half] : [half] }, []), 2 ** 30)).toThrow(
      /does not take float16/,
    );
  for (const op of ["MatMul", "Gemm"])
    expect(() => inspectProgram(programOf(op, { inputs: [half, ["float32", 3, 3]] }, []), 2 ** 30)).toThrow(
      /its operands have several types/,
    );
});

test("whole numbers are not divided: by 0, or the least by −1, that ends the process", () => {
  const ids: Operand = ["int64", 3];
  expect(() => inspectProgram(programOf("Div", { inputs: [ids, ids] }, []), 2 ** 30)).toThrow(/does not take int64/);
});

const MIB = 2 ** 20;

/** A program that reads so many values of 4 MiB that follow from constants, one after the other, each made of another such value. */
function programOfFolded(count: number): Uint8Array {
  const graph = createGraph("folded");
  const p = input(graph, "p", [1]);
  let sum = p;
  for (let i = 0; i < count; i++) {
    const values = emit(graph, "ConstantOfShape", [integers(graph, [MIB])], [MIB], { value: i });
    const doubled = emit(graph, "Add", [values, values], values.shape);
    const read = emit(graph, "ReduceSum", [emit(graph, "Mul", [doubled, p], values.shape)], [], { keepdims: 0 });
    sum = emit(graph, "Add", [sum, read], [1]);
  }
  output("sum", sum);
  return writeModel(graph, {});
}

const peakOf = (count: number): number => inspectProgram(programOfFolded(count), 2 ** 40).peak / MIB;

test("what follows from constants alone is there all the time, since a runtime computes it when it opens a program", () => {
  expect(peakOf(41) - peakOf(1)).toBeCloseTo(40 * 8, 1);
  expect(() => inspectProgram(programOfFolded(41), 300 * MIB)).toThrow(/needs 3\d\d MiB of memory/);
});

test("it is there from the first node on, whichever reads it", () => {
  const graph = createGraph("late");
  const p = input(graph, "p", [1]);
  const early = emit(graph, "Expand", [p, integers(graph, [4 * MIB])], [4 * MIB]);
  const first = emit(graph, "ReduceSum", [early], [], { keepdims: 0 });
  const values = emit(graph, "ConstantOfShape", [integers(graph, [MIB])], [MIB], { value: 1 });
  output("sum", emit(graph, "Add", [first, emit(graph, "ReduceSum", [values], [], { keepdims: 0 })], []));
  expect(inspectProgram(writeModel(graph, {}), 2 ** 40).peak / MIB).toBeGreaterThanOrEqual(16 + 4);
});

test.each([
  ["once where a runtime merges them", 0.5, 2],
  ["each where their numbers are none, which equal nothing", Number.NaN, 21],
])("values of the same operator and operands count %s", (_, alpha, values) => {
  const graph = createGraph("same");
  const p = input(graph, "p", [1]);
  const ones = emit(graph, "ConstantOfShape", [integers(graph, [MIB])], [MIB], { value: 1 });
  const read = Array.from({ length: 20 }, () => {
    const same = emit(graph, "Elu", [ones], ones.shape, { alpha: { float: alpha } });
    return emit(graph, "ReduceSum", [emit(graph, "Mul", [same, p], ones.shape)], [], { keepdims: 0 });
  });
  output("sum", emit(graph, "Sum", read, []));
  const { peak } = inspectProgram(writeModel(graph, {}), 2 ** 40);
  // Beside them a product, of which one operand may be copied.
  expect(Math.abs(peak / MIB - 4 * values - 8)).toBeLessThan(9);
});
