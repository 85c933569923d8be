/**
 * Every guard of the contracts, each removed in a copy: the Solidity tests must notice. A guard is a condition of a revert
 * (each alternative of it by itself), a call that reverts by name (`_require…`), an unconditional revert, or a modifier where
 * it is used.
 */
import { type Copy, filesOf, root } from "./copy.ts";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Guard {
  readonly file: string;
  readonly line: number;
  /** What is removed, on one line. */
  readonly text: string;
  /** Where it stands in the file, and what takes its place. */
  readonly start: number;
  readonly end: number;
  readonly instead: string;
}

export const idOf = ({ file, line, text }: Guard): string => `${file}:${line} ${text}`;

/** All guards of the contracts, in the order of the files. */
export const allGuards = (): Guard[] =>
  filesOf("contracts")
    .filter((file) => file.endsWith(".sol") && !file.includes("/interfaces/"))
    .flatMap((file) => guardsOf(file, readFileSync(join(root, file), "utf8")));

/** The guards of one source. */
export function guardsOf(file: string, source: string): Guard[] {
  const code = blankComments(source);
  const found: Guard[] = [];
  const add = (start: number, end: number, instead: string): void => {
    const text = source.slice(start, end).replaceAll(/\s+/g, " ");
    found.push({ file, line: source.slice(0, start).split("\n").length, text, start, end, instead });
  };
  const conditional = new Set<number>();
  for (const match of code.matchAll(/\bif \(/g)) {
    const open = match.index + match[0].length;
    const close = closing(code, open);
    const after = /^\)\s*\{?\s*revert\b/.exec(code.slice(close));
    if (!after) continue;
    conditional.add(close + after[0].lastIndexOf("revert"));
    for (const [start, end, instead] of alternatives(code, open, close, "||", "false")) add(start, end, instead);
  }
  for (const match of code.matchAll(/\brevert\b[^;]*;/g)) {
    if (!conditional.has(match.index) && !insideBlockOfAnIf(code, match.index))
      add(match.index, match.index + match[0].length, "");
  }
  for (const match of code.matchAll(/(?<=[;{}]\s*)_require\w*\(/g)) {
    const open = match.index + match[0].length;
    const close = closing(code, open);
    const comma = topLevel(code, open, close, ",")[0] ?? close;
    if (match[0] === "_require(") {
      for (const [start, end, instead] of alternatives(code, open, comma, "&&", "true")) add(start, end, instead);
    } else add(match.index, code.indexOf(";", close) + 1, "");
  }
  for (const match of code.matchAll(/\b(?:only[A-Z]\w*|initializer)(\([^)]*\))?(?=[^;{}]*\{)/g)) {
    if (!/\bmodifier\s+$/.test(code.slice(0, match.index))) add(match.index, match.index + match[0].length, "");
  }
  return found.toSorted((a, b) => a.start - b.start);
}

function remove(copy: Copy, guard: Guard): void {
  const source = copy.read(guard.file);
  copy.write(guard.file, source.slice(0, guard.start) + guard.instead + source.slice(guard.end));
}

/** Removes one in a copy and runs the Solidity tests there. @returns what is wrong, if something is */
export async function tryGuard(copy: Copy, guard: Guard): Promise<string | undefined> {
  const source = copy.read(guard.file);
  try {
    remove(copy, guard);
    const built = await copy.run("hardhat", ["build"]);
    if (built.code !== 0) return `without it the contracts do not compile: ${built.output.slice(-500)}`;
    const { code, output } = await copy.run("hardhat", ["test", "solidity", "--no-compile"]);
    return code !== 0 && /\d+ failing/.test(output) ? undefined : "no Solidity test failed without it";
  } finally {
    copy.write(guard.file, source);
  }
}

/** Comments and strings as blanks of the same length. */
const blankComments = (source: string): string =>
  source.replaceAll(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|"[^"\n]*"/g, (text) => text.replaceAll(/[^\n]/g, " "));

/** Where the parenthesis before `open` closes. */
function closing(code: string, open: number): number {
  let depth = 1;
  for (let i = open; i < code.length; i++) {
    if (code[i] === "(") depth += 1;
    if (code[i] === ")" && --depth === 0) return i;
  }
  throw new TypeError("A parenthesis is not closed.");
}

/** Where an operator stands between `start` and `end`, not inside parentheses or brackets. */
function topLevel(code: string, start: number, end: number, operator: string): number[] {
  const found: number[] = [];
  let depth = 0;
  for (let i = start; i < end; i++) {
    if ("([".includes(code[i] ?? "")) depth += 1;
    if (")]".includes(code[i] ?? "")) depth -= 1;
    if (depth === 0 && code.startsWith(operator, i)) found.push(i);
  }
  return found;
}

/** Each alternative of a condition, with what takes its place. */
function alternatives(
  code: string,
  start: number,
  end: number,
  operator: string,
  neutral: string,
): [start: number, end: number, instead: string][] {
  const cuts = topLevel(code, start, end, operator);
  const starts = [start, ...cuts.map((cut) => cut + operator.length)];
  return starts.map((from, i) => {
    const to = cuts[i] ?? end;
    const blank = /^\s*/.exec(code.slice(from, to))?.[0].length ?? 0;
    return [from + blank, from + code.slice(from, to).trimEnd().length, neutral];
  });
}

/** A revert in the block of a condition that is no guard by itself (its own alternatives are guards) or a modifier's. */
const insideBlockOfAnIf = (code: string, at: number): boolean => /\bif \([^{};]*\)\s*\{?\s*$/.test(code.slice(0, at));
