/** Shape rules of what computes along axes. */
import { elements } from "../../graph.ts";
import { axesOf, axisOf, intOf, knownOf, operand, textOf, unfit, value, type ShapeRule } from "../call.ts";
import { belongs, withSize, indices } from "./operands.ts";

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
