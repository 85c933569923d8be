/** A proposal as people read it before they vote on it or carry it out, and votes on it. */
import { castVote, type VoteSupport } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import {
  countOf,
  formatAddress,
  formatPercent,
  formatShares,
  shortAddress,
  timeText,
  UserError,
  wrap,
} from "../base/index.ts";
import {
  cutText,
  isDisputeVote,
  type MadeProposal,
  MOST_REASON,
  proposalReason,
  type ProposalStanding,
  proposalTitle,
  standingOf,
  wordsBudget,
  wordsOfCall,
} from "../run/index.ts";
import { columnsOf } from "./output.ts";
import { type Place, signingAs } from "./place.ts";
import type { DecidingPlace } from "./proposing.ts";

/** @throws UserError `TEXT_TOO_LONG` */
export function boundedText(given: string | undefined): string | undefined {
  if (given === undefined || given.length <= MOST_REASON) return given;
  throw new UserError("TEXT_TOO_LONG", `--reason has ${given.length} characters; ${MOST_REASON} are allowed.`);
}

/** A call with what it would do. */
interface ToldCall {
  readonly target: string;
  readonly value: bigint;
  /** Cut where it is long: `bytes` says how long it is. */
  readonly data: Hex;
  readonly bytes: number;
  readonly words: string;
  /** Calls that these words do not tell, or not to their end: it may pass on others. */
  readonly untold: number;
}

/** A proposal, where it stands, and what it would do. */
export interface ToldProposal {
  readonly proposal: MadeProposal;
  readonly standing: ProposalStanding;
  readonly title: string;
  /** Why, as whoever proposed it says; empty where nothing is said. */
  readonly reason: string;
  readonly calls: readonly ToldCall[];
  /** Calls that are not told. */
  readonly more: number;
  /** Whether the rewards opened it, about a disputed root: nobody else is the proposer of what they propose. */
  readonly isDispute: boolean;
}

/** Calls that are told of a proposal before somebody votes for it or carries it out. */
export const MOST_CALLS = 64;

/** Nobody agrees to what was not shown. @throws UserError `CALLS_MANY` */
export function requireAllTold({ proposal, calls, more }: ToldProposal): void {
  const untold = calls.reduce((sum, call) => sum + call.untold, 0);
  if (more === 0 && untold === 0) return;
  const what =
    more > 0
      ? `has ${calls.length + more} calls, of which ${calls.length} are shown here`
      : `makes ${countOf(untold, "call")} that ${untold === 1 ? "is" : "are"} not shown here to the end, among those that it passes on or since it is long`;
  throw new UserError(
    "CALLS_MANY",
    `Proposal ${proposal.proposalId} ${what}: it can be voted against, and nothing else.`,
  );
}

/** Characters of call data and of texts in a document. */
const MOST_DATA = 4_096;

/** @param most calls that are told of a proposal, which may have hundreds */
export async function tell(place: DecidingPlace, proposal: MadeProposal, most: number): Promise<ToldProposal> {
  const { targets, values, calldatas, proposalId, description } = proposal;
  const calls: ToldCall[] = [];
  const budget = wordsBudget();
  for (const [i, target] of targets.slice(0, most).entries()) {
    const value = values[i] ?? 0n;
    const data = calldatas[i] ?? "0x";
    const told = await wordsOfCall(place, { target, value, data }, budget);
    calls.push({ target, value, data: data.slice(0, MOST_DATA) as Hex, bytes: (data.length - 2) / 2, ...told });
  }
  const standing = await standingOf(place, place.contracts.shares, proposalId);
  return {
    proposal,
    standing,
    title: proposalTitle(description),
    reason: proposalReason(description),
    calls,
    more: targets.length - calls.length,
    isDispute: isDisputeVote(place, proposal),
  };
}

/** What `--json` has of it. */
export const documentOf = ({ proposal, standing, title, calls, more, isDispute }: ToldProposal) => ({
  proposalId: proposal.proposalId,
  title,
  description: proposal.description.slice(0, MOST_DATA),
  proposer: proposal.proposer,
  isDispute,
  sound: proposal.sound,
  state: standing.state,
  votes: { for: standing.for, against: standing.against, abstain: standing.abstain },
  supply: standing.supply ?? null,
  quorum: standing.quorum ?? null,
  snapshot: standing.snapshot,
  deadline: standing.deadline,
  eta: standing.eta ?? null,
  expiry: standing.expiry,
  calls,
  callsMore: more,
});

/** Where it stands, in half a sentence with its date. */
export function stateText({ state, snapshot, deadline, eta = 0, expiry }: ProposalStanding): string {
  switch (state) {
    case "pending":
      return `pending: voting begins after ${timeText(snapshot)} and ends ${timeText(deadline)}`;
    case "active":
      return `active: voting ends ${timeText(deadline)}`;
    case "succeeded":
      return `succeeded ${timeText(deadline)}: anybody may queue it until ${timeText(expiry)}`;
    case "queued":
      return `queued: anybody may execute it from ${timeText(eta)} to ${timeText(expiry)}`;
    case "expired":
      return `expired ${timeText(expiry)}`;
    case "defeated":
      return `defeated ${timeText(deadline)}`;
    default:
      return state;
  }
}

/** What a dispute's vote came to, which is on whether a root stands; undefined while it goes on. A root that nobody decided on is refused. */
function ruledText({ state, deadline, quorum, ...votes }: ProposalStanding): string | undefined {
  if (state !== "defeated" || quorum === undefined) return undefined;
  return votes.against > 0n && votes.against >= quorum && votes.against >= votes.for
    ? `found false ${timeText(deadline)}`
    : `undecided ${timeText(deadline)}, so that the root is refused as well`;
}

/** The same behind the name of the proposal, as a sentence has it. */
export function standsText(standing: ProposalStanding): string {
  const { state, deadline, eta, expiry } = standing;
  const ended = `voting ended ${timeText(deadline)}`;
  switch (state) {
    case "succeeded":
      return `has succeeded: ${ended}, and anybody may queue it until ${timeText(expiry)}`;
    case "defeated":
      return `was defeated: ${ended}`;
    case "expired":
      return `has expired: ${ended}, and nobody ${eta === undefined ? "queued" : "executed"} it until ${timeText(expiry)}`;
    case "executed":
      return `was executed: ${ended}`;
    case "canceled":
      return "was cancelled";
    default:
      return `is ${stateText(standing)}`;
  }
}

/** Votes as parts of the shares that there were when they were counted. */
export function votesText({ supply, quorum, ...votes }: ProposalStanding, isDispute: boolean): string {
  if (supply === undefined || quorum === undefined) return "votes are counted when voting begins";
  const part = (of: bigint): string => formatPercent(of, supply);
  const need = isDispute ? "either side needs" : "for and abstaining together need";
  return `for ${part(votes.for)}, against ${part(votes.against)}, abstaining ${part(votes.abstain)} of ${formatShares(supply)} shares; ${need} ${part(quorum)}`;
}

/** What its calls would do, a line for each. */
export const callsText = ({ calls, more }: Pick<ToldProposal, "calls" | "more">): string[] => [
  ...calls.map(({ words }) => words),
  ...(more > 0 ? [`${more} further calls are not shown here.`] : []),
];

/** Characters of a reason in a list. */
const LISTED_REASON = 300;

/** What its proposer says of it, quoted: no words of this program, and nothing that its calls need do. */
export function reasonText({ title, reason }: Pick<ToldProposal, "title" | "reason">): string[] {
  if (reason === "") return [];
  const named = title === "" ? "says" : `calls it ${JSON.stringify(title)} and says`;
  return [`Its proposer ${named}, in words that nothing here checks: ${JSON.stringify(reason)}`];
}

/** What stands before its calls: what has been decided is no matter of "if" any more. */
function foretold({ state }: ProposalStanding): string {
  switch (state) {
    case "pending":
    case "active":
      return "If holders accept it";
    case "succeeded":
    case "queued":
      return "Holders accepted it, and once executed";
    case "executed":
      return "Holders accepted it, and so";
    default:
      return "It would have meant";
  }
}

/** @param more what else is said of it */
export function linesOf(told: ToldProposal, columns: number, more: readonly string[] = []): string[] {
  const { proposal, standing, title } = told;
  const below = [
    // Its title stands above.
    ...reasonText({ title: "", reason: cutText(told.reason, LISTED_REASON) }),
    `${(told.isDispute && ruledText(standing)) || stateText(standing)}; ${votesText(standing, told.isDispute)}.`,
    told.isDispute
      ? "Opened by the rewards, since somebody disputes a root:"
      : `Proposed by ${formatAddress(proposal.proposer)}. ${foretold(standing)}:`,
    ...callsText(told),
    ...more,
    ...(proposal.sound
      ? []
      : ["Its id is not that of these calls and this text: here it can be voted against, and nothing else."]),
  ];
  return [
    String(proposal.proposalId),
    ...[title === "" ? "(without a title)" : JSON.stringify(title), ...below].flatMap((text) =>
      wrap(text, columns - 2).map((line) => `  ${line}`),
    ),
  ];
}

/** A wallet that votes. */
export interface Voter {
  readonly name: string;
  readonly account: Address;
  readonly client: Awaited<ReturnType<typeof signingAs>>;
}

/** The same, of a wallet of the place. */
export const voterOf = async (
  place: DecidingPlace,
  entry: Place["entries"][number],
  fees: { readonly maxFee: number },
): Promise<Voter> => ({ name: entry.name, account: entry.account, client: await signingAs(place, entry, fees) });

/** A vote that is on the chain. */
export interface Cast {
  readonly name: string;
  readonly account: Address;
  readonly votes: bigint;
  readonly transaction: Hex;
}

/** What a wallet votes, and on what. */
export interface Ballot {
  readonly governor: Address;
  readonly proposalId: bigint;
  readonly support: VoteSupport;
  readonly reason?: string | undefined;
}

export async function cast({ name, account, client }: Voter, { reason, ...ballot }: Ballot): Promise<Cast> {
  const { receipt, event } = await castVote.sync(client, { ...ballot, ...(reason !== undefined && { reason }) });
  return { name, account, votes: event.weight, transaction: receipt.transactionHash };
}

/** What `--json` has of votes. */
export const castDocuments = (casts: readonly Cast[]) =>
  casts.map((each) => ({ ...each, account: formatAddress(each.account) }));

export const castLines = (casts: readonly Cast[], support: VoteSupport): string[] =>
  casts.flatMap(({ name, account, votes, transaction }) =>
    wrap(
      `${name} ${shortAddress(account)} voted ${support === "abstain" ? "to abstain" : support} with ${formatShares(votes)} votes in ${transaction}`,
      columnsOf(process.stdout),
    ),
  );
