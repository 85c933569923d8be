/** What a command loads: scripts and tests start hundreds of them, and what is not loaded takes no time. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { compileCache } from "../../compileCache.ts";
import { temporaryDirectory } from "./support.ts";

const program = join(import.meta.dirname, "../../../offchain/src/cli/program.ts");
const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("COTRAIN_"));

/** Everything that a command loads until it ends. */
function loadedBy(...argv: readonly string[]): readonly string[] {
  const telling = `
import { registerHooks } from "node:module";
import { writeSync } from "node:fs";
const loaded = [];
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
const { main } = await import(${JSON.stringify(program)});
process.stdout.write = process.stderr.write = () => true;
await main(${JSON.stringify(argv)});
process.on("exit", () => writeSync(1, loaded.join("\\n")));`;
  const args = ["--conditions=cotrain-source", "--input-type=module", "--eval", telling];
  const env = { ...Object.fromEntries(inherited), ...compileCache };
  return execFileSync(process.execPath, args, { encoding: "utf8", env }).split("\n");
}

/** Packages of what was loaded. */
const packagesIn = (loaded: readonly string[]): Set<string> =>
  new Set(loaded.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []));
const roomsIn = (loaded: readonly string[]): Set<string> =>
  new Set(loaded.flatMap((url) => /\/offchain\/src\/([^/]+)\//.exec(url)?.[1] ?? []));

const commandFilesIn = (loaded: readonly string[]): readonly string[] =>
  loaded.flatMap((url) => /\/cli\/commands\/(.+)\.ts$/.exec(url)?.[1] ?? []).sort();

/** Of keys, databases, servers, metrics, YAML, logs for people, and of programs. */
const large = new Set(["ethers", "kysely", "fastify", "ajv", "prom-client", "yaml", "pino-pretty", "onnx-buf"]);

test("help of the root loads no command, and none of the rooms but what base has for all", () => {
  const loaded = loadedBy("--help");
  expect([...roomsIn(loaded)].sort()).toEqual(["base", "cli"]);
  expect([...packagesIn(loaded)].filter((name) => !name.startsWith("@napi-rs/"))).toEqual(["commander"]);
  expect(commandFilesIn(loaded)).toEqual(["index", "outlines"]);
});

/** Rooms of those who take part, and what brings them together. */
const daemons = new Set(["coordinator", "worker", "validator", "market", "localnet"]);

describe.each([
  ["a command of one word", ["status"]],
  ["a command of a group", ["rewards", "list"]],
  ["what starts a daemon", ["validator"]],
])("%s", (_what, words) => {
  test("is declared without the packages and the rooms that it may need when it runs", () => {
    const loaded = loadedBy(...words, "--help");
    expect(packagesIn(loaded)).toContain("commander");
    expect([...packagesIn(loaded)].filter((name) => large.has(name))).toEqual([]);
    expect([...roomsIn(loaded)].filter((name) => daemons.has(name))).toEqual([]);
  });
});

test("a command that finds nothing to work on has not loaded what it would have worked with", () => {
  const loaded = loadedBy("status", "--state", join(temporaryDirectory(), "none"));
  expect([...packagesIn(loaded)].filter((name) => large.has(name))).toEqual([]);
});

test("of the files of commands that one alone is loaded that is asked for", () => {
  expect(commandFilesIn(loadedBy("rewards", "list", "--help"))).toEqual(["index", "outlines", "rewards"]);
});
