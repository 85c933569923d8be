import { Contract, type Signer } from "ethers";
import { modelSharesAbi } from "@cotrain/sdk/abis";
import { castVote, delegate } from "@cotrain/sdk/actions";
import { fromEthersSigner } from "@cotrain/sdk/ethers";

type Address = `0x${string}`;

/** Three ways from an ethers v6 signer to a contract. */
export async function voteWithEthers(signer: Signer, shares: Address, governor: Address, proposalId: bigint) {
  // Every action takes a client, and a signer becomes one.
  const client = await fromEthersSigner(signer);
  await delegate.sync(client, { shares, delegatee: client.account.address });
  // Every write's call is a transaction request.
  const { to, data } = castVote.call({ governor, proposalId, support: "for" });
  const sent = await signer.sendTransaction({ to, data });
  await sent.wait();
  // Every ABI is one for ethers too.
  const contract = new Contract(shares, modelSharesAbi, signer);
  return (await contract.getFunction("getVotes").staticCall(client.account.address)) as bigint;
}
