/** Shape rules of matrix products. */
import { intOf, operand, unfit, value, type ShapeRule, type Value } from "../call.ts";
import { belongs, broadcastShapes, sameTypes } from "./operands.ts";

/** NumPy's matmul; vectors are not needed. */
export const matMul: ShapeRule = (call) => {
  const [a, b] = [operand(call, 0), operand(call, 1)];
  belongs(call, a, "factors");
  const type = sameTypes(call, [a, b]);
  const [m, k] = a.shape.slice(-2);
  const [kB, n] = b.shape.slice(-2);
  if (m === undefined || k === undefined || n === undefined || k !== kB) return unfit(call, "it is no matrix product");
  return [value(type, [...broadcastShapes(call, [a.shape.slice(0, -2), b.shape.slice(0, -2)]), m, n])];
};

export const gemm: ShapeRule = (call) => {
  const [a, b, c] = [operand(call, 0), operand(call, 1), call.inputs[2]];
  belongs(call, a, "factors");
  const type = sameTypes(call, c ? [a, b, c] : [a, b]);
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
  return [value(type, [m, n])];
};
