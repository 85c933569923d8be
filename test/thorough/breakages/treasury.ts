/** Defences of what holders decide about the treasury and founders' shares. */
import type { Breakage } from "./breakage.ts";

export const treasury: readonly Breakage[] = [
  {
    name: "an allowance is set in the place of another, which some tokens refuse",
    file: "offchain/src/cli/commands/budget.ts",
    text: "allowance > 0n ? [0n] : []",
    instead: "allowance < 0n ? [0n] : []",
    tests: ["test/offchain/cli/budget.test.ts"],
  },
  {
    name: "a founder's shares are told as paid for a commit",
    file: "offchain/src/run/grants.ts",
    text: "BigInt(terms.commit) === 0n;",
    instead: "BigInt(terms.commit) === 1n;",
    tests: ["test/offchain/cli/founders.test.ts"],
  },
  {
    name: "founders' shares take the first year's epochs their budget",
    file: "offchain/src/localnet/founders.ts",
    text: "yearlyCap: model.yearlyCap + minted",
    instead: "yearlyCap: model.yearlyCap + 0n * minted",
    tests: ["test/offchain/cli/founders.test.ts"],
  },
  {
    name: "a founder is named twice",
    file: "offchain/src/localnet/founders.ts",
    text: "if (new Set(list.map(({ account }) => account)).size < list.length)",
    instead: "if (list.length < 0)",
    tests: ["test/offchain/cli/founders.test.ts"],
  },
  {
    name: "a second budget of a token takes the first one's allowance",
    file: "offchain/src/cli/commands/budget.ts",
    text: "const allowed = allowance + perEpoch * epochs > most ? most : allowance + perEpoch * epochs;",
    instead: "const allowed = allowance > most ? most : perEpoch * epochs;",
    tests: ["test/offchain/cli/budget.test.ts"],
  },
  {
    name: "a budget is spent where a node says",
    file: "offchain/src/run/budgets.ts",
    text: 'await contractAt(place, "computeBudget")',
    instead: 'await contractAt({ ...place, pins: undefined }, "computeBudget")',
    tests: ["test/offchain/cli/lyingNode.test.ts"],
  },
  {
    name: "a vote is cast on what a node says lets spend from the treasury",
    file: "offchain/src/cli/proposing.ts",
    text: 'await contractAt(place, "computeBudget")',
    instead: 'await contractAt({ ...place, pins: undefined }, "computeBudget")',
    tests: ["test/offchain/cli/lyingNode.test.ts"],
  },
  {
    name: "a treasury's draw is told as any call",
    file: "offchain/src/run/budgetWords.ts",
    text: "if (Number(kind) !== rewardKind.treasury) return undefined;",
    instead: "if (Number(kind) !== 0) return undefined;",
    tests: ["test/offchain/cli/budget.test.ts"],
  },
  {
    name: "a checkpoint that a proposer made is told like one of the run's own",
    file: "offchain/src/run/rollbackWords.ts",
    text: "own === digest.toLowerCase()",
    instead: 'own !== ""',
    tests: ["test/offchain/cli/checkpointRollback.test.ts"],
  },
  {
    name: "a payment of the treasury's tokens is told as bytes",
    file: "offchain/src/run/budgetWords.ts",
    text: 'if (functionName === "transfer") return',
    instead: 'if (functionName === "transfer") return undefined;\n    if (value < 0n) return',
    tests: ["test/offchain/cli/treasury.test.ts"],
  },
  {
    name: "holders are asked for a payment that the token refuses",
    file: "offchain/src/cli/commands/treasury.ts",
    text: "if (answer === undefined || BigInt(answer) === 1n) return;",
    instead: "if (answer === undefined || BigInt(answer) < 2n) return;",
    tests: ["test/offchain/cli/treasury.test.ts"],
  },
  {
    name: "coins that a proposal sends along are not told",
    file: "offchain/src/cli/decision.ts",
    text: "for (const { to: target, data, value = 0n } of calls)\n        told.push((await wordsOfCall(place, { target, value, data })).words);",
    instead:
      "for (const { to: target, data } of calls)\n        told.push((await wordsOfCall(place, { target, value: 0n, data })).words);",
    tests: ["test/offchain/cli/treasury.test.ts"],
  },
];
