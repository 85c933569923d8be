/** What holders decided so far, as the chain has it: a session's summary tells of all of them, whoever proposed. */
import { getAllLogs, proposalCreated, proposalExecuted } from "@cotrain/sdk/actions";
import type { Address } from "@cotrain/sdk/protocol";
import type { Client } from "viem";

import { proposalTitle } from "../../run/index.ts";

export interface ExecutedProposal {
  readonly id: bigint;
  /** The first line of its description, by whoever proposed it. */
  readonly title: string;
  readonly transaction: string;
}

/** The last proposals that were executed, oldest first. @param fromBlock at or before the governor's first */
export async function executedProposals(
  client: Client,
  governor: Address,
  fromBlock: number,
  most = 8,
): Promise<ExecutedProposal[]> {
  const from = BigInt(fromBlock);
  const [created, executed] = await Promise.all([
    getAllLogs(client, proposalCreated({ governor }), { from }),
    getAllLogs(client, proposalExecuted({ governor }), { from }),
  ]);
  const titles = new Map(created.logs.map(({ args }) => [args.proposalId, proposalTitle(args.description)]));
  return executed.logs.slice(-most).map(({ args, transactionHash }) => ({
    id: args.proposalId,
    title: titles.get(args.proposalId) || `proposal ${args.proposalId}`,
    transaction: transactionHash,
  }));
}
