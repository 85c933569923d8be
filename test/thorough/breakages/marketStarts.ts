/** Defences of machines that are started over SSH. */
import type { Breakage } from "./breakage.ts";

const starts = ["test/offchain/market/leases/starts.test.ts"];
const starter = ["test/offchain/market/renting/starter.test.ts"];
const prime = ["test/offchain/cli/marketPrime.test.ts"];

export const marketStarts: readonly Breakage[] = [
  {
    name: "a machine that runs counts as at work before anybody started it",
    file: "offchain/src/market/leases/starts.ts",
    text: 'terms.startsBy === "ssh" && typeof starting?.doneAt !== "number"',
    instead: 'terms.startsBy === "ssh" && starting === undefined && typeof starting === "number"',
    tests: starts,
  },
  {
    name: "a machine is tried for ever by processes that die over it",
    file: "offchain/src/market/leases/starts.ts",
    text: "if (tries >= step.rules.startTries) return giveUp(step, lease, words, at);",
    instead: "",
    tests: starts,
  },
  {
    name: "a machine that answers no try is tried for ever",
    file: "offchain/src/market/leases/starts.ts",
    text: "starting.tries < step.rules.startTries",
    instead: "starting.tries < Infinity",
    tests: starts,
  },
  {
    name: "a machine is tried at every look",
    file: "offchain/src/market/leases/starts.ts",
    text: "if (triedAt !== null && at - triedAt < step.rules.startAgain) return step;",
    instead: "",
    tests: starts,
  },
  {
    name: "machines are rented one after the other with a key that none lets in",
    file: "offchain/src/market/leases/starts.ts",
    text: 'what === "account" ? block(',
    instead: 'words === "account" ? block(',
    tests: starts,
  },
  {
    name: "what a machine is to do is kept after its create",
    file: "offchain/src/market/leases/keeper.ts",
    text: "await starter.keep(order, account.title);",
    instead: "void account.list().then(() => starter.keep(order, account.title));",
    tests: starts,
  },
  {
    name: "a second start begins a second time",
    file: "offchain/src/market/overSsh.ts",
    text: "if [ -e ${ROOT}/${order.label}/process ]; then\n",
    instead: "if false; then\n",
    tests: starter,
  },
  {
    name: "a start that another may have begun is made",
    file: "offchain/src/market/overSsh.ts",
    text: `if [ -n "$taken" ]; then echo '\${OURS}taken'; echo '\${DONE}'; return 0; fi`,
    instead: 'rm -rf "$root"/ct-*',
    tests: starter,
  },
  {
    name: "another key of a host is tried like the first",
    file: "offchain/src/market/leases/starter.ts",
    text: 'if (refused === "host")',
    instead: 'if (refused === "nobody")',
    tests: starter,
  },
  {
    name: "a machine's words are told with the pass that it was given",
    file: "offchain/src/market/leases/starter.ts",
    text: 'const shown = (words: string): string => shownLog(words, 1)[0] ?? "";',
    instead: "const shown = (words: string): string => shownLog.length > 0 ? words : words;",
    tests: starter,
  },
  {
    name: "an order that is kept can be read by others",
    file: "offchain/src/market/leases/starter.ts",
    text: "await writeFileDurable(fileOf(order.label), script, { mode: 0o600 });",
    instead: "await writeFileDurable(fileOf(order.label), script, { mode: 0o644 });",
    tests: starter,
  },
  {
    name: "machines are rented that nobody here can start",
    file: "offchain/src/cli/commands/marketRent.ts",
    text: "  await checkStarts(options, wanted, accounts);\n",
    instead: "  void checkStarts(options, wanted, accounts).catch(() => undefined);\n",
    tests: prime,
  },
];
