/** The vote on a dispute, in words: its one call only says that the dispute ends as the vote did. */
import { disputeOf, pendingRoot, settleDispute } from "@cotrain/sdk/actions";
import { type Hex, zeroHash } from "@cotrain/sdk/protocol";
import { formatEther, isAddressEqual } from "viem";

import { kindText } from "./disputes.ts";
import type { MadeProposal } from "./proposals.ts";
import type { WordsPlace } from "./proposalWords.ts";
import { modelText } from "./saleWords.ts";

/** Whether a proposal is the vote on a dispute: the rewards opened it, and it makes the one call by which that ends. */
export function isDisputeVote({ addresses }: Pick<WordsPlace, "addresses">, proposal: MadeProposal): boolean {
  const { computeRewards } = addresses;
  const { proposer, targets, calldatas } = proposal;
  const selector = settleDispute.call({ addresses, modelId: zeroHash, number: 0 }).data.slice(0, 10);
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
  const [modelId, kind, number] = [id as Hex, Number(code), Number(named)];
  const [newest, pending] = await connection.call((client) =>
    Promise.all([disputeOf(client, { addresses, modelId, kind }), pendingRoot(client, { addresses, modelId, kind })]),
  );
  const model = await modelText(place, modelId);
  const which = `dispute ${number} about a root of ${kindText(kind)} of ${model}`;
  if (newest?.number !== number)
    return `ComputeRewards ends ${which} as its vote did; ${number < (newest?.number ?? 0) ? "it has ended, and this changes nothing" : "there is none yet"}.`;
  const { digest, disputer, bond, endedAt } = newest;
  if (endedAt !== 0) return `ComputeRewards ends ${which} as its vote did; it has ended, and this changes nothing.`;
  const root =
    pending?.digest === digest
      ? `root ${pending.index}, which pays for epochs ${pending.fromEpoch} to ${pending.toEpoch},`
      : "the root";
  return `This is the vote on ${which}: ${root} of attestation ${digest}, which ${disputer} disputed with a bond of ${formatEther(bond)} coins. "For" lets it stand, and "against" voids it. The side that has more must have a quorum by itself, and abstaining counts for neither; without one the root is void, too, and both bonds lose a fifth.`;
}
