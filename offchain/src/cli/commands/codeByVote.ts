import { approveGrantByVote, governorSettings } from "@cotrain/sdk/actions";
import { formatEther } from "viem";

import { formatAddress, systemClock, timeText, UserError } from "../../base/index.ts";
import { commitOf, type GrantDraft, grantFacts, type GrantFacts, grantsOfCommit } from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import type { DecidingPlace } from "../proposing.ts";
import { requireGrant, requireOnce, termsDocument } from "./codeApprove.ts";

/** @throws UserError `GRANT_LATE` where the vote would be over too late */
async function requireInTime(
  { connection, governor }: DecidingPlace,
  { struct: { deadline } }: GrantDraft,
  { now }: GrantFacts,
): Promise<void> {
  const { votingDelay, votingPeriod } = await connection.call((client) => governorSettings(client, { governor }));
  const over = BigInt(now) + votingDelay + votingPeriod;
  if (deadline <= over)
    throw new UserError(
      "GRANT_LATE",
      `The grant may be approved until ${timeText(Number(deadline))}, and a vote on it is over ${timeText(Number(over))}: begin anew with another file, and a longer --within.`,
    );
}

async function intentionFor(place: DecidingPlace, file: string, again: boolean): Promise<Intention> {
  const facts = await grantFacts(place, systemClock);
  const draft = await requireGrant(file, facts);
  const { same, others } = await grantsOfCommit(place, draft);
  if (same) throw new UserError("GRANT_APPROVED", `Grant ${same.id} was approved before, in ${same.transaction}.`);
  if (!again) requireOnce(draft, others);
  await requireInTime(place, draft, facts);
  const { repository, description } = draft;
  const { author, amount, commit } = draft.struct;
  const grant = { ...draft.struct, setVersion: 0 };
  return {
    ...intentionOf(
      place,
      approveGrantByVote,
      { grants: facts.grants, grant, repository },
      {
        title: `grant for code: ${formatEther(amount)} shares to ${formatAddress(author)} for commit ${commitOf(commit)}`,
        document: termsDocument(file, draft, facts, others),
      },
    ),
    text: `What it is: ${description}`,
  };
}

/** `cotrain code approve-by-vote`. */
export const codeApproveByVoteCommand = defineCommand({
  name: "code approve-by-vote",
  summary: "propose a grant to the holders, instead of having maintainers sign it",
  args: [{ name: "file", description: "the grant, as code propose wrote it" }],
  options: {
    ...decisionOptions,
    again: toggle({ description: "also where the same commit was granted before", default: false }),
  },
  examples: [
    ["npx cotrain code approve-by-vote grant.json", "by the wallet of this directory that has the most votes"],
    ["npx cotrain code approve-by-vote grant.json --dry-run", "what would be proposed"],
  ],
  notes: [
    "Look at the commit before you propose it. The proposal's text has the description. Signatures in the file do not matter, nor do the caps of maintainers; the amount is minted from the model's code budgets when the proposal is executed, and there is no veto.",
  ],
  run: async ({ args: [file = ""], options: { again, ...options }, output }) =>
    decide({ options, output }, (place) => intentionFor(place, file, again)),
});
