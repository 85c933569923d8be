import { createCoordinatorClient, findRun } from "@cotrain/sdk/protocol";

import { openReader } from "../../chain/index.ts";
import { defineCommand } from "../command.ts";
import {
  openLocalRun,
  requireRun,
  withChain,
  coordinatorOption,
  runOption,
  stateOption,
  readerOptions,
} from "../../run/index.ts";
import { columnsOf, table } from "../output.ts";

export interface Listed {
  readonly round: number;
  readonly digest: string;
  readonly transaction: string | null;
  readonly block: number | null;
}

/** What the chain says of this directory's run. */
async function ofState(state: string, named: string | undefined): Promise<Listed[]> {
  const run = await openLocalRun(state);
  requireRun(run, named);
  return withChain(run, async ({ url, chainId }) => {
    const reader = await openReader(readerOptions(url, chainId, run.deployment));
    const heads = await reader.headsSince(run.runId, 0);
    return heads.map(({ round, checkpointDigest: digest, transaction, block }) => ({
      round,
      digest,
      transaction,
      block,
    }));
  });
}

async function ofCoordinator(url: string, named: string | undefined): Promise<Listed[]> {
  const client = createCoordinatorClient(url);
  const { checkpoints } = await client.checkpoints(await findRun(client, named));
  return checkpoints.map(({ round, digest, transaction, block }) => ({ round, digest, transaction, block }));
}

/** A row each; where a terminal has no room for it, each hash has a line of its own. */
export function listedLines(list: readonly Listed[], columns: number): string[] {
  const blockOf = ({ block }: Listed): string => (block === null ? "–" : String(block));
  const rows = list.map((each) => [
    String(each.round),
    each.transaction ?? "not anchored yet",
    blockOf(each),
    each.digest,
  ]);
  const lines = table([["checkpoint", "transaction", "block", "digest"], ...rows], [0, 2]);
  if (lines.every((line) => line.length <= columns)) return lines;
  return list.flatMap((each) => [
    `checkpoint ${each.round}, block ${blockOf(each)}`,
    `  transaction ${each.transaction ?? "not anchored yet"}`,
    `  digest      ${each.digest}`,
  ]);
}

/** `cotrain checkpoint list`. */
export const checkpointListCommand = defineCommand({
  name: "checkpoint list",
  summary: "every checkpoint with its transaction, block and digest",
  options: { state: stateOption, coordinator: coordinatorOption, run: runOption },
  examples: [
    ["npx cotrain checkpoint list", "the run of this directory, as its chain has it"],
    ["npx cotrain checkpoint list --coordinator http://127.0.0.1:7700 --json", "what a coordinator says, as JSON"],
  ],
  async run({ options, output }) {
    const { state, coordinator, run } = options;
    const list = coordinator === undefined ? await ofState(state, run) : await ofCoordinator(coordinator, run);
    output.result(list, listedLines(list, columnsOf(process.stdout)));
  },
});
