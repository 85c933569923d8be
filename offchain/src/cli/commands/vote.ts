import { hasVoted, type VoteSupport, voteSupport } from "@cotrain/sdk/actions";

import { countOf, formatAddress, formatShares, RetryableError, UserError, wrap } from "../../base/index.ts";
import {
  findProposal,
  namedWallet,
  type ProposalStanding,
  readBallot,
  readBuilds,
  requireProposalId,
  requireSound,
} from "../../run/index.ts";
import { didYouMean, integer, text, toggle } from "../../service/index.ts";
import { type BallotOutcome, ballotText, requireBallotFlags, sendBallot, signBallotFile } from "../ballots.ts";
import { castAll } from "../casting.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, type Output } from "../output.ts";
import { atPlace, type Place, requireEntries, signingOptions, unpinnedNotice } from "../place.ts";
import { decidingAt, type DecidingPlace, withVotes } from "../proposing.ts";
import {
  boundedText,
  callsText,
  castDocuments,
  castLines,
  MOST_CALLS,
  reasonText,
  requireAllTold,
  standsText,
  tell,
  type ToldProposal,
  type Voter,
  voterOf,
} from "../voting.ts";
import { unfitAmong } from "../admitted.ts";
import { grantedBeside } from "./granted.ts";
import { replacedSince } from "./replaced.ts";
import { outlines } from "./outlines.ts";

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
  const sentence = `Nobody can vote on proposal ${proposalId} now; it ${standsText(standing)}.`;
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

/** Shows what is said of a proposal and what it would do, before anybody signs or sends anything, to people. */
async function sayWords(place: DecidingPlace, told: ToldProposal, output: Output): Promise<void> {
  if (output.json) return;
  for (const line of reasonText(told)) output.notice(line);
  for (const line of callsText(told)) output.notice(told.isDispute ? line : `If holders accept it: ${line}`);
  for (const line of await replacedSince(place, told)) output.notice(line);
  for (const line of await grantedBeside(place, told)) output.notice(line);
  for (const line of await unfitAmong(place, told, () => readBuilds(place))) output.notice(line);
}

/** The proposal that a vote names, told; nobody agrees to what was not shown. @throws UserError, see {@link requireAllTold} */
async function toldFor(place: DecidingPlace, named: string, support: VoteSupport): Promise<ToldProposal> {
  const proposal = await findProposal(place, named, !place.embedded);
  if (support !== "against") requireSound(proposal);
  const told = await tell(place, proposal, MOST_CALLS);
  if (support !== "against") requireAllTold(told);
  return told;
}

interface Vote {
  readonly named: string;
  readonly support: VoteSupport;
  readonly reason: string | undefined;
}

interface Flags {
  readonly dryRun: boolean;
  readonly maxFee: number;
  readonly maxGas: number;
  readonly state?: string | undefined;
  readonly coordinator?: string | undefined;
}

/** Signs a vote into a file, of what is voted on or will be. */
async function signVote(
  place: DecidingPlace,
  { named, ...vote }: Vote,
  flags: Flags & { readonly file: string },
  output: Output,
): Promise<BallotOutcome> {
  const told = await toldFor(place, named, vote.support);
  const { proposal, standing } = told;
  if (standing.state !== "pending") {
    requireActive(proposal.proposalId, standing);
    await votersOf(place, proposal.proposalId, BigInt(standing.snapshot), requireEntries(place, flags));
  }
  await sayWords(place, told, output);
  return signBallotFile(place, told, { ...flags, ...vote }, output);
}

/** Sends a vote that somebody has signed: whoever pays for it agrees to nothing. */
async function sendVote(
  place: DecidingPlace,
  flags: Flags & { readonly file: string },
  output: Output,
): Promise<BallotOutcome> {
  const signed = await readBallot(flags.file, place);
  const told = await tell(place, await findProposal(place, String(signed.ballot.proposalId), true), MOST_CALLS);
  requireActive(told.proposal.proposalId, told.standing);
  await sayWords(place, told, output);
  return sendBallot(place, told, signed, flags);
}

/** Votes by every wallet that can. */
async function castVotes(place: DecidingPlace, { named, support, reason }: Vote, flags: Flags, output: Output) {
  const entries = requireEntries(place, flags);
  const told = await toldFor(place, named, support);
  const { proposalId } = told.proposal;
  requireActive(proposalId, told.standing);
  const voters = await votersOf(place, proposalId, BigInt(told.standing.snapshot), entries);
  await sayWords(place, told, output);
  const opened: Voter[] = [];
  for (const { entry } of flags.dryRun ? [] : voters) opened.push(await voterOf(place, entry, flags));
  // At once, since others may fail.
  const casts = await castAll(place, opened, { proposalId, support, reason }, (sent) => {
    if (!output.json) for (const line of castLines([sent], support)) output.notice(line);
  });
  return { proposalId, casts, voters };
}

/** `cotrain vote`. */
export const voteCommand = defineCommand({
  ...outlines.vote,
  options: {
    ...signingOptions,
    reason: text({ description: "why, which the chain keeps beside the vote" }),
    dryRun: toggle({
      description: "show what the proposal would do and who would vote, and sign and send nothing",
      default: false,
    }),
    sign: text({ value: "file", description: "sign it into a file that somebody else may send, and send nothing" }),
    submit: text({ value: "file", description: "send what a holder has signed; a wallet here pays the gas" }),
    maxGas: integer(1, 30_000_000, { description: "with --submit: what sending it may take", default: 500_000 }),
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
    [
      "npx cotrain vote 4711081 for --sign vote.json --wallet me.json --passphrase-file pass",
      "signed by a wallet that needs no coins",
    ],
    ["npx cotrain vote --submit vote.json", "sent by somebody else, who pays the gas"],
  ],
  notes: [
    "What the proposal would do is shown, by its calls and not by its text, before anything is signed or sent; why, as its proposer says, stands before it. Votes are those of the time at which voting began, and cannot be changed. Of two votes that a wallet signs before one of them is sent, one counts.",
  ],
  async run({ args, options, output }) {
    requireBallotFlags(args, options);
    const { sign, submit } = options;
    const [id = "", word = ""] = args;
    const vote: Vote | undefined =
      submit === undefined
        ? { named: requireProposalId(id), support: supportOf(word), reason: boundedText(options.reason) }
        : undefined;
    const own = await namedWallet(options);
    const at = <T>(work: (place: DecidingPlace) => Promise<T>): Promise<T> =>
      atPlace(options, own, async (place) => work(await decidingAt(place)), unpinnedNotice(options, output), {
        ticking: true,
      });
    const file = sign ?? submit;
    if (file !== undefined) {
      const flags = { ...options, file };
      const outcome = await at((place) =>
        vote ? signVote(place, vote, flags, output) : sendVote(place, flags, output),
      );
      output.result(outcome, wrap(ballotText(outcome), columnsOf(process.stdout)));
      return;
    }
    const { proposalId, casts, voters } = await at((place) => castVotes(place, vote!, options, output));
    const votes = voters.reduce((sum, voter) => sum + voter.votes, 0n);
    output.result({ proposalId, support: vote?.support, votes: castDocuments(casts) }, [
      options.dryRun
        ? `Nothing was sent: ${formatShares(votes)} votes of ${countOf(voters.length, "wallet")} here could be cast.`
        : `${formatShares(votes)} votes were cast.`,
    ]);
  },
});
