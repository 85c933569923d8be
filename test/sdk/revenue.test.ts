/** Revenue, from the deposit to the claim, by the SDK's actions alone. */
import { domainFor, rewardKind, rewardTree, typedDataOf } from "@cotrain/sdk/protocol";
import { erc20Abi, parseAbi, zeroAddress, zeroHash } from "viem";
import { readContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { isolated } from "./holders.ts";
import { alice, bob, createWorld, hashOf, modelConfig, organiser, stranger, validators, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const kind = rewardKind.revenue;
const revenueOf = () => actions.revenueDepositsOf(world.client, { addresses: world.addresses });
const dollarsOf = (account: `0x${string}`) =>
  readContract(world.client, { address: world.testDollar, abi: erc20Abi, functionName: "balanceOf", args: [account] });

async function mint(to: `0x${string}`, amount: bigint): Promise<void> {
  const hash = await writeContract(world.clientOf(alice), {
    address: world.testDollar,
    abi: parseAbi(["function mint(address to, uint256 amount)"]),
    functionName: "mint",
    args: [to, amount],
    chain: null,
  });
  await waitForTransactionReceipt(world.client, { hash });
}

/** Pays as a customer. */
async function pay(amount: bigint) {
  const revenue = await revenueOf();
  await mint(alice.address, amount);
  await actions.allowRevenue.sync(world.clientOf(alice), { token: world.testDollar, revenue, amount });
  return actions.depositRevenue.sync(world.clientOf(alice), { revenue, modelId: world.modelId, amount });
}

it("arrives, is set aside by a root, and is claimed like pay for compute", async () => {
  await isolated(world, async () => {
    const { addresses, client, clientOf, modelId } = world;
    const revenue = await revenueOf();
    expect(await actions.revenueBookOf(client, { revenue, modelId })).toBeUndefined();
    const { event } = await pay(1_000n);
    expect(event).toMatchObject({ modelId, payer: alice.address, amount: 1_000n });
    const { epoch } = event;
    const opened = await actions.getAllLogs(client, actions.revenueOpened({ revenue, modelId }), { from: 0n });
    const book = await actions.revenueBookOf(client, { revenue, modelId });
    expect(opened.logs.map(({ args }) => args.vault)).toEqual([book!.vault]);
    expect(book).toMatchObject({ held: 1_000n, arrived: 1_000n, setAside: 0n });
    expect(await actions.revenueArrivedThrough(client, { revenue, modelId, epoch: epoch - 1n })).toBe(0n);
    expect(await actions.revenueAvailable(client, { revenue, modelId, to: epoch })).toBe(1_000n);
    const paid = await actions.getAllLogs(client, actions.revenueDeposited({ revenue, modelId, epoch }), { from: 0n });
    expect(paid.logs.map(({ args }) => args)).toEqual([event]);

    const end = await actions.epochEnd(client, { addresses, modelId, epoch });
    await world.advanceTo(end);
    const tree = rewardTree({ modelId, index: 1, kind }, [
      { account: bob.address, amount: 600n },
      { account: stranger.address, amount: 400n },
    ]);
    const { postingDelay } = await actions.scheduleOf(client, { addresses, modelId });
    const attestation = {
      kind,
      modelId,
      index: 1n,
      fromEpoch: 1n,
      toEpoch: epoch,
      runId: zeroHash,
      head: zeroHash,
      epochDigest: hashOf("revenue manifest"),
      previousRoot: zeroHash,
      root: tree.root,
      total: tree.total,
      setVersion: await actions.currentSetVersion(client, { addresses, modelId }),
      blockNumber: 1n,
      blockHash: hashOf("block"),
      deadline: BigInt(end + postingDelay),
    } as never as Parameters<typeof actions.postRoot.sync>[1]["attestation"];
    const domain = domainFor(31337, addresses.computeRewards);
    const signatures = await Promise.all(
      validators.slice(0, 2).map((each) => each.signTypedData(typedDataOf(domain, "Attestation", attestation))),
    );
    const posted = await actions.postRoot.sync(clientOf(stranger), { addresses, attestation, signatures });
    expect(await actions.pendingRoot(client, { addresses, modelId, kind })).toMatchObject({ index: 1 });
    expect(await actions.pendingRoot(client, { addresses, modelId })).toBeUndefined();
    await world.advanceTo(posted.event.activatableAt);
    await actions.activateRoot.sync(clientOf(stranger), { addresses, attestation });
    expect(await actions.revenueBookOf(client, { revenue, modelId })).toMatchObject({ setAside: 1_000n });
    const aside = await actions.getAllLogs(client, actions.revenueSetAside({ revenue, modelId }), { from: 0n });
    expect(aside.logs.map(({ args }) => args)).toEqual([{ modelId, from: 1n, to: epoch, amount: 1_000n }]);
    const ofKind = (wanted: number) =>
      actions.getAllLogs(client, actions.rootActivated({ addresses, modelId, kind: wanted }), { from: 0n });
    expect((await ofKind(kind)).logs.length).toBe(1);
    expect((await ofKind(rewardKind.compute)).logs.length).toBe(0);

    const leaf = { index: 1, ...tree.proofOf(bob.address)! };
    const claims = [{ modelId, kind, beneficiary: bob.address, leaves: [leaf] }];
    await actions.claimMany.sync(clientOf(stranger), { addresses, claims });
    expect(await dollarsOf(bob.address)).toBe(600n);
    const left = await actions.unpaidLeaves(client, { addresses, modelId, kind, account: bob.address, leaves: [leaf] });
    expect(left).toEqual([]);
    expect(actions.misWired(await actions.modelWiring(client, { addresses, modelId }))).toEqual([]);
  });
});

it("what was only sent is counted by anybody", async () => {
  await isolated(world, async () => {
    const { clientOf, client, modelId } = world;
    const revenue = await revenueOf();
    const opened = await actions.countRevenue.sync(clientOf(stranger), { revenue, modelId });
    expect(opened.event).toBeUndefined();
    const { vault } = (await actions.revenueBookOf(client, { revenue, modelId }))!;
    await mint(vault, 7n);
    const counted = await actions.countRevenue.sync(clientOf(stranger), { revenue, modelId });
    expect(counted.event).toMatchObject({ payer: zeroAddress, amount: 7n });
  });
});

it("a model without a capital token takes none, in words", async () => {
  await isolated(world, async () => {
    const { addresses, clientOf } = world;
    const created = await actions.createModel.sync(clientOf(organiser), {
      addresses,
      config: modelConfig,
      salt: `0x${"01".repeat(32)}`,
    });
    const { modelId } = created.event;
    const refused = actions.depositRevenue.simulate(clientOf(alice), {
      revenue: await revenueOf(),
      modelId,
      amount: 1n,
    });
    await expect(refused).rejects.toBeInstanceOf(errors.RevenueDepositsNoneError);
  });
});
