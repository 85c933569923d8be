/**
 * Where output goes: data on stdout (text, or one JSON document under --json), notices on stderr. Colour only on a TTY.
 * Coordinators, RPCs and models write part of it: all that leaves here is made printable here, and nowhere before. Addresses get
 * their one casing here too, since sentences come from many places and from coordinators.
 */
import { inspect, styleText } from "node:util";

import { printable, printableJson, shownAddresses, shownHash } from "../base/index.ts";

export { columnsOf } from "./columns.ts";

const styles = ["bold", "dim", "cyan", "green", "yellow"] as const;
export type Style = (typeof styles)[number];
/** Parameters of the sequences that {@link Output.paint} writes. */
const painted = new Set(styles.flatMap((style) => inspect.colors[style]?.map(String)));

/** A piece of a sentence, as a terminal and people may have it. */
const shownLine = (text: string): string => shownAddresses(printable(text));

/** Painted text as a terminal may show it: of escape codes those of `paint` alone, which at worst make a stranger bold. */
export const printableInColour = (text: string): string =>
  text
    // oxlint-disable-next-line no-control-regex -- this is what it is about
    .split(/(\u001b\[\d+m)/)
    .map((part) => (painted.has(part.slice(2, -1)) && part.startsWith("\u001b[") ? part : shownLine(part)))
    .join("");

/** A stranger's newline begins no line. */
const inOneLine = (text: string): string => text.replaceAll("\n", " ");

export interface Output {
  readonly json: boolean;
  /** Prints the command's result: the document under --json, else the lines. */
  readonly result: (document: unknown, lines: readonly string[]) => void;
  /** Text that goes on, on stdout; nothing under --json. */
  readonly text: (piece: string) => void;
  /** One line for people, on stderr. */
  readonly notice: (line: string) => void;
  /** What went wrong, in one sentence on stderr. */
  readonly complain: (sentence: string) => void;
  readonly paint: (style: Style, text: string) => string;
}

/** Wide integers as decimal text, hashes and addresses in one casing. */
function asShown(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "string" ? shownAddresses(shownHash(value)) : value;
}

/** One sentence on stderr that says who speaks; a stack follows it on lines of its own, indented. */
export const complain = (sentence: string): void =>
  void process.stderr.write(`cotrain: ${shownLine(sentence).replaceAll("\n", "\n  ")}\n`);

export function createOutput(json: boolean): Output {
  const colour = (process.stdout.isTTY ?? false) && process.env["NO_COLOR"] === undefined;
  return {
    json,
    result(document, lines) {
      const shown = colour ? printableInColour : shownLine;
      process.stdout.write(
        json
          ? `${printableJson(JSON.stringify(document, asShown, 2))}\n`
          : lines.map((line) => `${shown(inOneLine(line))}\n`).join(""),
      );
    },
    text: (piece) => void (json || process.stdout.write(printable(piece))),
    notice: (line) => void process.stderr.write(`${shownLine(inOneLine(line))}\n`),
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

/**
 * A table with heads; where a terminal has no room for it, a record for each row instead: its first cell and those without a head
 * in one line, and each other cell on a line of its own beside its head, so that no number is broken.
 */
export function tableWithin(
  columns: number,
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  const wide = table(rows, right);
  if (wide.every((line) => line.length <= columns)) return wide;
  const [heads = [], ...records] = rows;
  const isTitle = (column: number): boolean => column === 0 || heads[column] === "";
  return records.flatMap((cells) => [
    [heads[0] ?? "", ...cells.filter((_, column) => isTitle(column))].filter((cell) => cell !== "").join(" "),
    ...table(cells.flatMap((cell, column) => (isTitle(column) || cell === "" ? [] : [[`  ${heads[column]}`, cell]]))),
  ]);
}
