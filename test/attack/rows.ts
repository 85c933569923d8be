/** The rows of docs/threat-model.md, and the tests that their last column names. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");

export interface ThreatRow {
  /** What is attacked, and how. */
  readonly name: string;
  /** Test files that it names, from the root. */
  readonly files: readonly string[];
  /** Commands that it names instead. */
  readonly commands: readonly string[];
  /** What it names that the tree does not hold: files, titles of tests. */
  readonly problems: readonly string[];
}

/** The last column: paths and commands in backticks, and behind a path what it quotes from the titles of its tests. */
function testsOf(cell: string): Omit<ThreatRow, "name"> {
  const files: string[] = [];
  const commands: string[] = [];
  const problems: string[] = [];
  let source = "";
  for (const [, name, title = ""] of cell.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
    if (name === undefined) {
      if (!source.includes(title)) problems.push(`"${title}" is not in ${files.at(-1) ?? "a file"}`);
    } else if (name.startsWith("npm run ")) {
      commands.push(name);
    } else if (/\.(test\.ts|t\.sol)$/.test(name) && existsSync(join(root, name))) {
      files.push(name);
      source = readFileSync(join(root, name), "utf8");
    } else {
      problems.push(`${name} is no test file`);
    }
  }
  return { files, commands, problems };
}

/** Defences that stand: every table but the last, of what is open. */
export function rowsOfThreats(page = readFileSync(join(root, "docs/threat-model.md"), "utf8")): ThreatRow[] {
  const [standing = ""] = page.split("\n## What is known and still open");
  return standing
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| asset |"))
    .map((line) => {
      const [asset, , attack, , tests = ""] = line.slice(2, -2).split(" | ");
      return { name: `${asset}: ${attack}`, ...testsOf(tests) };
    });
}
