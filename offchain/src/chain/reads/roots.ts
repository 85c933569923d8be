/** What the contracts know of a model's roots of one kind: in its window, active, posted before. */
import {
  activeRoot,
  ageJudgedAt,
  disputeOf,
  disputeOutcome,
  pendingRoot,
  postedSignatures,
} from "@cotrain/sdk/actions";
import type { Attestation, Hex, ModelId } from "@cotrain/sdk/protocol";

import { RetryableError } from "../../base/index.ts";
import { memo2 } from "../agreed.ts";
import type { PostedRoot, RootReader } from "../ports.ts";
import { rootSigners } from "../signers.ts";
import type { ReadFrom, RootEvents } from "./events.ts";

/** What of an attestation holders decide about; all else is another block, head or deadline. */
const contents = ["kind", "index", "fromEpoch", "toEpoch", "root", "total"] as const;

async function isVoided(
  { call, addresses }: Pick<ReadFrom["connection"], "call"> & Pick<ReadFrom, "addresses">,
  posted: readonly PostedRoot[],
  attestation: Attestation,
): Promise<boolean> {
  for (const { attestation: before, digest } of posted) {
    if (contents.some((field) => before[field] !== attestation[field])) continue;
    const dispute = await call((chain) => disputeOf(chain, { addresses, digest }));
    if (dispute?.outcome === disputeOutcome.void && dispute.voted) return true;
  }
  return false;
}

/** @param kind of `rewardKind`, whose roots the events are of */
export function readRoots({ connection: { call, chainId }, addresses }: ReadFrom, events: RootEvents, kind: number) {
  // The contract keeps the struct hash alone; what it is the hash of never changes.
  const signed = memo2(async (modelId: ModelId, digest: Hex): Promise<PostedRoot> => {
    const isThere = (roots: readonly PostedRoot[]): boolean => roots.some((root) => root.digest === digest);
    const found = (await events.newRoots(modelId, isThere)).findLast((root) => root.digest === digest);
    if (!found)
      throw new RetryableError("CHAIN_RPC", `The chain's RPC leaves out the posting of the attestation ${digest}.`, {
        details: { digest },
      });
    return found;
  });
  return {
    activeRoot: async (modelId) => {
      const found = await call((chain) => activeRoot(chain, { addresses, modelId, kind }));
      return found && { index: found.index, root: found.root, total: found.total, epoch: found.toEpoch };
    },
    pendingRoot: async (modelId) => {
      const found = await call((chain) => pendingRoot(chain, { addresses, modelId, kind }));
      if (!found) return undefined;
      const { index, root, total, fromEpoch, epoch, deadline, attestation, digest } = await signed(
        modelId,
        found.digest,
      );
      const { activatableAt } = found;
      return { index, root, total, fromEpoch, epoch, activatableAt, deadline, attestation, digest };
    },
    ageJudgedAt: async (modelId) => {
      const time = await call((chain) => ageJudgedAt(chain, { addresses, modelId, kind }));
      return time === 0 ? undefined : time;
    },
    rootsOf: async (modelId, wanted) => [
      ...(await events.roots(modelId, (all) => wanted === undefined || all.some(({ root }) => root === wanted))),
    ],
    signersOf: async (posted) => {
      const { input } = await call((chain) => chain.getTransaction({ hash: posted.transaction }));
      const { attestation } = posted;
      const signatures = postedSignatures(input, attestation) ?? [];
      const signers = new Map(await rootSigners(chainId, addresses, attestation, signatures));
      return signers.size === 0 ? undefined : [...signers.keys()].toSorted();
    },
    isVoided: async (modelId, attestation) => {
      const posted = await events.roots(modelId, () => true);
      return isVoided({ call, addresses }, posted, attestation);
    },
    activationsOf: async (modelId) => [...(await events.activations(modelId))],
  } satisfies Partial<RootReader>;
}
