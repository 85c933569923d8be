/**
 * Fragments as flat arrays. A fragment's elements are those of its tensors one after another in table order (which is
 * parameter order); payloads, shards and outer buffers all use this order.
 */
import { elementsOf, type TensorEntry } from "@cotrain/sdk/protocol";

import { InternalError } from "../base/index.ts";

/** Where a tensor lies in its fragment. */
interface TensorPlace {
  readonly name: string;
  readonly shape: readonly number[];
  /** First element within the fragment. */
  readonly offset: number;
  /** Number of elements. */
  readonly elements: number;
}

/** One fragment's tensors in order. */
export interface FragmentLayout {
  readonly index: number;
  readonly elements: number;
  readonly tensors: readonly TensorPlace[];
}

/** Parameters by name, each flat in row-major order. */
export type FlatParameters = ReadonlyMap<string, Float32Array>;

/** How many fragments a table makes; undefined where a number below its largest has no tensor, which no form of a definition refuses. */
export function fragmentCount(table: readonly Pick<TensorEntry, "fragment">[]): number | undefined {
  const numbers = new Set(table.map(({ fragment }) => fragment));
  return numbers.size > 0 && Math.max(...numbers) === numbers.size - 1 ? numbers.size : undefined;
}

/**
 * The layout of every fragment of a table, by index.
 * @param table protocol.md "Payload"; every fragment number from 0 to the largest has a tensor
 * @throws InternalError `TABLE_INVALID`
 */
export function fragmentLayouts(table: readonly TensorEntry[]): FragmentLayout[] {
  const count = fragmentCount(table);
  if (count === undefined)
    throw new InternalError("TABLE_INVALID", "The fragment table leaves a fragment without tensors.");
  const tensors: TensorPlace[][] = Array.from({ length: count }, () => []);
  const elements = tensors.map(() => 0);
  for (const { name, shape, fragment } of table) {
    const length = elementsOf(shape);
    tensors[fragment]!.push({ name, shape, offset: elements[fragment]!, elements: length });
    elements[fragment] = elements[fragment]! + length;
  }
  return tensors.map((places, index) => ({ index, elements: elements[index]!, tensors: places }));
}

function tensorOf(parameters: FlatParameters, place: TensorPlace): Float32Array {
  const values = parameters.get(place.name);
  if (values?.length === place.elements) return values;
  throw new InternalError(
    "TENSOR_MISMATCH",
    `Tensor ${place.name} has ${values?.length ?? "no"} elements; the fragment table says ${place.elements}.`,
  );
}

/**
 * Copies one fragment's elements out of the parameters.
 * @returns [layout.elements]
 * @throws InternalError `TENSOR_MISMATCH` when a tensor is missing or of another size
 */
export function gatherFragment(parameters: FlatParameters, layout: FragmentLayout): Float32Array<ArrayBuffer> {
  const out = new Float32Array(layout.elements);
  for (const place of layout.tensors) out.set(tensorOf(parameters, place), place.offset);
  return out;
}

/**
 * Fragments tensor by tensor in parameter order, the order in which an engine takes them and states are hashed. Views, no copies.
 * @param fragments [layout.elements] each, by index
 * @throws InternalError `TENSOR_MISMATCH` when a fragment is missing or of another size
 */
export function tensorViews(
  fragments: readonly Float32Array[],
  layouts: readonly FragmentLayout[],
  table: readonly TensorEntry[],
): Float32Array[] {
  const views = new Map<string, Float32Array>();
  for (const { index, elements, tensors } of layouts) {
    const values = fragments[index];
    if (values?.length !== elements) {
      throw new InternalError(
        "TENSOR_MISMATCH",
        `Fragment ${index} has ${values?.length ?? "no"} elements; the fragment table says ${elements}.`,
      );
    }
    for (const place of tensors) views.set(place.name, values.subarray(place.offset, place.offset + place.elements));
  }
  return table.flatMap(({ name }) => views.get(name) ?? []);
}

/**
 * Writes one fragment's elements into the parameters' arrays.
 * @param values [layout.elements]
 * @throws InternalError `TENSOR_MISMATCH`
 */
export function scatterFragment(values: Float32Array, layout: FragmentLayout, parameters: FlatParameters): void {
  if (values.length !== layout.elements) {
    throw new InternalError(
      "TENSOR_MISMATCH",
      `Fragment ${layout.index} has ${layout.elements} elements, not ${values.length}.`,
    );
  }
  for (const place of layout.tensors) {
    tensorOf(parameters, place).set(values.subarray(place.offset, place.offset + place.elements));
  }
}
