/** Fields of the summary's document that many of its parts have. */
import { Type } from "typebox";

export const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
export const Text = Type.String();
export const Whole = Type.Integer({ minimum: 0 });

/** Characters of an indented line on a terminal of 80 columns. */
export const ROOM = 78;

export const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

export const inTransaction = (what: string, transaction: string): string[] => [
  `${what} in the transaction`,
  transaction,
];
