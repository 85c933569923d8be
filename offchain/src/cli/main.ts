/** `cotrain`: parses the command line, settles the options, runs the command, turns errors into sentences and exit codes. */
import { Command as Program, CommanderError } from "commander";

import { CotrainError } from "@cotrain/sdk/errors";
import { exitCodeOf, UserError } from "../base/index.ts";
import { flagOf, type Option, readConfigFile, resolveConfig } from "../service/index.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands/index.ts";
import { configOption } from "./options.ts";
import { complain, createOutput } from "./output.ts";

const version = "0.1.0";
const allKeys = [...new Set(commands.flatMap((command) => Object.keys(command.options)))];

function addOption(program: Program, key: string, option: Option<unknown>): void {
  const isToggle = option.allowed === "true or false";
  const standard = option.default === undefined || isToggle ? "" : ` (default: ${JSON.stringify(option.default)})`;
  program.option(`${flagOf(key)}${isToggle ? "" : " <value>"}`, `${option.description}${standard}`);
}

async function runCommand(
  command: Command,
  args: readonly string[],
  flags: Record<string, string | boolean | undefined>,
): Promise<number> {
  const output = createOutput(flags["json"] === true);
  const { config: file, json: _, ...rest } = flags;
  const config = resolveConfig(command.options, {
    flags: rest,
    knownElsewhere: allKeys,
    ...(typeof file === "string" ? { file: await readConfigFile(file) } : {}),
  });
  for (const warning of config.warnings) complain(warning);
  return (await command.run({ options: config.values, config, args, output })) ?? 0;
}

function buildProgram(finish: (work: Promise<number>) => void): Program {
  const program = new Program("cotrain")
    .description("People who do not know each other train one AI model together and own it together.")
    .version(version)
    .showHelpAfterError(false)
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  const groups = new Map<string, Program>();
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ");
    let parent = program;
    if (second !== undefined) {
      parent =
        groups.get(first) ??
        program.command(first).description(`${first}: see "cotrain ${first} --help"`).exitOverride();
      groups.set(first, parent);
    }
    const sub = parent
      .command(second ?? first)
      .description(command.summary)
      .exitOverride();
    sub.configureOutput({ outputError: () => undefined });
    for (const argument of command.args ?? []) sub.argument(`<${argument.name}>`, argument.description);
    for (const [key, option] of Object.entries(command.options)) addOption(sub, key, option);
    addOption(sub, "config", configOption);
    sub.option("--json", "print one JSON document on stdout");
    sub.addHelpText(
      "after",
      `\nExamples:\n${command.examples.map(([line, what]) => `  $ ${line}\n      ${what}`).join("\n")}`,
    );
    sub.action((...given: unknown[]) => {
      const args = given.slice(0, command.args?.length ?? 0).map(String);
      finish(runCommand(command, args, sub.opts<Record<string, string | boolean | undefined>>()));
    });
  }
  return program;
}

function report(error: unknown): number {
  if (error instanceof CotrainError) {
    complain(error.message);
    return exitCodeOf(error);
  }
  complain(`a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 70;
}

/** Runs one command line. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    let work: Promise<number> = Promise.resolve(0);
    const program = buildProgram((started) => {
      work = started;
    });
    try {
      program.parse([...argv], { from: "user" });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode === 0) return 0;
      if (error.code === "commander.help") return 1;
      throw new UserError(
        "USAGE",
        `${error.message
          .replace(/^error: /, "")
          .replaceAll(/\s*\n\s*/g, " ")
          .replace(/\.?$/, "")}; see "cotrain --help".`,
      );
    }
    return await work;
  } catch (error) {
    return report(error);
  }
}

process.exitCode = await main(process.argv.slice(2));
