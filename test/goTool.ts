/** Programs of other makes that some tests run against, built from their Go modules where they are not there. */
import { spawnSync, type SpawnSyncOptions } from "node:child_process";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** No build takes nearly as long. */
const LIMIT_MINUTES = 20;

export interface GoTool {
  /** For people, and of the folder `~/.cache/cotrain-<name>`. */
  readonly name: string;
  /** What the module builds. */
  readonly command: string;
  /** What `go install` is told. */
  readonly module: string;
  /** Where the command is in the module, if that excludes or replaces others: `go install` refuses such. */
  readonly main?: string;
  readonly version: string;
  /** Environment variable that names another. */
  readonly variable: string;
  /** In CI a run on it must be: without Go that fails, instead of being left out. */
  readonly required?: true;
  /** The arguments that make it say its version, and where that stands. */
  readonly asked: { readonly args: readonly string[]; readonly answer: RegExp };
}

export interface Prepared {
  readonly kind: "ready" | "not run" | "failed";
  /** One sentence. */
  readonly words: string;
}

/** Whether nothing that must run in CI may be left out: services set CI, as `.ci/run` does for its parts. */
export const inCi = (): boolean => !["", "0", "false"].includes(process.env["CI"] ?? "");

const folderOf = ({ name }: GoTool): string => join(homedir(), `.cache/cotrain-${name}`);

/** What a command says of itself; undefined where there is none that runs. */
function versionOf({ asked }: GoTool, command: string): string | undefined {
  const { status, stdout } = spawnSync(command, [...asked.args], { encoding: "utf8" });
  return status === 0 ? asked.answer.exec(stdout)?.[1] : undefined;
}

/** Where one is that runs. */
export const findTool = (tool: GoTool): string | undefined =>
  [process.env[tool.variable], join(folderOf(tool), tool.command), tool.command].find(
    (command) => command !== undefined && versionOf(tool, command) !== undefined,
  );

/** Builds the command. @returns why it did not, undefined when it did */
function build(tool: GoTool, folder: string, go: string): string | undefined {
  const { module, main, version, command } = tool;
  const at = `${module}@v${version}`;
  const run = (args: readonly string[], more: SpawnSyncOptions) => {
    const { status, error, stdout } = spawnSync(go, [...args], { timeout: LIMIT_MINUTES * 60_000, ...more });
    return { words: error?.message ?? (status === 0 ? undefined : "see above"), stdout: stdout?.toString() ?? "" };
  };
  const shown: SpawnSyncOptions = { stdio: ["ignore", "inherit", "inherit"] };
  if (main === undefined) return run(["install", at], { ...shown, env: { ...process.env, GOBIN: folder } }).words;
  const { words, stdout } = run(["mod", "download", "-json", at], { stdio: ["ignore", "pipe", "inherit"] });
  if (words !== undefined) return words;
  const { Dir } = JSON.parse(stdout) as { Dir: string };
  return run(["build", "-o", join(folder, command), main], { ...shown, cwd: Dir }).words;
}

/**
 * Builds it unless the one of that version is there.
 * @param folder where it lies
 * @param go the command
 */
export function prepareTool(tool: GoTool, folder = folderOf(tool), go = "go"): Prepared {
  const { name, command, version, variable } = tool;
  const named = process.env[variable];
  if (named !== undefined) return { kind: "ready", words: `${name} is ${named}, as $${variable} says.` };
  const file = join(folder, command);
  if (versionOf(tool, file) === version) return { kind: "ready", words: `${name} ${version} is there.` };
  if (spawnSync(go, ["version"], { stdio: "ignore" }).status !== 0)
    return tool.required && inCi()
      ? { kind: "failed", words: `${name} must run in CI and cannot be built: "go" is not installed.` }
      : { kind: "not run", words: `not run: building ${name}: "go" is not installed.` };
  const started = performance.now();
  mkdirSync(folder, { recursive: true });
  const failure = build(tool, folder, go);
  const seconds = Math.round((performance.now() - started) / 1_000);
  if (failure === undefined && versionOf(tool, file) === version)
    return { kind: "ready", words: `${name} ${version} was built in ${seconds} s.` };
  const why = failure ?? "what was built does not run";
  return { kind: "failed", words: `${name} ${version} could not be built in ${seconds} s: ${why}.` };
}
