/** Defences of `deploy`. */
import type { Breakage } from "./breakage.ts";

export const deploy: readonly Breakage[] = [
  {
    name: "what npm started goes on when npm has ended",
    file: "deploy/bootstrap.mjs",
    text: "  endWithParent();\n",
    instead: "",
    tests: ["test/deploy/bootstrap.test.ts"],
  },
];
