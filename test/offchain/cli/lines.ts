/** Command lines as any of the commands would understand them. */
import { loadCommands } from "../../../offchain/src/cli/commands/index.ts";
import { parseLine } from "../../../offchain/src/cli/program.ts";
import type { Line } from "../../../offchain/src/cli/runLine.ts";

/** All commands, in the order of `cotrain --help`. */
export const commands = await loadCommands();

/** A line as it is understood; undefined when all it wanted was help. @throws UserError `USAGE` */
export const understood = (argv: readonly string[]): Line | undefined => parseLine(argv, commands);
