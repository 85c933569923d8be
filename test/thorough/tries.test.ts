/** That a breakage is tried as its page says: who notices is found and named, what hangs is not waited for. Each try starts Vitest anew. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Breakage } from "./breakages.ts";
import { type Copy, copyTree, root } from "./copy.ts";
import { openTestRunner, type TestRunner } from "./testRunner.ts";
import type { Answer } from "./testServer.ts";
import { tryBreakage } from "./tryBreakage.ts";

/** What a test of the name "waits" is said to have taken, milliseconds. */
const answer = (verdict: Answer["verdict"], waits: number): Answer => ({
  verdict,
  said: "",
  took: { "": waits, waits },
  ...(verdict === "failed" && { failed: "waits" }),
});

describe("a try", () => {
  const slow = {
    name: "a row",
    file: "offchain/src/data/slow.ts",
    text: "20)",
    instead: "20, undefined)",
    tests: ["test/offchain/data/slow.test.ts"],
  };
  let copy: Copy;
  let runner: TestRunner;
  beforeAll(() => {
    copy = copyTree();
    const waiting = "export const wait = (): Promise<void> => setTimeout(20);";
    copy.write(slow.file, `import { setTimeout } from "node:timers/promises";\n${waiting}\n`);
    const test = 'import { wait } from "../../../offchain/src/data/slow.ts";\nit("waits", wait);';
    copy.write("test/offchain/data/slow.test.ts", `import { it } from "vitest";\n${test}\n`);
    runner = openTestRunner(copy);
  });
  afterAll(() => {
    runner.close();
    copy.remove();
  });

  const row = {
    name: "a row",
    file: "offchain/src/data/ledger.ts",
    text: "attempt: old.attempt + 1, worker",
    instead: "attempt: old.attempt, worker",
    tests: ["test/offchain/data/ledger.test.ts"],
  };
  const noticed = [
    "data ledger > refuses an old attempt, another's assignment, a closed one, and steps that cannot be",
  ];

  it("names the test that notices, and leaves the file as it was", async () => {
    expect(await tryBreakage(runner, row)).toEqual({ noticed });
    expect(copy.read(row.file)).toBe(readFileSync(join(root, row.file), "utf8"));
  });

  it("asks first who noticed last time, and all others where that one does not", async () => {
    const another =
      "data ledger > draws from the whole of what may be issued, a piece here and a piece there, and each assignment otherwise";
    for (const before of [...noticed, another, "nobody"])
      expect(await tryBreakage(runner, row, [before])).toEqual({ noticed });
  });

  it("does not wait for what hangs, nor for what takes several times as long, and says so; what takes long by itself has its time", async () => {
    const hanging = { ...slow, text: "setTimeout(20)", instead: "new Promise(() => void setTimeout)" };
    expect(await tryBreakage(runner, hanging, [], 2_000)).toEqual({ noticed: ["waits"], hung: true });
    const slower = { ...slow, text: "20)", instead: "6_000)" };
    expect(await tryBreakage(runner, slower, [], 2_000)).toEqual({ noticed: ["waits"], hung: true });
    expect(await tryBreakage(runner, slow, [], 10)).toEqual({ problem: `${slow.tests[0]} does not notice` });
  });

  it("measures anew, under the same bound, what failed when the bound was over: a machine that stands still is no breakage", async () => {
    const quick = [answer("failed", 5), answer("passed", 20)];
    const crowded = [answer("failed", 999.5), answer("passed", 600), answer("passed", 600)];
    const unbound = [answer("passed", 1_500), answer("passed", 1_500)];
    const answers = [...quick, ...crowded, ...unbound];
    const asked: unknown[] = [];
    const told: TestRunner = {
      ...runner,
      run: async (each) => {
        asked.push(each);
        return answers.shift() ?? answer("could not run", 0);
      },
    };
    const [test = ""] = slow.tests;
    expect(await tryBreakage(told, slow, [], 1_000)).toEqual({ noticed: ["waits"] });
    expect(await tryBreakage(told, slow, [], 1_000)).toEqual({ problem: `${test} does not notice` });
    const [bound, only] = [1_000, "waits"];
    expect(asked).toEqual([
      { test, bound },
      { test, only },
      { test, bound },
      { test, only, bound },
      { test, bound },
      { test, only },
      { test },
    ]);
  });

  it("names the test that fails where a promise is rejected besides that nobody waits for", async () => {
    const lost = 'Promise.reject(new Error("told")).finally(() => void Promise.reject(new Error("lost")))';
    const row = { ...slow, text: "setTimeout(20)", instead: lost };
    expect(await tryBreakage(runner, row)).toEqual({ noticed: ["waits"] });
  });

  it("fails where no test notices, none can look, or the text is another by now", async () => {
    const problemOf = async (changes: Partial<Breakage>): Promise<unknown> =>
      tryBreakage(runner, { ...row, ...changes });
    expect(await problemOf({ instead: "attempt: 1 + old.attempt, worker" })).toEqual({
      problem: `${row.tests[0]} does not notice`,
    });
    expect(await problemOf({ instead: "attempt: old.attempt +, worker" })).toEqual({
      problem: expect.stringContaining(`${row.tests[0]}: `) as unknown,
    });
    expect(await problemOf({ text: "what stands nowhere" })).toEqual({
      problem: expect.stringContaining("does not hold the text once") as unknown,
    });
  });
});
