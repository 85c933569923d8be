/** What a root of revenue that was posted should be, for whoever watches. */
import { scheduleOf } from "@cotrain/sdk/actions";
import { endOfEpoch, rewardKind } from "@cotrain/sdk/protocol";

import { RetryableError } from "../base/index.ts";
import { type ChainReader, leftOut, type SignedRoot } from "../chain/index.ts";
import { type PaidFalsely, paidFalsely } from "./paidRoots.ts";
import { type Revenue, revenueAt } from "./revenue.ts";
import { confirmedBlock, type RevenueRootPlace, type RevenueSigned, signedAfter, timeAt } from "./revenueRoot.ts";
import { revenueLeaves } from "./revenueShares.ts";

/** Where a root that was posted is computed. */
export interface RecomputedPlace extends RevenueRootPlace {
  readonly reader: RevenueRootPlace["reader"] & Pick<ChainReader, "rootsOfKind" | "signersOf">;
}

type Posted = Pick<SignedRoot, "digest" | "attestation">;

const rootsOf = ({ reader }: RecomputedPlace) => reader.rootsOfKind(rewardKind.revenue);

/** @throws RetryableError `CHAIN_MOVED` where it is not in its window (any more) */
async function requirePending(place: RecomputedPlace, { digest }: Posted): Promise<void> {
  const pending = await rootsOf(place).pendingRoot(place.modelId);
  if (pending?.digest !== digest)
    throw new RetryableError("CHAIN_MOVED", `The root of attestation ${digest} is not in its window any more.`);
}

/**
 * Computes the root in its window anew, whoever signed it. What it pays follows from what was on-chain when its last epoch was over, so
 * that every block since says the same. Its deadline and the version of the set are its own: the contract took them. So is its block,
 * whichever it names, and be there none such: nothing that is paid follows from it, so that a dispute would hold up what is due, and a
 * reorganisation after the signing would make every true root one to dispute. Signers hold it against their own chain before they sign.
 * @returns undefined where there is nothing to set aside
 * @throws RetryableError `CHAIN_MOVED` where it is not in its window (any more), `EPOCH_NOT_OVER` where the node lags; as
 *   `computeRevenue`
 */
export async function recomputeRevenueRoot(
  place: RecomputedPlace,
  revenue: Revenue,
  posted: Posted,
): Promise<RevenueSigned | undefined> {
  const { connection, addresses, modelId } = place;
  const { toEpoch, deadline, blockNumber, blockHash, setVersion } = posted.attestation;
  await requirePending(place, posted);
  const tip = await confirmedBlock(place);
  const schedule = await connection.call((client) => scheduleOf(client, { addresses, modelId }));
  if ((await timeAt(place, tip)) < endOfEpoch(schedule, Number(toEpoch)))
    throw new RetryableError("EPOCH_NOT_OVER", `Epoch ${toEpoch} is not over at block ${tip.number}.`);
  const found = await signedAfter(place, revenue, await rootsOf(place).activeRoot(modelId), {
    toEpoch: Number(toEpoch),
    deadline: Number(deadline),
    block: { number: Number(blockNumber), hash: blockHash },
    setVersion,
    readTo: tip.number,
  });
  // One that became active meanwhile leaves nothing to set aside, and is the one before the next.
  await requirePending(place, posted);
  return found && { attestation: found.attestation, manifest: found.manifest };
}

/**
 * Active roots that are not what the chain says they should be. Nobody has to publish what such a root grants, so that whom it pays
 * what is not known; what was due is what it sets aside, shared out otherwise.
 * @throws as `revenueLeaves`; RetryableError `CHAIN_RPC` where the node leaves a posting out
 */
export async function revenuePaidFalsely(place: RecomputedPlace): Promise<PaidFalsely[]> {
  const { reader, modelId } = place;
  const active = await rootsOf(place).activeRoot(modelId);
  if (!active) return [];
  const { number } = await confirmedBlock(place);
  const { unsound } = await revenueLeaves(place, await revenueAt(place), [], BigInt(number));
  if (unsound.length === 0) return [];
  const posted = await rootsOf(place).rootsOf(modelId, active.root);
  return Promise.all(
    unsound.map((index) => {
      // What was activated is the last that was posted of its number.
      const root = posted.findLast((each) => each.index === index);
      if (!root) throw leftOut();
      return paidFalsely(reader, "revenue", root, { due: null, reason: "", accounts: null });
    }),
  );
}
