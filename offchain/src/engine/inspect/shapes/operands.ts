/** What shape rules ask of operands. */
import { operand, unfit, type Call, type ElementName, type Value } from "../call.ts";

export type Family = "floats" | "factors" | "numbers" | "booleans" | "any";
const families: Readonly<Record<Family, readonly ElementName[]>> = {
  floats: ["float32"],
  factors: ["float32", "float16"],
  numbers: ["float32", "int32", "int64"],
  booleans: ["bool"],
  any: ["float32", "float16", "int32", "int64", "bool"],
};

export function belongs(call: Call, { type }: Value, family: Family): void {
  if (!families[family].includes(type)) unfit(call, `it does not take ${type}`);
}

export function sameTypes(call: Call, values: readonly Value[]): ElementName {
  const [first] = values;
  if (!first || values.some(({ type }) => type !== first.type)) return unfit(call, "its operands have several types");
  return first.type;
}

export const sameShape = (a: Value, b: Value): boolean => a.shape.join() === b.shape.join();
export const withSize = (shape: readonly number[], axis: number, size: number): number[] =>
  shape.map((n, i) => (i === axis ? size : n));
export const indices = (call: Call, x: Value): void => {
  if (x.type !== "int64" && x.type !== "int32") unfit(call, "indices must be whole numbers");
};

/** NumPy's broadcasting. */
export function broadcastShapes(call: Call, shapes: readonly (readonly number[])[]): number[] {
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

export const all = (call: Call): Value[] => call.inputs.map((_, i) => operand(call, i));
