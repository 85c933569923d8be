import { createCoordinatorClient, findRun } from "@cotrain/sdk/protocol";

import { openReader, type PostedHead } from "../../chain/index.ts";
import { defineCommand } from "../command.ts";
import {
  isRollback,
  openLocalRun,
  runNamed,
  rollbacksToNowhere,
  rolledBackHeads,
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
  /** What `stake rule --head` and `suspend --head` take. Absent where a coordinator tells. */
  readonly head?: string;
  /** The run went back behind it. Absent of others. */
  readonly rolledBack?: true;
  /** It took the run back to this checkpoint. Absent of others. */
  readonly rollback?: true;
  /** It was to, and the run does not have this checkpoint: what follows on it stands for nothing. Absent of others. */
  readonly nowhere?: true;
}

/** Heads as the chain has them, those that stand no more among them. */
function listedOf(heads: readonly PostedHead[]): Listed[] {
  const rolledBack = rolledBackHeads(heads);
  const nowhere = rollbacksToNowhere(heads);
  return heads.map((head, i) => ({
    round: head.round,
    digest: head.checkpointDigest,
    transaction: head.transaction,
    block: head.block,
    head: head.head,
    ...(rolledBack.has(head) && { rolledBack: true as const }),
    ...(isRollback(head, heads[i - 1]) && { rollback: true as const }),
    ...(nowhere.has(head) && { nowhere: true as const }),
  }));
}

function nameOf({ round, rolledBack, rollback, nowhere }: Listed): string {
  const said = [...(nowhere ? ["not the run's: led nowhere"] : []), ...(rolledBack ? ["rolled back"] : [])];
  return `${rollback ? "back to " : ""}${round}${said.length > 0 ? ` (${said.join(", ")})` : ""}`;
}

/** What the chain says of this directory's run. */
async function ofState(state: string, named: string | undefined): Promise<Listed[]> {
  const run = runNamed(await openLocalRun(state), named);
  return withChain(run, async ({ url, chainId }) => {
    const reader = await openReader(readerOptions(url, chainId, run.deployment));
    return listedOf(await reader.headsSince(run.runId, 0));
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
  const rows = list.map((each) => [nameOf(each), each.transaction ?? "not anchored yet", blockOf(each), each.digest]);
  const lines = table([["checkpoint", "transaction", "block", "digest"], ...rows], [0, 2]);
  if (lines.every((line) => line.length <= columns)) return lines;
  return list.flatMap((each) => [
    `checkpoint ${nameOf(each)}, block ${blockOf(each)}`,
    `  transaction ${each.transaction ?? "not anchored yet"}`,
    `  digest      ${each.digest}`,
  ]);
}

/** `cotrain checkpoint list`. */
export const checkpointListCommand = defineCommand({
  name: "checkpoint list",
  summary: "every checkpoint with its transaction, block and digest",
  notes: [
    "The chain keeps what the run went back behind, and so does this list for a run of this directory; a coordinator tells what stands.",
  ],
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
