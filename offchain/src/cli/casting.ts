/** Wallets of one directory that vote at once: what became of each, and who did not vote and why, where not all did. */
import { CotrainError, GovernorUnexpectedProposalStateError, TransactionRevertedError } from "@cotrain/sdk/errors";

import { listed, RetryableError, shortAddress, timeText, UserError } from "../base/index.ts";
import { type ProposalStanding, standingOf } from "../run/index.ts";
import type { DecidingPlace } from "./proposing.ts";
import { type Ballot, type Cast, cast, stateText, type Voter } from "./voting.ts";

/** Of one vote that was not cast. */
interface Missed {
  readonly voter: Pick<Voter, "name" | "account">;
  readonly error: CotrainError;
}

const whoText = ({ name, account }: Missed["voter"]): string => `${name} ${shortAddress(account)}`;

/** Whose transaction failed, by its hash; nothing was mined of one that was never sent. */
function failedText({ voter, error }: Missed): string {
  const hash = error instanceof TransactionRevertedError ? error.details?.["transaction"] : undefined;
  return `${whoText(voter)}${hash === undefined ? "" : ` (transaction ${String(hash)} reverted)`}`;
}

/** Codes of the governor's states before voting is over: pending and active. */
const notOver: ReadonlySet<unknown> = new Set([0, 1]);

/** Whether the governor itself says that voting is over: where no block was mined since, the newest one still has it active. */
const isOver = ({ error }: Missed): boolean =>
  error instanceof GovernorUnexpectedProposalStateError && !notOver.has(error.args[1]);

/** Who did not vote, and who did. @param standing of the proposal by now; undefined where nobody says */
function missedError(
  { proposalId }: Pick<Ballot, "proposalId">,
  standing: ProposalStanding | undefined,
  missed: readonly Missed[],
  casts: readonly Cast[],
): CotrainError {
  const voted = casts.length === 0 ? "nobody here voted" : `${listed(casts.map(whoText))} voted`;
  const options = { cause: missed[0]?.error, details: { proposalId: String(proposalId), votes: casts.length } };
  if (standing && (missed.some(isOver) || (standing.state !== "active" && standing.state !== "pending"))) {
    const why =
      standing.state === "canceled" ? stateText(standing) : `over: its vote ended ${timeText(standing.deadline)}`;
    const who = listed(missed.map(failedText));
    return new UserError(
      "VOTE_LATE",
      `${who} did not vote on proposal ${proposalId}, which is ${why}; ${voted}.`,
      options,
    );
  }
  const why = missed.map(({ voter, error }) => `${whoText(voter)} did not: ${error.message.replace(/\.$/, "")}`);
  const sentence = `Not all wallets here voted on proposal ${proposalId}. ${why.join("; ")}; ${voted}.`;
  return missed.every(({ error }) => error.retryable)
    ? new RetryableError("VOTES_MISSING", sentence, options)
    : new UserError("VOTES_MISSING", sentence, options);
}

/**
 * All vote at once, each by a transaction of its own: on the local chain a vote is over in seconds.
 * @param told called with each vote as soon as it is on the chain
 * @throws UserError `VOTE_LATE`, `VOTES_MISSING`; RetryableError `VOTES_MISSING` where each may still be cast
 */
export async function castAll(
  place: Pick<DecidingPlace, "connection" | "governor" | "contracts" | "fromBlock">,
  voters: readonly Voter[],
  ballot: Omit<Ballot, "governor">,
  told: (sent: Cast) => void = () => undefined,
): Promise<Cast[]> {
  const { governor, contracts } = place;
  const casts: Cast[] = [];
  const missed: Missed[] = [];
  const all = voters.map(async (voter) => {
    try {
      const sent = await cast(voter, { governor, ...ballot });
      casts.push(sent);
      told(sent);
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      missed.push({ voter, error });
    }
  });
  for (const each of await Promise.allSettled(all)) if (each.status === "rejected") throw each.reason;
  if (missed.length === 0) return voters.flatMap(({ account }) => casts.filter((each) => each.account === account));
  let standing: ProposalStanding | undefined;
  try {
    standing = await standingOf(place, contracts.shares, ballot.proposalId);
  } catch (error) {
    // Then what the transactions themselves say is all that is known.
    if (!(error instanceof CotrainError)) throw error;
  }
  throw missedError(ballot, standing, missed, casts);
}
