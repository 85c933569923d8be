/** What a directory goes on with when its run is over, what an RPC may say of that, and what a next run has of the one before. */
import type { Breakage } from "./breakage.ts";

const TAKE_UP = "offchain/src/run/takeUp.ts";
const RUN_NEXT = ["test/offchain/cli/runNext.test.ts"];
const JUDGED = ["test/offchain/cli/runNextJudged.test.ts"];
const TESTS = ["test/offchain/cli/takeUp.test.ts"];

export const takeUp: readonly Breakage[] = [
  {
    name: "a node that lags turns a directory back to the run before",
    file: "offchain/src/run/nextRun.ts",
    text: "return at < 0 ? undefined : runs.slice(at + 1).at(-1);",
    instead: "return runs.at(-1) === runId ? undefined : runs.at(-1);",
    tests: RUN_NEXT,
  },
  {
    name: "a second coordinator has a directory go on with another run before it is refused",
    file: "offchain/src/cli/commands/coordinator.ts",
    text: 'await openRoleDirectory(opened.state, "coordinator", { create: true });',
    instead:
      '(await (await goesOnWith(opened, options.run, options.rpc ?? opened.file.chain.rpcUrl, logger)).keep?.(), await openRoleDirectory(opened.state, "coordinator", { create: true }));',
    tests: RUN_NEXT,
  },
  {
    name: "a directory takes up a run that another posts, and serves none",
    file: TAKE_UP,
    text: "if (record.poster.toLowerCase() !== last.poster.toLowerCase())",
    instead: "if (record.poster.length !== last.poster.length)",
    tests: RUN_NEXT,
  },
  {
    name: "a directory takes up a next run whose documents it lacks",
    file: TAKE_UP,
    text: "!sizes.every((size) => size !== undefined)",
    instead: "sizes.length < 2",
    tests: RUN_NEXT,
  },
  {
    name: "a directory takes up a run whose checkpoint 0 is another run's",
    file: TAKE_UP,
    text: "return manifest?.runId === runId;",
    instead: "return manifest !== undefined;",
    tests: TESTS,
  },
  {
    name: "a directory takes up what an RPC shows after a run that has not ended",
    file: TAKE_UP,
    text: "if (open !== undefined)",
    instead: "if (open?.length === 0)",
    tests: TESTS,
  },
  {
    name: "a run between two that has not ended is not looked at",
    file: TAKE_UP,
    text: "for (const each of before)",
    instead: "for (const each of before.slice(0, 1))",
    tests: TESTS,
  },
  {
    name: "one answer of an RPC has a directory go on with another run",
    file: TAKE_UP,
    text: "return isDeepStrictEqual(first, second) ? first : undefined;",
    instead: "return second ? first : undefined;",
    tests: TESTS,
  },
  {
    name: "the second look at the runs of a model is of the block of the first",
    file: TAKE_UP,
    text: "clock.monotonic() < end &&",
    instead: "clock.monotonic() > end &&",
    tests: TESTS,
  },
  {
    name: "the second look at the runs of a model remembers the first",
    file: TAKE_UP,
    text: "await see(readerOf(), directory)",
    instead: "await see(reader, directory)",
    tests: TESTS,
  },
  {
    name: "a directory whose run the registry does not know goes on with nothing",
    file: TAKE_UP,
    text: "for (const each of [runId, ...earlier.toReversed()])",
    instead: "for (const each of [runId, ...earlier.toReversed().slice(0, 1)])",
    tests: TESTS,
  },
  {
    name: "run.json names a run before it has opened",
    file: "offchain/src/cli/commands/coordinator.ts",
    text: "const { run, keep } = await goesOnWith(opened, options.run, rpcUrl, logger);",
    instead: "const { run, keep } = await goesOnWith(opened, options.run, rpcUrl, logger); await keep?.();",
    tests: ["test/offchain/cli/daemons.test.ts"],
  },
  {
    name: "what a coordinator has opened is forgotten by the next start",
    file: "offchain/src/cli/commands/coordinator.ts",
    text: "        await keep?.();\n",
    instead: "",
    tests: ["test/offchain/cli/daemons.test.ts"],
  },
  {
    name: "a coordinator that is told the next run serves the one before it no more",
    file: "offchain/src/cli/commands/coordinator.ts",
    text: ": [...earlier, runId];",
    instead: ": earlier;",
    tests: ["test/offchain/cli/daemons.test.ts"],
  },
  {
    name: "a run that is over is shown open to who joins until the chain was looked at",
    file: "offchain/src/coordinator/api/reads.ts",
    text: 'run.earlier ? "Finished" : run.driver.state.phase',
    instead: "run.driver.state.phase",
    tests: ["test/offchain/coordinator/nextRun.test.ts"],
  },
  {
    name: "a run that is over takes members until the chain was looked at",
    file: "offchain/src/coordinator/run.ts",
    text: "earlier || driver.state.finished;",
    instead: "driver.state.finished;",
    tests: ["test/offchain/coordinator/nextRun.test.ts"],
  },
  {
    name: "the word of one start ends a run in its journal",
    file: "offchain/src/coordinator/coordinator.ts",
    text: "    return await openRun(options, settings, modules);\n",
    instead:
      '    const run = await openRun(options, settings, modules);\n    if (!run.driver.state.finished) await run.driver.submit({ type: "RunFinished" });\n    return run;\n',
    tests: ["test/offchain/coordinator/nextRun.test.ts"],
  },
  {
    name: "a next run goes on from what validators rejected by an oversight",
    file: "offchain/src/run/nextRun.ts",
    text: "if (!options.keepRejected) requireSound(rejected);",
    instead: "if (options.keepRejected) requireSound(rejected.slice(0, 0));",
    tests: JUDGED,
  },
  {
    name: "a next run launders what validators rejected",
    file: "offchain/src/run/runEnd.ts",
    text: "return before === undefined ? [] : rejectedUpTo(place, before);",
    instead: "return before === undefined ? [] : (await rejectedUpTo(place, before)).slice(0, 0);",
    tests: JUDGED,
  },
  {
    name: "who votes is not told that a next run goes on from what validators rejected",
    file: "offchain/src/run/runEnd.ts",
    text: "const rejected = continues ? await rejectedUpTo(place, after) : [];",
    instead: "const rejected = continues ? [] : await rejectedUpTo(place, after);",
    tests: JUDGED,
  },
  {
    name: "whoever loses the documents of the run before is told of nothing that was rejected in it",
    file: "offchain/src/run/runEnd.ts",
    text: "return begun?.continues === false ? undefined : before;",
    instead: "return begun?.continues === true ? before : undefined;",
    tests: JUDGED,
  },
  {
    name: "a run that begins with other parameters is told to go on from what was rejected",
    file: "offchain/src/run/runEnd.ts",
    text: "return begun?.continues === false ? undefined : before;",
    instead: "return begun ? before : before;",
    tests: JUDGED,
  },
  {
    name: "a next run of what validators rejected verifies",
    file: "offchain/src/cli/commands/verify.ts",
    text: " && facts.inherited.length === 0 &&",
    instead: " &&",
    tests: JUDGED,
  },
  {
    name: "who uses a next run's checkpoint is not told what was rejected before it",
    file: "offchain/src/cli/rejected.ts",
    text: "[...inheritedLines(before), ...rejectedLines(",
    instead: "[...inheritedLines(before.slice(0, 0)), ...rejectedLines(",
    tests: JUDGED,
  },
  {
    name: "a next run is posted by whom validators suspended, without a word",
    file: "offchain/src/run/nextRun.ts",
    text: " || !(await reader.isSuspended(runId))) return named;",
    instead: " || (await reader.isSuspended(runId))) return named;",
    tests: JUDGED,
  },
  {
    name: "who votes is not told that a next run's poster was suspended",
    file: "offchain/src/run/runWords.ts",
    text: "const whoDid = suspended ?",
    instead: "const whoDid = !suspended ?",
    tests: JUDGED,
  },
];
