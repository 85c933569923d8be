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
    name: "a block of long ago is signed, which leaves out what the run went back behind since",
    file: "offchain/src/run/epoch.ts",
    text: "  if (said) requireRecent(said, runs.flat(), readTo);\n",
    instead: "",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
  {
    name: "a posted root that names a block of long ago is right",
    file: "offchain/src/run/epoch.ts",
    text: "block <= by || anchoredAt <= readTo;",
    instead: "block <= by || anchoredAt < 0;",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
  {
    name: "a deadline far ahead makes a posted root wrong for what comes after it",
    file: "offchain/src/run/standing.ts",
    text: "return Math.min(oldest, posted?.activatableAt === undefined ? oldest : posted.activatableAt - window);",
    instead: "return Math.min(oldest, posted?.activatableAt === undefined ? oldest : oldest + 0 * window);",
    tests: ["test/offchain/run/readBlock.test.ts"],
  },
  {
    name: "a verdict is left out where an RPC leaves out the block that decides who drew what",
    file: "offchain/src/run/countedVerdicts.ts",
    text: "if (drawn !== undefined) return drawn;",
    instead: "if (head) return drawn ?? -1;",
    tests: ["test/offchain/run/epoch.test.ts"],
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
  {
    name: "what a coordinator elsewhere serves is asked for again and again",
    file: "offchain/src/run/blobSource.ts",
    text: "if (!before) known.set(digest, asked);",
    instead: "if (before) known.set(digest, asked);",
    tests: ["test/offchain/run/blobSource.test.ts"],
  },
  {
    name: "what is remembered of a coordinator elsewhere has no bound",
    file: "offchain/src/run/blobSource.ts",
    text: "if (held <= most) return;",
    instead: "if (held >= 0) return;",
    tests: ["test/offchain/run/blobSource.test.ts"],
  },
  {
    name: "whoever remembers a blob overlooks how long it may be",
    file: "offchain/src/run/blobSource.ts",
    text: "if (before && before.length <= limit) return before;",
    instead: "if (before) return before;",
    tests: ["test/offchain/run/blobSource.test.ts"],
  },
];
