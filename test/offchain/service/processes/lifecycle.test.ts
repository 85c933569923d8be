import { spawn } from "node:child_process";
import { expect, test } from "vitest";

import { isChildMessage } from "../../../../offchain/src/service/processes/lifecycle.ts";
import { nodeArgs, runProgram } from "../support.ts";

test.each([
  ["user-error", 1, "There is no preset huge.\n"],
  ["hostile-words", 1, "It said \uFFFD]0;owned\uFFFD.\n"],
  ["retryable", 75, "The RPC is away.\n"],
  ["defect", 70, "Internal error in test daemon: x is not a function\n"],
  ["code", 3, ""],
])(
  "a daemon that ends with %s exits with %i and one sentence, after closing in reverse order",
  async (kind, code, sentence) => {
    const program = runProgram("daemon", [kind]);
    expect(await program.exited).toEqual({ code, signal: null });
    expect(program.output()).toBe(`${sentence}closed second\nclosed first\n`);
  },
);

test.each([
  ["log", "logged: There is no preset huge.\n"],
  ["sentence", "There is no preset huge.\n"],
])("where log and sentence go to one place, a mistake is told once, by the %s", async (channel, told) => {
  const program = runProgram("daemon", ["user-error", `--channel=${channel}`]);
  expect(await program.exited).toEqual({ code: 1, signal: null });
  expect(program.output()).toBe(`${told}closed second\nclosed first\n`);
});

test.each([
  ["serve", "SIGTERM", 0],
  ["serve", "SIGINT", 130],
  ["rejects", "SIGTERM", 0],
] as const)("%s: %s shuts down gracefully with %i", async (kind, signal, code) => {
  const program = runProgram("daemon", [kind]);
  await program.says(/started/);
  program.child.kill(signal);
  expect(await program.exited).toEqual({ code, signal: null });
  expect(program.output()).toContain("closed second\nclosed first\n");
});

test("a second Ctrl-C ends at once", async () => {
  const program = runProgram("daemon", ["stubborn"]);
  await program.says(/started/);
  program.child.kill("SIGINT");
  await program.says(/told to stop/);
  program.child.kill("SIGINT");
  expect(await program.exited).toEqual({ code: 130, signal: null });
  expect(program.output()).not.toContain("closed");
});

test("what does not shut down in time is ended", async () => {
  const program = runProgram("daemon", ["stubborn", "--hasty"]);
  await program.says(/started/);
  program.child.kill("SIGTERM");
  expect(await program.exited).toEqual({ code: 70, signal: null });
});

test("a rejection that nobody handles ends with 70", async () => {
  expect(await runProgram("daemon", ["unhandled"]).exited).toEqual({ code: 70, signal: null });
});

test("a daemon tells its parent that it serves, and ends when the channel closes", async () => {
  const child = spawn(process.execPath, nodeArgs("daemon", "serve"), { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  const exited = new Promise((resolve) => {
    child.once("exit", resolve);
  });
  const message = await new Promise<unknown>((resolve) => {
    child.once("message", resolve);
  });
  expect(message).toEqual({ type: "cotrain:ready", details: { port: 1_234 } });
  child.disconnect();
  expect(await exited).toBe(0);
});

test("or when its standard input does", async () => {
  const program = runProgram("daemon", ["serve", "", "--stdin"], ["pipe", "pipe", "pipe"]);
  await program.says(/started/);
  program.child.stdin?.end();
  expect((await program.exited).code).toBe(0);
});

test("what comes over the channel is checked", () => {
  expect(isChildMessage({ type: "cotrain:ready", details: {} })).toBe(true);
  expect(isChildMessage({ type: "cotrain:error", code: "X", message: "y", exitCode: 1 })).toBe(true);
  for (const other of [
    null,
    "x",
    {},
    { type: "cotrain:ready" },
    { type: "cotrain:ready", details: null },
    { type: "cotrain:error", code: 5 },
  ]) {
    expect(isChildMessage(other)).toBe(false);
  }
});
