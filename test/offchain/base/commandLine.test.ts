/** Commands that sentences tell to type work as they stand: quoted, on the state that is meant, of the run that it holds. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, expect, onTestFinished, test, vi } from "vitest";

import {
  commandFor,
  freshCommand,
  shellWords,
  startCommand,
  stateFlag,
  stateOf,
} from "../../../offchain/src/base/node/index.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../../..");

afterEach(() => void vi.restoreAllMocks());

function temporaryState(settings?: Record<string, unknown>): string {
  const state = mkdtempSync(join(tmpdir(), "cotrain-state-"));
  onTestFinished(() => rmSync(state, { recursive: true, force: true }));
  writeFileSync(join(state, "VERSION"), "3\n");
  if (settings) writeFileSync(join(state, "run.json"), JSON.stringify({ settings }));
  return state;
}

test("a shell gives every word back as it was", () => {
  const words = ["plain", "two words", "it's", 'say "so"', "$HOME", "`id`", "a\\b", "", "ünï", "!!", "*", "a;b"];
  const given = execFileSync("sh", ["-c", `printf '%s\\n' ${shellWords(words)}`], { encoding: "utf8" });
  expect(given.split("\n").slice(0, -1)).toEqual(words);
});

test("the default state needs no flag where npm starts, any other does", () => {
  vi.spyOn(process, "cwd").mockReturnValue(root);
  expect(stateFlag(join(root, ".cotrain"))).toEqual([]);
  expect(stateFlag(join(root, "runs/a"))).toEqual(["--state", "runs/a"]);
  expect(stateFlag("/elsewhere/state")).toEqual(["--state", "/elsewhere/state"]);
  expect(startCommand(join(root, ".cotrain"))).toBe("npm start");
  expect(startCommand(join(root, "my runs"))).toBe('npm start -- --state "my runs"');
  expect(commandFor(join(root, "runs/a"), "checkpoint", "list")).toBe("npx cotrain checkpoint list --state runs/a");
  // npm goes to the root before it starts anything.
  vi.spyOn(process, "cwd").mockReturnValue(join(root, "sdk"));
  expect(startCommand(join(root, "sdk/.cotrain"))).toBe(`npm start -- --state ${join(root, "sdk/.cotrain")}`);
});

test("to start anew names the state, preset and text of the run that a damaged file belongs to", () => {
  const state = temporaryState({ preset: "3.5m", data: "/books/my book.txt" });
  mkdirSync(join(state, "coordinator"));
  writeFileSync(join(state, "coordinator/VERSION"), "3\n");
  const file = join(state, "coordinator/coordinator.sqlite");
  expect(stateOf(file)).toBe(state);
  const command = `npm start -- --fresh --preset 3.5m --data "/books/my book.txt" --state ${state}`;
  expect(freshCommand(file)).toBe(command);
  expect(freshCommand(state, { preset: "20m" })).toBe(command.replace("3.5m", "20m"));
});

test("to start anew repeats no key of an RPC, and says what can be said where run.json cannot be read", () => {
  const keyed = temporaryState({ preset: "1m", rpc: "https://rpc.example.org/v2/SECRET" });
  expect(freshCommand(keyed)).toBe(`npm start -- --fresh --preset 1m --rpc URL --state ${keyed}`);
  const open = temporaryState({ rpc: "http://127.0.0.1:8545" });
  expect(freshCommand(open)).toBe(`npm start -- --fresh --rpc http://127.0.0.1:8545 --state ${open}`);
  const damaged = temporaryState();
  writeFileSync(join(damaged, "run.json"), "{");
  expect(freshCommand(join(damaged, "run.json"))).toBe(`npm start -- --fresh --state ${damaged}`);
});
