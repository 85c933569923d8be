import type { Account, Chain, Client, Transport } from "viem";
import { waitForTransactionReceipt } from "viem/actions";
import { cotrainActions } from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";
import { createCoordinatorClient, type RunId } from "@cotrain/sdk/protocol";

/** Claims what the client's account has earned under all roots, and makes its shares vote. */
export async function claimAndDelegate(
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
  if (unpaid.length === 0) return 0n;
  const args = { claims: [{ modelId, beneficiary, leaves: unpaid }] };
  await client.claimMany.simulate(args); // throws what sending it would
  const hash = await client.claimMany(args); // one transfer, however many roots
  const receipt = await waitForTransactionReceipt(wallet, { hash });
  const shares = await client.sharesOf({ modelId });
  await client.delegate.sync({ shares, delegatee: beneficiary }); // send and wait in one
  return client.claimMany.extractEvent(receipt)[0]?.amount ?? 0n;
}
