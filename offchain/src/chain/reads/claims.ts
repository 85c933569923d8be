/** What the contracts know of claims. */
import { unpaidLeaves } from "@cotrain/sdk/actions";
import { rewardKind } from "@cotrain/sdk/protocol";

import type { ChainReader } from "../ports.ts";
import type { ReadFrom } from "./events.ts";

export function readClaims({ connection: { call }, addresses }: ReadFrom) {
  return {
    // As of the newest block: a node need not know the state of older ones. What a reorganisation takes back is unpaid again.
    unpaidOf: async (modelId, { account, leaves }, kind = rewardKind.compute) =>
      leaves.length === 0 ? [] : call((chain) => unpaidLeaves(chain, { addresses, modelId, account, kind, leaves })),
  } satisfies Partial<ChainReader>;
}
