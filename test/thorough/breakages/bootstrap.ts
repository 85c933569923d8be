/** Defences of what a young model's organiser is told, of watching disputes, and of reporting who signed what holders voided. */
import type { Breakage } from "./breakage.ts";

export const bootstrap: readonly Breakage[] = [
  {
    name: "after bootstrap an organiser is told that the poster can be suspended at once",
    file: "offchain/src/cli/commands/posterSuspend.ts",
    text: "    await connection.call((client) => suspendAsOrganiser.simulate(client, { ...call, account }));\n",
    instead: "    void account;\n",
    tests: ["test/offchain/cli/announcing.test.ts"],
  },
  {
    name: "after bootstrap an organiser is told that a rollback can be announced",
    file: "offchain/src/cli/commands/checkpointRevert.ts",
    text: "          await connection.call(async (client) => void (await action.simulate(client, { ...call, account })));\n",
    instead: "          void account;\n",
    tests: ["test/offchain/cli/checkpointRevert.test.ts"],
  },
  {
    name: "an epoch that lasts is told as one of those that bootstrap takes",
    file: "offchain/src/run/bootstrap.ts",
    text: "epochsOver: Number(epoch) - 1",
    instead: "epochsOver: Number(epoch)",
    tests: ["test/offchain/cli/announcing.test.ts"],
  },
  {
    name: "a watcher settles a dispute while its vote lasts",
    file: "offchain/src/validator/watch/watch.ts",
    text: "(await reader.chainTime()) <= dispute.votesUntil",
    instead: "(await reader.chainTime()) < dispute.votesUntil",
    tests: ["test/offchain/validator/watch.test.ts"],
  },
  {
    name: "a stranger's signature counts among those under a voided root",
    file: "offchain/src/run/offences.ts",
    text: "found.filter(([signer]) => set.has(signer))",
    instead: "found",
    tests: ["test/offchain/cli/slash.test.ts"],
  },
  {
    name: "a root is told as one that could be disputed though its window is over",
    file: "offchain/src/run/disputes.ts",
    text: "if (now >= until)",
    instead: "if (now > until)",
    tests: ["test/offchain/cli/slash.test.ts"],
  },
  {
    name: "a later session's summary forgets that the model had a dispute",
    file: "offchain/src/cli/up/disputed.ts",
    text: "return logs.length > 0;",
    instead: "return logs.length < 0;",
    tests: ["test/offchain/cli/disputes.test.ts"],
  },
  {
    name: "the summary names the workers' stake alone where validators lost theirs",
    file: "offchain/src/cli/up/commands.ts",
    text: 'lost !== "0"',
    instead: 'lost === "none"',
    tests: ["test/offchain/cli/disputed.test.ts"],
  },
  {
    name: "bootstrap is said to be due as soon as enough was claimed",
    file: "offchain/src/run/bootstrap.ts",
    text: "(epochsOver >= epochs && claimed >= needed)",
    instead: "claimed >= needed",
    tests: ["test/offchain/run/bootstrapDue.test.ts"],
  },
];
