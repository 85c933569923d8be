/** A staged world's revenue, with wallets of `buyer`, `stranger`, `validator-1` and `validator-2`: who holds shares, and who signs. */
import { join } from "node:path";

import { pendingRoot, postRoot } from "@cotrain/sdk/actions";
import { type Attestation, type Hex, rewardKind, structHash } from "@cotrain/sdk/protocol";

import { connect } from "../../../offchain/src/chain/index.ts";
import { revenueAccounts, type RevenueStatement } from "../../../offchain/src/run/index.ts";
import { lookingThrough } from "../../../offchain/src/validator/index.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { poster, validators } from "../chain/world.ts";
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
        await told("revenue", "attest", file, ...at(), ...stage.by(name), "--yes", "--first");
      const { contracts: addresses, modelId } = stage.world;
      const { activatableAt } = (await pendingRoot(stage.client, { addresses, modelId, kind: rewardKind.revenue }))!;
      await stage.client.setNextBlockTimestamp({ timestamp: BigInt(activatableAt!) });
      await stage.client.mine({ blocks: 1 });
      await told("revenue", "activate", ...at(), ...stage.by("stranger"));
    },
  };
}

/**
 * Posts a root of what `stranger` pays, with all signatures.
 * @param forge what is signed in place of what is due
 * @returns the digest of what was signed
 */
export async function postRevenue(
  stage: Staged,
  forge = ({ struct }: RevenueStatement): Attestation => struct,
): Promise<Hex> {
  const { nextEpoch, overBy } = capitalStage(stage);
  await nextEpoch();
  const signing = ["--state", stage.state, ...stage.by("stranger"), "--yes"];
  const paid = await told<{ epoch: number }>("revenue", "deposit", "1.5", ...signing);
  await overBy(BigInt(paid.epoch));
  const { chainId, contracts, fromBlock, modelId } = stage.world;
  const connection = await connect({ rpcUrl: stage.node.url, chainId });
  const { reader } = lookingThrough(connection, { contracts, fromBlock });
  const attestation = forge((await revenueAccounts({ reader, connection, fromBlock }).next(modelId, 1))!);
  const signatures = (await signaturesUnder(stage.world, attestation, validators)).map(({ signature }) => signature);
  const post = { addresses: contracts, attestation, signatures, account: poster, pollingInterval: 20 };
  await postRoot.sync(stage.client, post);
  return structHash("Attestation", attestation);
}
