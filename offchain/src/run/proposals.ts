/**
 * Proposals of a model's holders as the chain has them: which there are, and where each stands. Their text and calls are whoever
 * proposed's: they are shown bounded, and what they would do is told by their calls (proposalWords.ts).
 */
import {
  getLogPage,
  type LogCursor,
  pastSupplyOf,
  type Proposal,
  proposalCreated,
  proposalDeadline,
  proposalEta,
  proposalExpiry,
  proposalIdOf,
  proposalSnapshot,
  type ProposalState,
  proposalState,
  proposalVotes,
  quorumAt,
} from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import type { ChainConnection } from "../chain/index.ts";

/** Where proposals are looked for. */
export interface ProposalsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly governor: Address;
  /** Block at or before the governor's first. */
  readonly fromBlock: number;
}

/** A proposal as its event tells it. */
export interface MadeProposal extends Proposal {
  readonly proposalId: bigint;
  readonly proposer: Address;
  /**
   * Whether the id is that of these calls and this text. It is not where the text is no UTF-8, which can be proposed, or where the
   * node lies about either.
   */
  readonly sound: boolean;
}

const pageAt = ({ connection, governor }: ProposalsPlace, from: LogCursor | bigint) =>
  connection.call((client) => getLogPage(client, proposalCreated({ governor }), { from }));

async function* proposalsOf(place: ProposalsPlace): AsyncGenerator<MadeProposal> {
  let page = await pageAt(place, BigInt(place.fromBlock));
  for (;;) {
    for (const { args } of page.logs) {
      const { proposalId, proposer, targets, values, calldatas, description } = args;
      const proposal = { targets, values, calldatas, description };
      yield { ...proposal, proposalId, proposer: asAddress(proposer), sound: proposalIdOf(proposal) === proposalId };
    }
    if (page.done) return;
    page = await pageAt(place, page.cursor);
  }
}

/** The newest proposals, newest first. No more than these are held at a time. */
export async function newestProposals(place: ProposalsPlace, most: number): Promise<MadeProposal[]> {
  const kept: MadeProposal[] = [];
  for await (const proposal of proposalsOf(place)) {
    kept.push(proposal);
    if (kept.length > most) kept.shift();
  }
  return kept.reverse();
}

/** Digits that name a proposal at least: ids are digests, so that six tell apart what holders propose in years. */
const ID_DIGITS = 6;
const idForm = new RegExp(String.raw`^\d{${ID_DIGITS},78}$`);

/** @throws UserError `PROPOSAL_ID` for what names no proposal, whatever the chain has */
export function requireProposalId(text: string): string {
  if (idForm.test(text)) return text;
  throw new UserError(
    "PROPOSAL_ID",
    `A proposal is named by its id, a decimal number, or by the first ${ID_DIGITS} digits of it or more, as "npx cotrain proposals list" shows it; not by ${JSON.stringify(text.slice(0, 100))}.`,
  );
}

/**
 * The proposal whose id is this, or begins so.
 * @param whole its whole id must be named: who may hide proposals makes one that begins like another
 * @throws UserError `PROPOSAL_ID`, `PROPOSAL_UNKNOWN`, `PROPOSAL_AMBIGUOUS`
 */
export async function findProposal(place: ProposalsPlace, text: string, whole = false): Promise<MadeProposal> {
  const named = requireProposalId(text);
  let found: MadeProposal | undefined;
  let others = 0;
  for await (const proposal of proposalsOf(place)) {
    const id = String(proposal.proposalId);
    if (whole ? id !== named : !id.startsWith(named)) continue;
    if (found && String(found.proposalId) === named) continue;
    if (found && id !== named) others += 1;
    else {
      found = proposal;
      if (id === named) others = 0;
    }
  }
  if (!found)
    throw new UserError(
      "PROPOSAL_UNKNOWN",
      `Governor ${place.governor} has no proposal ${named}${whole ? ": name the whole id, since who answers for a chain can hide the proposal that one means behind another whose id begins so" : ", nor one that begins so"}; "npx cotrain proposals list" shows those that there are.`,
    );
  if (others > 0)
    throw new UserError("PROPOSAL_AMBIGUOUS", `${others + 1} proposals begin with ${named}: name more of the id.`);
  return found;
}

/**
 * Nobody agrees to what he was not shown, or carries it out; voting against it takes its id alone.
 * @throws UserError `PROPOSAL_UNSOUND`
 */
export function requireSound({ proposalId, sound }: MadeProposal): void {
  if (sound) return;
  throw new UserError(
    "PROPOSAL_UNSOUND",
    `The id of proposal ${proposalId} is not that of the calls and the text that the node tells, since its text is no UTF-8 or the node lies: here it can be voted against, and nothing else.`,
  );
}

/** Where a proposal stands. Times are chain seconds, votes share wei. */
export interface ProposalStanding {
  readonly state: ProposalState;
  readonly for: bigint;
  readonly against: bigint;
  readonly abstain: bigint;
  /** Shares that there were when votes were counted, and votes that make a quorum of them; undefined before that time. */
  readonly supply: bigint | undefined;
  readonly quorum: bigint | undefined;
  /** Voting begins after this time. */
  readonly snapshot: number;
  readonly deadline: number;
  /** From when it can be executed; undefined before it is queued. */
  readonly eta: number | undefined;
  /** Until when it can be queued, if it is accepted, or executed, once it is queued; after that it has expired. */
  readonly expiry: number;
}

/** @param shares the model's */
export async function standingOf(
  { connection: { call }, governor }: ProposalsPlace,
  shares: Address,
  proposalId: bigint,
): Promise<ProposalStanding> {
  const which = { governor, proposalId };
  // The state first: what it says of times that are past stays so while the rest is asked.
  const state = await call((client) => proposalState(client, which));
  const [votes, snapshot, deadline, eta, expiry] = await Promise.all([
    call((client) => proposalVotes(client, which)),
    call((client) => proposalSnapshot(client, which)),
    call((client) => proposalDeadline(client, which)),
    call((client) => proposalEta(client, which)),
    call((client) => proposalExpiry(client, which)),
  ]);
  const counted = await call(async (client) => {
    const { timestamp } = await client.getBlock();
    if (timestamp <= snapshot) return undefined;
    const [supply, quorum] = await Promise.all([
      pastSupplyOf(client, { shares, timepoint: snapshot }),
      quorumAt(client, { governor, timepoint: snapshot }),
    ]);
    return { supply, quorum };
  });
  return {
    state,
    ...votes,
    supply: counted?.supply,
    quorum: counted?.quorum,
    snapshot: Number(snapshot),
    deadline: Number(deadline),
    eta: eta === 0n ? undefined : Number(eta),
    expiry: Number(expiry),
  };
}

const TITLE = 200;
/** Characters of a reason that are shown of one proposal. */
const REASON = 4_096;
/** Words, numbers and addresses are shorter: what is longer is cut within. */
const LONGEST_WORD = 80;

/** What a description ends with that is its proposer's own (OpenZeppelin's Governor). */
const suffixForm = /^#proposer=0x[\da-f]{40}$/i;
const SUFFIX = "#proposer=0x".length + 40;

/** A description without the suffix by which it is its proposer's own. */
const ownWords = (description: string): string =>
  suffixForm.test(description.slice(-SUFFIX)) ? description.slice(0, -SUFFIX) : description;

/** Where a text is cut so that it has at most so many characters, "…" included: between words, and within no character. */
function cutAt(text: string, most: number): number {
  if (text.length <= most) return text.length;
  const end = most - 1;
  const gap = text.slice(end - LONGEST_WORD, end + 1).search(/\s\S*$/);
  if (gap >= 0) return end - LONGEST_WORD + gap;
  return /[\ud800-\udbff]/.test(text.charAt(end - 1)) ? end - 1 : end;
}

/** A text of at most so many characters, from 81 on; "…" says that there is more. */
export function cutText(text: string, most: number): string {
  const end = cutAt(text, most);
  return end === text.length ? text : `${text.slice(0, end).trimEnd()}…`;
}

/** The first line of a description, and where it is cut. Strangers write megabytes: no more of them is read than can be shown. */
function firstLine(own: string): { readonly line: string; readonly end: number } {
  const line = own.slice(0, TITLE + 1).split("\n", 1)[0] ?? "";
  return { line, end: cutAt(line, TITLE) };
}

/**
 * The first line of a description, without the suffix by which it is its proposer's own; empty where there is none. "…" stands for
 * what is cut of it.
 */
export function proposalTitle(description: string): string {
  const { line, end } = firstLine(ownWords(description));
  const title = line.slice(0, end).trimEnd();
  return title === "" || end === line.length ? title : `${title}…`;
}

/**
 * What a description says behind its title, on one line and of bounded length, without its proposer's suffix; empty where there is
 * nothing. Of a title that is cut it is the rest, too.
 */
export function proposalReason(description: string): string {
  const own = ownWords(description);
  const { line, end } = firstLine(own);
  const rest = own.slice(end, end + REASON + 1);
  const said = cutText(rest, REASON).replaceAll(/\s+/g, " ").trim();
  return end === line.length || said === "" ? said : `…${said}`;
}
