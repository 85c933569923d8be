/** One sentence for the first way in which a value misses its schema; every check against TypeBox in this room words it so. */
import type { TSchema } from "typebox";
import { Check, Errors } from "typebox/schema";

/** An error as TypeBox and Ajv both report it; `instancePath` is a JSON pointer. */
export interface SchemaMiss {
  readonly instancePath: string;
  readonly keyword: string;
  readonly message?: string | undefined;
  readonly params?: unknown;
}

/** Words one miss, e.g. `ports/coordinator must be integer` or `unknown key "prots"`. */
export function describeMiss(miss: SchemaMiss): string {
  const where = miss.instancePath.replace(/^\//, "");
  const params: Record<string, unknown> =
    typeof miss.params === "object" && miss.params !== null ? { ...miss.params } : {};
  const extra = params["additionalProperties"] ?? params["additionalProperty"];
  if (extra !== undefined) {
    const keys = (Array.isArray(extra) ? extra : [extra]).map((key) => `"${String(key)}"`).join(", ");
    return `unknown key ${keys}${where ? ` in ${where}` : ""}`;
  }
  return `${where || "the value"} ${miss.message ?? `fails "${miss.keyword}"`}`;
}

/** The first miss in words, or undefined when `value` fits `schema`. */
export function findMiss(schema: TSchema, value: unknown): string | undefined {
  if (Check(schema, value)) return undefined;
  const misses = Errors(schema, value)[1];
  // "additionalProperties" comes with a vague second report for the key itself; prefer the one that names it.
  const miss = misses.find((each) => each.keyword === "additionalProperties") ?? misses[0];
  return miss ? describeMiss(miss) : "the value does not have the expected form";
}
