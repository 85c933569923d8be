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
    instead: "return `${bounded(await sentence(place, args))}${coins}`;",
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
];
