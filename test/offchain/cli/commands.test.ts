/** Every command and every option of it: help, examples that parse, where values come from, and what each option does. */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, onTestFinished, test, vi } from "vitest";

import { CotrainError } from "@cotrain/sdk/errors";
import { commandNames } from "../../../offchain/src/cli/commands/index.ts";
import { flagFor } from "../../../offchain/src/cli/program.ts";
import { openCreateLog, openSessionLog } from "../../../offchain/src/cli/up/sessionLog.ts";
import { openStateDirectory, resolveConfig, variableOf } from "../../../offchain/src/service/index.ts";
import { root } from "../../attack/rows.ts";
import { exercised } from "./exercised.ts";
import { commands, understood } from "./lines.ts";
import { cotrain, cotrainHere, type Ended, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const names = commands.map(({ name }) => name);

/** The words of a command line as a shell splits them. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");

/** What `cotrain` gets of a line of an example. */
function argvOf(line: string): string[] {
  const words = wordsOf(line);
  if (words[0] === "npm") return ["up", ...words.slice(words.indexOf("--") === -1 ? words.length : 3)];
  expect(words.slice(0, 2)).toEqual(["npx", "cotrain"]);
  return words.slice(2);
}

test("a message names a command as people type it", () => {
  const rooms = globSync("{cli,run,localnet}/**/*.ts", { cwd: join(root, "offchain/src") });
  const bare = rooms.flatMap((file) =>
    [...readFileSync(join(root, "offchain/src", file), "utf8").matchAll(/^.*[`'].*"cotrain [$\w].*$/gm)].map(
      ([line]) => line,
    ),
  );
  expect(bare).toEqual([]);
});

describe("help", () => {
  test("lists every command", async () => {
    const { code, stdout } = await cotrainHere(["--help"]);
    expect(code).toBe(0);
    for (const name of names) expect(stdout).toMatch(new RegExp(`^  ${name.split(" ")[0]}\\b`, "m"));
    const shown = stdout.replaceAll(/\s+/g, " ");
    for (const { name, summary } of commands.filter((each) => !each.name.includes(" "))) {
      expect(shown).toMatch(new RegExp(` ${name} \\[options\\] `));
      expect(shown).toContain(` ${summary} `);
    }
  });

  test("stands for each under the name that leads to it", () => {
    expect(names).toEqual(commandNames);
  });

  test.each(names)("of %s shows its options and examples", async (name) => {
    const command = commands.find((each) => each.name === name);
    const { code, stdout } = await cotrainHere([...name.split(" "), "--help"]);
    // The one that is in force stands once.
    expect(stdout).not.toMatch(/\(default: [^)]*\)\s+\(default: /);
    expect(code).toBe(0);
    for (const [key, option] of Object.entries(command?.options ?? {}))
      expect(stdout).toMatch(new RegExp(`^  (-\\w, )?${flagFor(key, option)}\\b`, "m"));
    expect(stdout.includes("--json")).toBe(!["worker", "coordinator", "validator", "machine"].includes(name));
    expect(command?.examples.length).toBeGreaterThan(0);
    const shown = stdout.replaceAll(/( \\)?\n */g, " ").replaceAll(/ +/g, " ");
    for (const [line, what] of command?.examples ?? []) expect(shown).toContain(` $ ${line} ${what}`);
    for (const note of command?.notes ?? []) expect(shown).toContain(note);
  });

  test("fits 80 columns; examples that are longer go on as a shell takes them", async () => {
    for (const words of [
      [],
      ["rewards"],
      ["proposals"],
      ["builds"],
      ["checkpoint"],
      ...names.map((name) => name.split(" ")),
    ]) {
      const { stdout } = await cotrainHere([...words, "--help"]);
      expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    }
    expect((await cotrainHere(["worker", "--help"])).stdout).toContain(" --rpc \\\n      https://rpc.example.org ");
  });

  test.each(["status", "worker"])("of %s says how rounds are counted in JSON", async (name) => {
    const { stdout } = await cotrainHere([name, "--help"]);
    expect(stdout.replaceAll("\n", " ")).toContain("rounds count from 1, as on the screen");
  });

  test("what can be asked for stands before its contrary", async () => {
    expect((await cotrainHere(["up", "--help"])).stdout).toMatch(/^ {2}--vote .*\n( {4,}.*\n)* {2}--no-vote /m);
  });

  test("says of every option what it does and of what kind its value is", async () => {
    for (const { name } of commands) {
      const { stdout } = await cotrainHere([...name.split(" "), "--help"]);
      expect(stdout).not.toContain("<value>");
      for (const line of stdout.split("\n").filter((each) => /^ {2}--/.test(each)))
        expect(line).toMatch(/^ {2}--[\w-]+( <[^>]+>)? {2,}\S/);
    }
    expect((await cotrainHere(["up", "--help"])).stdout).toMatch(/--no-vote {2,}hold no vote in this session/);
    expect((await cotrainHere(["generate", "--help"])).stdout).toMatch(/--threads <number> +threads to compute with/);
  });

  test.each([
    ["rewards", ["list", "claim"]],
    ["builds", ["list", "propose"]],
    ["proposals", ["list", "execute"]],
    ["checkpoint", ["list", "export", "import"]],
  ])("of the group %s shows its commands", async (group, words) => {
    const { code, stdout } = await cotrainHere([group, "--help"]);
    expect(code).toBe(0);
    for (const word of words) expect(stdout).toMatch(new RegExp(`^  ${word}\\b`, "m"));
  });

  test.each([[], ["rewards"], ["proposals"], ["builds"], ["checkpoint"]])(
    "of the root and of groups has examples that work: %j",
    async (...words) => {
      const { code, stdout } = await cotrainHere([...words, "--help"]);
      expect(code).toBe(0);
      const whole = stdout.replaceAll(/ \\\n +/g, " ");
      const lines = [...whole.matchAll(/^ {2}\$ (.+)$/gm)].map(([, line]) => line ?? "");
      expect(lines.length).toBeGreaterThan(1);
      for (const line of lines) expect(understood(argvOf(line))).toBeDefined();
    },
  );

  test("shows durations as they are typed", async () => {
    expect((await cotrainHere(["up", "--help"])).stdout).toMatch(/--for <time> [^]*?\(default: 3m\)/);
  });

  test.each(commands.flatMap(({ name, examples }) => examples.map(([line]) => [line, name] as const)))(
    "the example “%s” is a line that %s takes",
    (example, name) => {
      const line = understood(argvOf(example));
      expect(line?.command.name).toBe(name);
      // Values are of the right form, too.
      const { json: _, config: __, ...flags } = line?.flags ?? {};
      expect(() => resolveConfig(line?.command.options ?? {}, { flags, environment: {} })).not.toThrow();
    },
  );
});

describe("what is not understood", () => {
  test.each([
    [["help", "nothing"], "unknown command 'nothing'"],
    [["rewards", "help", "nothing"], "unknown command 'nothing'"],
    [["rewards"], 'A command is missing: list, claim, post, activate or revoke; see "npx cotrain rewards --help".'],
    [[], 'A command is missing; see "npx cotrain --help".'],
    [["up", "--vote", "--no-vote"], "--vote and --no-vote exclude each other: give one of them."],
    [["up", "--no-vote", "--exit", "--vote"], "--vote and --no-vote exclude each other: give one of them."],
  ])("cotrain %j is told of in one sentence", async (argv, sentence) => {
    expect(verdictOf(await cotrainHere(argv))).toEqual(refusal(1, sentence));
  });

  test.each([
    [["statsu"], "unknown command 'statsu' (Did you mean status?)"],
    [["rewards", "clam"], "unknown command 'clam' (Did you mean claim?)"],
    [["up", "--presets", "1m"], "unknown option '--presets' (Did you mean --preset?)"],
    [["generate", "--prompt"], "option '--prompt <text>' argument missing"],
    [["checkpoint", "export"], "missing required argument 'file'"],
    [["verify", "everything"], "too many arguments for 'verify'"],
  ])("cotrain %j", async (argv, sentence) => {
    expect(verdictOf(await cotrainHere(argv))).toEqual(refusal(1, sentence));
  });

  test.each([
    [["rewards", "list", "--presets", "1m"], "npx cotrain rewards list --help"],
    [["rewards", "clam"], "npx cotrain rewards --help"],
    [["statsu"], "npx cotrain --help"],
    [["worker", "--json"], "npx cotrain worker --help"],
  ])("cotrain %j points to “%s”", async (argv, help) => {
    expect(verdictOf(await cotrainHere(argv))).toEqual(refusal(1, `; see "${help}".`));
  });

  test("options that npm took for itself are explained, where npm runs the command", async () => {
    onTestFinished(() => void vi.unstubAllEnvs());
    const hint = 'write them after "--", as in "npm start -- --for 45s"; see "npx cotrain up --help".';
    vi.stubEnv("npm_lifecycle_event", "start");
    expect(verdictOf(await cotrainHere(["up", "45s"]))).toEqual(refusal(1, hint));
    for (const script of ["npx", undefined]) {
      vi.stubEnv("npm_lifecycle_event", script);
      expect((await cotrainHere(["up", "45s"])).stderr).not.toContain("npm start");
    }
  });

  test("a value that is not allowed says where it stands and what is", async () => {
    expect(verdictOf(await cotrainHere(["generate", "--temperature", "hot"]))).toEqual(
      refusal(1, '--temperature must be a number from 0 to 5, not "hot".'),
    );
    expect(verdictOf(await cotrainHere(["up", "--for", "soon"]))).toEqual(
      refusal(1, '--for must be a duration such as 45s, 3m or 1h, not "soon".'),
    );
  });

  test("no run in the directory, no checkpoint of that name, no such file", async () => {
    const state = join(temporaryDirectory(), "none");
    for (const command of [["status"], ["verify"], ["generate"], ["rewards", "list"], ["checkpoint", "export", "x"]]) {
      expect(verdictOf(await cotrainHere([...command, "--state", state]))).toEqual(
        refusal(
          1,
          `${state} holds no run: start one with "npm start -- --state ${state}", or name another directory with --state.`,
        ),
      );
    }
    expect(verdictOf(await cotrainHere(["status", "--config", join(state, "none.json")]))).toEqual(
      refusal(1, "none.json does not exist: name a JSON file of settings with --config."),
    );
  });
});

test("a session that is starting in the directory, or a run that is being made, is told as one, and nobody else who uses it or did", async () => {
  const state = join(temporaryDirectory(), "begun");
  const asked = async () => verdictOf(await cotrainHere(["status", "--state", state]));
  const none = refusal(1, `${state} holds no run: start one with`);
  const directory = await openStateDirectory(state, { create: true });
  // A worker's own, say.
  expect(await asked()).toEqual(none);
  openCreateLog(state);
  expect(await asked()).toEqual(refusal(75, `A run is being made in ${state}: ask again once that is done.`));
  openSessionLog(state);
  const starting = `A session is starting in ${state}, and has made no run yet: ask again once it says that it trains.`;
  expect(await asked()).toEqual(refusal(75, starting));
  // Who asks takes nothing from whoever starts.
  await expect(openStateDirectory(state)).rejects.toMatchObject({ code: "STATE_LOCKED" });
  directory.close();
  // One that was killed says still that it holds it.
  writeFileSync(join(state, "lock.sqlite.pid"), String(process.pid));
  expect(await asked()).toEqual(none);
});

const show = (state: string): RegExp => new RegExp(`/${state} holds no run`);

const told = async (...argv: readonly string[]): Promise<string> => (await cotrainHere(["status", ...argv])).stderr;

describe("where a value comes from", () => {
  test("a flag, a variable, the config file, the default, in this order", async () => {
    const directory = temporaryDirectory();
    const config = join(directory, "settings.json");
    writeFileSync(config, JSON.stringify({ state: join(directory, "by-file") }));
    const flag = ["--state", join(directory, "by-flag")];
    const file = ["--config", config];
    vi.stubEnv("COTRAIN_STATE", join(directory, "by-variable"));
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await told(...flag, ...file)).toMatch(show("by-flag"));
    expect(await told(...file)).toMatch(show("by-variable"));
    vi.unstubAllEnvs();
    expect(await told(...file)).toMatch(show("by-file"));
    // The default is in the directory where a process begins.
    expect((await cotrain(["status"], { cwd: directory })).stderr).toMatch(show(String.raw`\.cotrain`));
  });

  test("a key of the file or a variable that nothing reads is pointed out", async () => {
    const config = join(temporaryDirectory(), "settings.json");
    writeFileSync(config, '{"presset":"1m"}');
    expect(verdictOf(await cotrainHere(["status", "--config", config]))).toEqual(
      refusal(1, 'settings.json has an unknown key "presset". Did you mean "preset"?'),
    );
    vi.stubEnv("COTRAIN_PRESSET", "1m");
    const { stderr } = await cotrainHere(["status", "--state", "/no/state"]);
    vi.unstubAllEnvs();
    expect(stderr).toContain(
      'The environment variable COTRAIN_PRESSET is not read by anything. Did you mean "COTRAIN_PRESET"?',
    );
  });

  test("a variable that another command reads is not pointed out", async () => {
    vi.stubEnv("COTRAIN_TEMPERATURE", "1");
    const { stderr } = await cotrainHere(["status", "--state", "/no/state"]);
    vi.unstubAllEnvs();
    expect(stderr).toMatch(/^cotrain: \/no\/state holds no run[^\n]*\n$/);
  });

  test("every option has a flag and a variable of its own", () => {
    for (const { options } of commands) {
      const keys = Object.keys(options);
      expect(new Set(Object.entries(options).map(([key, option]) => flagFor(key, option))).size).toBe(keys.length);
      expect(new Set(keys.map(variableOf)).size).toBe(keys.length);
    }
  });
});

describe("options", () => {
  test.each(commands.map((command) => [command.name, command] as const))(
    "each of %s is used by a test that would miss it",
    async (name, { options }) => {
      const table = exercised[name] ?? {};
      expect(Object.keys(table).sort()).toEqual(Object.keys(options).sort());
      for (const [key, option] of Object.entries(options)) {
        const named = table[key] ?? "";
        const file = named.endsWith(".ts") ? named : `${named}.test.ts`;
        const flag = flagFor(key, option);
        expect({ file, source: await readFile(new URL(file, import.meta.url), "utf8") }).toEqual({
          file,
          source: expect.stringMatching(new RegExp(`["\`]${flag}["=]`)),
        });
      }
    },
  );
});

/** `cotrain status`, failing with this error. */
async function failing(error: unknown): Promise<Ended> {
  const status = commands.find(({ name }) => name === "status");
  if (!status) throw new TypeError("there is such a command");
  const spy = vi.spyOn(status, "run").mockRejectedValue(error);
  const ended = await cotrainHere(["status"]);
  spy.mockRestore();
  return ended;
}

describe("exit codes", () => {
  test("a defect is 70, with a stack for the developer", async () => {
    const { code, stderr } = await failing(new TypeError("cannot happen"));
    expect(code).toBe(70);
    expect(stderr).toMatch(/^cotrain: a defect: TypeError: cannot happen\n\s+at /);
  });

  test.each([
    [false, 1],
    [true, 75],
  ])("a typed error that is retryable: %s is %i, without a stack", async (retryable, code) => {
    const ended = await failing(new CotrainError("ANY", "It is so.", { retryable }));
    expect(verdictOf(ended)).toEqual(refusal(code, /^It is so\.$/));
  });

  test("a reader that closes the pipe is no failure", async () => {
    const ended = await cotrain(["up", "--help"], { onStart: (child) => child.stdout?.destroy() });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
  });
});
