/** Whether this machine holds all workers of a run together: each of them looks alone, and all at the same moment. */
import { UserError } from "../base/index.ts";
import { type Place, parameterCount, presetOf, stateElements, tensorSpecs } from "../engine/index.ts";
import { availableMemory } from "../engine/runtime/node/index.ts";
import type { Recipe } from "../run/index.ts";
import { needsOf } from "../worker/index.ts";

/**
 * Bytes of the machine's memory that workers take together.
 * @param places what each of them computes with
 */
export function memoryFor(
  preset: string,
  { optimizer, accumulation, recompute }: Pick<Recipe, "optimizer" | "accumulation" | "recompute">,
  places: readonly Place[],
): number {
  const { model, microBatch } = presetOf(preset);
  const { vocabulary, sequence } = model;
  const size = {
    parameters: parameterCount(model),
    state: stateElements(optimizer, tensorSpecs(model)),
    vocabulary,
    microBatch,
    accumulation,
    sequence,
    model: { ...model, ...(recompute && { recompute }) },
  };
  return places.reduce((sum, place) => sum + needsOf(size, 0, place).memory, 0);
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** @throws UserError `MEMORY_SHORT` */
export function requireMemory(
  preset: string,
  recipe: Parameters<typeof memoryFor>[1],
  places: readonly Place[],
  available = availableMemory(),
): void {
  const needed = memoryFor(preset, recipe, places);
  if (needed <= available) return;
  const [what, remedy] =
    places.length === 1
      ? ["A worker", "choose a smaller model with --preset"]
      : [`${places.length} workers`, "start fewer with --workers, choose a smaller model with --preset"];
  throw new UserError(
    "MEMORY_SHORT",
    `${what} of ${preset} need${places.length === 1 ? "s" : ""} about ${gib(needed)} of memory and ${gib(available)} are available: ${remedy}, or stop other programs.`,
    { details: { needed, available } },
  );
}
