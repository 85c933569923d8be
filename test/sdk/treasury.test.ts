/** What holders decide about the treasury, who mints, and where a run goes on: drawn, spent by budgets, succeeded, rolled back. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { rewardKind } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";

import { accept, holders, isolated } from "./holders.ts";
import { alice, bob, createWorld, hashOf, poster, share, stranger, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
  await holders(world);
});
afterAll(() => world.close());

/** Carries out what the holders accept. */
async function decide(calls: readonly actions.Call[], description: string) {
  const { clientOf, governor } = world;
  const proposal = await accept(world, calls, description);
  return actions.execute.sync(clientOf(stranger), { governor, proposal });
}

it("is drawn from the emission by the holders, and spent by whom they name", async () => {
  const { addresses, client, clientOf, modelId, shares } = world;
  await isolated(world, async () => {
    const budgets = await actions.computeBudgetContractOf(client, { addresses });
    const treasury = await actions.timelockOf(client, { addresses, modelId });
    const kind = rewardKind.treasury;
    expect(await actions.distributorFor(client, { addresses, modelId, kind })).toBe(treasury);
    const terms = {
      recipient: bob.address,
      token: shares,
      perEpoch: 3n * share,
      expiry: (await world.now()) + 30 * 86_400,
    };
    const approval = { abi: erc20Abi, functionName: "approve", args: [budgets, 10n * share] } as const;
    const allow = { ...approval, address: shares, to: shares, value: 0n, data: encodeFunctionData(approval) };
    const { receipt } = await decide(
      [
        actions.drawTreasury.call({ addresses, modelId, amount: 10n * share }),
        allow,
        actions.openComputeBudget.call({ budgets, modelId, terms, purpose: "GPUs" }),
      ],
      "a budget",
    );
    expect(actions.drawTreasury.extractEvent(receipt)).toMatchObject({ kind, amount: 10n * share });
    expect(actions.openComputeBudget.extractEvent(receipt)).toMatchObject({ id: 1n, recipient: bob.address });
    expect(await actions.mintedOf(client, { addresses, modelId, kind })).toBe(10n * share);
    expect(await actions.foundersOf(client, { addresses, modelId })).toBe(0n);
    expect(await actions.computeBudgetCount(client, { budgets, modelId })).toBe(1n);

    const one = { budgets, modelId, id: 1n };
    const before = await actions.balanceOf(client, { shares, account: bob.address });
    const spent = await actions.spendComputeBudget.sync(clientOf(bob), { ...one, amount: 2n * share, memo: "one" });
    expect(spent.event).toMatchObject({ amount: 2n * share, memo: "one" });
    expect(await actions.balanceOf(client, { shares, account: bob.address })).toBe(before + 2n * share);
    expect(await actions.computeBudgetLeft(client, one)).toBe(share);
    expect(await actions.computeBudgetOf(client, one)).toMatchObject({ terms, total: 2n * share, revokedAt: 0 });
    const { logs } = await actions.getAllLogs(client, actions.computeBudgetSpent({ budgets, modelId }), { from: 0n });
    expect(logs.map(({ args }) => args.memo)).toEqual(["one"]);

    const spending = (from: typeof bob, amount: bigint, id = 1n) =>
      actions.spendComputeBudget.simulate(clientOf(from), { ...one, id, amount, memo: "two" });
    await expect(spending(bob, 100n * share)).rejects.toBeInstanceOf(errors.ComputeBudgetExceededError);
    await expect(spending(alice, 1n)).rejects.toBeInstanceOf(errors.ComputeBudgetNotRecipientError);
    await expect(spending(bob, 1n, 2n)).rejects.toBeInstanceOf(errors.ComputeBudgetUnknownError);
    const ended = await decide([actions.revokeComputeBudget.call(one)], "no budget");
    expect(actions.revokeComputeBudget.extractEvent(ended.receipt)).toMatchObject({ id: 1n });
    await expect(spending(bob, 1n)).rejects.toBeInstanceOf(errors.ComputeBudgetEndedError);
  });
});

it("says who takes over after fourteen days", async () => {
  const { addresses, client, modelId, shares } = world;
  await isolated(world, async () => {
    const kind = rewardKind.code;
    expect(await actions.successionOf(client, { addresses, modelId, kind })).toBeUndefined();
    const call = actions.nameSuccessor.call({ addresses, modelId, kind, successor: shares });
    const { receipt } = await decide([call], "a successor");
    const event = actions.nameSuccessor.extractEvent(receipt);
    expect(event).toMatchObject({ kind, successor: shares });
    expect(await actions.successionOf(client, { addresses, modelId, kind })).toEqual({
      successor: shares,
      from: event.from,
    });
    const grants = await actions.codeGrantsOf(client, { addresses });
    expect(await actions.distributorFor(client, { addresses, modelId, kind })).toBe(grants);
  });
});

it("has a run go back where the holders say so, and once another head follows does nothing", async () => {
  const { addresses, client, clientOf, runId } = world;
  await isolated(world, async () => {
    const first = await actions.headOf(client, { addresses, runId });
    const { event: head } = await actions.postHead.sync(clientOf(poster), {
      addresses,
      runId,
      parentHead: first.head,
      round: first.round + 1n,
      paramsVersion: 1,
      checkpointDigest: hashOf("false"),
      receiptsRoot: hashOf("receipts"),
    });
    const to = {
      addresses,
      runId,
      currentHead: head!.head,
      round: first.round,
      checkpointDigest: hashOf("back"),
    };
    await expect(actions.announceRollback.simulate(clientOf(stranger), to)).rejects.toBeInstanceOf(
      errors.CheckpointRegistryMayNotRollBackError,
    );
    await expect(actions.rollback.simulate(clientOf(stranger), to)).rejects.toBeInstanceOf(
      errors.CheckpointRegistryMayNotRollBackError,
    );
    expect(await actions.announcedRollback(client, { addresses, runId })).toBeUndefined();

    const { receipt } = await decide([actions.rollback.call(to)], "back");
    const event = actions.rollback.extractEvent(receipt);
    expect(event).toMatchObject({ currentHead: head!.head, round: first.round });
    expect(await actions.headOf(client, { addresses, runId })).toMatchObject({
      head: event.head,
      round: first.round,
      sequence: first.sequence + 2n,
    });
    const { logs } = await actions.getAllLogs(client, actions.rolledBack({ addresses, runId }), { from: 0n });
    expect(logs.map(({ args }) => args.head)).toEqual([event.head]);
    const account = await actions.timelockOf(client, { addresses, modelId: world.modelId });
    await expect(actions.rollback.simulate(client, { ...to, account })).rejects.toBeInstanceOf(
      errors.CheckpointRegistryStaleParentError,
    );
  });
});
