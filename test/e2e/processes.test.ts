import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";

import { expect, onTestFinished, test } from "vitest";

import { processesMarked } from "./processes.ts";

test("a process is found by its environment alone, in another directory and as a child of a child, until it ends", async () => {
  const mark = randomUUID();
  // The inner process says that it runs, and goes on when the outer one has ended.
  const inner = "process.stdout.write(String(process.pid)); setTimeout(() => {}, 60_000)";
  const outer = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(inner)}], { stdio: ["ignore", 1, 1], detached: true }).unref()`;
  const child = spawn(process.execPath, ["-e", outer], {
    cwd: "/",
    env: { ...process.env, PROCESSES_TEST: mark },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(child, "exit");
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  const pid = Number(said.toString());
  onTestFinished(() => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  });
  await ended;
  expect(processesMarked(mark)).toEqual([expect.stringMatching(new RegExp(`^${pid} `))]);
  expect(processesMarked(randomUUID())).toEqual([]);
  process.kill(pid, "SIGKILL");
  await expect.poll(() => processesMarked(mark), { timeout: 30_000 }).toEqual([]);
});
