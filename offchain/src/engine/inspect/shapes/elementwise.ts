/** Shape rules of what computes one element at a time. */
import { elements } from "../../graph.ts";
import { elementName, intOf, fits, operand, unfit, value, type ShapeRule } from "../call.ts";
import { belongs, sameTypes, broadcastShapes, all, type Family } from "./operands.ts";

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
  return [
    value(to, shape, to !== "float32" && to !== "float16" && known?.every((x) => fits(to, x)) ? known : undefined),
  ];
};
