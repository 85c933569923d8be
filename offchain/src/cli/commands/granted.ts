/** Grants that holders vote on beside those of maintainers: either may approve one for a commit while the other is asked, and both pay. */
import { decodeCall } from "@cotrain/sdk/actions";
import { type Grant, grantIdOf, type Hex } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { formatAddress, UserError } from "../../base/index.ts";
import {
  type ApprovedGrant,
  commitOf,
  grantsOfCommit,
  type MadeProposal,
  newestProposals,
  standingOf,
  withPassed,
} from "../../run/index.ts";
import { isUndecided } from "./replaced.ts";
import type { DecidingPlace } from "../proposing.ts";
import { standsText, type ToldProposal } from "../voting.ts";

const anotherText = (commit: string, { id, state, terms, transaction }: ApprovedGrant): string =>
  `Commit ${commit} has a grant already, ${id} of ${formatEther(state.amount)} shares for ${formatAddress(terms.author)}, approved in ${transaction}: once this is carried out, it is paid for another time.`;

/** Grants of this model that a proposal would approve, by so many of its calls and those that they pass on. */
function grantsIn(place: DecidingPlace, proposal: MadeProposal, calls = proposal.targets.length): Grant[] {
  const made = proposal.targets
    .slice(0, calls)
    .map((target, i) => ({ target, value: proposal.values[i] ?? 0n, data: proposal.calldatas[i] ?? "0x" }));
  // What the governor relays to the timelock is queued there without another vote.
  return [...withPassed(place, made)].flatMap((call) => {
    const decoded = decodeCall(place, call);
    if (decoded?.contract !== "CodeGrants" || decoded.functionName !== "approveByVote") return [];
    const struct = decoded.args[0] as Grant;
    return struct.modelId.toLowerCase() === place.modelId.toLowerCase() ? [struct] : [];
  });
}

/** Newest proposals among which is looked for votes on a commit. */
const MOST_PROPOSALS = 1_000;

/** A vote on a grant for a commit that may still be carried out. */
export interface GrantVote {
  readonly proposalId: bigint;
  readonly state: ToldProposal["standing"]["state"];
  /** What it would grant, and where it stands, in words. */
  readonly words: string;
}

/** Votes that are open on grants for a commit, newest first. */
export async function votesOnCommit(place: DecidingPlace, commit: Hex): Promise<GrantVote[]> {
  const votes: GrantVote[] = [];
  for (const proposal of await newestProposals(place, MOST_PROPOSALS)) {
    const grant = grantsIn(place, proposal).find((each) => each.commit.toLowerCase() === commit.toLowerCase());
    if (!grant) continue;
    const { proposalId } = proposal;
    const standing = await standingOf(place, place.contracts.shares, proposalId);
    if (!isUndecided(standing)) continue;
    const words = `proposal ${proposalId} grants the same commit ${formatEther(grant.amount)} shares for ${formatAddress(grant.author)}, and ${standsText(standing)}: both are paid if both are approved`;
    votes.push({ proposalId, state: standing.state, words });
  }
  return votes;
}

/** Sentences about the calls of an open proposal that approve a grant for a commit that was granted since. */
export async function grantedBeside(
  place: DecidingPlace,
  { proposal, standing, calls }: Pick<ToldProposal, "proposal" | "standing" | "calls">,
): Promise<string[]> {
  if (!isUndecided(standing)) return [];
  const sentences: string[] = [];
  for (const struct of grantsIn(place, proposal, calls.length)) {
    const { others } = await grantsOfCommit(place, { id: grantIdOf(struct), struct });
    sentences.push(...others.map((other) => anotherText(commitOf(struct.commit), other)));
  }
  return sentences;
}

/** @throws UserError `GRANT_AGAIN` */
export function requireGrantedOnce(proposalId: bigint, sentences: readonly string[]): void {
  const [first] = sentences;
  if (first === undefined) return;
  throw new UserError(
    "GRANT_AGAIN",
    `Proposal ${proposalId} goes no further by itself. ${first} --again has it go on.`,
  );
}
