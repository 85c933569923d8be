/** Tables as files for spreadsheets (RFC 4180): every cell stays one cell, and none is a formula. */
import { open } from "node:fs/promises";

import { errnoOf, UserError } from "../base/index.ts";
import { writeError, writeFileDurable } from "../base/node/index.ts";

/** What a spreadsheet computes in the place of showing it. */
const FORMULA = /^[=+\-@\t\r]/;

function cellOf(text: string): string {
  const shown = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}

/** Rows as one text, each ended by a newline. */
export const csvOf = (rows: readonly (readonly string[])[]): string =>
  rows.map((row) => `${row.map(cellOf).join(",")}\n`).join("");

/** A file that begins with this line, or is not there, may be written. @throws UserError `FILE_EXISTS`, `PATH_UNWRITABLE` */
async function requireReplaceable(file: string, header: string): Promise<void> {
  const bytes = Buffer.from(header);
  try {
    await using opened = await open(file, "r");
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(bytes.length), 0, bytes.length, 0);
    if (buffer.subarray(0, bytesRead).equals(bytes)) return;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw writeError(file, error);
  }
  throw new UserError("FILE_EXISTS", `${file} exists and is no earlier table of this command: name another file.`);
}

/** Writes a table; what is there is replaced where it has the same header. @throws UserError `FILE_EXISTS`, `PATH_UNWRITABLE` */
export async function writeCsv(file: string, header: readonly string[], rows: readonly (readonly string[])[]) {
  await requireReplaceable(file, csvOf([header]));
  await writeFileDurable(file, csvOf([header, ...rows]));
}
