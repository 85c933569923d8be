/** Recipes as an organiser asks for them. */
import { understood } from "../cli/lines.ts";
import { recipeOptions } from "../../../offchain/src/run/options.ts";
import { type Recipe, recipeKeys, recipeOf } from "../../../offchain/src/run/recipe.ts";
import { resolveConfig } from "../../../offchain/src/service/index.ts";

/** What a new run of a preset is trained by, where `cotrain up` is given these flags. */
export function recipeFrom(preset: string, ...line: readonly string[]): Recipe {
  const given = understood(["up", ...line])?.flags ?? {};
  const flags = Object.fromEntries(recipeKeys.map((key) => [key, given[key]]));
  const { values } = resolveConfig(recipeOptions, { flags, environment: {} });
  return recipeOf(preset, Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)));
}
