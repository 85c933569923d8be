/**
 * A definition with inner optimizers of the tests' own: its page, and values for the verifier in Python to judge by that page. So
 * whoever adds one finds that the page can say it and that it is read.
 */
import { readFileSync } from "node:fs";
import { Definition, digestOfJson, parseDocument } from "@cotrain/sdk/protocol";
import { type TSchema, Type } from "typebox";

import { update } from "../../deploy/protocolTables.ts";
import { definitionOf } from "../offchain/storage/fixtures.ts";

export const protocolPage = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

const closed = { additionalProperties: false };
const limit = Type.Number({ exclusiveMinimum: 0 });
export const oneOptimizer = Type.Object({ kind: Type.Literal("first"), beta: Type.Number(), limit }, closed);
/** One field of its own, and one that the first has too, with other bounds. */
const second = Type.Object(
  {
    kind: Type.Literal("second"),
    momentum: Type.Number({ minimum: 0, exclusiveMaximum: 1 }),
    limit: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
  },
  closed,
);

/** The definition with an inner optimizer of another form. */
export const definitionWith = (optimizer: TSchema) => ({
  Definition: Type.Object({ ...Definition.properties, innerOptimizer: optimizer }, closed),
});
export const twoOptimizers = Type.Union([oneOptimizer, second]);

const good = definitionOf(digestOfJson("a tokenizer"));
const one = { kind: "first", beta: 0.9, limit: 1 };
const other = { kind: "second", momentum: 0.9, limit: 1 };

/** What stands as `innerOptimizer`: the fields of its variant, all of them and no others. */
const values: readonly unknown[] = [
  one,
  other,
  { ...one, limit: 2 },
  { ...other, limit: 2 },
  { ...one, momentum: 0.9 },
  { ...other, beta: 0.9 },
  { ...one, kind: "second" },
  { ...other, kind: "one" },
  { ...other, kind: "third" },
  { ...other, kind: 0 },
  { momentum: 0.9, limit: 1 },
  { kind: "second", limit: 1 },
  { kind: "second" },
  {},
  [],
  null,
];

function holds(value: unknown): boolean {
  try {
    parseDocument("innerOptimizer", twoOptimizers, value);
    return true;
  } catch {
    return false;
  }
}

/** The page of such a definition, and which of its values are of its form, as the SDK says. */
export const variantCases = (): { page: string; cases: string } => ({
  page: update(protocolPage, definitionWith(twoOptimizers)).text,
  cases: JSON.stringify(
    values.map((value) => ({
      document: "Definition",
      value: { ...good, innerOptimizer: value },
      holds: holds(value),
    })),
  ),
});
