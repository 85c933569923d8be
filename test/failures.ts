/** What failed, so short that the end of the output holds all of it: by Vitest's reports, `thorough`'s rows, or the last words. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";

export interface Failure {
  readonly name: string;
  readonly words: readonly string[];
}

/**
 * What `test/run.ts` leaves in the folder that this names: Vitest's report, and one of the same form of the Solidity tests. It does
 * not begin with COTRAIN_, which would make every command that a test runs say that it does not know the setting.
 */
export const REPORTS_VARIABLE = "TEST_REPORTS";

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Lines of an error that say what it is, and their length. */
const WORDS = 8;
const WIDTH = 200;

/** @param root the tree's, which paths are shown without */
function wordsOf(message: string, root: string): string[] {
  return stripVTControlCharacters(message)
    .replaceAll("file://", "")
    .replaceAll(`${root}/`, "")
    .split("\n")
    .map((line) => line.trimEnd().slice(0, WIDTH))
    .filter((line) => line !== "" && !line.includes("node_modules/"))
    .slice(0, WORDS);
}

/** Each test that failed, and each file that could not be loaded. */
export function failuresIn({ testResults }: Report, root: string): Failure[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = name.replace(`${root}/`, "");
    const failed = assertionResults.filter((each) => each.status === "failed");
    if (failed.length === 0)
      return status === "failed" && message !== "" ? [{ name: file, words: wordsOf(message, root) }] : [];
    return failed.map(({ fullName, failureMessages }) => ({
      name: `${file} > ${fullName}`,
      words: wordsOf(failureMessages.join("\n"), root),
    }));
  });
}

/** Nothing where a run was ended while it wrote. */
function readReport(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch {
    return { testResults: [] };
  }
}

/** The rows of `thorough` that say FAIL, with the line below each. */
const rowsIn = (output: string, root: string): Failure[] =>
  [...output.matchAll(/^FAIL (.+)$(?:\n {5}(.+))?/gm)].map(([, name = "", problem = ""]) => ({
    name,
    words: wordsOf(problem, root),
  }));

/**
 * What failed in a part.
 * @param reports folder of its reports
 * @param output what it printed
 */
export function failuresOf(reports: string, output: string, root: string): Failure[] {
  const clean = stripVTControlCharacters(output);
  const found = readdirSync(reports)
    .toSorted()
    .flatMap((file) => failuresIn(readReport(join(reports, file)), root));
  const named = [...found, ...rowsIn(clean, root)];
  // An error outside of all tests, or a part of another kind.
  return named.length > 0 ? named : [{ name: "no test is named; its last lines", words: lastLines(clean) }];
}

const lastLines = (output: string): string[] =>
  output
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-WORDS)
    .map((line) => line.slice(0, WIDTH));

/**
 * All names, and as many errors as there is room for.
 * @param room characters
 */
export function failureLines(failures: readonly Failure[], room: number): string[] {
  const names = failures.map(({ name }) => `  ${name.slice(0, WIDTH)}`);
  const shown = names.filter((_, index) => names.slice(0, index + 1).join("\n").length <= room);
  let left = room - shown.join("\n").length;
  const lines = shown.flatMap((name, index) => {
    const words = (failures[index]?.words ?? []).map((line) => `    ${line}`);
    const length = words.join("\n").length + 1;
    if (length > left) return [name];
    left -= length;
    return [name, ...words];
  });
  const more = failures.length - shown.length;
  return more > 0 ? [...lines, `  and ${more} more`] : lines;
}
