/**
 * Kinds of rules that a run chooses by a number of RunParams. Each kind is one table: a row for each name to which the
 * protocol gives a number, no more and no less, so that a new rule is a number in the SDK, a row, and the row's file.
 */
import { UserError } from "../base/index.ts";

/** What a kind is called where somebody asks for a rule that is not there. */
interface Kind {
  /** As in "Codec 99 is not known here". */
  readonly name: string;
  /** Of the UserError. */
  readonly error: string;
}

/**
 * @param codes the kind's numbers by name
 * @param rows by the same names
 * @returns the row of a number; throws UserError `kind.error` where there is none
 */
export function tableOf<Name extends string, Row>(
  { name, error }: Kind,
  codes: Readonly<Record<Name, number>>,
  rows: Readonly<Record<NoInfer<Name>, Row>>,
): (code: number) => Row {
  const names = Object.keys(codes).filter((each): each is Name => each in rows);
  const table = new Map(names.map((each) => [codes[each], rows[each]]));
  const known = names.map((each) => `${codes[each]} (${each})`).join(" and ");
  return (code) => {
    const row = table.get(code);
    if (row !== undefined) return row;
    const allowed = names.length === 1 ? "allowed is" : "allowed are";
    throw new UserError(error, `${name} ${code} is not known here; ${allowed} ${known}.`);
  };
}
