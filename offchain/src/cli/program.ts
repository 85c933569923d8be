/**
 * One command line: parses it, has the command run, turns errors into sentences and exit codes. What needs no command, as the help of the
 * root, loads none: everything large is imported when it is used.
 */
import { Command as Program, CommanderError } from "commander";

import { CoordinatorError, CotrainError } from "@cotrain/sdk/base";
import { exitCodeOf, flagOf, UserError, wrap, wrapCommand } from "../base/core.ts";
import type { Option } from "../service/index.ts";
import { columnsOf } from "./columns.ts";
import type { Command } from "./command.ts";
import { commandNames, groupSummaries, loadCommands, rootExamples, withoutDocument } from "./commands/index.ts";
import { type Outline, outlineOf } from "./commands/outlines.ts";
import type { Line } from "./runLine.ts";

const version = "0.1.0";
/** Of every command. */
const configFlag = ["--config <file>", "JSON file of settings"] as const;

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

/** The first example of each command of a group. */
const groupExamples = (commands: readonly Command[], group: string): Command["examples"] =>
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

/**
 * @param commands the others are known by their names alone
 * @param refused told the words of the command that a line was not understood by
 */
function buildProgram(
  commands: readonly Command[],
  understood: (line: Line) => void,
  refused: (words: string) => void,
): Program {
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
  for (const name of commandNames) {
    const [first = "", second] = name.split(" ");
    let parent = program;
    if (second !== undefined) {
      parent =
        groups.get(first) ??
        program
          .command(first)
          .description(groupSummaries[first] ?? first)
          .addHelpText("after", () => examplesText(groupExamples(commands, first)))
          .exitOverride(explainRefusal(first));
      groups.set(first, parent);
    }
    const sub = parent.command(second ?? first).exitOverride(explainRefusal(name));
    sub.configureOutput({ outputError: () => undefined });
    const command = commands.find((each) => each.name === name);
    if (command) declare(sub, command, understood);
    else outline(sub, outlineOf(name)).option(...configFlag);
  }
  return program;
}

/** Gives a command of the program what the help says of it from above. */
function outline(sub: Program, { summary = "", args = [] }: Partial<Outline> = {}): Program {
  sub.description(summary);
  for (const { name, description, several = false, optional = false } of args) {
    const shown = `${name}${several ? "..." : ""}`;
    sub.argument(optional ? `[${shown}]` : `<${shown}>`, description);
  }
  return sub;
}

/** Gives a command of the program what its declaration says. */
function declare(sub: Program, command: Command, understood: (line: Line) => void): void {
  outline(sub, command);
  for (const [key, option] of Object.entries(command.options)) addOption(sub, key, option);
  sub.option(...configFlag);
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

/** What is asked once is not tried again by itself. */
const sentenceOf = (error: CotrainError): string =>
  error instanceof CoordinatorError && error.code === "UNREACHABLE" && error.status === 0
    ? `${error.message.replace(/\.$/, "")}: see whether its /health answers from this machine, or name another with --coordinator.`
    : error.message;

async function report(error: unknown): Promise<number> {
  const { complain } = await import("./output.ts");
  if (error instanceof CotrainError) {
    complain(sentenceOf(error));
    return exitCodeOf(error);
  }
  complain(`a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 70;
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

/** Words that the root itself answers. */
const ofRoot: ReadonlySet<string> = new Set(["-h", "--help", "-V", "--version"]);

/**
 * The commands without which a line cannot be understood: the one that it begins with, or those of a group whose help it may ask for.
 * The root's help needs none. What begins with any other option is looked at with all of them.
 */
function namesFor(argv: readonly string[]): readonly string[] {
  const [first = "help", second] = argv[0] === "help" ? argv.slice(1, 2) : argv;
  if (commandNames.includes(first)) return [first];
  const group = commandNames.filter((name) => name.startsWith(`${first} `));
  const both = `${first} ${second}`;
  if (group.length > 0) return group.includes(both) ? [both] : group;
  return first.startsWith("-") && !ofRoot.has(first) ? commandNames : [];
}

/**
 * Understands a command line; undefined when all it wanted, and got, was help.
 *
 * @param commands those of {@link namesFor} at least
 * @throws UserError `USAGE`
 */
export function parseLine(argv: readonly string[], commands: readonly Command[]): Line | undefined {
  let line: Line | undefined;
  let words = "";
  const program = buildProgram(
    commands,
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
    const line = parseLine(argv, await loadCommands(namesFor(argv)));
    if (line === undefined) return 0;
    const { runLine } = await import("./runLine.ts");
    return await runLine(line);
  } catch (error) {
    return report(error);
  }
}
