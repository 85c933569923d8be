import type { Account, Chain, Client, Transport } from "viem";
import {
  castVote,
  currentParamsVersion,
  governorOf,
  paramsOf,
  proposalState,
  propose,
  queue,
  runOf,
  setParams,
} from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";

type Wallet = Client<Transport, Chain | undefined, Account>;

/** Proposes another number of inner steps; `call` of any write is what a proposal executes. */
export async function proposeInnerSteps(
  client: Wallet,
  addresses: ContractAddresses,
  runId: `0x${string}`,
  innerSteps: number,
) {
  const version = await currentParamsVersion(client, { addresses, runId });
  const params = { ...(await paramsOf(client, { addresses, runId, version })), innerSteps };
  const { modelId } = await runOf(client, { addresses, runId });
  const governor = await governorOf(client, { addresses, modelId });
  const calls = [setParams.call({ addresses, runId, replaces: version, params })];
  const { event } = await propose.sync(client, { governor, calls, description: `H = ${innerSteps}` });
  return { governor, proposal: event };
}

type Made = Awaited<ReturnType<typeof proposeInnerSteps>>;

/** Does what the proposal's state asks for, with the same object that `propose` gave. */
export async function advance(client: Wallet, { governor, proposal }: Made) {
  const { proposalId } = proposal;
  const state = await proposalState(client, { governor, proposalId });
  if (state === "active") await castVote.sync(client, { governor, proposalId, support: "for" });
  if (state === "succeeded") await queue.sync(client, { governor, proposal });
  return state;
}
