/**
 * Runs test files again and again in one process, for who changes a file in between: Vitest's start, and what it made of files
 * that did not change, are kept; each run has processes of its own. Its working directory is the tree that it tests.
 */
import { resolve } from "node:path";
import { inspect } from "node:util";

import { createVitest, type TestModule } from "vitest/node";

export interface Asked {
  readonly test: string;
  /** Only the test of this name. */
  readonly only?: string;
  /** What was written since the last question. */
  readonly changed: readonly string[];
  /** Milliseconds that a test or a hook may take that names no bound itself, where it is not the configuration's. */
  readonly bound?: number;
}

export interface Answer {
  readonly verdict: "passed" | "failed" | "could not run";
  /** The first test that failed. */
  readonly failed?: string;
  /** What it said, or what kept it from running. */
  readonly said: string;
  /** Milliseconds that each test took by its name, and `""` all of them together. */
  readonly took: Readonly<Record<string, number>>;
}

let ended: TestModule[] = [];
const vitest = await createVitest("test", {
  watch: false,
  // One test that fails is enough, and others may then wait for what never comes.
  bail: 1,
  reporters: [{ onTestModuleEnd: (module: TestModule) => void ended.push(module) }],
});
await vitest.globTestSpecifications();

const messageOf = (errors: readonly { readonly message?: string }[]): string =>
  errors.map(({ message }) => message ?? "").join("; ");

/** What was thrown comes from another process as its fields, so that an error is none any more and has no `toString`. */
function wordsOf(thrown: unknown): string {
  const message = typeof thrown === "object" && thrown !== null && "message" in thrown ? thrown.message : undefined;
  return typeof message === "string" && message !== "" ? message : inspect(thrown);
}

function answerOf(modules: readonly TestModule[], unhandled: readonly unknown[], milliseconds: number): Answer {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const failed = tests.find((test) => test.result().state === "failed");
  const took = Object.fromEntries([
    ["", milliseconds],
    ...tests.map((test) => [test.fullName, test.diagnostic()?.duration ?? 0] as const),
  ]) as Record<string, number>;
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const said = [
    ...(failed ? [`${failed.fullName}: ${messageOf(failed.result().errors ?? [])}`] : []),
    ...suites.map((suite) => messageOf(suite.errors())),
    ...unhandled.map(wordsOf),
  ]
    .filter((text) => text !== "")
    .join("\n");
  if (failed) return { verdict: "failed", failed: failed.fullName, said, took };
  // Where not even a test was found, what was broken is the file, and nobody looked.
  if (tests.length > 0 && suites.some((suite) => suite.errors().length > 0)) return { verdict: "failed", said, took };
  const passed = said === "" && tests.some((test) => test.result().state === "passed");
  return { verdict: passed ? "passed" : "could not run", said, took };
}

/** Of each project: the bounds of its tests and its hooks. */
const bounds = vitest.projects.map(({ config: { testTimeout, hookTimeout } }) => ({ testTimeout, hookTimeout }));

async function run({ test, only, changed, bound }: Asked): Promise<Answer> {
  for (const [index, { config }] of vitest.projects.entries())
    Object.assign(config, bound === undefined ? bounds[index] : { testTimeout: bound, hookTimeout: bound });
  for (const file of changed) vitest.invalidateFile(resolve(file));
  const specifications = vitest
    .getModuleSpecifications(resolve(test))
    .map(({ project, moduleId }) =>
      only === undefined
        ? project.createSpecification(moduleId)
        : project.createSpecification(moduleId, { testNames: [only] }),
    );
  if (specifications.length === 0) return { verdict: "could not run", said: "Vitest knows no such file", took: {} };
  ended = [];
  const started = performance.now();
  const { unhandledErrors } = await vitest.runTestSpecifications(specifications);
  return answerOf(ended, unhandledErrors, performance.now() - started);
}

process.on("message", (asked: Asked) => {
  run(asked).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ verdict: "could not run", said: String(error), took: {} } satisfies Answer),
  );
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
