/**
 * A definition that has the choice between inner optimizers, which no run has yet: its page, and values for the verifier in Python
 * to judge by that page. So whoever adds a second one finds that the page can say it and that it is read.
 */
import { readFileSync } from "node:fs";
import { Definition, digestOfJson, parseDocument } from "@cotrain/sdk/protocol";
import { type TSchema, Type } from "typebox";

import { update } from "../../deploy/protocolTables.ts";
import { definitionOf } from "../offchain/storage/fixtures.ts";

export const protocolPage = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

const { innerOptimizer } = Definition.properties;
const closed = { additionalProperties: false };
/** One field of its own, and one that AdamW has too, with other bounds. */
const second = Type.Object(
  {
    kind: Type.Literal("second"),
    momentum: Type.Number({ minimum: 0, exclusiveMaximum: 1 }),
    clipNorm: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
  },
  closed,
);

/** The definition with an inner optimizer of another form. */
export const definitionWith = (optimizer: TSchema) => ({
  Definition: Type.Object({ ...Definition.properties, innerOptimizer: optimizer }, closed),
});
export const twoOptimizers = Type.Union([innerOptimizer, second]);

const good = definitionOf(digestOfJson("a tokenizer"));
const adamw = good.innerOptimizer;
const other = { kind: "second", momentum: 0.9, clipNorm: 1 };

/** What stands as `innerOptimizer`: the fields of its variant, all of them and no others. */
const values: readonly unknown[] = [
  adamw,
  other,
  { ...adamw, clipNorm: 2 },
  { ...other, clipNorm: 2 },
  { ...adamw, momentum: 0.9 },
  { ...other, beta1: 0.9 },
  { ...adamw, kind: "second" },
  { ...other, kind: "adamw" },
  { ...other, kind: "third" },
  { ...other, kind: 0 },
  { momentum: 0.9, clipNorm: 1 },
  { kind: "second", clipNorm: 1 },
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
