/** Defences of `sdk`. */
import type { Breakage } from "./breakage.ts";

export const sdk: readonly Breakage[] = [
  {
    name: "a shard of the data may be of any length",
    file: "sdk/src/protocol/documents.ts",
    text: "maximum: MAX_SHARD_TOKENS }",
    instead: "maximum: Number.MAX_SAFE_INTEGER }",
    tests: ["test/offchain/data/prepare.test.ts"],
  },
  {
    name: "who asks for a run takes an answer about another one",
    file: "sdk/src/protocol/runRequests.ts",
    text: 'mustBeAbout("RUN_FOREIGN", routes.run(runId), runId, view.runId);',
    instead: "",
    tests: ["test/offchain/worker/refusals.test.ts"],
  },
  {
    name: "who asks for verdicts about a run takes those about another one",
    file: "sdk/src/protocol/runRequests.ts",
    text: 'mustBeAbout("RUN_FOREIGN", routes.verdicts(runId), runId, verdict.runId);',
    instead: "void verdict;",
    tests: ["test/sdk/client.test.ts"],
  },
  {
    name: "who asks for an account's rewards takes those of another one",
    file: "sdk/src/protocol/runRequests.ts",
    text: 'mustBeAbout("ACCOUNT_FOREIGN", path, account, view.account);',
    instead: "",
    tests: ["test/sdk/client.test.ts"],
  },
  {
    name: "a coordinator may list any number of runs",
    file: "sdk/src/protocol/messages.ts",
    text: "    maxItems: MAX_RUNS,",
    instead: "",
    tests: ["test/sdk/client.test.ts"],
  },
  {
    name: "an error names all runs of a coordinator",
    file: "sdk/src/protocol/findRun.ts",
    text: "candidates.slice(0, NAMED)",
    instead: "candidates",
    tests: ["test/sdk/findRun.test.ts"],
  },
  {
    name: "holders may vote for more members than a coordinator judges in time",
    file: "sdk/src/protocol/parameters.ts",
    text: "    max: 256,",
    instead: "    max: 1_024,",
    tests: ["test/sdk/parameters.test.ts"],
  },
  {
    name: "a reward that a word cannot hold wraps around",
    file: "sdk/src/protocol/leaves.ts",
    text: "if (cumulative < 0n || cumulative >> 256n !== 0n)",
    instead: "if (cumulative === -2n)",
    tests: ["test/sdk/protocol.test.ts"],
  },
  {
    name: "a held-out loss may be any number",
    file: "sdk/src/protocol/verdicts.ts",
    text: "return value > BigInt(Number.MAX_SAFE_INTEGER) ?",
    instead: "return value < 0n ?",
    tests: ["test/offchain/coordinator/refusals.test.ts"],
  },
  {
    name: "a request that comes too often, too early or too late for a proxy is not sent again",
    file: "sdk/src/protocol/requests.ts",
    text: " || LATER.has(status);",
    instead: ";",
    tests: ["test/sdk/client.test.ts"],
  },
];
