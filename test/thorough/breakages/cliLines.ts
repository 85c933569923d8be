/** Defences of how a line becomes a command: what is loaded for it, and where its values come from. */
import type { Breakage } from "./breakage.ts";

export const cliLines: readonly Breakage[] = [
  {
    name: "every command comes with all others",
    file: "offchain/src/cli/program.ts",
    text: "  if (commandNames.includes(first)) return [first];\n",
    instead: "  if (commandNames.includes(first)) return commandNames;\n",
    tests: ["test/offchain/cli/lean.test.ts"],
  },
  {
    name: "a variable for another command is said to be read by nothing",
    file: "offchain/src/cli/runLine.ts",
    text: 'name.startsWith("COTRAIN_") && !own.has(name)',
    instead: 'name.startsWith("COTRAIN_") && own.has(name)',
    tests: ["test/offchain/cli/commands.test.ts"],
  },
];
