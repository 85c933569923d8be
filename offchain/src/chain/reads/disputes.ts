/** What the contracts know of disputes about a model's roots of one kind. */
import {
  bondOf,
  disputedRoot,
  disputeOf,
  disputeOutcome,
  modelContractsOf,
  proposalDeadline,
} from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";

import type { ChainReader, RootReader, RootRuling } from "../ports.ts";
import type { ReadFrom } from "./events.ts";

const rulings: Readonly<Record<number, RootRuling>> = {
  [disputeOutcome.stands]: "stands",
  [disputeOutcome.void]: "void",
  [disputeOutcome.undecided]: "undecided",
};

export function readRulings({ connection: { call }, addresses }: ReadFrom) {
  return {
    rulingOn: async (digest) => {
      const dispute = await call((chain) => disputeOf(chain, { addresses, digest }));
      return dispute && rulings[dispute.outcome];
    },
  } satisfies Partial<ChainReader>;
}

/** @param kind of `rewardKind` */
export function readDisputes({ connection: { call }, addresses }: ReadFrom, kind: number) {
  return {
    openDispute: async (modelId) => {
      const { digest } = await call((chain) => disputedRoot(chain, { addresses, modelId, kind }));
      if (digest === undefined) return undefined;
      const found = await call((chain) => disputeOf(chain, { addresses, digest }));
      // It may have ended between the two.
      if (!found || found.endedAt !== 0) return undefined;
      const { disputer, bond, proposalId } = found;
      const votesUntil = await call(async (chain) => {
        const { governor } = await modelContractsOf(chain, { addresses, modelId });
        return proposalDeadline(chain, { governor, proposalId });
      });
      return { digest, disputer: asAddress(disputer), bond, proposalId, votesUntil: Number(votesUntil) };
    },
    disputeCost: (modelId) => call((chain) => bondOf(chain, { addresses, modelId, kind })),
  } satisfies Partial<RootReader>;
}
