/** A command line that was understood, and running it: its options are settled by flags, variables, files and defaults. */
import { UserError } from "../base/index.ts";
import { type ConfigFile, type OptionSet, readConfigFile, resolveConfig, variableOf } from "../service/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { loadCommands } from "./commands/index.ts";
import { complain, createOutput } from "./output.ts";
import type { SectionName } from "./runYaml.ts";

/** A command line that was understood. */
export interface Line {
  readonly command: Command;
  readonly args: readonly string[];
  /** Flags by the option's key, as typed. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
}

/** Options of all commands that a section is for. */
const optionsOf = (commands: readonly Command[], section: SectionName): OptionSet =>
  Object.assign({}, ...commands.filter((each) => each.section === section).map(({ options }) => options)) as OptionSet;

interface DescribedSettings {
  readonly described: NonNullable<CommandContext<OptionSet>["described"]>;
  readonly file: ConfigFile;
}

/** The description that a command is given, whole, and what of it its options are settled by. @throws UserError `USAGE`; as `readRunYaml` */
async function describedFor(
  { section, options }: Command,
  { file: typed, config }: Line["flags"],
): Promise<DescribedSettings | undefined> {
  const path = typed ?? process.env[variableOf("file")];
  if (section === undefined || typeof path !== "string" || path === "") return undefined;
  if (config !== undefined) throw new UserError("USAGE", "--file and --config exclude each other: give one of them.");
  const { readRunYaml, settingsFor } = await import("./runYaml.ts");
  const commands = await loadCommands();
  const sections = await readRunYaml(path, { run: optionsOf(commands, "run"), market: optionsOf(commands, "market") });
  return { described: { path, sections }, file: settingsFor(path, section, sections, options) };
}

/** Whether some variable is for no option of a command: another's may read it. */
function isForeignVariableSet({ options }: Command): boolean {
  const own = new Set(Object.keys(options).map(variableOf));
  return Object.keys(process.env).some((name) => name.startsWith("COTRAIN_") && !own.has(name));
}

/** Runs a command. @returns the exit code; @throws what settling its options and running it throws */
export async function runLine({ command, args, flags }: Line): Promise<number> {
  const output = createOutput(flags["json"] === true);
  const { config: file, json: _, ...rest } = flags;
  const { described, file: settings } = (await describedFor(command, flags)) ?? {};
  const given = typeof file === "string" ? await readConfigFile(file) : settings;
  const isKnownElsewhereAsked = given !== undefined || isForeignVariableSet(command);
  const elsewhere = isKnownElsewhereAsked ? await loadCommands() : [];
  const config = resolveConfig(command.options, {
    flags: rest,
    knownElsewhere: [...new Set(elsewhere.flatMap(({ options }) => Object.keys(options)))],
    ...(given !== undefined && { file: given }),
  });
  for (const warning of config.warnings) complain(warning);
  return (await command.run({ options: config.values, config, args, output, described })) ?? 0;
}
