/** A staged world's revenue, with wallets of `buyer`, `stranger`, `validator-1` and `validator-2`: who holds shares, and who signs. */
import { join } from "node:path";

import { pendingRoot } from "@cotrain/sdk/actions";
import { rewardKind } from "@cotrain/sdk/protocol";

import { capitalStage } from "./capitalStage.ts";
import { type Staged, told } from "./staged.ts";
import { temporaryDirectory } from "./support.ts";

export function revenueStage(stage: Staged) {
  const { nextEpoch, overBy } = capitalStage(stage);
  const at = () => ["--state", stage.state];
  return {
    /** The buyer holds all shares that there are, from before the present epoch on. */
    buyShares: async (): Promise<void> => {
      await nextEpoch();
      const by = stage.by("buyer");
      const { epoch } = await told<{ epoch: string }>("capital", "deposit", "2", ...at(), ...by, "--yes");
      await overBy(BigInt(epoch));
      await told("capital", "claim", ...at(), ...by);
      await nextEpoch();
    },
    /** What arrived by the end of the present epoch is signed, posted and active. */
    shareOut: async (): Promise<void> => {
      await nextEpoch();
      const file = join(temporaryDirectory(), "revenue.json");
      for (const name of ["validator-1", "validator-2"])
        await told("revenue", "attest", file, ...at(), ...stage.by(name), "--yes");
      const { contracts: addresses, modelId } = stage.world;
      const { activatableAt } = (await pendingRoot(stage.client, { addresses, modelId, kind: rewardKind.revenue }))!;
      await stage.client.setNextBlockTimestamp({ timestamp: BigInt(activatableAt!) });
      await stage.client.mine({ blocks: 1 });
      await told("revenue", "activate", ...at(), ...stage.by("stranger"));
    },
  };
}
