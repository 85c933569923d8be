/** What the contracts know of disputes about a model's roots. */
import { bondOf, disputeOf, disputeOutcome, modelContractsOf, proposalDeadline, ruledOf } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";

import type { ChainReader, RootRuling } from "../ports.ts";
import type { ReadFrom } from "./events.ts";

const rulings: Readonly<Record<number, RootRuling>> = {
  [disputeOutcome.stands]: "stands",
  [disputeOutcome.void]: "void",
  [disputeOutcome.undecided]: "undecided",
};

export function readDisputes({ connection: { call }, addresses }: ReadFrom) {
  return {
    rulingOn: async (digest) => {
      const ruled = await call((chain) => ruledOf(chain, { addresses, digest }));
      return ruled && rulings[ruled.outcome];
    },
    openDispute: async (modelId) => {
      const found = await call((chain) => disputeOf(chain, { addresses, modelId }));
      if (!found || found.endedAt !== 0) return undefined;
      const { digest, number, disputer, bond, proposalId } = found;
      const votesUntil = await call(async (chain) => {
        const { governor } = await modelContractsOf(chain, { addresses, modelId });
        return proposalDeadline(chain, { governor, proposalId });
      });
      return { digest, number, disputer: asAddress(disputer), bond, votesUntil: Number(votesUntil) };
    },
    disputeCost: (modelId) => call((chain) => bondOf(chain, { addresses, modelId })),
  } satisfies Partial<ChainReader>;
}
