/** The vote on a dispute, in words: its one call only says that the dispute ends as the vote did. */
import { pendingRoot, settleDispute } from "@cotrain/sdk/actions";
import { type Hex, zeroHash } from "@cotrain/sdk/protocol";
import { formatEther, isAddressEqual } from "viem";

import { kindText, namedDispute } from "./disputes.ts";
import type { MadeProposal } from "./proposals.ts";
import type { WordsPlace } from "./proposalWords.ts";
import { modelText } from "./saleWords.ts";

/** Whether a proposal is the vote on a dispute: the rewards opened it, and it makes the one call by which that ends. */
export function isDisputeVote({ addresses }: Pick<WordsPlace, "addresses">, proposal: MadeProposal): boolean {
  const { computeRewards } = addresses;
  const { proposer, targets, calldatas } = proposal;
  const selector = settleDispute.call({ addresses, modelId: zeroHash, digest: zeroHash }).data.slice(0, 10);
  return (
    isAddressEqual(proposer, computeRewards) &&
    targets.length === 1 &&
    targets.every((target) => isAddressEqual(target, computeRewards)) &&
    calldatas.every((data) => data.startsWith(selector))
  );
}

/** Of `settleDispute`. */
export async function disputeText(place: WordsPlace, [id, code, named]: readonly unknown[]): Promise<string> {
  const { connection, addresses } = place;
  const [modelId, kind, digest] = [id as Hex, Number(code), named as Hex];
  const [dispute, model] = [await namedDispute(place, [modelId, kind, digest]), await modelText(place, modelId)];
  // Its title is the contract's, and has the number alone.
  const paid = `${kindText(kind)} (kind ${kind})`;
  const what = `a root of ${paid} of ${model}`;
  if (!dispute)
    return `ComputeRewards ends a dispute about ${what} as its vote did, if there is such a dispute that has not ended.`;
  const { disputer, bond } = dispute;
  const pending = await connection.call((client) => pendingRoot(client, { addresses, modelId, kind }));
  const root =
    pending?.digest === digest
      ? `root ${pending.index} of ${paid} of ${model}, which pays for epochs ${pending.fromEpoch} to ${pending.toEpoch}`
      : what;
  return `This is the vote on the dispute about ${root}: ${disputer} disputed attestation ${digest} with a bond of ${formatEther(bond)} coins. "For" lets the root stand, and "against" voids it. The side that has more must have a quorum by itself, and abstaining counts for neither; without one the root is refused, too, and both bonds lose a fifth.`;
}
