/** Defences of `base`. */
import type { Breakage } from "./breakage.ts";

export const base: readonly Breakage[] = [
  {
    name: "text is shown in whatever order a stranger gives it, and hidden text is not seen",
    file: "offchain/src/base/printable.ts",
    text: "|(?![${JOINERS}])[${SHAPELESS}]",
    instead: "",
    tests: ["test/attack/terminal.test.ts"],
  },
  {
    name: "a letter without a shape that Unicode calls no filler hides text",
    file: "offchain/src/base/printable.ts",
    text: "Default_Ignorable_Code_Point}\\u2800",
    instead: "Default_Ignorable_Code_Point}",
    tests: ["test/attack/terminal.test.ts"],
  },
];
