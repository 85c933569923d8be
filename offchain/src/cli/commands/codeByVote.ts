import { approveGrantByVote, governorSettings } from "@cotrain/sdk/actions";
import { formatEther } from "viem";

import { formatAddress, systemClock, timeText, UserError } from "../../base/index.ts";
import { commitOf, type GrantDraft, grantFacts, type GrantFacts, grantsOfCommit } from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import type { DecidingPlace } from "../proposing.ts";
import { requireGrant, requireOnce, termsDocument } from "./codeApprove.ts";

/**
 * The contract holds a grant against its deadline when the vote is carried out: after the vote, a longer one where the quorum comes
 * late, the timelock's delay, and as long again for those who queue and execute it.
 * @throws UserError `GRANT_LATE` where that would be too late
 */
async function requireInTime(
  { connection, governor }: DecidingPlace,
  { struct: { deadline } }: GrantDraft,
  { now }: GrantFacts,
): Promise<void> {
  const { votingDelay, votingPeriod, lateQuorumVoteExtension, timelockDelay } = await connection.call((client) =>
    governorSettings(client, { governor }),
  );
  const done = BigInt(now) + votingDelay + votingPeriod + lateQuorumVoteExtension + 2n * timelockDelay;
  if (deadline <= done)
    throw new UserError(
      "GRANT_LATE",
      `The grant may be approved until ${timeText(Number(deadline))}, and a vote on it may be carried out as late as ${timeText(Number(done))}: begin anew with another file, and a longer --within.`,
    );
}

/** The grant that a vote approves: that of set 0, which stands for the holders, whatever set the file was written for. */
function byHolders(draft: GrantDraft): GrantDraft {
  return { ...draft, struct: { ...draft.struct, setVersion: 0 } };
}

async function intentionFor(place: DecidingPlace, file: string, again: boolean): Promise<Intention> {
  const facts = await grantFacts(place, systemClock);
  const draft = byHolders(await requireGrant(file, facts, "holders"));
  const { same, others } = await grantsOfCommit(place, draft);
  // Whoever approved it: a grant's id leaves the set out.
  if (same) throw new UserError("GRANT_APPROVED", `Grant ${same.id} was approved before, in ${same.transaction}.`);
  if (!again) requireOnce(draft, others);
  await requireInTime(place, draft, facts);
  const { repository, description } = draft;
  const { struct: grant } = draft;
  const { author, amount, commit } = grant;
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
