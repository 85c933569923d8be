/** Defences of what an epoch is computed from. */
import type { Breakage } from "./breakage.ts";

export const runEpoch: readonly Breakage[] = [
  {
    name: "a block that is not confirmed here is signed",
    file: "offchain/src/run/standing.ts",
    text: "if (said && said.number > newest)",
    instead: "if (said && said.number > tip)",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
  {
    name: "a block that this chain does not have is signed",
    file: "offchain/src/run/standing.ts",
    text: "if (said && said.hash !== hash)",
    instead: "if (said && said.number < 0)",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
  {
    name: "a block that is gone meanwhile is signed",
    file: "offchain/src/run/standing.ts",
    text: "if (hash !== block.hash)",
    instead: "if (hash === undefined)",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
  {
    name: "heads above the block that was read are paid for",
    file: "offchain/src/run/epoch.ts",
    text: "  requireBelow(standing.block, last.head);\n",
    instead: "",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
  {
    name: "a dispute ages a budget away",
    file: "offchain/src/run/standing.ts",
    text: "const asOf = Math.min(deadline, judged ?? deadline);",
    instead: "const asOf = judged === undefined ? deadline : deadline;",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
];
