/** One command line: parses it, settles the options, runs the command, turns errors into sentences and exit codes. */
import { Command as Program, CommanderError } from "commander";

import { CoordinatorError, CotrainError } from "@cotrain/sdk/errors";
import { exitCodeOf, UserError, wrap, wrapCommand } from "../base/index.ts";
import { flagOf } from "../base/node/index.ts";
import { type Option, type OptionSet, readConfigFile, resolveConfig, variableOf } from "../service/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { commands, groupSummaries, rootExamples, withoutDocument } from "./commands/index.ts";
import { configOption } from "../run/index.ts";
import { columnsOf, complain, createOutput } from "./output.ts";
import { readRunYaml, type SectionName, settingsFor } from "./runYaml.ts";

const version = "0.1.0";
const allKeys = [...new Set(commands.flatMap((command) => Object.keys(command.options)))];

/** What stands for an option on the command line: what is on by default has a flag that turns it off. */
export function flagFor(key: string, option: Option<unknown>): string {
  return option.default === true ? flagOf(key).replace(/^--/, "--no-") : flagOf(key);
}

function addOption(program: Program, key: string, option: Option<unknown>): void {
  const isToggle = option.allowed === "true or false";
  const shown =
    option.default !== undefined && option.show ? option.show(option.default) : JSON.stringify(option.default);
  const standard = option.default === undefined || isToggle ? "" : ` (default: ${shown})`;
  const description = option.default === true ? `do not ${option.description}` : option.description;
  const short = option.short === undefined ? "" : `-${option.short}, `;
  program.option(
    `${short}${flagFor(key, option)}${isToggle ? "" : ` <${option.value ?? "text"}>`}`,
    `${description}${standard}`,
  );
  // What has no default can be asked for and against.
  if (isToggle && option.default === undefined)
    addContrary(program, flagOf(key), option.against ?? `the contrary of ${flagOf(key)}`);
}

/** A flag against another; who gives both has said nothing. */
function addContrary(program: Program, flag: string, description: string): void {
  const contrary = flag.replace(/^--/, "--no-");
  program.option(contrary, description);
  let given = "";
  for (const each of [flag, contrary])
    program.on(`option:${each.slice(2)}`, () => {
      if (given !== "" && given !== each)
        throw new UserError("USAGE", `${flag} and ${contrary} exclude each other: give one of them.`);
      given = each;
    });
}

/** Flags that were given; commander's own defaults would beat variables and the config file. */
function givenFlags(program: Program): Line["flags"] {
  const all = program.opts<Record<string, string | boolean | undefined>>();
  return Object.fromEntries(Object.entries(all).filter(([key]) => program.getOptionValueSource(key) === "cli"));
}

/** Options of all commands that a section is for. */
const optionsOf = (section: SectionName): OptionSet =>
  Object.assign({}, ...commands.filter((each) => each.section === section).map(({ options }) => options)) as OptionSet;

/** The description that a command is given, whole. @throws UserError `USAGE`; as {@link readRunYaml} */
async function describedFor(
  { section }: Command,
  { file: typed, config }: Line["flags"],
): Promise<CommandContext<OptionSet>["described"]> {
  const file = typed ?? process.env[variableOf("file")];
  if (section === undefined || typeof file !== "string" || file === "") return undefined;
  if (config !== undefined) throw new UserError("USAGE", "--file and --config exclude each other: give one of them.");
  return { path: file, sections: await readRunYaml(file, { run: optionsOf("run"), market: optionsOf("market") }) };
}

async function runCommand({ command, args, flags }: Line): Promise<number> {
  const output = createOutput(flags["json"] === true);
  const { config: file, json: _, ...rest } = flags;
  const described = await describedFor(command, flags);
  const config = resolveConfig(command.options, {
    flags: rest,
    knownElsewhere: allKeys,
    ...(typeof file === "string" ? { file: await readConfigFile(file) } : {}),
    ...(described === undefined || command.section === undefined
      ? {}
      : { file: settingsFor(described.path, command.section, described.sections, command.options) }),
  });
  for (const warning of config.warnings) complain(warning);
  return (await command.run({ options: config.values, config, args, output, described })) ?? 0;
}

/** The first example of each command of a group. */
const groupExamples = (group: string): Command["examples"] =>
  commands.filter(({ name }) => name.startsWith(`${group} `)).flatMap(({ examples }) => examples.slice(0, 1));

/** Columns that help is wrapped to: the terminal's, and elsewhere what fits every terminal. */
const HELP_COLUMNS = 80;
const helpColumns = (): number => {
  const columns = columnsOf(process.stdout);
  return columns === Infinity ? HELP_COLUMNS : columns;
};
/** The longest flag leaves its description less room at 80 columns than commander thinks worth wrapping to. */
const DESCRIPTION_LEAST = 20;

const indented = (lines: readonly string[], first: string, rest: string): string[] =>
  lines.map((line, index) => `${index === 0 ? first : rest}${line}`);

function examplesText(examples: Command["examples"]): string {
  const columns = helpColumns();
  const lines = examples.flatMap(([line, what]) => [
    ...indented(wrapCommand(line, columns - 4), "  $ ", "    "),
    ...indented(wrap(what, columns - 6), "      ", "      "),
  ]);
  return `\nExamples:\n${lines.join("\n")}`;
}

/** @param refused told the words of the command that a line was not understood by */
function buildProgram(understood: (line: Line) => void, refused: (words: string) => void): Program {
  const explainRefusal = (words: string) => (error: CommanderError) => {
    if (error.exitCode !== 0) refused(words);
    throw error;
  };
  const program = new Program("cotrain")
    .description("People who do not know each other train one AI model together and own it together.")
    .version(version)
    .showHelpAfterError(false)
    .showSuggestionAfterError(true)
    // Help goes to who asks for it; who made a mistake gets one sentence that names it.
    .configureOutput({ outputError: () => undefined, writeErr: () => undefined, getOutHelpWidth: helpColumns })
    .configureHelp({ minWidthToWrap: DESCRIPTION_LEAST })
    .exitOverride()
    .addHelpText("after", () => examplesText(rootExamples));
  const groups = new Map<string, Program>();
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ");
    let parent = program;
    if (second !== undefined) {
      parent =
        groups.get(first) ??
        program
          .command(first)
          .description(groupSummaries[first] ?? first)
          .addHelpText("after", () => examplesText(groupExamples(first)))
          .exitOverride(explainRefusal(first));
      groups.set(first, parent);
    }
    const sub = parent
      .command(second ?? first)
      .description(command.summary)
      .exitOverride(explainRefusal(command.name));
    sub.configureOutput({ outputError: () => undefined });
    for (const { name, description, several = false, optional = false } of command.args ?? []) {
      const shown = `${name}${several ? "..." : ""}`;
      sub.argument(optional ? `[${shown}]` : `<${shown}>`, description);
    }
    for (const [key, option] of Object.entries(command.options)) addOption(sub, key, option);
    addOption(sub, "config", configOption);
    if (!withoutDocument.has(command.name)) sub.option("--json", "print one JSON document on stdout");
    sub.addHelpText("after", () => {
      const notes = wrap(command.notes?.join(" ") ?? "", helpColumns()).map((line) => `\n${line}`);
      return `${notes.join("")}${notes.length > 0 ? "\n" : ""}${examplesText(command.examples)}`;
    });
    sub.action((...given: unknown[]) => {
      const args = given
        .slice(0, command.args?.length ?? 0)
        .flat()
        .filter((each) => each !== undefined)
        .map(String);
      understood({ command, args, flags: givenFlags(sub) });
    });
  }
  return program;
}

/** What is asked once is not tried again by itself. */
const sentenceOf = (error: CotrainError): string =>
  error instanceof CoordinatorError && error.code === "UNREACHABLE" && error.status === 0
    ? `${error.message.replace(/\.$/, "")}: see whether its /health answers from this machine, or name another with --coordinator.`
    : error.message;

function report(error: unknown): number {
  if (error instanceof CotrainError) {
    complain(sentenceOf(error));
    return exitCodeOf(error);
  }
  complain(`a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 70;
}

/** A command line that was understood. */
export interface Line {
  readonly command: Command;
  readonly args: readonly string[];
  /** Flags by the option's key, as typed. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
}

/** npm keeps options for itself unless they stand after `--`, and leaves their values behind. npx does not. */
function npmHint(error: CommanderError): string {
  const script = process.env["npm_lifecycle_event"];
  return error.code === "commander.excessArguments" && script !== undefined && script !== "npx"
    ? '; npm takes options for itself: write them after "--", as in "npm start -- --for 45s"'
    : "";
}

/** That a command is missing, and which there are. @param words of the command line so far */
function missingText(program: Program, words: string): string {
  const group = words
    .trim()
    .split(" ")
    .reduce<Program | undefined>((at, word) => at?.commands.find((each) => each.name() === word), program);
  const names = group?.commands.map((each) => each.name()).filter((name) => name !== "help") ?? [];
  const last = names.pop();
  if (words === "" || last === undefined) return "A command is missing";
  return `A command is missing: ${names.length === 0 ? last : `${names.join(", ")} or ${last}`}`;
}

/** Understands a command line; undefined when all it wanted, and got, was help. @throws UserError `USAGE` */
export function parseLine(argv: readonly string[]): Line | undefined {
  let line: Line | undefined;
  let words = "";
  const program = buildProgram(
    (understood) => void (line = understood),
    (command) => void (words = `${command} `),
  );
  try {
    program.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const [, asked] = argv.slice(argv.indexOf("help"));
    const sentence =
      error.code === "commander.help"
        ? argv.includes("help") && asked !== undefined
          ? `unknown command '${asked}'`
          : missingText(program, words)
        : error.message
            .replace(/^error: /, "")
            .replaceAll(/\s*\n\s*/g, " ")
            .replace(/\.?$/, "");
    throw new UserError("USAGE", `${sentence}${npmHint(error)}; see "npx cotrain ${words}--help".`);
  }
  return line;
}

/** Runs one command line. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const line = parseLine(argv);
    return line ? await runCommand(line) : 0;
  } catch (error) {
    return report(error);
  }
}
