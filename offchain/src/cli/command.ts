/**
 * What a command is: a declaration (options, help, examples) and a function. Declarations are light; the function imports
 * the rooms it needs when it runs, so that `--help` answers at once.
 */
import type { ConfigOf, OptionSet, ResolvedConfig } from "../service/index.ts";
import type { Output } from "./output.ts";
import type { Described, SectionName } from "./runYaml.ts";

interface CommandArgument {
  readonly name: string;
  readonly description: string;
  /** Whether it may be given several times; of the last argument alone. */
  readonly several?: boolean;
  /** Whether it may be left out; of the last arguments alone. */
  readonly optional?: boolean;
}

export interface CommandContext<S extends OptionSet> {
  readonly options: ConfigOf<S>;
  readonly config: ResolvedConfig<S>;
  /** Positional arguments, one for each declared, but what was left out; of one that may be given several times all, one at least. */
  readonly args: readonly string[];
  readonly output: Output;
  /** The file of --file, where one was named. */
  readonly described?: { readonly path: string; readonly sections: Described } | undefined;
}

export interface Command<S extends OptionSet = OptionSet> {
  /** Words after `cotrain`, e.g. `rewards list`. */
  readonly name: string;
  readonly summary: string;
  readonly options: S;
  readonly args?: readonly CommandArgument[];
  /** Command lines that work as they stand, each with what it does. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** The section of a description (runYaml.ts) that its options are settled by too. */
  readonly section?: SectionName;
  /** Sentences of help below the options: what the command promises. */
  readonly notes?: readonly string[];
  /** Answers the exit code, nothing for 0. */
  readonly run: (context: CommandContext<S>) => Promise<number | void>;
}

/** Keeps the options' types in `run`. */
export function defineCommand<const S extends OptionSet>(command: Command<S>): Command {
  return command as unknown as Command;
}
