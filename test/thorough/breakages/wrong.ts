/** Breakages of what is said of documents that are there and cannot be what they should be. */
import type { Breakage } from "./breakage.ts";

const published = "offchain/src/run/published.ts";
const wrongData = ["test/offchain/validator/wrongData.test.ts"];

export const wrong: readonly Breakage[] = [
  {
    name: "a table that leaves a fragment out is taken for one of as many as it names",
    file: "offchain/src/diloco/fragments.ts",
    text: "numbers.size > 0 && Math.max(...numbers) === numbers.size - 1 ?",
    instead: "numbers.size > 0 ?",
    tests: ["test/offchain/validator/unfit.test.ts"],
  },
  {
    name: "data that do not add up are waited for",
    file: published,
    text: "if (!(error instanceof DataError)) throw error;",
    instead: "throw error;",
    tests: wrongData,
  },
  {
    name: "a rule that nobody knows is waited for",
    file: published,
    text: " ||\n  (error instanceof UserError && UNKNOWN_RULES.has(error.code));",
    instead: ";",
    tests: ["test/offchain/validator/aggregate.test.ts"],
  },
  {
    name: "a held-out shard that is none is waited for",
    file: published,
    text: "  error instanceof DataError ||\n",
    instead: "",
    tests: ["test/offchain/validator/auditRun.test.ts"],
  },
  {
    name: "an answer of the coordinator that is none is a head's fault",
    file: "offchain/src/validator/checks/aggregate.ts",
    text: "if (!isMalformed(error)) throw error;",
    instead: "throw error;",
    tests: ["test/offchain/validator/auditRun.test.ts"],
  },
];
