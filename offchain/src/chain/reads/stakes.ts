/** What the contracts know of stake. */
import { activeStakeOf, stakeManagerOf } from "@cotrain/sdk/actions";

import type { ChainReader } from "../ports.ts";
import type { ReadFrom } from "./events.ts";

export function readStakes({ connection: { call }, addresses }: ReadFrom) {
  return {
    activeStake: (modelId, worker) =>
      call(async (chain) => {
        const stakes = await stakeManagerOf(chain, { addresses });
        return activeStakeOf(chain, { stakes, modelId, role: "worker", staker: worker });
      }),
  } satisfies Partial<ChainReader>;
}
