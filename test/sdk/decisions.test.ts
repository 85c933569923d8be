/** What holders decided, and what becomes of it when it is late, copied or overtaken. */
import { writeContract } from "viem/actions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelGovernorAbi } from "@cotrain/sdk/abis";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { accept, carry, holders, isolated } from "./holders.ts";
import { bob, createWorld, params, stranger, type World } from "./world.ts";

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
