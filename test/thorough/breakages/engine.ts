/** Defences of `engine`. */
import type { Breakage } from "./breakage.ts";

export const engine: readonly Breakage[] = [
  {
    name: "programs may use operators that no row of the table allows",
    file: "offchain/src/engine/inspect/inspect.ts",
    text: "const row = inspection.operators.get(op);",
    instead: 'const row = inspection.operators.get(op) ?? inspection.operators.get("Identity");',
    tests: ["test/attack/hostilePrograms.test.ts"],
  },
  {
    name: "the engine's process takes what memory it likes",
    file: "offchain/src/engine/runtime/node/host/memory.ts",
    text: "`--data=${bound}`",
    instead: "`--nofile=${bound % 100 + 512}`",
    tests: ["test/offchain/engine/host.test.ts"],
  },
];
