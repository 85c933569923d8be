/** Code is granted by maintainers or by a vote, paid over time, and revoked by a vote. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { domainFor, type Grant, grantIdOf, typedDataOf } from "@cotrain/sdk/protocol";
import { encodeFunctionData, sha256, stringToHex } from "viem";
import { getBlock } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";

import { accept, holders, isolated } from "./holders.ts";
import { alice, bob, createWorld, hashOf, organiser, share, stranger, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
  await holders(world);
});
afterAll(() => world.close());

const repository = "https://example.org/cotrain.git";
const maintainers = [organiser, bob].sort((a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1));

async function grantWith(terms: Partial<Grant> = {}): Promise<Grant> {
  const now = BigInt(await world.now());
  return {
    modelId: world.modelId,
    author: alice.address,
    repository: sha256(stringToHex(repository)),
    commit: `0x${"ab".repeat(20)}${"00".repeat(12)}`,
    description: sha256(stringToHex("What it does.")),
    amount: share,
    start: now,
    cliff: 400,
    duration: 1_000,
    setVersion: 1,
    deadline: now + 600n,
    ...terms,
  };
}

/** Carries out what the holders accept. */
async function decide(calls: readonly actions.Call[], description: string) {
  const { clientOf, governor } = world;
  const proposal = await accept(world, calls, description);
  return actions.execute.sync(clientOf(stranger), { governor, proposal });
}

/** The holders choose maintainers and give them room. */
async function choose(grants: `0x${string}`): Promise<void> {
  const { addresses, client, modelId } = world;
  const members = maintainers.map(({ address }) => address);
  const chosen = actions.setMaintainers.call({ addresses, modelId, replaces: 0, maintainers: members, threshold: 2 });
  const caps = actions.setGrantCaps.call({ grants, modelId, replaces: 0, perAuthor: 2n * share, perEpoch: 3n * share });
  const { receipt } = await decide([chosen, caps], "maintainers");
  expect(actions.setMaintainers.extractEvent(receipt)).toMatchObject({
    version: 1,
    threshold: 2,
    maintainers: members,
  });
  expect(actions.setGrantCaps.extractEvent(receipt)).toMatchObject({ perAuthor: 2n * share, perEpoch: 3n * share });
  expect(await actions.newestMaintainers(client, { addresses, modelId })).toBe(1);
  const { effectiveAt } = await actions.maintainersOf(client, { addresses, modelId, version: 1 });
  await world.advanceTo(effectiveAt);
  expect(await actions.currentMaintainers(client, { addresses, modelId })).toBe(1);
}

const logsOf = async (query: Parameters<typeof actions.getAllLogs>[1], from: bigint) =>
  (await actions.getAllLogs(world.client, query, { from })).logs.map((log) => log.args);

it("maintainers approve what is paid over time, within caps", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId, shares } = world;
    const grants = await actions.codeGrantsOf(client, { addresses });
    await choose(grants);
    const grant = await grantWith();
    const id = grantIdOf(grant);
    const signed = async (struct: Grant, signers = maintainers) => {
      const data = typedDataOf(domainFor(31337, grants), "Grant", struct);
      return {
        grants,
        grant: struct,
        repository,
        signatures: await Promise.all(signers.map((one) => one.signTypedData(data))),
      };
    };
    const refused = async (struct: Grant, error: unknown, signers?: typeof maintainers) =>
      expect(actions.approveGrant(clientOf(stranger), await signed(struct, signers))).rejects.toBeInstanceOf(error);
    await refused(grant, errors.ValidatorSetNoQuorumError, maintainers.slice(0, 1));
    await refused({ ...grant, setVersion: 2 }, errors.CodeGrantsStaleSetError);
    await refused({ ...grant, deadline: 1n }, errors.CodeGrantsExpiredError);
    await refused({ ...grant, cliff: 1_001 }, errors.CodeGrantsTermOutOfBoundsError);
    await refused({ ...grant, repository: hashOf("other") }, errors.CodeGrantsOtherRepositoryError);
    await refused({ ...grant, amount: 2n * share + 1n }, errors.CodeGrantsAboveAuthorCapError);
    expect(await actions.grantOf(client, { grants, modelId, id })).toBeUndefined();
    await expect(actions.grantDueAt(client, { grants, modelId, id, timestamp: 0 })).rejects.toBeInstanceOf(
      errors.CodeGrantsUnknownError,
    );

    const whole = await signed(grant);
    expect((await actions.approveGrant.simulate(clientOf(stranger), whole)).result).toBe(id);
    const { event, receipt } = await actions.approveGrant.sync(clientOf(stranger), whole);
    expect(event).toMatchObject({ modelId, id, author: alice.address, repository, grant: { amount: share } });
    expect(
      await logsOf(actions.grantApproved({ grants, modelId, author: alice.address }), receipt.blockNumber),
    ).toEqual([event]);
    await refused({ ...grant, deadline: grant.deadline + 1n }, errors.CodeGrantsApprovedError);
    await refused({ ...grant, author: bob.address, amount: 2n * share + 1n }, errors.CodeGrantsAboveAuthorCapError);
    const { timestamp } = await getBlock(client, { blockNumber: receipt.blockNumber });
    const epoch = await actions.epochOf(client, { addresses, modelId, timestamp: Number(timestamp) });
    expect(await actions.grantsApprovedIn(client, { grants, modelId, epoch, author: alice.address })).toEqual({
      byAuthor: share,
      inAll: share,
    });
    expect(await actions.grantCapsOf(client, { grants, modelId })).toEqual({
      perAuthor: 2n * share,
      perEpoch: 3n * share,
      version: 1,
    });

    const held = await actions.balanceOf(client, { shares, account: alice.address });
    expect((await actions.claimGrant.sync(clientOf(stranger), { grants, modelId, id })).event).toBeUndefined();
    const { start } = grant;
    await world.advanceTo(start + 500n);
    const { event: claimed } = await actions.claimGrant.sync(clientOf(stranger), { grants, modelId, id });
    const paid = claimed!.amount;
    expect(paid).toBeGreaterThanOrEqual(share / 2n);
    expect(paid).toBeLessThan((share * 6n) / 10n);
    expect(await actions.balanceOf(client, { shares, account: alice.address })).toBe(held + paid);
    expect(await logsOf(actions.grantClaimed({ grants, modelId, id }), receipt.blockNumber)).toEqual([claimed]);
    expect(await actions.grantOf(client, { grants, modelId, id })).toMatchObject({
      author: alice.address,
      amount: share,
      claimed: paid,
      start: Number(start),
      cliff: 400,
      duration: 1_000,
      revoked: false,
    });
    expect(await actions.grantDueAt(client, { grants, modelId, id, timestamp: Number(start) + 1_000 })).toBe(share);
  });
});

it("holders approve and revoke by a vote", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId, shares } = world;
    const grants = await actions.codeGrantsOf(client, { addresses });
    const grant = await grantWith({ setVersion: 0, duration: 10_000, deadline: BigInt(await world.now()) + 100_000n });
    const id = grantIdOf(grant);
    await expect(actions.approveGrantByVote(clientOf(alice), { grants, grant, repository })).rejects.toBeInstanceOf(
      errors.ModelAuthorityUnauthorizedError,
    );
    const approved = await decide([actions.approveGrantByVote.call({ grants, grant, repository })], "grant");
    expect(actions.approveGrantByVote.extractEvent(approved.receipt)).toMatchObject({ id, author: alice.address });
    await actions.claimGrant.sync(clientOf(alice), { grants, modelId, id });
    const supply = await actions.totalSupply(client, { shares });
    const { receipt } = await decide([actions.revokeGrant.call({ grants, modelId, id })], "revoke");
    const event = actions.revokeGrant.extractEvent(receipt)!;
    expect(event.due + event.burned).toBe(share);
    expect(event.burned).toBeGreaterThan(0n);
    expect(await actions.totalSupply(client, { shares })).toBe(supply - event.burned);
    expect(await logsOf(actions.grantRevoked({ grants, modelId, id }), receipt.blockNumber)).toEqual([event]);
    expect(await actions.grantOf(client, { grants, modelId, id })).toMatchObject({ amount: event.due, revoked: true });
    const again = actions.revokeGrant.call({ grants, modelId, id });
    const { receipt: second } = await decide([again], "again");
    expect(actions.revokeGrant.extractEvent(second)).toBeUndefined();
    expect(await actions.totalSupply(client, { shares })).toBe(supply - event.burned);
  });
});

it("holders end all that a set of maintainers approved, and anybody burns it", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId, shares } = world;
    const grants = await actions.codeGrantsOf(client, { addresses });
    await choose(grants);
    const grant = await grantWith({ amount: share / 2n, deadline: BigInt(await world.now()) + 100_000n });
    const data = (struct: Grant) => typedDataOf(domainFor(31337, grants), "Grant", struct);
    const approve = async (struct: Grant) => {
      const signatures = await Promise.all(maintainers.map((one) => one.signTypedData(data(struct))));
      return actions.approveGrant.sync(clientOf(stranger), { grants, grant: struct, repository, signatures });
    };
    const { event, receipt } = await approve(grant);
    const { id } = event;
    const set = { grants, modelId, setVersion: 1 };
    expect(await actions.grantSetVoidedAt(client, set)).toBeUndefined();
    expect(await actions.unburnedOf(client, { grants, modelId, id })).toBe(0n);
    await expect(actions.voidGrantSet(clientOf(alice), set)).rejects.toBeInstanceOf(
      errors.ModelAuthorityUnauthorizedError,
    );
    const decided = await decide([actions.voidGrantSet.call(set)], "void");
    const voided = actions.voidGrantSet.extractEvent(decided.receipt);
    expect(voided).toEqual({ modelId, setVersion: 1 });
    expect(await logsOf(actions.grantSetVoided({ grants, modelId }), receipt.blockNumber)).toEqual([voided]);
    const { timestamp } = await getBlock(client, { blockNumber: decided.receipt.blockNumber });
    expect(await actions.grantSetVoidedAt(client, set)).toBe(Number(timestamp));
    await expect(approve({ ...grant, amount: 1n })).rejects.toBeInstanceOf(errors.CodeGrantsVoidedSetError);

    const state = await actions.grantOf(client, { grants, modelId, id });
    expect(state).toMatchObject({ setVersion: 1, revoked: true });
    const left = await actions.unburnedOf(client, { grants, modelId, id });
    expect(state!.amount + left).toBe(share / 2n);
    expect(left).toBeGreaterThan(0n);
    const supply = await actions.totalSupply(client, { shares });
    const burn = { grants, modelId, ids: [id] };
    expect((await actions.burnVoidedGrants.simulate(clientOf(stranger), burn)).result).toBe(left);
    const { event: burned } = await actions.burnVoidedGrants.sync(clientOf(stranger), burn);
    expect(burned).toEqual([{ modelId, id, author: alice.address, due: state!.amount, burned: left }]);
    expect(await actions.totalSupply(client, { shares })).toBe(supply - left);
    expect(await actions.grantOf(client, { grants, modelId, id })).toEqual(state);
  });
});

it("says how much budget there is where it is too little", async () => {
  await isolated(world, async () => {
    const { client, addresses, modelId } = world;
    const grants = await actions.codeGrantsOf(client, { addresses });
    const grant = await grantWith({
      setVersion: 0,
      amount: 10n ** 30n,
      deadline: BigInt(await world.now()) + 100_000n,
    });
    const approval = actions.approveGrantByVote.call({ grants, grant, repository });
    expect(encodeFunctionData({ abi: approval.abi, functionName: "approveByVote", args: approval.args })).toBe(
      approval.data,
    );
    await expect(decide([approval], "much")).rejects.toBeInstanceOf(errors.EmissionOverBudgetError);
    await expect(
      actions.approveGrant(world.clientOf(bob), { grants, grant: await grantWith(), repository, signatures: [] }),
    ).rejects.toBeInstanceOf(errors.CodeGrantsStaleSetError);
    expect(await actions.currentMaintainers(client, { addresses, modelId })).toBe(0);
  });
});
