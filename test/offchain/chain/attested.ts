/** What validators sign of an epoch, also where it is false. */
import {
  type Address,
  type Attestation,
  canonicalJson,
  digestOfJson,
  domainFor,
  type Hex,
  typedDataOf,
} from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";

import { type EpochComputation, rewardTreeOf } from "../../../offchain/src/run/index.ts";
import type { World } from "./world.ts";

/** Signatures of these under an attestation, as it is posted with them. */
export const signaturesUnder = (
  { chainId, contracts }: Pick<World, "chainId" | "contracts">,
  attestation: Attestation,
  validators: readonly LocalAccount[],
): Promise<{ validator: Address; signature: Hex }[]> =>
  Promise.all(
    validators.map(async (account) => ({
      validator: account.address.toLowerCase() as Address,
      signature: await account.signTypedData(
        typedDataOf(domainFor(chainId, contracts.computeRewards), "Attestation", attestation),
      ),
    })),
  );

type Leaves = EpochComputation["rewards"]["leaves"];

/** What would be signed if an epoch had earned other amounts. */
export function withLeaves(
  { manifest, rewards, attestation, ...rest }: EpochComputation,
  change: (leaves: Leaves) => Leaves,
): EpochComputation {
  const other = { ...rewards, leaves: change(rewards.leaves) };
  const { root, total } = rewardTreeOf(other);
  const made = { ...manifest, root, total: total.toString(), rewards: digestOfJson(other) };
  return {
    ...rest,
    rewards: other,
    manifest: made,
    attestation: { ...attestation, root, total, epochDigest: digestOfJson(made) },
  };
}

/** The first account is paid so much. */
export const payingFirst =
  (amount: bigint) =>
  ([first, ...others]: Leaves): Leaves => [{ ...first!, amount: amount.toString() }, ...others];

/** Publishes what stands behind an attestation. */
export async function publishEpoch({ store }: Pick<World, "store">, computation: EpochComputation): Promise<void> {
  const { inputs, verdicts, rewards, manifest } = computation;
  for (const document of [inputs, verdicts, rewards, manifest])
    await store.put(new TextEncoder().encode(canonicalJson(document)));
}
