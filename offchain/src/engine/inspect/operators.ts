/**
 * Which operators a program may use: those of the standard set (ai.onnx 18 to 22) that compute their outputs from their
 * inputs and nothing else. No randomness, no text, no sequences, no quantisation, no control flow: an operator that is not
 * a row here is refused. A row says how many inputs and outputs there may be, which attributes, how outputs follow from
 * inputs (shape rule), and how much memory the work itself takes (memory rule).
 *
 * Subgraphs: no row has bodies, since no signature needs control flow. Bodies are inspected by this table all the same;
 * a row that names its bodies among its attributes (kind "graph") would allow them. The loop of many steps (../loop.ts) is made of a
 * step after its inspection, and does not pass here.
 */
import type { ShapeRule } from "./call.ts";
import * as rule from "./shapes/index.ts";

export type AttributeKind = "int" | "ints" | "float" | "string" | "tensor" | "graph";

export interface Operator {
  /** Inputs at least and at most. */
  readonly inputs: readonly [least: number, most: number];
  readonly outputs: readonly [least: number, most: number];
  readonly attributes: Readonly<Record<string, AttributeKind>>;
  readonly shape: ShapeRule;
  /** What it holds while it works, beside inputs and outputs: nothing, or a copy of what it reads (packed, transposed). */
  readonly memory: "none" | "copies";
}

const MANY = 4096;

const row = (
  inputs: Operator["inputs"],
  shape: ShapeRule,
  attributes: Operator["attributes"] = {},
  memory: Operator["memory"] = "none",
  outputs: Operator["outputs"] = [1, 1],
): Operator => ({ inputs, outputs, attributes, shape, memory });

const rows = (names: string, operator: Operator): [string, Operator][] =>
  names.split(" ").map((name) => [name, operator]);

const reduced = { keepdims: "int", noop_with_empty_axes: "int" } as const;
const axis = { axis: "int" } as const;

/** Operator by name. */
export const operators: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  // One element at a time.
  ...rows("Abs Neg Sign Identity", row([1, 1], rule.same("numbers"))),
  ...rows(
    "Ceil Cos Erf Exp Floor Log Reciprocal Relu Round Sigmoid Sin Softplus Softsign Sqrt Tanh",
    row([1, 1], rule.same("floats")),
  ),
  ...rows("Elu LeakyRelu Celu ThresholdedRelu", row([1, 1], rule.same("floats"), { alpha: "float" })),
  ...rows("Selu", row([1, 1], rule.same("floats"), { alpha: "float", gamma: "float" })),
  ...rows("HardSigmoid", row([1, 1], rule.same("floats"), { alpha: "float", beta: "float" })),
  ...rows("HardSwish", row([1, 1], rule.same("floats"))),
  ...rows("Gelu", row([1, 1], rule.same("floats"), { approximate: "string" })),
  ...rows("Add Sub Mul", row([2, 2], rule.broadcast("numbers"))),
  // Of whole numbers a division by 0, or of the least by −1, ends the process.
  ...rows("Div Pow PRelu", row([2, 2], rule.broadcast("floats"))),
  ...rows("Sum Mean Max Min", row([1, MANY], rule.broadcast("numbers"))),
  ...rows("Equal Less LessOrEqual Greater GreaterOrEqual", row([2, 2], rule.compared)),
  ...rows("And Or Xor", row([2, 2], rule.broadcast("booleans"))),
  ...rows("Not", row([1, 1], rule.same("booleans"))),
  ...rows("IsNaN", row([1, 1], rule.tested)),
  ...rows("IsInf", row([1, 1], rule.tested, { detect_negative: "int", detect_positive: "int" })),
  ...rows("Where", row([3, 3], rule.where)),
  ...rows("Clip", row([1, 3], rule.clip)),
  ...rows("Cast", row([1, 1], rule.cast, { to: "int" })),
  // Along axes.
  ...rows(
    "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp",
    row([1, 2], rule.reduce, reduced, "copies"),
  ),
  ...rows(
    "ArgMax ArgMin",
    row([1, 1], rule.argument, { ...axis, keepdims: "int", select_last_index: "int" }, "copies"),
  ),
  ...rows("Softmax LogSoftmax Hardmax", row([1, 1], rule.normalised, axis, "copies")),
  ...rows("CumSum", row([2, 2], rule.cumulative, { exclusive: "int", reverse: "int" }, "copies")),
  ...rows(
    "LayerNormalization",
    row([2, 3], rule.layerNorm, { ...axis, epsilon: "float", stash_type: "int" }, "copies", [1, 3]),
  ),
  ...rows(
    "SoftmaxCrossEntropyLoss",
    row([2, 3], rule.crossEntropy, { ignore_index: "int", reduction: "string" }, "copies", [1, 2]),
  ),
  // Products.
  ...rows("MatMul", row([2, 2], rule.matMul, {}, "copies")),
  ...rows("Gemm", row([2, 3], rule.gemm, { alpha: "float", beta: "float", transA: "int", transB: "int" }, "copies")),
  // Shapes and places.
  ...rows("Reshape", row([2, 2], rule.reshape, { allowzero: "int" })),
  ...rows("Flatten", row([1, 1], rule.flatten, axis)),
  ...rows("Squeeze", row([1, 2], rule.squeeze)),
  ...rows("Unsqueeze", row([2, 2], rule.unsqueeze)),
  ...rows("Transpose", row([1, 1], rule.transpose, { perm: "ints" })),
  ...rows("Concat", row([1, MANY], rule.concat, axis)),
  ...rows("Split", row([1, 2], rule.split, { ...axis, num_outputs: "int" }, "none", [1, MANY])),
  ...rows("Slice", row([3, 5], rule.slice)),
  ...rows("Expand", row([2, 2], rule.expand)),
  ...rows("Tile", row([2, 2], rule.tile)),
  ...rows("Trilu", row([1, 2], rule.same("any"), { upper: "int" })),
  ...rows("Gather", row([2, 2], rule.gather, axis)),
  ...rows("GatherElements", row([2, 2], rule.gatherElements, axis)),
  ...rows("ScatterElements", row([3, 3], rule.scatterElements, { ...axis, reduction: "string" })),
  ...rows("OneHot", row([3, 3], rule.oneHot, axis)),
  ...rows("Shape", row([1, 1], rule.shapeOf, { start: "int", end: "int" })),
  ...rows(
    "Constant",
    row([0, 0], rule.constant, { value: "tensor", value_int: "int", value_ints: "ints", value_float: "float" }),
  ),
  ...rows("ConstantOfShape", row([1, 1], rule.constantOfShape, { value: "tensor" })),
]);
