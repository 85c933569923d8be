/** Defences of commands by which a quorum signs: suspensions. */
import type { Breakage } from "./breakage.ts";

export const cliQuorum: readonly Breakage[] = [
  {
    name: "what a quorum decides is signed with whatever wallet there is",
    file: "offchain/src/cli/quorum.ts",
    text: "members.includes(account) && !signatures",
    instead: "!signatures",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "what a quorum has not signed is sent",
    file: "offchain/src/cli/quorum.ts",
    text: "if (statement.signatures.size < quorum.threshold || !sender)",
    instead: "if (statement.signatures.size < 1 || !sender)",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend signs for another head than the one that is named",
    file: "offchain/src/cli/commands/suspend.ts",
    text: "if (found && head !== undefined && found.struct.head !== head)",
    instead: "if (found && found.head === undefined)",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend takes a file of another run, contract or chain",
    file: "offchain/src/run/suspension.ts",
    text: "if (file.chainId !== facts.chainId || file.checkpointRegistry !== facts.registry || struct.runId !== facts.runId)",
    instead: "if (file.version !== 1)",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend takes a file that suspends another poster",
    file: "offchain/src/run/suspension.ts",
    text: "if (struct.poster !== poster) stale",
    instead: "if (struct.poster === runId) stale",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend takes a file that another set signed",
    file: "offchain/src/run/suspension.ts",
    text: "if (struct.setVersion !== setVersion)",
    instead: "if (struct.setVersion < 0)",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend takes a file that is out of date",
    file: "offchain/src/run/suspension.ts",
    text: "if (struct.deadline < now) stale",
    instead: "if (struct.deadline < 0) stale",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend takes a file that may be used for years",
    file: "offchain/src/run/suspension.ts",
    text: "if (struct.deadline > earliest + MOST_SECONDS)",
    instead: "if (struct.deadline > 2n ** 64n)",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend takes a head that nobody posted",
    file: "offchain/src/run/suspension.ts",
    text: "if (posted) return posted;",
    instead: "if (heads.length > 0) return posted ?? heads[0]!;",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend passes on signatures of strangers",
    file: "offchain/src/run/signatures.ts",
    text: "if (!members.addresses.includes(signer))",
    instead: "if (signer === file.path)",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "suspend orders signatures by who came first",
    file: "offchain/src/run/signatures.ts",
    text: "new Map(signed.toSorted(([a], [b]) => (a < b ? -1 : 1)));",
    instead: "new Map(signed);",
    tests: ["test/offchain/cli/suspend.test.ts"],
  },
  {
    name: "whose training loss is left out is not said",
    file: "offchain/src/cli/up/screen.ts",
    text: "tokens`}${without}`;",
    instead: "tokens`}`;",
    tests: ["test/offchain/cli/screen.test.ts"],
  },
];
