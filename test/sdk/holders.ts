/** Two holders of the world's model, and how far they get with a proposal. */
import { expect } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import { alice, bob, share, stranger, type World } from "./world.ts";

/** Runs some calls and puts the chain back to where it was, so that each begins alike. */
export async function isolated(world: World, work: () => Promise<void>): Promise<void> {
  const snapshot = await world.request<{ ReturnType: string }>({ method: "evm_snapshot" } as never);
  try {
    await work();
  } finally {
    await world.request({ method: "evm_revert", params: [snapshot] } as never);
  }
}

/** Two holders with claimed and delegated shares. */
export async function holders(world: World): Promise<void> {
  const { clientOf, addresses, modelId, shares } = world;
  const tree = await world.reward([
    { account: alice.address, amount: 300n * share },
    { account: bob.address, amount: 100n * share },
  ]);
  for (const holder of [alice, bob]) {
    const entry = tree.proofOf(holder.address)!;
    const { index } = tree;
    await actions.claim.sync(clientOf(holder), { addresses, modelId, beneficiary: holder.address, index, ...entry });
    const { event } = await actions.delegate.sync(clientOf(holder), { shares, delegatee: holder.address });
    expect(event).toMatchObject({ delegator: holder.address, toDelegate: holder.address });
  }
}

/** A proposal that passed and may be queued. */
export async function carry(
  world: World,
  calls: readonly actions.ProposalCall[],
  description: string,
): Promise<actions.Proposal> {
  const { client, clientOf, governor } = world;
  const { event } = await actions.propose.sync(clientOf(alice), { governor, calls, description });
  const { proposalId } = event;
  await world.advanceTo(1n + (await actions.proposalSnapshot(client, { governor, proposalId })));
  await actions.castVote.sync(clientOf(alice), { governor, proposalId, support: "for" });
  await world.advanceTo(1n + (await actions.proposalDeadline(client, { governor, proposalId })));
  return event;
}

/** A proposal that passed and may be executed. */
export async function accept(
  world: World,
  calls: readonly actions.ProposalCall[],
  description: string,
): Promise<actions.Proposal> {
  const { client, clientOf, governor } = world;
  const proposal = await carry(world, calls, description);
  await actions.queue.sync(clientOf(stranger), { governor, proposal });
  const proposalId = actions.proposalIdOf(proposal);
  await world.advanceTo(await actions.proposalEta(client, { governor, proposalId }));
  return proposal;
}
