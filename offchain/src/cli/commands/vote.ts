import { hasVoted, type VoteSupport, voteSupport } from "@cotrain/sdk/actions";

import { countOf, formatAddress, formatShares, RetryableError, UserError } from "../../base/index.ts";
import { findProposal, namedWallet, type ProposalStanding, requireProposalId, requireSound } from "../../run/index.ts";
import { didYouMean, text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { atPlace, type Place, requireEntries, signingOptions, unpinnedNotice } from "../place.ts";
import { decidingAt, type DecidingPlace, withVotes } from "../proposing.ts";
import {
  boundedText,
  callsText,
  type Cast,
  cast,
  castDocuments,
  castLines,
  MOST_CALLS,
  requireAllTold,
  stateText,
  tell,
  voterOf,
} from "../voting.ts";
import { changesNow } from "./changesNow.ts";

const supports = Object.keys(voteSupport) as readonly VoteSupport[];

/** @throws UserError `VOTE_FORM` */
function supportOf(word: string): VoteSupport {
  const support = supports.find((each) => each === word);
  if (support) return support;
  throw new UserError(
    "VOTE_FORM",
    `A vote is for, against or abstain, not ${JSON.stringify(word.slice(0, 100))}.${didYouMean(word, supports)}`,
  );
}

/** @throws RetryableError `VOTE_EARLY`; UserError `VOTE_LATE` */
function requireActive(proposalId: bigint, standing: ProposalStanding): void {
  if (standing.state === "active") return;
  const sentence = `Nobody can vote on proposal ${proposalId} now; it is ${stateText(standing)}.`;
  if (standing.state === "pending") throw new RetryableError("VOTE_EARLY", sentence);
  throw new UserError("VOTE_LATE", sentence);
}

/** Wallets that have votes on a proposal and have not cast them. @throws UserError `VOTES_NONE`, `VOTED` */
async function votersOf(place: DecidingPlace, proposalId: bigint, timepoint: bigint, entries: Place["entries"]) {
  const { connection, governor } = place;
  const all = await withVotes(place, entries, timepoint);
  const holders = all.filter(({ votes }) => votes > 0n);
  const named = (of: typeof all): string => of.map(({ entry }) => formatAddress(entry.account)).join(", ");
  if (holders.length === 0)
    throw new UserError(
      "VOTES_NONE",
      `${named(all)} had no votes when those on proposal ${proposalId} were counted: what is claimed and delegated later counts for later proposals.`,
    );
  const voters: typeof all = [];
  for (const holder of holders) {
    const { account } = holder.entry;
    if (!(await connection.call((client) => hasVoted(client, { governor, proposalId, account })))) voters.push(holder);
  }
  if (voters.length === 0)
    throw new UserError("VOTED", `${named(holders)} voted on proposal ${proposalId} before; a vote cannot be changed.`);
  return voters;
}

/** `cotrain vote`. */
export const voteCommand = defineCommand({
  name: "vote",
  summary: "vote on a proposal; each wallet pays its own gas",
  args: [
    { name: "proposal", description: "its id, or the first digits of it, as proposals list shows it" },
    { name: "vote", description: "for, against or abstain" },
  ],
  options: {
    ...signingOptions,
    reason: text({ description: "why, which the chain keeps beside the vote" }),
    dryRun: toggle({
      description: "show what the proposal would do and who would vote, and send nothing",
      default: false,
    }),
  },
  examples: [
    ["npx cotrain vote 4711081 for", "with the votes of every worker's wallet of this directory"],
    [
      'npx cotrain vote 4711081 against --reason "48 steps are too few" --wallet me.json --passphrase-file pass',
      "with those of one wallet",
    ],
    [
      "npx cotrain vote 4711081 abstain --coordinator https://train.example.org --rpc https://rpc.example.org",
      "in somebody else's run",
    ],
  ],
  notes: [
    "What the proposal would do is shown, by its calls and not by its text. Votes are those of the time at which voting began, and cannot be changed.",
  ],
  async run({ args: [id = "", word = ""], options, output }) {
    const named = requireProposalId(id);
    const support = supportOf(word);
    const reason = boundedText(options.reason);
    const own = await namedWallet(options);
    const { proposalId, casts, voters } = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        const { governor } = place;
        const entries = requireEntries(place, options);
        const proposal = await findProposal(place, named, !place.embedded);
        const { proposalId } = proposal;
        if (support !== "against") requireSound(proposal);
        const told = await tell(place, proposal, MOST_CALLS);
        if (support !== "against") requireAllTold(told);
        requireActive(proposalId, told.standing);
        const voters = await votersOf(place, proposalId, BigInt(told.standing.snapshot), entries);
        if (!output.json) {
          for (const line of callsText(told)) output.notice(`If holders accept it: ${line}`);
          for (const line of await changesNow(place, told)) output.notice(line);
        }
        const casts: Cast[] = [];
        for (const { entry } of options.dryRun ? [] : voters) {
          const voter = await voterOf(place, entry, options);
          const sent = await cast(voter, { governor, proposalId, support, reason });
          casts.push(sent);
          // At once, since the next may fail.
          if (!output.json) for (const line of castLines([sent], support)) output.notice(line);
        }
        return { proposalId, casts, voters };
      },
      unpinnedNotice(options, output),
      { ticking: true },
    );
    const votes = voters.reduce((sum, voter) => sum + voter.votes, 0n);
    output.result({ proposalId, support, votes: castDocuments(casts) }, [
      options.dryRun
        ? `Nothing was sent: ${formatShares(votes)} votes of ${countOf(voters.length, "wallet")} here could be cast.`
        : `${formatShares(votes)} votes were cast.`,
    ]);
  },
});
