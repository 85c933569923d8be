/** Votes that a holder signs and somebody else sends: for a holder whose wallet has no coins for gas, or whose key stays offline. */
import { type Ballot, castVoteBySig, pastVotesOf, type SignedBallot, type VoteSupport } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatAddress, formatCount, formatShares, timeText, UserError } from "../base/index.ts";
import { draftBallot, requireBallotFile, requireCastable, writeBallot } from "../run/index.ts";
import type { Output } from "./output.ts";
import { requireEntries, signingAs } from "./place.ts";
import type { DecidingPlace } from "./proposing.ts";
import { requirePinned } from "./quorum.ts";
import type { ToldProposal } from "./voting.ts";

interface BallotFlags {
  readonly sign?: string | undefined;
  readonly submit?: string | undefined;
  readonly reason?: string | undefined;
}

function refuse(sentence: string): never {
  throw new UserError("VOTE_FLAGS", sentence);
}

/** @throws UserError `VOTE_FLAGS` for what means nothing */
export function requireBallotFlags(words: readonly string[], { sign, submit, reason }: BallotFlags): void {
  if (submit === undefined) {
    if (words.length === 0) refuse('Which proposal is missing: name it as "npx cotrain proposals list" shows it.');
    if (words.length === 1) refuse("The vote is missing: say for, against or abstain behind the proposal.");
    return;
  }
  if (sign !== undefined) refuse("--sign and --submit exclude each other: give one of them.");
  if (words.length > 0 || reason !== undefined)
    refuse("What --submit sends names proposal, vote and reason itself: leave them out.");
}

/** A vote in a file, and what became of it. */
export interface BallotOutcome extends Ballot {
  readonly file: string;
  /** The contract that it is for. */
  readonly governor: Address;
  readonly title: string;
  /** Undefined before voting begins, when votes are counted. */
  readonly votes: bigint | undefined;
  /** Until when it can be sent, chain seconds; a late quorum moves it. */
  readonly deadline: number;
  readonly state: "shown" | "signed" | "sent";
  /** About what sending it takes; null where it is signed. */
  readonly gas: bigint | null;
  /** Null where nothing was sent. */
  readonly transaction: Hex | null;
}

const saidText = (support: VoteSupport): string => (support === "abstain" ? "abstains" : `votes ${support}`);

/** What a ballot says, in words: what a wallet shows of it is numbers. */
export function ballotText(outcome: BallotOutcome): string {
  const { file, governor, voter, proposalId, support, nonce, reason, title, votes, deadline, state, gas } = outcome;
  const weight =
    votes === undefined ? "with what votes it has when voting begins" : `with ${formatShares(votes)} votes`;
  const of = `proposal ${proposalId}${title === "" ? "" : ` ${JSON.stringify(title)}`}`;
  const because = reason === undefined ? "" : `, because ${JSON.stringify(reason)}`;
  const what = `${formatAddress(voter)} ${saidText(support)} on ${of}, ${weight}${because}`;
  if (state === "sent") return `${what}: cast by ${outcome.transaction}.`;
  const where = `${what}: governor ${formatAddress(governor)}, nonce ${nonce}, to be sent until voting ends, ${timeText(deadline)}.`;
  return state === "signed"
    ? `${where} Signed in ${file}: anybody who has the file may send it, with npx cotrain vote --submit ${file}`
    : `${where}${gas === null ? "" : ` Sending it would take about ${formatCount(gas)} gas.`} Nothing was signed or sent.`;
}

/** @param timepoint when votes are counted, chain seconds; that of now is not known yet */
async function votesAt({ connection, contracts: { shares } }: DecidingPlace, account: Address, told: ToldProposal) {
  if (told.standing.state === "pending") return undefined;
  const timepoint = BigInt(told.standing.snapshot);
  return connection.call((client) => pastVotesOf(client, { shares, account, timepoint }));
}

interface Request {
  readonly file: string;
  readonly dryRun: boolean;
  readonly state?: string | undefined;
  readonly coordinator?: string | undefined;
}

/**
 * Signs a vote into a file; sends nothing.
 * @throws UserError `QUORUM_UNPINNED`, `WALLET_SEVERAL`, `FILE_EXISTS` for a file that is no signed vote
 */
export async function signBallotFile(
  place: DecidingPlace,
  told: ToldProposal,
  { support, reason, ...request }: Request & Pick<Ballot, "support"> & { readonly reason: string | undefined },
  output: Output,
): Promise<BallotOutcome> {
  // Else it chooses the governor: of any model whose holders vote alike.
  requirePinned(place);
  const { file, dryRun } = request;
  const replaces = await requireBallotFile(file);
  const [entry, ...others] = requireEntries(place, request);
  if (!entry || others.length > 0)
    throw new UserError("WALLET_SEVERAL", "One wallet signs one file: name it with --wallet and --passphrase-file.");
  const { proposalId } = told.proposal;
  const vote = { proposalId, support, voter: entry.account, ...(reason !== undefined && { reason }) };
  const { ballot, sign } = await draftBallot(place, vote);
  const shown = await shownOf(place, told, ballot, file);
  if (dryRun) return shown;
  // Before the key is opened.
  if (!output.json)
    output.notice(
      `By the deployment that is pinned, the model's governor is contract ${formatAddress(place.governor)}; the node says the same.`,
    );
  await writeBallot(file, place, await sign(await entry.open()), replaces);
  return { ...shown, state: "signed" };
}

async function shownOf(place: DecidingPlace, told: ToldProposal, ballot: Ballot, file: string): Promise<BallotOutcome> {
  const { governor } = place;
  const { title, standing } = told;
  const votes = await votesAt(place, ballot.voter, told);
  return {
    ...ballot,
    file,
    governor,
    title,
    votes,
    deadline: standing.deadline,
    state: "shown",
    gas: null,
    transaction: null,
  };
}

/** About what gas sending it takes. A voter that is a contract runs code of its own choice in it, for which the sender pays. */
async function gasOf(place: DecidingPlace, signed: SignedBallot, sender: Address | undefined): Promise<bigint> {
  const { to, data } = castVoteBySig.call({ governor: place.governor, ...signed });
  return place.connection.call((client) =>
    client.estimateGas({ to, data, ...(sender !== undefined && { account: sender }) }),
  );
}

/**
 * Sends a vote that a holder has signed, once it was held against the chain; a wallet of the place pays the gas.
 * @param told the proposal that it is on, which is voted on now
 * @param request.maxGas what it may take
 * @throws UserError `VOTES_NONE`, `BALLOT_GAS`; what `requireCastable` throws
 */
export async function sendBallot(
  place: DecidingPlace,
  told: ToldProposal,
  signed: SignedBallot,
  request: Request & { readonly maxFee: number; readonly maxGas: number },
): Promise<BallotOutcome> {
  const { file, dryRun, maxGas } = request;
  const { governor } = place;
  await requireCastable(file, place, signed);
  const shown = await shownOf(place, told, signed.ballot, file);
  if (shown.votes === 0n)
    throw new UserError(
      "VOTES_NONE",
      `${formatAddress(shown.voter)} had no votes when those on proposal ${shown.proposalId} were counted: sending this would cast none.`,
    );
  const gas = await gasOf(place, signed, place.entries[0]?.account);
  if (dryRun) return { ...shown, gas };
  const limit = BigInt(maxGas);
  if (gas > limit)
    throw new UserError(
      "BALLOT_GAS",
      `Sending ${file} would take about ${formatCount(gas)} gas, and allowed (--max-gas) are ${formatCount(limit)}: ${formatAddress(shown.voter)} is a contract, and who sends its vote pays for what its code does.`,
    );
  const [sender] = requireEntries(place, request);
  const client = await signingAs(place, sender!, request);
  // A quarter more and two new slots, for what others do meanwhile (a late quorum); whatever its code does, no more than is allowed.
  const room = (gas * 5n) / 4n + 50_000n;
  const { receipt } = await castVoteBySig.sync(client, { governor, ...signed, gas: room < limit ? room : limit });
  return { ...shown, state: "sent", gas, transaction: receipt.transactionHash };
}
