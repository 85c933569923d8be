/**
 * `npm run attack`: every test that a row of docs/threat-model.md names, those of `test/attack` and those of the rooms, so that
 * one command shows that each defence stands. What needs a whole run is named at the end with the command that shows it.
 * `--own` runs those of `test/attack` alone: for `.ci/run`, whose other parts run all the others.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";

import { root, rowsOfThreats } from "./rows.ts";

const rows = rowsOfThreats();
const named = [...new Set(rows.flatMap(({ files }) => files))].toSorted();
const wholeRun = (file: string): boolean => file.startsWith("test/e2e/");
const solidity = (file: string): boolean => file.endsWith(".t.sol");
const here = (file: string): boolean => !file.startsWith("test/attack/") && !wholeRun(file) && !solidity(file);
const given = process.argv.slice(2);
const files = ["test/attack/", ...(given.includes("--own") ? [] : named.filter(here))];
const others = given.filter((argument) => argument !== "--own");
const tests = ["--conditions=cotrain-source", join(root, "test/run.ts"), ...files, ...others];
const child = spawn(process.execPath, tests, { cwd: root, stdio: "inherit" });
child.on("exit", (code) => {
  const elsewhere = [
    ...named.filter(wholeRun).map((file) => `npm test -- ${file}`),
    `npx hardhat test solidity ${named.filter(solidity).join(" ")}`,
    "npm run interop",
  ];
  process.stdout.write(
    `attack: ${rows.length} rows of docs/threat-model.md; shown elsewhere: ${elsewhere.join(", ")}\n`,
  );
  process.exitCode = code ?? 1;
});
