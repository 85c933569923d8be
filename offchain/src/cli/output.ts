/**
 * Where output goes: data on stdout (text, or one JSON document under --json), notices on stderr. Colour only on a TTY.
 */
import { styleText } from "node:util";

import { shownHex } from "./format.ts";

type Style = Parameters<typeof styleText>[0];

export interface Output {
  readonly json: boolean;
  /** Prints the command's result: the document under --json, else the lines. */
  readonly result: (document: unknown, lines: readonly string[]) => void;
  /** One line for people, on stderr. */
  readonly notice: (line: string) => void;
  /** What went wrong, in one sentence on stderr. */
  readonly complain: (sentence: string) => void;
  readonly paint: (style: Style, text: string) => string;
}

/** Wide integers as decimal text, hex in one casing. */
function asShown(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "string" ? shownHex(value) : value;
}

/** One sentence on stderr that says who speaks. */
export const complain = (sentence: string): void => void process.stderr.write(`cotrain: ${sentence}\n`);

export function createOutput(json: boolean): Output {
  const colour = (process.stdout.isTTY ?? false) && process.env["NO_COLOR"] === undefined;
  return {
    json,
    result(document, lines) {
      process.stdout.write(
        json ? `${JSON.stringify(document, asShown, 2)}\n` : lines.map((line) => `${line}\n`).join(""),
      );
    },
    notice: (line) => void process.stderr.write(`${line}\n`),
    complain,
    paint: (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text),
  };
}

/**
 * Labels and what they stand for, on lines of at most `columns` characters: broken between words; a word that has no room
 * beside the labels, a hash say, has a line of its own and is never cut.
 */
export function factTable(rows: readonly (readonly [label: string, value: string])[], columns: number): string[] {
  const width = Math.max(0, ...rows.map(([label]) => label.length)) + 2;
  return rows.flatMap(([label, value]) => {
    const lines: string[] = [];
    let line = label.padEnd(width);
    for (const word of value.split(" ")) {
      const alone = word.length > columns - width;
      if (alone || line.length + word.length > columns) {
        if (line.trim() !== "") lines.push(line);
        line = " ".repeat(width);
      }
      if (alone) lines.push(`  ${word}`);
      else line += `${word} `;
    }
    return [...lines, ...(line.trim() === "" ? [] : [line])].map((each) => each.trimEnd());
  });
}

/** Columns of a terminal; what goes elsewhere is wrapped by nothing. */
export const columnsOf = (terminal: Pick<NodeJS.WriteStream, "isTTY" | "columns">): number =>
  terminal.isTTY && terminal.columns > 0 ? terminal.columns : Infinity;

/** Columns padded to their widest cell; `right` lists the columns that are aligned to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}
