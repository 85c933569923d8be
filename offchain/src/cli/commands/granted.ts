/** Grants that a proposal would approve for a commit that has one by then: maintainers may approve theirs while holders vote, and both pay. */
import { decodeCall } from "@cotrain/sdk/actions";
import { type Grant, grantIdOf } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { formatAddress, UserError } from "../../base/index.ts";
import { type ApprovedGrant, commitOf, grantsOfCommit, withPassed } from "../../run/index.ts";
import { isUndecided } from "./replaced.ts";
import type { DecidingPlace } from "../proposing.ts";
import type { ToldProposal } from "../voting.ts";

const anotherText = (commit: string, { id, state, terms, transaction }: ApprovedGrant): string =>
  `Commit ${commit} has a grant already, ${id} of ${formatEther(state.amount)} shares for ${formatAddress(terms.author)}, approved in ${transaction}: once this is carried out, it is paid for another time.`;

/** Sentences about the calls of an open proposal that approve a grant for a commit that was granted since. */
export async function grantedBeside(
  place: DecidingPlace,
  { proposal, standing, calls }: Pick<ToldProposal, "proposal" | "standing" | "calls">,
): Promise<string[]> {
  if (!isUndecided(standing)) return [];
  const sentences: string[] = [];
  const made = proposal.targets
    .slice(0, calls.length)
    .map((target, i) => ({ target, value: proposal.values[i] ?? 0n, data: proposal.calldatas[i] ?? "0x" }));
  // What the governor relays to the timelock is queued there without another vote.
  for (const call of withPassed(place, made)) {
    const decoded = decodeCall(place, call);
    if (decoded?.contract !== "CodeGrants" || decoded.functionName !== "approveByVote") continue;
    const struct = decoded.args[0] as Grant;
    if (struct.modelId.toLowerCase() !== place.modelId.toLowerCase()) continue;
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
