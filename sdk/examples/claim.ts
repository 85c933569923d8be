import type { Account, Chain, Client, Transport } from "viem";
import { waitForTransactionReceipt } from "viem/actions";
import { cotrainActions } from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";
import { ComputeRewardsInvalidProofError } from "@cotrain/sdk/errors";
import { createCoordinatorClient, type RunId } from "@cotrain/sdk/protocol";

/** Claims what the client's account has earned, and makes its shares vote. */
export async function claimAndDelegate(
  wallet: Client<Transport, Chain | undefined, Account>,
  addresses: ContractAddresses,
  coordinator: string,
  runId: RunId,
) {
  const client = wallet.extend(cotrainActions({ addresses }));
  const { modelId } = await client.runOf({ runId });
  const beneficiary = client.account.address;
  const { cumulative, proof } = await createCoordinatorClient(coordinator).reward(runId, beneficiary);
  const args = { modelId, beneficiary, cumulative: BigInt(cumulative), proof };
  try {
    await client.claim.simulate(args); // throws what sending it would
  } catch (error) {
    if (error instanceof ComputeRewardsInvalidProofError) return 0n; // a newer root is active: ask again
    throw error;
  }
  const hash = await client.claim(args);
  const receipt = await waitForTransactionReceipt(wallet, { hash });
  const shares = await client.sharesOf({ modelId });
  await client.delegate.sync({ shares, delegatee: beneficiary }); // send and wait in one
  return client.claim.extractEvent(receipt)?.amount ?? 0n;
}
