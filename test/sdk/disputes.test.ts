/** A pending root is disputed: bonds, the holders' vote, the organiser in bootstrap. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { structHash, zeroHash } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";
import { getBalance } from "viem/actions";

import { holders, isolated } from "./holders.ts";
import { alice, bob, createWorld, hashOf, organiser, share, stranger, type World } from "./world.ts";

const bond = share / 100n;
const evidence = hashOf("what was found");

let world: World;
beforeAll(async () => {
  world = await createWorld();
  await holders(world);
});
afterAll(() => world.close());

/** A root that is in its window. */
async function pending(label: bigint, withBond?: bigint) {
  const { addresses, clientOf } = world;
  const { attestation, signatures } = await world.attest([{ account: stranger.address, amount: label }]);
  const args = { addresses, attestation, signatures, ...(withBond === undefined ? {} : { bond: withBond }) };
  await actions.postRoot.sync(clientOf(bob), args);
  return { attestation, digest: structHash("Attestation", attestation) };
}

it("freezes a root, and the holders void it; the next bears a bond, which comes back", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId, governor } = world;
    const args = { addresses, modelId };
    const { attestation, digest } = await pending(7n);
    expect(await actions.bondOf(client, args)).toEqual({ bond, level: 0, isDue: false });
    expect(await actions.disputeOf(client, args)).toBeUndefined();
    const wanted = { ...args, digest, evidence, bond };
    const refused = async (change: object, error: unknown) =>
      expect(actions.disputeRoot(clientOf(stranger), { ...wanted, ...change })).rejects.toBeInstanceOf(error);
    await refused({ bond: bond - 1n }, errors.DisputesWrongBondError);
    await refused({ digest: zeroHash }, errors.DisputesOtherAttestationError);
    await refused({ kind: 2 }, errors.DisputesNothingPendingError);
    expect(actions.disputeRoot.call(wanted)).toMatchObject({ to: addresses.computeRewards, value: bond });
    expect((await actions.disputeRoot.simulate(clientOf(stranger), wanted)).result).toBe(1);

    const { event, receipt } = await actions.disputeRoot.sync(clientOf(stranger), wanted);
    expect(event).toMatchObject({ modelId, kind: 1, index: 2n, number: 1, disputer: stranger.address, bond, digest });
    const { logs } = await actions.getAllLogs(client, actions.rootDisputed(args), { from: receipt.blockNumber });
    expect(logs.map((log) => log.args)).toEqual([event]);
    expect(await actions.pendingRoot(client, args)).toMatchObject({ digest, activatableAt: undefined });
    await expect(actions.activateRoot(clientOf(bob), { addresses, attestation })).rejects.toBeInstanceOf(
      errors.DisputesOpenError,
    );
    const early = actions.settleDispute(clientOf(bob), { ...args, number: 1 });
    await expect(early).rejects.toBeInstanceOf(errors.DisputesNotDecidedError);
    await expect(early).rejects.toMatchObject({ retryable: true });

    const { proposalId } = event;
    await world.advanceTo(1n + (await actions.proposalSnapshot(client, { governor, proposalId })));
    await actions.castVote.sync(clientOf(alice), { governor, proposalId, support: "against" });
    await world.advanceTo(1n + (await actions.proposalDeadline(client, { governor, proposalId })));
    const settled = await actions.settleDispute.sync(clientOf(bob), { ...args, number: 1 });
    const { void: isVoid } = actions.disputeOutcome;
    expect(settled.event).toMatchObject({ number: 1, digest, outcome: isVoid, won: 0n, burned: 0n });
    expect((await actions.settleDispute.sync(clientOf(bob), { ...args, number: 1 })).event).toBeUndefined();
    expect(await actions.pendingRoot(client, args)).toBeUndefined();
    expect(await actions.ruledOf(client, { addresses, digest })).toMatchObject({
      outcome: isVoid,
      disputer: stranger.address,
      voted: true,
    });
    expect(await actions.disputeOf(client, args)).toMatchObject({ number: 1, outcome: isVoid, bond });

    const due = 2n * bond;
    expect(await actions.bondOf(client, args)).toEqual({ bond: due, level: 1, isDue: true });
    expect(await actions.ageJudgedAt(client, args)).toBe(Number(attestation.deadline));
    await expect(pending(8n)).rejects.toBeInstanceOf(errors.DisputesWrongBondError);
    const next = await pending(9n, due);
    expect(await actions.backingOf(client, args)).toEqual({ backer: bob.address, amount: due });
    await world.advanceTo((await actions.pendingRoot(client, args))!.activatableAt!);
    await actions.activateRoot.sync(clientOf(stranger), { addresses, attestation: next.attestation });
    expect(await actions.backingOf(client, args)).toBeUndefined();
    expect(await actions.bondCreditOf(client, { addresses, account: bob.address })).toBe(due);

    expect(await actions.bondCreditOf(client, { addresses, account: stranger.address })).toBe(bond);
    const before = await getBalance(client, stranger);
    const payee = { addresses, beneficiary: stranger.address };
    expect((await actions.withdrawBonds.sync(clientOf(bob), payee)).event).toEqual({
      account: stranger.address,
      amount: bond,
    });
    expect(await getBalance(client, stranger)).toBe(before + bond);
    expect((await actions.withdrawBonds.sync(clientOf(bob), payee)).event).toBeUndefined();
  });
});

it("is ruled on by the organiser in bootstrap, which ends once and not before its time", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId } = world;
    const args = { addresses, modelId };
    const bootstrap = await actions.bootstrapOf(client, { addresses });
    expect(await actions.bootstrapTerms(client, { bootstrap, modelId })).toEqual({
      shares: 500n * share,
      epochs: 2,
      endedAt: 0,
    });
    expect(await actions.bootstrapClaimed(client, { bootstrap, modelId })).toBe(400n * share);
    await expect(actions.endBootstrap(clientOf(alice), { bootstrap, modelId })).rejects.toBeInstanceOf(
      errors.BootstrapNotOverError,
    );

    const { attestation, digest } = await pending(7n);
    await actions.disputeRoot.sync(clientOf(stranger), { ...args, digest, evidence, bond });
    const ruling = { ...args, number: 1, stands: true };
    await expect(actions.ruleDispute(clientOf(alice), ruling)).rejects.toBeInstanceOf(errors.DisputesNotCourtError);
    await expect(actions.ruleDispute(clientOf(organiser), { ...ruling, number: 2 })).rejects.toBeInstanceOf(
      errors.DisputesNotRulableError,
    );
    const { event } = await actions.ruleDispute.sync(clientOf(organiser), ruling);
    expect(event).toMatchObject({ outcome: actions.disputeOutcome.stands, won: bond / 2n, burned: bond / 2n });
    await world.advanceTo((await actions.pendingRoot(client, args))!.activatableAt!);
    await actions.activateRoot.sync(clientOf(stranger), { addresses, attestation });
  });
});

it("costs what the holders say", async () => {
  const { clientOf, addresses, modelId } = world;
  await expect(actions.setDisputeBond(clientOf(alice), { addresses, modelId, base: 2n * bond })).rejects.toBeInstanceOf(
    errors.ModelAuthorityUnauthorizedError,
  );
});
