/** What holders decided so far, as the chain has it: a session's summary tells the newest of them, whoever proposed, and how many more. */
import {
  getAllLogs,
  proposalCreated,
  proposalEta,
  proposalExecuted,
  proposalExpiry,
  proposalState,
} from "@cotrain/sdk/actions";
import type { Address } from "@cotrain/sdk/protocol";
import type { Client } from "viem";

import { timeText } from "../../base/index.ts";
import { commandFor } from "../../base/node/index.ts";
import { proposalTitle } from "../../run/index.ts";
import type { Summary } from "./summary.ts";

export interface ExecutedProposal {
  readonly id: bigint;
  /** The first line of its description, by whoever proposed it. */
  readonly title: string;
  readonly transaction: string;
}

/** The last proposals that were executed, oldest first, and how many were before. @param fromBlock at or before the governor's first */
export async function executedProposals(
  client: Client,
  governor: Address,
  fromBlock: number,
  most = 8,
): Promise<{ readonly last: ExecutedProposal[]; readonly before: number }> {
  const from = BigInt(fromBlock);
  const [created, executed] = await Promise.all([
    getAllLogs(client, proposalCreated({ governor }), { from }),
    getAllLogs(client, proposalExecuted({ governor }), { from }),
  ]);
  const titles = new Map(created.logs.map(({ args }) => [args.proposalId, proposalTitle(args.description)]));
  const last = executed.logs.slice(Math.max(0, executed.logs.length - most)).map(({ args, transactionHash }) => ({
    id: args.proposalId,
    title: titles.get(args.proposalId) || `proposal ${args.proposalId}`,
    transaction: transactionHash,
  }));
  return { last, before: executed.logs.length - last.length };
}

/** Newest proposals that are asked where they stand. */
const MOST_ASKED = 16;
/** Digits that name a proposal among others. */
const PROPOSAL_DIGITS = 10;

/** What holders accepted and nobody has carried out yet, oldest first, each with the command that does. */
export async function acceptedProposals(
  client: Client,
  { governor, fromBlock, state }: { readonly governor: Address; readonly fromBlock: number; readonly state: string },
): Promise<Summary["pending"]> {
  const { logs } = await getAllLogs(client, proposalCreated({ governor }), { from: BigInt(fromBlock) });
  const found: { what: string; due: string | null }[] = [];
  for (const { args } of logs.slice(-MOST_ASKED)) {
    const { proposalId } = args;
    const which = { governor, proposalId };
    const standing = await proposalState(client, which);
    if (standing !== "succeeded" && standing !== "queued") continue;
    const [eta, expiry] = await Promise.all([proposalEta(client, which), proposalExpiry(client, which)]);
    const id = String(proposalId);
    const named = `"${proposalTitle(args.description) || `proposal ${id}`}", which holders accepted`;
    const until = `by anybody until ${timeText(Number(expiry))}: "${commandFor(state, "proposals", "execute", id.slice(0, PROPOSAL_DIGITS))}"`;
    found.push(
      standing === "succeeded"
        ? { what: `${named} and nobody has queued, may be queued ${until}`, due: null }
        : { what: `${named} and somebody queued, may be executed ${until}`, due: timeText(Number(eta)) },
    );
  }
  return found;
}
