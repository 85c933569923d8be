/** Defences of `cotrain code`: what maintainers sign, and which grant is shown. */
import type { Breakage } from "./breakage.ts";

const tests = ["test/offchain/cli/code.test.ts"];

export const code: readonly Breakage[] = [
  {
    name: "holders are asked for a grant that they can carry out only after its deadline",
    file: "offchain/src/cli/commands/codeByVote.ts",
    text: "votingPeriod + lateQuorumVoteExtension + 2n * timelockDelay;",
    instead: "votingPeriod + 0n * (lateQuorumVoteExtension + timelockDelay);",
    tests: ["test/offchain/cli/intentions.test.ts"],
  },
  {
    name: "a grant that ended with its set is told as burned before it is",
    file: "offchain/src/cli/commands/code.ts",
    text: "if (unburned > 0n)",
    instead: "if (unburned < 0n)",
    tests,
  },
  {
    name: "what a voided set approved is told as if it had not been voided",
    file: "offchain/src/run/grants.ts",
    text: "const voidedAt = voided.get(setVersion);",
    instead: "const voidedAt = voided.get(0);",
    tests,
  },
  {
    name: "a grant of another model or chain is signed",
    file: "offchain/src/run/grants.ts",
    text: "if (file.chainId !== facts.chainId || file.codeGrants !== facts.grants || struct.modelId !== facts.modelId)",
    instead: "if (file.version !== 1)",
    tests,
  },
  {
    name: "a maintainer is shown another repository than is signed",
    file: "offchain/src/run/grants.ts",
    text: "if (digestOfText(file.repository) !== struct.repository)",
    instead: "if (file.version !== 1)",
    tests,
  },
  {
    name: "a maintainer is shown another description than is signed",
    file: "offchain/src/run/grants.ts",
    text: "if (digestOfText(file.description) !== struct.description)",
    instead: "if (file.version !== 1)",
    tests,
  },
  {
    name: "a grant that another set of maintainers was asked for is signed",
    file: "offchain/src/run/grants.ts",
    text: "if (struct.setVersion !== setVersion)",
    instead: "if (struct.setVersion < 0)",
    tests,
  },
  {
    name: "a grant is signed after its deadline",
    file: "offchain/src/run/grants.ts",
    text: "if (struct.deadline < now)",
    instead: "if (struct.deadline < 0)",
    tests,
  },
  {
    name: "a grant is signed that may be approved for years",
    file: "offchain/src/run/grants.ts",
    text: "if (struct.deadline > earliest + MOST_SECONDS)",
    instead: "if (struct.deadline > 2n ** 64n)",
    tests,
  },
  {
    name: "what a clone has under a commit's id is not hashed",
    file: "offchain/src/cli/gitCommit.ts",
    text: "if (idOf(bytes, commit.length) !== commit.toLowerCase())",
    instead: "if (idOf(bytes, commit.length).length !== commit.length)",
    tests: ["test/offchain/cli/code.test.ts"],
  },
  {
    name: "a grant is shown without a look at the clone",
    file: "offchain/src/cli/commands/code.ts",
    text: "options.clone === undefined ? undefined : await commitIn(options.clone, commit)",
    instead: `await commitIn(options.clone ?? ".", commit).catch(() => undefined)`,
    tests,
  },
  {
    name: "digits that two grants begin with name the first of them",
    file: "offchain/src/cli/commands/code.ts",
    text: "if (others.length === 0) return first;",
    instead: "if (others.length >= 0) return first;",
    tests,
  },
  {
    name: "a maintainer signs for a commit that has a grant without being told",
    file: "offchain/src/cli/commands/codeApprove.ts",
    text: "if (options.yes && !options.again) requireOnce(draft, others);",
    instead: "void requireOnce;",
    tests,
  },
  {
    name: "a grant that was approved before is signed again",
    file: "offchain/src/cli/commands/codeApprove.ts",
    text: "if (same) return { facts, draft, others, same };",
    instead: "void same;",
    tests,
  },
  {
    name: "a grant whose approval somebody else sent first is a failure",
    file: "offchain/src/cli/commands/codeApprove.ts",
    text: "if (await connection.call((reading) => grantOf(reading, { grants, modelId, id }))) return null;",
    instead: "void [connection, grantOf, modelId];",
    tests,
  },
  {
    name: "a grant is shown as paid before the holders' veto is over",
    file: "offchain/src/cli/commands/code.ts",
    text: "Math.max(time, vetoEnds)",
    instead: "Math.max(time, Math.min(0, vetoEnds))",
    tests,
  },
];
