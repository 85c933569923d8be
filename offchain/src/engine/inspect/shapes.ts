/** Shape rules of the operators: what each makes of its inputs (https://onnx.ai/onnx/operators/), for static shapes. */
import { elements } from "../graph.ts";
import {
  axesOf,
  axisOf,
  elementName,
  intOf,
  fits,
  knownOf,
  operand,
  tensorValue,
  textOf,
  unfit,
  value,
  type Call,
  type ElementName,
  type ShapeRule,
  type Value,
} from "./call.ts";

type Family = "floats" | "numbers" | "booleans" | "any";
const families: Readonly<Record<Family, readonly ElementName[]>> = {
  floats: ["float32"],
  numbers: ["float32", "int32", "int64"],
  booleans: ["bool"],
  any: ["float32", "int32", "int64", "bool"],
};

function belongs(call: Call, { type }: Value, family: Family): void {
  if (!families[family].includes(type)) unfit(call, `it does not take ${type}`);
}

function sameTypes(call: Call, values: readonly Value[]): ElementName {
  const [first] = values;
  if (!first || values.some(({ type }) => type !== first.type)) return unfit(call, "its operands have several types");
  return first.type;
}

const sameShape = (a: Value, b: Value): boolean => a.shape.join() === b.shape.join();
const withSize = (shape: readonly number[], axis: number, size: number): number[] =>
  shape.map((n, i) => (i === axis ? size : n));
const indices = (call: Call, x: Value): void => {
  if (x.type !== "int64" && x.type !== "int32") unfit(call, "indices must be whole numbers");
};

/** NumPy's broadcasting. */
function broadcastShapes(call: Call, shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, i) => {
    let size = 1;
    for (const shape of shapes) {
      const own = shape[i - rank + shape.length] ?? 1;
      if (own !== 1 && size !== 1 && own !== size) unfit(call, "its operands do not broadcast");
      if (own !== 1) size = own;
    }
    return size;
  });
}

const all = (call: Call): Value[] => call.inputs.map((_, i) => operand(call, i));

/** One operand's type and shape. */
export const same =
  (family: Family): ShapeRule =>
  (call) => {
    const x = operand(call, 0);
    belongs(call, x, call.op === "Identity" ? "any" : family);
    if (call.inputs[1] && (call.inputs[1].type !== "int64" || elements(call.inputs[1].shape) !== 1))
      unfit(call, "its second input must be one whole number");
    return [value(x.type, x.shape)];
  };

export const broadcast =
  (family: Family): ShapeRule =>
  (call) => {
    const operands = all(call);
    const type = sameTypes(call, operands);
    for (const x of operands) belongs(call, x, family);
    return [
      value(
        type,
        broadcastShapes(
          call,
          operands.map(({ shape }) => shape),
        ),
      ),
    ];
  };

export const compared: ShapeRule = (call) => {
  const operands = all(call);
  sameTypes(call, operands);
  return [
    value(
      "bool",
      broadcastShapes(
        call,
        operands.map(({ shape }) => shape),
      ),
    ),
  ];
};

export const tested: ShapeRule = (call) => {
  belongs(call, operand(call, 0), "floats");
  return [value("bool", operand(call, 0).shape)];
};

export const where: ShapeRule = (call) => {
  const [condition, a, b] = [operand(call, 0), operand(call, 1), operand(call, 2)];
  belongs(call, condition, "booleans");
  return [value(sameTypes(call, [a, b]), broadcastShapes(call, [condition.shape, a.shape, b.shape]))];
};

export const clip: ShapeRule = (call) => {
  const x = operand(call, 0);
  belongs(call, x, "numbers");
  for (const bound of call.inputs.slice(1)) {
    if (bound && (bound.type !== x.type || bound.shape.length > 0))
      unfit(call, "its bounds must be scalars of its type");
  }
  return [value(x.type, x.shape)];
};

export const cast: ShapeRule = (call) => {
  const { shape, known } = operand(call, 0);
  const to = elementName(intOf(call, "to", 0));
  // What does not fit wraps around in the runtime; no honest program computes its shapes so.
  return [value(to, shape, to !== "float32" && known?.every((x) => fits(to, x)) ? known : undefined)];
};

/** Axes by the second input; all where it is left out or empty. */
export const reduce: ShapeRule = (call) => {
  const x = operand(call, 0);
  belongs(call, x, "numbers");
  const rank = x.shape.length;
  const given = call.inputs[1] ? axesOf(call, knownOf(call, 1), rank) : [];
  if (given.length === 0 && intOf(call, "noop_with_empty_axes", 0) !== 0) return [value(x.type, x.shape)];
  const axes = new Set(given.length === 0 ? x.shape.keys() : given);
  const kept = intOf(call, "keepdims", 1) !== 0;
  const shape = x.shape.flatMap((size, i) => (!axes.has(i) ? [size] : kept ? [1] : []));
  return [value(x.type, shape)];
};

export const argument: ShapeRule = (call) => {
  const x = operand(call, 0);
  belongs(call, x, "numbers");
  const axis = axisOf(call, intOf(call, "axis", 0), x.shape.length);
  const kept = intOf(call, "keepdims", 1) !== 0;
  return [value("int64", kept ? withSize(x.shape, axis, 1) : x.shape.filter((_, i) => i !== axis))];
};

export const normalised: ShapeRule = (call) => {
  const x = operand(call, 0);
  belongs(call, x, "floats");
  axisOf(call, intOf(call, "axis", -1), x.shape.length);
  return [value(x.type, x.shape)];
};

export const cumulative: ShapeRule = (call) => {
  const [x, axis] = [operand(call, 0), operand(call, 1)];
  belongs(call, x, "numbers");
  indices(call, axis);
  if (elements(axis.shape) !== 1) unfit(call, "its axis must be one number");
  for (const at of axis.known ?? []) axisOf(call, at, x.shape.length);
  return [value(x.type, x.shape)];
};

export const layerNorm: ShapeRule = (call) => {
  const x = operand(call, 0);
  belongs(call, x, "floats");
  const axis = axisOf(call, intOf(call, "axis", -1), x.shape.length);
  if (intOf(call, "stash_type", 1) !== 1) unfit(call, "stash_type must be 1");
  for (const scale of call.inputs.slice(1)) {
    if (scale && (scale.type !== "float32" || scale.shape.join() !== x.shape.slice(axis).join()))
      unfit(call, "scale and bias must have the shape that is normalised");
  }
  const moments = x.shape.map((size, i) => (i < axis ? size : 1));
  return [value(x.type, x.shape), value(x.type, moments), value(x.type, moments)].slice(0, call.outputs);
};

export const crossEntropy: ShapeRule = (call) => {
  const [scores, labels] = [operand(call, 0), operand(call, 1)];
  belongs(call, scores, "floats");
  indices(call, labels);
  const [n = 0, classes = 0, ...rest] = scores.shape;
  if (scores.shape.length < 2 || labels.shape.join() !== [n, ...rest].join()) unfit(call, "labels have another shape");
  const weights = call.inputs[2];
  if (weights && (weights.type !== "float32" || weights.shape.join() !== String(classes)))
    unfit(call, "there must be one weight a class");
  const reduction = textOf(call, "reduction", ["mean", "sum", "none"]);
  const loss = value("float32", reduction === "none" ? labels.shape : []);
  return [loss, value("float32", scores.shape)].slice(0, call.outputs);
};

/** NumPy's matmul; vectors are not needed. */
export const matMul: ShapeRule = (call) => {
  const [a, b] = [operand(call, 0), operand(call, 1)];
  belongs(call, a, "floats");
  belongs(call, b, "floats");
  const [m, k] = a.shape.slice(-2);
  const [kB, n] = b.shape.slice(-2);
  if (m === undefined || k === undefined || n === undefined || k !== kB) return unfit(call, "it is no matrix product");
  return [value("float32", [...broadcastShapes(call, [a.shape.slice(0, -2), b.shape.slice(0, -2)]), m, n])];
};

export const gemm: ShapeRule = (call) => {
  const [a, b, c] = [operand(call, 0), operand(call, 1), call.inputs[2]];
  for (const x of [a, b, ...(c ? [c] : [])]) belongs(call, x, "floats");
  const turn = (x: Value, name: string): readonly number[] =>
    x.shape.length !== 2
      ? unfit(call, "it multiplies matrices")
      : intOf(call, name, 0) !== 0
        ? x.shape.toReversed()
        : x.shape;
  const [m = 0, k] = turn(a, "transA");
  const [kB, n = 0] = turn(b, "transB");
  if (k !== kB) unfit(call, "it is no matrix product");
  if (c && broadcastShapes(call, [c.shape, [m, n]]).join() !== [m, n].join()) unfit(call, "what is added is too large");
  return [value("float32", [m, n])];
};

export const reshape: ShapeRule = (call) => {
  const x = operand(call, 0);
  const zeroes = intOf(call, "allowzero", 0) !== 0;
  const sizes = knownOf(call, 1).map((size, i) => (size === 0 && !zeroes ? (x.shape[i] ?? -2) : size));
  const open = sizes.filter((size) => size === -1).length;
  const rest = elements(sizes.filter((size) => size !== -1));
  const shape = open === 1 ? sizes.map((size) => (size === -1 ? elements(x.shape) / rest : size)) : sizes;
  if (
    open > 1 ||
    shape.some((size) => !Number.isSafeInteger(size) || size < 0) ||
    elements(shape) !== elements(x.shape)
  )
    unfit(call, `there are not as many elements in [${sizes.join(", ")}]`);
  return [value(x.type, shape, x.known)];
};

export const flatten: ShapeRule = (call) => {
  const x = operand(call, 0);
  const axis = intOf(call, "axis", 1);
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (at < 0 || at > x.shape.length) unfit(call, `there is no axis ${axis}`);
  return [value(x.type, [elements(x.shape.slice(0, at)), elements(x.shape.slice(at))])];
};

export const squeeze: ShapeRule = (call) => {
  const x = operand(call, 0);
  const given = call.inputs[1] ? axesOf(call, knownOf(call, 1), x.shape.length) : undefined;
  const axes = new Set(given ?? [...x.shape.keys()].filter((i) => x.shape[i] === 1));
  if ([...axes].some((i) => x.shape[i] !== 1)) unfit(call, "only axes of size 1 can go");
  return [
    value(
      x.type,
      x.shape.filter((_, i) => !axes.has(i)),
      x.known,
    ),
  ];
};

export const unsqueeze: ShapeRule = (call) => {
  const x = operand(call, 0);
  const added = knownOf(call, 1);
  const axes = new Set(axesOf(call, added, x.shape.length + added.length));
  const sizes = [...x.shape];
  const shape = Array.from({ length: x.shape.length + added.length }, (_, i) =>
    axes.has(i) ? 1 : (sizes.shift() ?? 1),
  );
  return [value(x.type, shape, shape.length > 1 ? undefined : x.known)];
};

export const transpose: ShapeRule = (call) => {
  const x = operand(call, 0);
  const given = call.attributes.get("perm")?.ints;
  const permutation = given ?? [...x.shape.keys()].reverse();
  if (
    permutation.length !== x.shape.length ||
    axesOf(call, permutation, x.shape.length).some((at, i) => at !== permutation[i])
  )
    unfit(call, "perm is no permutation");
  return [
    value(
      x.type,
      permutation.map((from) => x.shape[from] ?? 0),
    ),
  ];
};

export const concat: ShapeRule = (call) => {
  const operands = all(call);
  const type = sameTypes(call, operands);
  const [first = operand(call, 0)] = operands;
  const axis = axisOf(call, intOf(call, "axis", 0), first.shape.length);
  for (const other of operands) {
    if (withSize(other.shape, axis, 1).join() !== withSize(first.shape, axis, 1).join())
      unfit(call, "they differ along another axis");
  }
  const size = operands.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
  const known = operands.every((x) => x.known) ? operands.flatMap((x) => x.known ?? []) : undefined;
  return [value(type, withSize(first.shape, axis, size), known)];
};

export const split: ShapeRule = (call) => {
  const x = operand(call, 0);
  const axis = axisOf(call, intOf(call, "axis", 0), x.shape.length);
  const size = x.shape[axis] ?? 0;
  const part = Math.ceil(size / call.outputs);
  const sizes = call.inputs[1]
    ? knownOf(call, 1)
    : Array.from({ length: call.outputs }, (_, i) => Math.min(part, size - i * part));
  if (!call.inputs[1] && intOf(call, "num_outputs", 0) !== call.outputs) unfit(call, "it must say how many parts");
  if (sizes.length !== call.outputs || sizes.reduce((sum, n) => sum + n, 0) !== size)
    unfit(call, "its parts do not add up");
  return sizes.map((n) => value(x.type, withSize(x.shape, axis, n)));
};

export const slice: ShapeRule = (call) => {
  const x = operand(call, 0);
  const [starts, ends] = [knownOf(call, 1), knownOf(call, 2)];
  const rank = x.shape.length;
  const axes = axesOf(call, call.inputs[3] ? knownOf(call, 3) : starts.map((_, i) => i), rank);
  const steps = call.inputs[4] ? knownOf(call, 4) : starts.map(() => 1);
  if ([ends, axes, steps].some((list) => list.length !== starts.length)) unfit(call, "its lists differ in length");
  const shape = [...x.shape];
  for (const [i, axis] of axes.entries()) {
    const size = shape[axis] ?? 0;
    const step = steps[i] ?? 0;
    if (step === 0) unfit(call, "a step is 0");
    const place = (at: number, least: number, most: number): number =>
      Math.min(Math.max(at < 0 ? at + size : at, least), most);
    const from = step > 0 ? place(starts[i] ?? 0, 0, size) : place(starts[i] ?? 0, 0, size - 1);
    const to = step > 0 ? place(ends[i] ?? 0, 0, size) : place(ends[i] ?? 0, -1, size - 1);
    shape[axis] = Math.max(0, Math.ceil((to - from) / step));
  }
  const [step, first] = [steps[0], starts[0] ?? 0];
  const known = rank === 1 && step === 1 ? x.known?.slice(first, ends[0]) : undefined;
  return [value(x.type, shape, known)];
};

export const expand: ShapeRule = (call) => {
  const x = operand(call, 0);
  return [value(x.type, broadcastShapes(call, [x.shape, value("int64", knownOf(call, 1)).shape]))];
};

export const tile: ShapeRule = (call) => {
  const x = operand(call, 0);
  const repeats = knownOf(call, 1);
  if (repeats.length !== x.shape.length) unfit(call, "there must be one number an axis");
  return [
    value(
      x.type,
      x.shape.map((size, i) => size * (repeats[i] ?? 1)),
    ),
  ];
};

export const gather: ShapeRule = (call) => {
  const [x, at] = [operand(call, 0), operand(call, 1)];
  indices(call, at);
  const axis = axisOf(call, intOf(call, "axis", 0), x.shape.length);
  const known = x.known && at.known?.map((i) => x.known?.[i < 0 ? i + (x.shape[0] ?? 0) : i] ?? Number.NaN);
  const shape = [...x.shape.slice(0, axis), ...at.shape, ...x.shape.slice(axis + 1)];
  return [value(x.type, shape, shape.length > 1 || known?.some(Number.isNaN) ? undefined : known)];
};

export const gatherElements: ShapeRule = (call) => {
  const [x, at] = [operand(call, 0), operand(call, 1)];
  indices(call, at);
  const axis = axisOf(call, intOf(call, "axis", 0), x.shape.length);
  if (at.shape.length !== x.shape.length || at.shape.some((size, i) => i !== axis && size > (x.shape[i] ?? 0)))
    unfit(call, "indices reach beyond it");
  return [value(x.type, at.shape)];
};

export const scatterElements: ShapeRule = (call) => {
  const [x, at, updates] = [operand(call, 0), operand(call, 1), operand(call, 2)];
  indices(call, at);
  sameTypes(call, [x, updates]);
  const axis = axisOf(call, intOf(call, "axis", 0), x.shape.length);
  textOf(call, "reduction", ["none", "add", "mul", "min", "max"]);
  if (!sameShape(at, updates) || at.shape.length !== x.shape.length)
    unfit(call, "indices and updates must have one shape");
  if (at.shape.some((size, i) => i !== axis && size > (x.shape[i] ?? 0))) unfit(call, "indices reach beyond it");
  return [value(x.type, x.shape)];
};

export const oneHot: ShapeRule = (call) => {
  const [at, values] = [operand(call, 0), operand(call, 2)];
  indices(call, at);
  const [depth = 0] = knownOf(call, 1);
  const axis = axisOf(call, intOf(call, "axis", -1), at.shape.length + 1);
  if (values.shape.join() !== "2" || depth < 1) unfit(call, "it needs a depth and two values");
  return [value(values.type, at.shape.toSpliced(axis, 0, depth))];
};

export const shapeOf: ShapeRule = (call) => {
  const { shape } = operand(call, 0);
  const sizes = shape.slice(intOf(call, "start", 0), intOf(call, "end", shape.length));
  return [value("int64", [sizes.length], sizes)];
};

export const constant: ShapeRule = (call) => {
  const [given, ...more] = call.attributes.values();
  if (!given || more.length > 0) return unfit(call, "it needs exactly one value");
  if (given.t) return [tensorValue(given.t)];
  if (given.f !== undefined) return [value("float32", [])];
  if (given.i !== undefined) return [value("int64", [], [given.i])];
  return [value("int64", [given.ints.length], given.ints)];
};

export const constantOfShape: ShapeRule = (call) => {
  const tensor = call.attributes.get("value")?.t;
  const filled = tensor ? tensorValue(tensor) : value("float32", [1]);
  if (elements(filled.shape) !== 1) unfit(call, "it fills with one value");
  return [value(filled.type, knownOf(call, 0))];
};
