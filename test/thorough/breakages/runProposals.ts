/** Defences of `run`: what is told of proposals. */
import type { Breakage } from "./breakage.ts";

export const runProposals: readonly Breakage[] = [
  {
    name: "digits that two proposals begin with name the first of them",
    file: "offchain/src/run/proposals.ts",
    text: "if (others > 0)",
    instead: "if (others < 0)",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "a proposal is what a node tells of it, whatever its id stands for",
    file: "offchain/src/run/proposals.ts",
    text: "sound: proposalIdOf(proposal) === proposalId",
    instead: "sound: proposalIdOf(proposal) !== 0n",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "a change of parameters is hidden behind others",
    file: "offchain/src/run/proposalWords.ts",
    text: "return `${await sentence(place, args)}${coins}`;",
    instead: "return `${(await sentence(place, args)).slice(0, 600)}${coins}`;",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "a call is told in as many words as a stranger likes",
    file: "offchain/src/run/proposalWords.ts",
    text: "text.length > MOST_WORDS ? ",
    instead: "text.length < 0 ? ",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "coins that a proposal sends are not told",
    file: "offchain/src/run/proposalWords.ts",
    text: "call.value > 0n ?",
    instead: "call.value < 0n ?",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "another run's calls are told as this one's",
    file: "offchain/src/run/proposalWords.ts",
    text: "String(id).toLowerCase() === place.runId.toLowerCase()",
    instead: "String(id) !== place.runId.toUpperCase()",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "what replaces parameters that are not there is told as a change of nothing",
    file: "offchain/src/run/proposalWords.ts",
    text: "if (version < 1 || version > newest)",
    instead: "if (version < 0)",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "proposed validators are cut where there are many",
    file: "offchain/src/run/proposalWords.ts",
    text: "const MOST_VALIDATORS = 64;",
    instead: "const MOST_VALIDATORS = 10;",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "proposed calls that the governor relays are not told",
    file: "offchain/src/run/proposalWords.ts",
    text: '"ModelGovernor.relay": "the governor",',
    instead: "",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "proposed calls in calls are told however deep they are",
    file: "offchain/src/run/proposalWords.ts",
    text: "path.length >= DEEPEST",
    instead: "path.length < 0",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "proposed calls in calls are told however many they are",
    file: "offchain/src/run/proposalWords.ts",
    text: "if (left.calls === 0) break;",
    instead: "",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
  {
    name: "proposed amounts of shares are told in wei",
    file: "offchain/src/run/proposalWords.ts",
    text: "&& shareAmounts.has(",
    instead: "&& !shareAmounts.has(",
    tests: ["test/offchain/run/proposals.test.ts"],
  },
];
