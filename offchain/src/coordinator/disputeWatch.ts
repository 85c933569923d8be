/** Disputes about the run's roots: said in the log, settled when their votes are over, and told from a chain that went back. */
import { formatCoins, timeText } from "../base/index.ts";
import type { OpenDispute, RootView } from "../chain/index.ts";
import type { Run } from "./run.ts";

/** Doublings of a bond from which on somebody should look who disputes whose roots, and why. */
const ALARMING_LEVEL = 3;

export interface DisputeWatch {
  /** Looks at the dispute about the pending root: pay waits for whoever settles it. @param epoch the last that the root covers */
  look(epoch: number): Promise<void>;
  /** How the dispute ended that a root which is not pending any more did not survive; undefined where no dispute took it. */
  failureOf(lost: Pick<RootView, "epoch" | "root">): Promise<"void" | "undecided" | undefined>;
}

export function createDisputeWatch({ facts, modules: { chain, logger } }: Run): DisputeWatch {
  const { modelId } = facts;
  /** The attestation whose dispute was told of. */
  let known: string | undefined;
  let settling = false;

  async function tell(epoch: number, { digest, disputer, bond, votesUntil }: OpenDispute): Promise<void> {
    if (known === digest) return;
    const next = await chain.disputeCost(modelId);
    logger.warn(
      { epoch, digest, disputer, bond: formatCoins(bond), votesUntil: timeText(votesUntil) },
      "the root is disputed: holders vote on whether it stands, and pay of its epochs waits for that",
    );
    if (next.level >= ALARMING_LEVEL)
      logger.error(
        { level: next.level, bond: formatCoins(next.bond) },
        "roots of this model are disputed again and again: if this one falls, the next bears the bond that is named here",
      );
    known = digest;
  }

  async function settle(dispute: OpenDispute): Promise<void> {
    if (settling) return;
    settling = true;
    try {
      const { ruling } = await chain.settleDispute(modelId, dispute);
      logger.info({ digest: dispute.digest, ruling }, "the vote on the dispute is over, and it is settled");
    } catch (error) {
      logger.warn({ err: error }, "the dispute could not be settled, it is tried again");
    } finally {
      settling = false;
    }
  }

  return {
    look: async (epoch) => {
      const dispute = await chain.openDispute(modelId);
      if (!dispute) return;
      await tell(epoch, dispute);
      // Looks do not wait for a transaction.
      if ((await chain.chainTime()) > dispute.votesUntil) void settle(dispute);
    },
    failureOf: async ({ epoch, root }) => {
      const posted = (await chain.rootsOf(modelId)).findLast((each) => each.epoch === epoch && each.root === root);
      const ruling = posted && (await chain.rulingOn(posted.digest));
      return ruling === "stands" ? undefined : ruling;
    },
  };
}
