/** The fragment table: which tensor of the model belongs to which fragment. Fixed in a run's definition. */
import { ProtocolError } from "../baseErrors.ts";
import { digestOfJson } from "./digest.ts";
import type { Digest } from "./ids.ts";

/** A parameter tensor as the engine lists it; `layer` is absent outside the decoder's layers. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layer?: number;
}

export interface TensorEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly fragment: number;
}

export const elementsOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/**
 * Layer l → fragment l mod F; every other tensor, largest first (ties by name), to the fragment that is smallest then (ties by index).
 * The result keeps the parameter order.
 * @throws ProtocolError INVALID_FRAGMENTS, DUPLICATE_TENSOR
 */
export function fragmentTable(specs: readonly TensorSpec[], fragments: number): TensorEntry[] {
  if (!Number.isInteger(fragments) || fragments < 1)
    throw new ProtocolError("INVALID_FRAGMENTS", `A run has a positive whole number of fragments, not ${fragments}.`);
  const sizes = Array.from({ length: fragments }, () => 0);
  const place = new Map<string, number>();
  const names = new Set(specs.map((spec) => spec.name));
  if (names.size !== specs.length)
    throw new ProtocolError("DUPLICATE_TENSOR", "A fragment table lists each tensor once.");
  const assign = (spec: TensorSpec, fragment: number): void => {
    place.set(spec.name, fragment);
    sizes[fragment] = (sizes[fragment] ?? 0) + elementsOf(spec.shape);
  };
  for (const spec of specs) if (spec.layer !== undefined) assign(spec, spec.layer % fragments);
  const others = specs
    .filter((spec) => spec.layer === undefined)
    .sort((a, b) => elementsOf(b.shape) - elementsOf(a.shape) || (a.name < b.name ? -1 : 1));
  for (const spec of others) assign(spec, sizes.indexOf(Math.min(...sizes)));
  return specs.map(({ name, shape }) => ({ name, shape: [...shape], fragment: place.get(name) ?? 0 }));
}

/** sha256 of the table's canonical JSON. */
export const tableDigest = (table: readonly TensorEntry[]): Digest =>
  digestOfJson(table.map(({ name, shape, fragment }) => ({ name, shape, fragment })));
