/** npm's compiler as the program `solc` that Foundry and Slither start: it says its version, or compiles standard JSON. */
import { readFileSync } from "node:fs";

import { solc } from "./mutations.ts";

process.stdout.write(
  process.argv.includes("--version")
    ? `solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`
    : // Not process.stdin, which would make reads of a pipe fail that has nothing yet.
      solc.compile(readFileSync(0, "utf8")),
);
