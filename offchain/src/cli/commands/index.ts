/** All commands, in the order of `cotrain --help`. */
import type { Command } from "../command.ts";
import { checkpointExportCommand, checkpointImportCommand } from "./checkpoint.ts";
import { coordinatorCommand } from "./coordinator.ts";
import { generateCommand } from "./generate.ts";
import { rewardsClaimCommand, rewardsListCommand } from "./rewards.ts";
import { statusCommand } from "./status.ts";
import { upCommand } from "./up.ts";
import { validatorCommand } from "./validator.ts";
import { verifyCommand } from "./verify.ts";
import { workerCommand } from "./worker.ts";

export const commands: readonly Command[] = [
  upCommand,
  workerCommand,
  coordinatorCommand,
  validatorCommand,
  statusCommand,
  verifyCommand,
  generateCommand,
  rewardsListCommand,
  rewardsClaimCommand,
  checkpointExportCommand,
  checkpointImportCommand,
];

/** Daemons: they log, and have no result that --json could print. */
export const withoutDocument: ReadonlySet<string> = new Set(["worker", "coordinator", "validator"]);

/** What the commands of two words have in common, by the first. */
export const groupSummaries: Readonly<Record<string, string>> = {
  rewards: "what wallets earned, and claiming it",
  checkpoint: "checkpoints as files",
};
