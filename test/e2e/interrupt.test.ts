/**
 * Ctrl-C while the contracts are compiled: the terminal sends it to the compiler too, and only what is true is said. SIGTERM comes
 * to the one process, which ends the compiler and does nothing that was to come after it.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { copyTree, type Copy } from "../thorough/copy.ts";
import { freePort, openStage, root, type Stage, until } from "./harness.ts";

let stage: Stage;
let copy: Copy;

beforeAll(() => {
  stage = openStage();
  copy = copyTree();
  for (const made of ["artifacts", "cache"]) rmSync(join(copy.directory, made), { recursive: true, force: true });
});
afterAll(async () => {
  await stage?.close();
  copy?.remove();
});

/** Starts a run that has to compile. @returns once the compiler works */
async function compiling() {
  const cache = join(copy.directory, "cache");
  for (const made of [cache, stage.state]) rmSync(made, { recursive: true, force: true });
  const [port, chainPort] = [await freePort(), await freePort()];
  const running = stage.run("setsid", [
    join(root, "node_modules/.bin/node"),
    "--conditions=cotrain-source",
    join(copy.directory, "offchain/src/cli/main.ts"),
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    `--port=${port}`,
    `--chain-port=${chainPort}`,
  ]);
  // Hardhat makes its cache when it begins.
  await until("the compiler", () => {
    if (running.exit()) throw new Error(running.stderr());
    return existsSync(cache);
  });
  return running;
}

it("while the contracts are compiled it ends with 130, says what is kept, and takes nothing half built for done", async () => {
  const running = await compiling();
  process.kill(-running.pid, "SIGINT");
  expect(await running.exited).toEqual({ code: 130, signal: null });
  const lines = running.stderr().trimEnd().split("\n");
  expect(lines.at(-1)).toBe("Stopped before there was a run; the next start begins again.");
  expect(running.stderr()).not.toMatch(/error|failed|at .*:\d+:\d+/i);
  expect(existsSync(join(copy.directory, "cache/cotrain-build.sha256"))).toBe(false);
  await stage.empty(60);
});

it("told to stop in the meantime, it ends the compiler, deploys nothing and starts no daemon", async () => {
  const running = await compiling();
  process.kill(running.pid, "SIGTERM");
  expect(await running.exited).toEqual({ code: 0, signal: null });
  const lines = running.stderr().trimEnd().split("\n");
  expect(lines.slice(-2)).toEqual([
    "Stopping. Ctrl-C once more ends it at once.",
    "Stopped before there was a run; the next start begins again.",
  ]);
  expect(existsSync(join(stage.state, "deployment.json"))).toBe(false);
  expect(existsSync(join(copy.directory, "cache/cotrain-build.sha256"))).toBe(false);
  await stage.empty(60);
});
