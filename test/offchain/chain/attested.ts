/** What validators sign of an epoch. */
import { type Address, type Attestation, domainFor, type Hex, typedDataOf } from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";

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
