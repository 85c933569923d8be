/** Shape rules of what moves elements to other places, and of constants. */
import { elements } from "../../graph.ts";
import { axesOf, axisOf, intOf, knownOf, operand, tensorValue, textOf, unfit, value, type ShapeRule } from "../call.ts";
import { sameTypes, sameShape, withSize, indices, broadcastShapes, all } from "./operands.ts";

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

/** How many elements of an axis a slice takes. */
function takenOf(size: number, start: number, end: number, step: number): number {
  const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
  const place = (at: number, from: number): number => Math.min(Math.max(at < 0 ? at + size : at, from), most);
  return Math.max(0, Math.ceil((place(end, least) - place(start, 0)) / step));
}

export const slice: ShapeRule = (call) => {
  const x = operand(call, 0);
  const [starts, ends] = [knownOf(call, 1), knownOf(call, 2)];
  const rank = x.shape.length;
  const axes = axesOf(call, call.inputs[3] ? knownOf(call, 3) : starts.map((_, i) => i), rank);
  const steps = call.inputs[4] ? knownOf(call, 4) : starts.map(() => 1);
  if ([ends, axes, steps].some((list) => list.length !== starts.length)) unfit(call, "its lists differ in length");
  const shape = [...x.shape];
  for (const [i, axis] of axes.entries()) {
    const step = steps[i] ?? 0;
    if (step === 0) unfit(call, "a step is 0");
    shape[axis] = takenOf(shape[axis] ?? 0, starts[i] ?? 0, ends[i] ?? 0, step);
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
