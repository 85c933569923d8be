/** The rows of docs/threat-model.md, and which test files they name. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");

export interface ThreatRow {
  /** What is attacked, and how. */
  readonly name: string;
  /** Test files of the tree that it names. */
  readonly files: readonly string[];
  /** Names of tests that are no file. */
  readonly unknown: readonly string[];
  /** Commands that it names instead. */
  readonly commands: readonly string[];
}

/** Rows write a test as its path, or without what is the same for all: `attack/joins`, `chain/epoch`, `auditRun.test.ts`. */
function fileOf(name: string, section: readonly string[]): string | undefined {
  const folders = ["", "test/", "test/offchain/", "test/attack/", ...section];
  return folders
    .flatMap((folder) => [`${folder}${name}`, `${folder}${name}.test.ts`])
    .find((file) => file.endsWith(".test.ts") && existsSync(join(root, file)));
}

/** Defences that stand: every table but the last, of what is open. */
export function rowsOfThreats(): ThreatRow[] {
  const page = readFileSync(join(root, "docs/threat-model.md"), "utf8");
  const [standing = ""] = page.split("\n## What is known and still open");
  /** A row that quotes titles alone means the file of the row above. */
  let above: readonly string[] = [];
  return standing
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| asset |"))
    .map((line) => {
      const cells = line.split(" | ");
      const tests = [...(cells.at(-1) ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
      const commands = tests.filter((name) => name.startsWith("npm run "));
      const names = tests.filter((name) => !name.startsWith("npm run "));
      // Beside a file of its folder a name stands alone.
      const folders = names.filter((name) => name.includes("/")).map((name) => name.replace(/[^/]*$/, ""));
      const files = names.map((name) => fileOf(name, folders));
      if (tests.length > 0) above = files.filter((file) => file !== undefined);
      return {
        name: `${cells[0]?.slice(2)}: ${cells[2]}`,
        files: above,
        unknown: names.filter((_, index) => files[index] === undefined),
        commands,
      };
    });
}
