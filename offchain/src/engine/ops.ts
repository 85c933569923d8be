/**
 * ONNX operators as functions: each infers its result's shape, refuses operands that do not fit, and adds one node.
 * Nothing here knows gradients; `rules.ts` is written in these words.
 */
import { GraphError } from "./errors.ts";
import {
  constant,
  describe,
  emit,
  integers,
  once,
  sameShape,
  elements,
  type ElementType,
  type Shape,
  type Tensor,
} from "./graph.ts";
import { assertExact, isExact } from "./products.ts";

/** Numbers of ONNX's element types. */
const [FLOAT, FLOAT16] = [1, 10] as const;

/** NumPy's broadcasting. */
function broadcast(op: string, a: Tensor, b: Tensor): Shape {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a.shape[i - rank + a.shape.length] ?? 1;
    const y = b.shape[i - rank + b.shape.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new GraphError(`${op} cannot broadcast ${describe([a, b])}.`);
    return Math.max(x, y);
  });
}

const binary = (op: string) => (a: Tensor, b: Tensor) => emit(a.graph, op, [a, b], broadcast(op, a, b));
const unary = (op: string) => (x: Tensor) => emit(x.graph, op, [x], x.shape);

export const add = binary("Add");
export const sub = binary("Sub");
export const mul = binary("Mul");
export const div = binary("Div");
export const min = binary("Min");
export const exp = unary("Exp");
export const log = unary("Log");
export const neg = unary("Neg");
export const sqrt = unary("Sqrt");
export const reciprocal = unary("Reciprocal");
export const sigmoid = unary("Sigmoid");

/** 1 where a < b, else 0; by broadcasting. */
export function less(a: Tensor, b: Tensor): Tensor {
  const compared = emit(a.graph, "Less", [a, b], broadcast("Less", a, b), {}, "bool");
  return emit(a.graph, "Cast", [compared], compared.shape, { to: FLOAT });
}

/**
 * What a product of the model reads of x: x itself in fp32; where products are in fp16, x rounded to that. What lies beyond 65504
 * becomes infinite, what is nearer to 0 than 3·10⁻⁸ becomes 0.
 */
export function rounded(x: Tensor): Tensor {
  const { graph } = x;
  if (graph.precision === "fp32") return x;
  const known = graph.rounded.get(x.name);
  if (known) return known;
  const half = emit(graph, "Cast", [x], x.shape, { to: FLOAT16 }, "float16");
  graph.rounded.set(x.name, half);
  return half;
}

/** x in fp32 again, in which all is computed that is no product of the model. */
export const widened = (x: Tensor): Tensor =>
  x.type === "float16" ? emit(x.graph, "Cast", [x], x.shape, { to: FLOAT }) : x;

const axisOf = (x: Tensor, axis: number): number => (axis < 0 ? axis + x.shape.length : axis);
const withSize = (shape: Shape, axis: number, size: number): number[] => shape.map((n, i) => (i === axis ? size : n));

const reduceByInput = (op: string) => (x: Tensor, axis: number) => {
  const at = axisOf(x, axis);
  return emit(x.graph, op, [x, integers(x.graph, [at])], withSize(x.shape, at, 1), { keepdims: 1 });
};

/** Sum along `axis`, which stays with size 1. */
export const reduceSum = reduceByInput("ReduceSum");
/** Mean along `axis`, which stays with size 1. */
export const reduceMean = reduceByInput("ReduceMean");
/** Maximum along `axis`, which stays with size 1. */
export const reduceMax = reduceByInput("ReduceMax");

/** Sum of all elements, a scalar. */
export const sumAll = (x: Tensor): Tensor => emit(x.graph, "ReduceSum", [x], [], { keepdims: 0 });
/** Sum of all squares, a scalar. */
export const sumOfSquares = (x: Tensor): Tensor => emit(x.graph, "ReduceSumSquare", [x], [], { keepdims: 0 });

/** Sum of tensors of one shape, one after the other. */
export function sumOf(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (!first || tensors.some(({ shape }) => !sameShape(shape, first.shape))) {
    throw new GraphError(`Sum cannot add ${describe(tensors)}.`);
  }
  return emit(first.graph, "Sum", tensors, first.shape);
}

/** The same elements in another shape. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (elements(shape) !== elements(x.shape)) {
    throw new GraphError(`Reshape of ${describe([x])} to [${shape.join(", ")}] changes the number of elements.`);
  }
  if (sameShape(shape, x.shape)) return x;
  return emit(x.graph, "Reshape", [x, integers(x.graph, shape)], shape, {}, x.type);
}

/** Axis i of the result is axis permutation[i] of x. */
export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  const shape = permutation.map((from) => x.shape[from] ?? 0);
  if (permutation.length !== x.shape.length || new Set(permutation).size !== permutation.length) {
    throw new GraphError(`Transpose of ${describe([x])} by [${permutation.join(", ")}] is no permutation.`);
  }
  return emit(x.graph, "Transpose", [x], shape, { perm: permutation }, x.type);
}

/** The last two axes swapped. */
export function swapLast(x: Tensor): Tensor {
  const axes = x.shape.map((_, i) => i);
  return transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

/** Tensors one after the other along `axis`. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (!first) throw new GraphError("Concat needs at least one tensor.");
  const at = axisOf(first, axis);
  for (const other of tensors) {
    if (!sameShape(withSize(other.shape, at, 1), withSize(first.shape, at, 1))) {
      throw new GraphError(`Concat along axis ${at} cannot join ${describe(tensors)}.`);
    }
  }
  const size = tensors.reduce((sum, tensor) => sum + (tensor.shape[at] ?? 0), 0);
  return emit(first.graph, "Concat", tensors, withSize(first.shape, at, size), { axis: at }, first.type);
}

/** Elements start … end − 1 along `axis`. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = axisOf(x, axis);
  if (start < 0 || end > (x.shape[at] ?? 0)) {
    throw new GraphError(`Slice ${start}:${end} of axis ${at} is outside ${describe([x])}.`);
  }
  const list = (value: number): Tensor => integers(x.graph, [value]);
  return emit(x.graph, "Slice", [x, list(start), list(end), list(at)], withSize(x.shape, at, end - start), {}, x.type);
}

/** Repeats axes of size 1 to fill `shape`. */
export const expand = (x: Tensor, shape: Shape): Tensor =>
  emit(x.graph, "Expand", [x, integers(x.graph, shape)], shape, {}, x.type);

/** Rows of `table` [V, d] by `indices` [N] → [N, d]. */
export function gatherRows(table: Tensor, indices: Tensor): Tensor {
  return emit(table.graph, "Gather", [table, indices], [...indices.shape, ...table.shape.slice(1)], { axis: 0 });
}

/** x[i][indices[i][j]] along the last axis; indices [N, J] → [N, J]. */
export const gatherLast = (x: Tensor, indices: Tensor): Tensor =>
  emit(x.graph, "GatherElements", [x, indices], indices.shape, { axis: x.shape.length - 1 });

/**
 * `data` with `updates` added at `indices` along `axis`, one after the other in a fixed order (`ScatterND` with
 * duplicates races on several threads).
 */
export function scatterAdd(data: Tensor, indices: Tensor, updates: Tensor, axis: number): Tensor {
  if (!sameShape(indices.shape, updates.shape))
    throw new GraphError(`ScatterElements of ${describe([indices, updates])}.`);
  return emit(data.graph, "ScatterElements", [data, indices, updates], data.shape, { axis, reduction: "add" });
}

/** Zeros of a shape. Runtimes keep what follows from the program alone, as often as it stands there: so it stands there once. */
const zeros = (like: Tensor, shape: Shape): Tensor =>
  once(like.graph, `zeros ${shape.join()}`, () => full(like, shape, 0));

/** A row for each index [T], 1 at the index and 0 elsewhere: [T, V] for a table of V rows. */
export function oneHot(indices: Tensor, table: Tensor): Tensor {
  const [count = 0] = indices.shape;
  const column = [count, 1];
  const rows = zeros(table, [count, table.shape[0] ?? 0]);
  return scatterAdd(rows, reshape(indices, column), full(table, column, 1), 1);
}

/** x where a scalar is a finite number, else zeros. */
export function whereFinite(x: Tensor, mark: Tensor): Tensor {
  const largest = constant(x.graph, Float32Array.of(3.4e38), []);
  const finite = emit(x.graph, "Less", [mark, largest], [], {}, "bool"); // what is no number is not less
  return emit(x.graph, "Where", [finite, x, constant(x.graph, Float32Array.of(0), [])], x.shape);
}

/**
 * The bits of x, which no runtime computes before all of `others`. It is chosen by whether a number that they have a part in is
 * less than itself: never, whatever they are. (Adding 0 would turn −0 into 0, and so does Where's first choice in ONNX Runtime.)
 */
export function afterAll(x: Tensor, others: readonly Tensor[]): Tensor {
  if (others.length === 0) return x;
  const firsts = others.map((other) => {
    const one = other.shape.reduce((rest, _, axis) => slice(rest, axis, 0, 1), other);
    return reshape(one, [1]);
  });
  const mark = sumAll(concat(firsts, 0));
  const never = emit(x.graph, "Less", [mark, mark], [], {}, "bool");
  return emit(x.graph, "Where", [never, x, x], x.shape, {}, x.type);
}

/** A tensor of one value. */
export function full(like: Tensor, shape: Shape, value: number, type: ElementType = "float32"): Tensor {
  const ones = emit(like.graph, "ConstantOfShape", [integers(like.graph, shape)], shape, { value }, type);
  return ones;
}

export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** Added to the product; of its shape. */
  readonly plus?: Tensor | undefined;
  /** Factor of the product. */
  readonly alpha?: number;
  /** Factor of `plus`. */
  readonly beta?: number;
}

/** Rows and columns of a matrix, read transposed as told; undefined for what is no matrix. */
function matrixOf({ shape }: Tensor, transposed: boolean): readonly [rows: number, columns: number] | undefined {
  const [rows, columns] = shape;
  if (shape.length !== 2 || rows === undefined || columns === undefined) return undefined;
  return transposed ? [columns, rows] : [rows, columns];
}

/**
 * α·A·B (+ β·plus) of two matrices, read transposed as told.
 * @throws ProductRuleError when its bits would depend on the number of threads
 */
export function gemm(a: Tensor, b: Tensor, options: GemmOptions = {}): Tensor {
  const { transA = false, transB = false, plus, alpha = 1, beta = 1 } = options;
  const [left, right] = [matrixOf(a, transA), matrixOf(b, transB)];
  if (!left || !right || left[1] !== right[0])
    throw new GraphError(`Gemm cannot multiply ${describe([a, b])} (transA ${transA}, transB ${transB}).`);
  const [m, k] = left;
  const [, n] = right;
  if (a.type !== b.type) throw new GraphError(`Gemm cannot multiply ${a.type} by ${b.type}.`);
  if (plus && !sameShape(plus.shape, [m, n])) throw new GraphError(`Gemm [${m}, ${n}] cannot add ${describe([plus])}.`);
  const factors = Object.entries({ alpha, beta }).filter(([, factor]) => factor !== 1);
  const attributes = {
    ...(transA && { transA: 1 }),
    ...(transB && { transB: 1 }),
    ...Object.fromEntries(factors.map(([name, factor]) => [name, { float: factor }])),
  };
  const result = emit(a.graph, "Gemm", plus ? [a, b, plus] : [a, b], [m, n], attributes, a.type);
  const product = { op: "Gemm" as const, name: result.name, m, n, k, transA, batch: 1 };
  assertExact(product);
  a.graph.products.push(product);
  return result;
}

/** As `gemm`, but where the rule does not hold, A is transposed first and read transposed, which is exact. */
function exactGemm(a: Tensor, b: Tensor, options: GemmOptions = {}): Tensor {
  const { transA = false, transB = false } = options;
  const [m, k] = matrixOf(a, transA) ?? [0, 0];
  const [, n] = matrixOf(b, transB) ?? [0, 0];
  if (isExact({ op: "Gemm", m, n, k, transA })) return gemm(a, b, options);
  return gemm(swapLast(a), b, { ...options, transA: true });
}

/** A product of the model in its precision: see {@link rounded}. What is added to it is fp32, and added in fp32. */
export function modelGemm(a: Tensor, b: Tensor, { plus, ...options }: GemmOptions = {}): Tensor {
  if (a.graph.precision === "fp32") return exactGemm(a, b, { ...options, plus });
  const product = widened(exactGemm(rounded(a), rounded(b), options));
  return plus ? add(product, plus) : product;
}

/**
 * Batched A·B over equal leading axes, or B a single matrix.
 * @throws ProductRuleError when its bits would depend on the number of threads
 */
export function matMul(a: Tensor, b: Tensor): Tensor {
  const batch = a.shape.slice(0, -2);
  const [m = 0, k = 0] = a.shape.slice(-2);
  const [kB = 0, n = 0] = b.shape.slice(-2);
  if (k !== kB || (b.shape.length > 2 && !sameShape(batch, b.shape.slice(0, -2)))) {
    throw new GraphError(`MatMul cannot multiply ${describe([a, b])}.`);
  }
  if (a.type !== b.type) throw new GraphError(`MatMul cannot multiply ${a.type} by ${b.type}.`);
  const result = emit(a.graph, "MatMul", [a, b], [...batch, m, n], {}, a.type);
  const flat = b.shape.length === 2; // ONNX Runtime then sees one tall product
  const rows = flat ? m * elements(batch) : m;
  const product = {
    op: "MatMul" as const,
    name: result.name,
    m: rows,
    n,
    k,
    transA: false,
    batch: flat ? 1 : elements(batch),
  };
  assertExact(product);
  a.graph.products.push(product);
  return result;
}
