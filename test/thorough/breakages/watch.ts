/** Defences of who watches: what is recomputed and waited for, what is told to those who vote, and the code that it ends with. */
import type { Breakage } from "./breakage.ts";

const disputed = ["test/offchain/validator/watchDisputed.test.ts"];
const heads = ["test/offchain/validator/watchHeads.test.ts"];
const roots = ["test/offchain/validator/watch.test.ts"];
const cli = ["test/offchain/cli/watch.test.ts"];
const words = ["test/offchain/cli/watching.test.ts"];

export const watch: readonly Breakage[] = [
  {
    name: "a root that somebody disputed is not recomputed for those who vote",
    file: "offchain/src/validator/watch/watch.ts",
    text: "?? judgedForVoters(watching, dispute);",
    instead: '?? { state: "open", digest: dispute.digest, settles: 0, proposalId: 0n, found: "holds" };',
    tests: disputed,
  },
  {
    name: "what one look found of a root is told to those who vote",
    file: "offchain/src/validator/watch/watch.ts",
    text: 'if (isSettled) return { found: "holds" };',
    instead: 'if (isSettled || found) return { found: "holds" };',
    tests: disputed,
  },
  {
    name: "who disputes a root has it judged by what was taken back since",
    file: "offchain/src/validator/watch/watch.ts",
    text: "const found = await judged(looking, posted, ",
    instead: "const found = await judged(looking, { ...posted, activatableAt: undefined } as never, ",
    tests: disputed,
  },
  {
    name: "who watches spends on a root that somebody disputed",
    file: "offchain/src/validator/watch/watch.ts",
    text: "const looking = { ...watching, spender: undefined };",
    instead: "const looking = watching;",
    tests: disputed,
  },
  {
    name: "a root that is voted on and known to hold is computed at each look",
    file: "offchain/src/validator/watch/watch.ts",
    text: 'if (memory.of(digest).holds) return { ...open, found: "holds" };',
    instead: "",
    tests: disputed,
  },
  {
    name: "a true root that rightly leaves a rejected head unpaid is disputed",
    file: "offchain/src/validator/watch/judge.ts",
    text: "sequence > 0 && !aggregateRejected(head, parsed)",
    instead: "sequence > 0",
    tests: heads,
  },
  {
    name: "inputs that are withheld are no ground for a dispute",
    file: "offchain/src/validator/watch/judge.ts",
    text: "  await epochInputsOf(blobs, runId, manifest);\n",
    instead: "",
    tests: roots,
  },
  {
    name: "a paid head whose payloads are gone is called false",
    file: "offchain/src/validator/watch/heads.ts",
    text: "led && isOpen(head) ?",
    instead: "led ?",
    tests: heads,
  },
  {
    name: "a round that was taken back is recomputed by who watches",
    file: "offchain/src/validator/watch/heads.ts",
    text: " && !rolledBack.has(head)",
    instead: "",
    tests: heads,
  },
  {
    name: "a head whose root becomes active while it is looked at is called false",
    file: "offchain/src/validator/watch/heads.ts",
    text: "      if (!isKept) continue;\n",
    instead: "",
    tests: heads,
  },
  {
    name: "what is wrong with one head is told twice",
    file: "offchain/src/validator/watch/heads.ts",
    text: "        done.add(value.head);\n",
    instead: "",
    tests: heads,
  },
  {
    name: "who watches remembers every root",
    file: "offchain/src/validator/watch/memory.ts",
    text: "      for (const digest of known.keys()) if (known.size > MAX_ROOTS) known.delete(digest);\n",
    instead: "",
    tests: heads,
  },
  {
    name: "a slow source is waited for less long than one that is away",
    file: "offchain/src/validator/watch/watch.ts",
    text: "Math.max(absentPart, SLOW_PART)",
    instead: "SLOW_PART",
    tests: heads,
  },
  {
    name: "two looks through two RPCs are through one",
    file: "offchain/src/cli/commands/watch.ts",
    text: "second === undefined ? connection",
    instead: "second !== null ? connection",
    tests: cli,
  },
  {
    name: "on a public chain two looks are one block apart",
    file: "offchain/src/cli/watching.ts",
    text: "? 1 : 12",
    instead: "? 1 : 1",
    tests: words,
  },
  {
    name: "a false root whose window is over ends a watch with 0",
    file: "offchain/src/cli/watching.ts",
    text: '["late", "reported", "disputed"]',
    instead: '["reported", "disputed"]',
    tests: words,
  },
  {
    name: "a false root that somebody disputed ends a watch with 0",
    file: "offchain/src/cli/watching.ts",
    text: '? found.found === "false" :',
    instead: "? found.settles < 0 :",
    tests: words,
  },
  {
    name: "a root that could not be read ends a watch with 0",
    file: "offchain/src/cli/watching.ts",
    text: 'return found.state === "unread" ? found.reason : null;',
    instead: "return null;",
    tests: words,
  },
  {
    name: "a root that is voted on and of which nothing is known ends a watch with 0",
    file: "offchain/src/cli/watching.ts",
    text: 'root.found === "unsure"',
    instead: "root.settles < 0",
    tests: words,
  },
  {
    name: "that roots are disputed again and again is told a doubling late",
    file: "offchain/src/cli/watching.ts",
    text: "cost.level >= ALARMING_LEVEL",
    instead: "cost.level > ALARMING_LEVEL",
    tests: words,
  },
  {
    name: "of a validator that was replaced nothing is heard",
    file: "offchain/src/cli/offences.ts",
    text: "before: [...before] }",
    instead: "before: [] }",
    tests: ["test/offchain/cli/conflict.test.ts"],
  },
  {
    name: "who was replaced and has nothing at stake ends every watch with 1",
    file: "offchain/src/run/offenceWatch.ts",
    text: 'amount === 0n && contradiction.kind === "verdicts"',
    instead: 'amount < 0n && contradiction.kind === "verdicts"',
    tests: ["test/offchain/cli/conflict.test.ts"],
  },
  {
    name: "a false head that was found is forgotten where the chain is away a moment later",
    file: "offchain/src/validator/watch/heads.ts",
    text: "(await recompute(findings).catch(awayOf))",
    instead: "(await recompute(findings))",
    tests: ["test/offchain/validator/watchHeads.test.ts"],
  },
  {
    name: "a next run that one node does not know yet ends the watch",
    file: "offchain/src/validator/watch/heads.ts",
    text: 'if (id === runId || !(error instanceof CotrainError) || error.code !== "RUN_UNKNOWN") throw error;',
    instead: "if (runId) throw error;",
    tests: ["test/offchain/validator/watchHeads.test.ts"],
  },
];
