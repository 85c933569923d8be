import type { Account, Chain, Client, Transport } from "viem";
import { cotrainActions } from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";
import { createCoordinatorClient, type RunId } from "@cotrain/sdk/protocol";

/** Claims what the client's account has earned under all roots, and makes its shares vote. @returns what was paid, in share wei */
export async function claimAndVote(
  wallet: Client<Transport, Chain | undefined, Account>,
  addresses: ContractAddresses,
  coordinator: string,
  runId: RunId,
) {
  const client = wallet.extend(cotrainActions({ addresses }));
  const { modelId } = await client.runOf({ runId });
  const beneficiary = client.account.address;
  const { leaves } = await createCoordinatorClient(coordinator).reward(runId, beneficiary);
  const earned = leaves.map((leaf) => ({ ...leaf, amount: BigInt(leaf.amount) }));
  const unpaid = await client.unpaidLeaves({ modelId, account: beneficiary, leaves: earned }); // the chain knows
  // One batch where the wallet makes such (EIP-5792), else one transaction after the other; nothing where nothing is left to do.
  const { amount } = await client.claimAndDelegate({ modelId, leaves: unpaid });
  return amount;
}
