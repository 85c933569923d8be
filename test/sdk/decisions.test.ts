/** What holders decided, and what becomes of it when it is late, copied or overtaken. */
import { writeContract } from "viem/actions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelGovernorAbi } from "@cotrain/sdk/abis";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { accept, carry, holders, isolated } from "./holders.ts";
import { alice, bob, createWorld, params, share, stranger, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const change = { ...params, innerSteps: 128 };

describe("a proposal", () => {
  it("of two accepted changes of one version the first that is executed holds", async () => {
    await isolated(world, async () => {
      const { clientOf, addresses, runId, governor } = world;
      await holders(world);
      const calls = [actions.setParams.call({ addresses, runId, replaces: 1, params: change })];
      const first = await accept(world, calls, "Twice the inner steps");
      const second = await accept(world, calls, "And once more");
      await actions.execute.sync(clientOf(stranger), { governor, proposal: second });
      const late = actions.execute(clientOf(stranger), { governor, proposal: first });
      await expect(late).rejects.toBeInstanceOf(errors.RunRegistryParamsReplacedError);
      await expect(late).rejects.toThrow(
        `Run ${runId} has parameters 2 by now, and this decision replaces parameters 1; propose it anew.`,
      );
    });
  });

  it("is nobody else's to make, wherever its description names its proposer", async () => {
    await isolated(world, async () => {
      const { clientOf, addresses, runId, governor } = world;
      await holders(world);
      const calls = [actions.setParams.call({ addresses, runId, replaces: 1, params: change })];
      const suffix = `#proposer=${alice.address.toLowerCase()}`;
      const within = `As ${suffix} said`;
      expect(actions.proposalOf(calls, within, alice.address).description).toBe(`${within} ${suffix}`);
      // What ends in it says it once, in whatever case.
      const ended = `Twice the inner steps #proposer=${alice.address}`;
      const proposal = actions.proposalOf(calls, ended, alice.address);
      expect(proposal.description).toBe(ended);
      for (const description of [within, ended])
        await expect(
          actions.propose(clientOf(bob), { governor, calls, description, proposer: alice.address }),
        ).rejects.toBeInstanceOf(errors.GovernorRestrictedProposerError);
      const { event } = await actions.propose.sync(clientOf(alice), { governor, calls, description: ended });
      expect(event.proposalId).toBe(actions.proposalIdOf(proposal));
    });
  });

  it("expires three weeks after it could be executed", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId, governor } = world;
      await holders(world);
      const calls = [actions.setParams.call({ addresses, runId, replaces: 1, params: change })];
      const proposal = await accept(world, calls, "Twice the inner steps");
      const proposalId = actions.proposalIdOf(proposal);
      const expiry = await actions.proposalExpiry(client, { governor, proposalId });
      expect(expiry).toBe((await actions.proposalEta(client, { governor, proposalId })) + 21n * 86_400n);
      await world.advanceTo(expiry);
      expect(await actions.proposalState(client, { governor, proposalId })).toBe("queued");
      await world.advanceTo(expiry + 1n);
      expect(await actions.proposalState(client, { governor, proposalId })).toBe("expired");
      await expect(actions.execute(clientOf(stranger), { governor, proposal })).rejects.toThrow(
        `Proposal ${proposalId} is expired; it must be queued.`,
      );
    });
  });

  it("that nobody queues expires three weeks after its vote", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId, governor } = world;
      await holders(world);
      const calls = [actions.setParams.call({ addresses, runId, replaces: 1, params: change })];
      const proposal = await carry(world, calls, "Twice the inner steps");
      const which = { governor, proposalId: actions.proposalIdOf(proposal) };
      const expiry = await actions.proposalExpiry(client, which);
      expect(expiry).toBe((await actions.proposalDeadline(client, which)) + 21n * 86_400n);
      await world.advanceTo(expiry);
      expect(await actions.proposalState(client, which)).toBe("succeeded");
      await world.advanceTo(expiry + 1n);
      expect(await actions.proposalState(client, which)).toBe("expired");
      await expect(actions.queue(clientOf(stranger), { governor, proposal })).rejects.toThrow(
        `Proposal ${which.proposalId} is expired; it must be succeeded.`,
      );
    });
  });

  it("proposed by the plain ABI, without a name, cannot be cancelled by whoever sent it first", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId, governor } = world;
      await holders(world);
      const { to, data } = actions.setStatus.call({ addresses, runId, status: 1 });
      const proposal = { targets: [to], values: [0n], calldatas: [data], description: "Pause" };
      const { targets, values, calldatas, description } = proposal;
      await writeContract(clientOf(bob), {
        address: governor,
        abi: modelGovernorAbi,
        functionName: "propose",
        args: [targets, values, calldatas, description],
        chain: null,
      });
      const proposalId = actions.proposalIdOf(proposal);
      expect(await actions.proposalProposer(client, { governor, proposalId })).toBe(bob.address);
      const cancelled = actions.cancel(clientOf(bob), { governor, proposal });
      await expect(cancelled).rejects.toBeInstanceOf(errors.GovernorUnableToCancelError);
      await expect(cancelled).rejects.toThrow("if the description ends in #proposer= and its address.");
      expect(await actions.proposalState(client, { governor, proposalId })).toBe("pending");
    });
  });
});

/** Calls that have votes go otherwise, each by the name of what it sets. */
const settingCalls = () => {
  const { governor, timelock } = world;
  return {
    votingDelay: actions.setVotingDelay.call({ governor, seconds: 7 }),
    votingPeriod: actions.setVotingPeriod.call({ governor, seconds: 432_000 }),
    lateQuorumVoteExtension: actions.setLateQuorumVoteExtension.call({ governor, seconds: 9 }),
    timelockDelay: actions.setTimelockDelay.call({ timelock, seconds: 11n }),
    proposalThreshold: actions.setProposalThreshold.call({ governor, votes: 2n * share }),
    quorumBps: actions.setQuorum.call({ governor, bps: 400n }),
  };
};

describe("how votes go", () => {
  it("is set by a vote, each setting by a call of its own, which leaves its event", async () => {
    await isolated(world, async () => {
      const { client, clientOf, governor } = world;
      await holders(world);
      const before = await actions.governorSettings(client, { governor });
      const proposal = await accept(world, Object.values(settingCalls()), "Longer votes");
      const { receipt } = await actions.execute.sync(clientOf(stranger), { governor, proposal });
      expect(await actions.governorSettings(client, { governor })).toEqual({
        ...before,
        votingDelay: 7n,
        votingPeriod: 432_000n,
        lateQuorumVoteExtension: 9n,
        timelockDelay: 11n,
        proposalThreshold: 2n * share,
        quorumBps: 400n,
      });
      expect(actions.setVotingDelay.extractEvent(receipt)).toMatchObject({ newVotingDelay: 7n });
      expect(actions.setVotingPeriod.extractEvent(receipt)).toMatchObject({ newVotingPeriod: 432_000n });
      expect(actions.setLateQuorumVoteExtension.extractEvent(receipt)).toMatchObject({ newVoteExtension: 9n });
      expect(actions.setTimelockDelay.extractEvent(receipt)).toMatchObject({ oldDuration: 3n, newDuration: 11n });
      expect(actions.setProposalThreshold.extractEvent(receipt)).toMatchObject({ newProposalThreshold: 2n * share });
      expect(actions.setQuorum.extractEvent(receipt)).toMatchObject({ newQuorumNumerator: 400n });
    });
  });

  it("is what nobody but the timelock sets, within bounds that no vote moves", async () => {
    const { client, clientOf, governor, timelock } = world;
    await expect(
      actions.setVotingPeriod.simulate(client, { governor, seconds: 9, account: timelock }),
    ).rejects.toBeInstanceOf(errors.ContractError);
    await expect(actions.setVotingPeriod(clientOf(stranger), { governor, seconds: 9 })).rejects.toBeInstanceOf(
      errors.GovernorOnlyExecutorError,
    );
    await expect(actions.setTimelockDelay(clientOf(stranger), { timelock, seconds: 9n })).rejects.toBeInstanceOf(
      errors.TimelockUnauthorizedCallerError,
    );
    const simulated = (...calls: actions.ProposalCall[]) =>
      actions.simulateExecution(client, { governor, timelock, calls });
    const { proposalThreshold: _, ...others } = settingCalls();
    await simulated(...Object.values(others));
    // Alone, it would be longer than a vote is now.
    await expect(simulated(others.lateQuorumVoteExtension)).rejects.toBeInstanceOf(
      errors.GovernorPreventLateQuorumVoteExtensionTooLargeError,
    );
    const month = 30 * 86_400;
    for (const call of [
      actions.setVotingDelay.call({ governor, seconds: 0 }),
      actions.setVotingPeriod.call({ governor, seconds: month + 1 }),
      actions.setLateQuorumVoteExtension.call({ governor, seconds: 0 }),
      actions.setProposalThreshold.call({ governor, votes: 2n ** 96n }),
      actions.setQuorum.call({ governor, bps: 2_001n }),
    ])
      await expect(simulated(call)).rejects.toBeInstanceOf(errors.ModelGovernorSettingOutOfBoundsError);
    await expect(simulated(actions.setVotingPeriod.call({ governor, seconds: month }))).rejects.toBeInstanceOf(
      errors.ModelGovernorVoteTooLongError,
    );
    // Nothing of it stays.
    await expect(
      actions.setVotingPeriod.simulate(client, { governor, seconds: 9, account: timelock }),
    ).rejects.toBeInstanceOf(errors.ContractError);
    await expect(
      actions.setTimelockDelay.simulate(client, { timelock, seconds: BigInt(month) + 1n, account: timelock }),
    ).rejects.toBeInstanceOf(errors.ModelTimelockDelayOutOfBoundsError);
  });
});
