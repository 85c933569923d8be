import { cancel } from "@cotrain/sdk/actions";
import type { Address } from "@cotrain/sdk/protocol";

import { formatAddress, shortAddress, UserError, wrap } from "../../base/index.ts";
import { type MadeProposal, type ProposalStanding, standingOf } from "../../run/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { signingAs, signingOptions } from "../place.ts";
import { atProposal } from "../proposing.ts";
import { standsText } from "../voting.ts";

/**
 * The wallet whose proposal it is, while it can be withdrawn.
 * @throws UserError `CANCEL_LATE`, `CANCEL_STRANGER`, `CANCEL_UNNAMED`
 */
export function proposerAmong<E extends { readonly account: Address }>(
  { proposalId, proposer, description }: MadeProposal,
  standing: ProposalStanding,
  entries: readonly E[],
): E {
  if (standing.state !== "pending")
    throw new UserError(
      "CANCEL_LATE",
      `A proposal can be cancelled until voting begins, and ${proposalId} ${standsText(standing)}.`,
    );
  const entry = entries.find(({ account }) => account === proposer);
  if (!entry)
    throw new UserError(
      "CANCEL_STRANGER",
      `Proposal ${proposalId} is ${formatAddress(proposer)}'s, who alone can cancel it, and no wallet here is that one.`,
    );
  if (!description.toLowerCase().endsWith(`#proposer=${proposer.toLowerCase()}`))
    throw new UserError(
      "CANCEL_UNNAMED",
      `The text of proposal ${proposalId} does not end in #proposer= and an address, so that nobody can cancel it: vote against it.`,
    );
  return entry;
}

/** `cotrain proposals cancel`. */
export const proposalsCancelCommand = defineCommand({
  name: "proposals cancel",
  summary: "withdraw a proposal of one's own before voting on it begins",
  args: [{ name: "proposal", description: "its id, or the first digits of it, as proposals list shows it" }],
  options: signingOptions,
  examples: [
    ["npx cotrain proposals cancel 4711081", "by the wallet of this directory that proposed it"],
    [
      "npx cotrain proposals cancel 4711081 --wallet me.json --passphrase-file pass --coordinator https://train.example.org --rpc https://rpc.example.org",
      "in somebody else's run",
    ],
  ],
  notes: [
    "It is for ever: the same change with the same text cannot be proposed again, with another text it can. What was proposed by other tools, without #proposer= and an address at its text's end, nobody can cancel.",
  ],
  async run({ args, options, output }) {
    const done = await atProposal({ args, options, output }, async (place, proposal, entries) => {
      const { governor, contracts } = place;
      const { proposalId } = proposal;
      const entry = proposerAmong(proposal, await standingOf(place, contracts.shares, proposalId), entries);
      const client = await signingAs(place, entry, options);
      const { receipt } = await cancel.sync(client, { governor, proposal });
      const { state } = await standingOf(place, contracts.shares, proposalId);
      return { proposalId, account: entry.account, transaction: receipt.transactionHash, state };
    });
    const { proposalId, account, transaction } = done;
    output.result(
      done,
      wrap(`${shortAddress(account)} cancelled proposal ${proposalId} in ${transaction}.`, columnsOf(process.stdout)),
    );
  },
});
